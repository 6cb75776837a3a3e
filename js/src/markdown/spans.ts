import { findFormula } from "./formula";

/** What marked must not look into: it sees a placeholder of private-use characters instead. */
export type Span =
  | { type: "formula"; source: string; tex: string; isDisplay: boolean }
  | { type: "footnote"; source: string; label: string }
  | { type: "literal"; source: string };

const OPEN = "\ue000";
const CLOSE = "\ue001";
const PLACEHOLDER = /\ue000(\d+)\ue001/;
const NEEDS_SCAN = /[$\ue000\ue001]|\\[([]|\[\^/;
const CANDIDATE = /`+|\\[([]|\\[\s\S]|\$+|[\ue000\ue001]|\[\^([^\]\s]{1,99})\]/g;

/** A text whose formulas and footnote references are set aside. */
export class ProtectedText {
  readonly spans: Span[] = [];
  text = "";

  constructor(
    private readonly source: string,
    private readonly isFootnote: (label: string) => boolean,
  ) {
    if (NEEDS_SCAN.test(source)) this.scan();
    else this.text = source;
  }

  /** The source of a piece of `text`. */
  restore(piece: string): string {
    if (!piece.includes(OPEN)) return piece;
    return piece.replace(new RegExp(PLACEHOLDER, "g"), (_, index) => this.spans[Number(index)]!.source);
  }

  /** Text and spans by turns, beginning and ending with text. */
  split(piece: string): (string | Span)[] {
    if (!piece.includes(OPEN)) return [piece];
    return piece.split(PLACEHOLDER).map((part, index) => (index % 2 ? this.spans[Number(part)]! : part));
  }

  private scan(): void {
    const { source } = this;
    const unclosed = new Set<string>();
    let copied = 0;
    CANDIDATE.lastIndex = 0;
    for (let match = CANDIDATE.exec(source); match; match = CANDIDATE.exec(source)) {
      const at = match.index;
      if (match[0].startsWith("`")) {
        const end = unclosed.has(match[0]) ? -1 : findCodeEnd(source, at, match[0]);
        if (end < 0) unclosed.add(match[0]);
        else CANDIDATE.lastIndex = end;
        continue;
      }
      const span = this.readSpan(at, match);
      if (!span) continue;
      this.text += `${source.slice(copied, at)}${OPEN}${this.spans.length}${CLOSE}`;
      this.spans.push(span);
      copied = at + span.source.length;
      CANDIDATE.lastIndex = copied;
    }
    this.text += source.slice(copied);
  }

  private readSpan(at: number, match: RegExpExecArray): Span | null {
    const { source } = this;
    const found = match[0];
    if (found === OPEN || found === CLOSE) return { type: "literal", source: found };
    if (match[1] !== undefined) {
      const label = match[1].toLowerCase();
      return this.isFootnote(label) ? { type: "footnote", source: found, label } : null;
    }
    if (!found.startsWith("$") && found !== "\\(" && found !== "\\[") return null;
    const formula = found.length > 2 ? null : findFormula(source, at);
    if (!formula) return null;
    const { tex, isDisplay, end } = formula;
    return { type: "formula", source: source.slice(at, end), tex, isDisplay };
  }
}

function findCodeEnd(source: string, at: number, run: string): number {
  let close = source.indexOf(run, at + run.length);
  while (close >= 0) {
    let end = close + run.length;
    if (source[end] !== "`") return end;
    while (source[end] === "`") end++;
    close = source.indexOf(run, end);
  }
  return -1;
}
