/** A formula between `$$` or `\[ \]`, with the punctuation of the sentence it ends. */
const DISPLAY = /^(?:\$\$((?:(?!\$\$)[\s\S])+)\$\$|\\\[((?:(?!\\\])[\s\S])+)\\\])([.,;]?)$/;
const MAX_LINES = 200;
const MAX_INLINE_LENGTH = 1000;
const MONEY = /^[\d.,]+\s+[A-Za-z]{2,}/;
const BLANK_LINE = /\n[ \t]*\n/;

export interface Formula {
  tex: string;
  isDisplay: boolean;
  /** Where the formula ends in the text it was found in. */
  end: number;
}

/** True once the last line brings the closing delimiter, even with text behind it, or the block is too long. */
export function isFormulaOver(lines: string[]): boolean {
  const last = lines.at(-1)!;
  const closer = closerOf(lines[0]!.trimStart());
  return (lines.length === 1 ? last.trimStart().slice(2) : last).includes(closer) || lines.length > MAX_LINES;
}

/** The TeX of a block that is a formula and nothing else, and the punctuation after it. */
export function readDisplayFormula(text: string): { tex: string; punctuation: string } | null {
  const match = DISPLAY.exec(text.trim());
  return match && { tex: (match[1] ?? match[2]!).trim(), punctuation: match[3]! };
}

/** Whether a line opens a formula block; inside a paragraph only a line that says nothing else does. */
export function opensFormula(line: string, isInParagraph: boolean): boolean {
  const text = line.trim();
  if (!text.startsWith("$$") && !text.startsWith("\\[")) return false;
  const content = text.slice(2);
  if (content.includes(closerOf(text))) return readDisplayFormula(text) !== null;
  return content === "" || !(isInParagraph || content.includes("]"));
}

function closerOf(text: string): string {
  return text.startsWith("$$") ? "$$" : "\\]";
}

/** The formula that begins at `at`, where a `$`, `\(` or `\[` stands; amounts of money are none. */
export function findFormula(source: string, at: number): Formula | null {
  if (source[at] === "\\") return findBracketed(source, at);
  return source[at + 1] === "$" ? findDelimited(source, at, "$$", true) : findDollar(source, at);
}

function findBracketed(source: string, at: number): Formula | null {
  const isDisplay = source[at + 1] === "[";
  if (!isDisplay && /[A-Za-z0-9(]/.test(source[at - 1] ?? "")) return null;
  return findDelimited(source, at, isDisplay ? "\\]" : "\\)", isDisplay);
}

function findDelimited(source: string, at: number, closer: string, isDisplay: boolean): Formula | null {
  const close = source.indexOf(closer, at + 2);
  if (close < 0) return null;
  const tex = source.slice(at + 2, close);
  if (!tex.trim() || BLANK_LINE.test(tex)) return null;
  return { tex: tex.trim(), isDisplay, end: close + closer.length };
}

function findDollar(source: string, at: number): Formula | null {
  if (/[A-Za-z0-9]/.test(source[at - 1] ?? "") || /[\s$]/.test(source[at + 1] ?? " ")) return null;
  let close = source.indexOf("$", at + 1);
  while (close > 0 && source[close - 1] === "\\") close = source.indexOf("$", close + 1);
  if (close < 0 || close - at > MAX_INLINE_LENGTH) return null;
  if (/\s/.test(source[close - 1]!) || /[A-Za-z0-9$]/.test(source[close + 1] ?? "")) return null;
  const tex = source.slice(at + 1, close);
  return BLANK_LINE.test(tex) || MONEY.test(tex) ? null : { tex, isDisplay: false, end: close + 1 };
}
