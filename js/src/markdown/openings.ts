import type { Alignment, Block, ListMarker } from "./block";
import type { BlockParser } from "./blocks";
import { splitCells } from "./cells";
import { skipQuoteMarker } from "./continuations";
import { unescapeText } from "./definitions";
import { opensFormula } from "./formula";
import type { Line } from "./line";

/** What a line opens: a container to read on in, a leaf that takes the rest, or nothing. */
export type Opening = "container" | "leaf" | "none";

type Open = (parser: BlockParser, container: Block, line: Line) => Opening;

const HEADING = /^#{1,6}(?:[ \t]+|$)/;
const FENCE = /^(`{3,})([^`]*)$|^(~{3,})(.*)$/;
const SETEXT = /^(=+|-+)[ \t]*$/;
const THEMATIC_BREAK = /^(?:\*[ \t]*){3,}$|^(?:_[ \t]*){3,}$|^(?:-[ \t]*){3,}$|^<hr ?\/?>\s*$/i;
const DELIMITER_ROW = /^\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;
const FOOTNOTE = /^\[\^([^\]\s]{1,99})\]:[ \t]*/;
const DETAILS = /^<details(?:[ \t]+open)?[ \t]*>/i;
const SUMMARY = /^<summary>/i;
const BULLET = /^[*+-](?=[ \t]|$)/;
const NUMBER = /^(\d{1,9})([.)])(?=[ \t]|$)/;
/** CommonMark's HTML blocks 1 to 5, shown as text; 6 and 7 are paragraphs here. */
const RAW_HTML: [RegExp, RegExp][] = [
  [/^<(?:script|pre|textarea|style)(?:\s|>|$)/i, /<\/(?:script|pre|textarea|style)>/i],
  [/^<!--/, /-->/],
  [/^<\?/, /\?>/],
  [/^<!\[CDATA\[/, /\]\]>/],
  [/^<![A-Za-z]/, />/],
];

const OPENINGS: Open[] = [
  openQuote,
  openHeading,
  openFence,
  openMath,
  openDetails,
  openHtml,
  openSetextHeading,
  openTable,
  openThematicBreak,
  openFootnote,
  openItem,
  openIndentedCode,
];

export function openBlock(parser: BlockParser, container: Block, line: Line): Opening {
  for (const open of OPENINGS) {
    const opening = open(parser, container, line);
    if (opening !== "none") return opening;
  }
  return "none";
}

function openQuote(parser: BlockParser, _container: Block, line: Line): Opening {
  if (line.isIndented || line.first !== ">") return "none";
  skipQuoteMarker(line);
  parser.closeUnmatched();
  parser.open("block_quote");
  return "container";
}

function openHeading(parser: BlockParser, _container: Block, line: Line): Opening {
  if (line.isIndented || line.first !== "#") return "none";
  const marker = HEADING.exec(line.trimmed);
  if (!marker) return "none";
  parser.closeUnmatched();
  const heading = parser.open("heading");
  heading.level = marker[0].trim().length;
  const text = line.trimmed.slice(marker[0].length).trimEnd();
  heading.lines = [/^#+$/.test(text) ? "" : text.replace(/[ \t]+#+$/, "")];
  line.useUp();
  return "leaf";
}

function openFence(parser: BlockParser, _container: Block, line: Line): Opening {
  if (line.isIndented || (line.first !== "`" && line.first !== "~")) return "none";
  const match = FENCE.exec(line.trimmed);
  if (!match) return "none";
  parser.closeUnmatched();
  const indent = line.indent;
  const info = unescapeText((match[2] ?? match[4] ?? "").trim());
  parser.open("code").fence = { marker: match[1] ?? match[3]!, indent, info };
  line.useUp();
  return "leaf";
}

function openMath(parser: BlockParser, container: Block, line: Line): Opening {
  if (line.isIndented || !opensFormula(line.trimmed, container.type === "paragraph")) return "none";
  parser.closeUnmatched();
  parser.open("math");
  return "leaf";
}

function openDetails(parser: BlockParser, container: Block, line: Line): Opening {
  if (line.isIndented || line.first !== "<") return "none";
  const details = DETAILS.exec(line.trimmed);
  if (details) {
    parser.closeUnmatched();
    parser.open("details");
    line.skipSpaces();
    line.skipCharacters(details[0].length);
    return "container";
  }
  const summary = container.type === "details" && SUMMARY.exec(line.trimmed);
  if (!summary) return "none";
  parser.closeUnmatched();
  const block = parser.open("summary");
  line.skipSpaces();
  line.skipCharacters(summary[0].length);
  const end = line.rest.search(/<\/summary>/i);
  if (end < 0) return "leaf";
  block.lines = [line.rest.slice(0, end)];
  line.skipCharacters(end + "</summary>".length);
  parser.close(block);
  return "container";
}

function openHtml(parser: BlockParser, _container: Block, line: Line): Opening {
  if (line.isIndented || line.first !== "<") return "none";
  const kind = RAW_HTML.find(([start]) => start.test(line.trimmed));
  if (!kind) return "none";
  parser.closeUnmatched();
  parser.open("html").closer = kind[1];
  return "leaf";
}

function openSetextHeading(parser: BlockParser, container: Block, line: Line): Opening {
  if (line.isIndented || container.type !== "paragraph") return "none";
  const underline = SETEXT.exec(line.trimmed);
  if (!underline) return "none";
  parser.closeUnmatched();
  parser.takeDefinitions(container);
  if (container.lines.length === 0) return "none";
  const { lines } = container;
  const heading = parser.replace(container, "heading");
  heading.level = underline[1]!.startsWith("=") ? 1 : 2;
  heading.lines = lines.slice();
  line.useUp();
  return "leaf";
}

function openTable(parser: BlockParser, container: Block, line: Line): Opening {
  if (line.isIndented || container.type !== "paragraph" || !/[|:]/.test(line.trimmed)) return "none";
  if (!DELIMITER_ROW.test(line.trimmed)) return "none";
  const header = container.lines.at(-1)!;
  const columns = splitCells(line.trimmed);
  if (splitCells(header).length !== columns.length) return "none";
  parser.closeUnmatched();
  const before = container.lines.slice(0, -1);
  let table: Block;
  if (before.length > 0) {
    container.lines = before;
    parser.close(container);
    table = parser.open("table");
  } else {
    table = parser.replace(container, "table");
  }
  table.lines = [header];
  table.alignments = columns.map(readAlignment);
  line.useUp();
  return "leaf";
}

function readAlignment(cell: string): Alignment {
  const isLeft = cell.startsWith(":");
  const isRight = cell.endsWith(":");
  if (isLeft && isRight) return "center";
  return isRight ? "right" : isLeft ? "left" : "";
}

function openThematicBreak(parser: BlockParser, _container: Block, line: Line): Opening {
  if (line.isIndented || !THEMATIC_BREAK.test(line.trimmed)) return "none";
  parser.closeUnmatched();
  parser.open("thematic_break");
  line.useUp();
  return "leaf";
}

function openFootnote(parser: BlockParser, container: Block, line: Line): Opening {
  if (line.isIndented || line.first !== "[") return "none";
  const match = FOOTNOTE.exec(line.trimmed);
  const holder = container.type === "paragraph" ? container.parent! : container;
  if (!match || holder.type !== "document") return "none";
  parser.closeUnmatched();
  parser.openFootnote(match[1]!.toLowerCase());
  line.skipSpaces();
  line.skipCharacters(match[0].length);
  return "container";
}

function openItem(parser: BlockParser, container: Block, line: Line): Opening {
  if (line.isIndented) return "none";
  const marker = readListMarker(container, line);
  if (!marker) return "none";
  parser.closeUnmatched();
  const list = parser.tip.marker;
  const isSameList =
    parser.tip.type === "list" && list?.isOrdered === marker.isOrdered && list.delimiter === marker.delimiter;
  if (!isSameList) parser.open("list").marker = marker;
  parser.open("item").marker = marker;
  return "container";
}

function readListMarker(container: Block, line: Line): ListMarker | null {
  const text = line.trimmed;
  const number = NUMBER.exec(text);
  const match = number ?? BULLET.exec(text);
  if (!match) return null;
  if (container.type === "paragraph") {
    const isEmpty = text.slice(match[0].length).trim() === "";
    if (isEmpty || (number && Number(number[1]) !== 1)) return null;
  }
  const markerIndent = line.indent;
  line.skipSpaces();
  line.skipCharacters(match[0].length);
  const { offset, column } = line;
  const gap = line.isBlank ? 0 : line.indent;
  if (gap >= 1 && gap <= 4) {
    line.skipColumns(gap);
  } else {
    line.rewind(offset, column);
    if (line.isAtSpace) line.skipColumns(1);
  }
  return {
    isOrdered: number !== null,
    delimiter: number ? number[2]! : match[0],
    start: number ? Number(number[1]) : 1,
    contentColumn: markerIndent + match[0].length + (gap >= 1 && gap <= 4 ? gap : 1),
  };
}

function openIndentedCode(parser: BlockParser, _container: Block, line: Line): Opening {
  if (!line.isIndented || parser.tip.type === "paragraph" || line.isBlank) return "none";
  line.skipColumns(4);
  parser.closeUnmatched();
  parser.open("code");
  return "leaf";
}
