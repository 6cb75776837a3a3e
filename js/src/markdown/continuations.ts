import type { Block } from "./block";
import type { BlockParser } from "./blocks";
import type { Line } from "./line";

export type Continuation = "continued" | "ended" | "consumed";

const CLOSING_FENCE = /^(?:`{3,}|~{3,})[ \t]*$/;
const CLOSING_DETAILS = /^<\/details>\s*$/i;

/** Whether the line goes on with an open block, ends it, or (closing fence) is used up by its end. */
export function continueBlock(parser: BlockParser, block: Block, line: Line): Continuation {
  switch (block.type) {
    case "block_quote":
      return continueQuote(line);
    case "item":
      return continueIndented(block, line, block.marker!.contentColumn);
    case "footnote":
      return continueIndented(block, line, 4);
    case "details":
      return continueDetails(parser, block, line);
    case "code":
      return block.fence ? continueFence(parser, block, line) : continueIndentedCode(line);
    case "heading":
    case "thematic_break":
      return "ended";
    case "paragraph":
    case "table":
    case "summary":
      return line.isBlank ? "ended" : "continued";
    case "math":
      return line.isBlank ? "ended" : "continued";
    default:
      return "continued";
  }
}

function continueQuote(line: Line): Continuation {
  if (line.isIndented || line.first !== ">") return "ended";
  skipQuoteMarker(line);
  return "continued";
}

export function skipQuoteMarker(line: Line): void {
  line.skipSpaces();
  line.skipCharacters(1);
  if (line.isAtSpace) line.skipColumns(1);
}

function continueIndented(block: Block, line: Line, columns: number): Continuation {
  if (line.isBlank) {
    if (block.childCount === 0) return "ended";
    line.skipSpaces();
    return "continued";
  }
  if (line.indent < columns) return "ended";
  line.skipColumns(columns);
  return "continued";
}

function continueDetails(parser: BlockParser, block: Block, line: Line): Continuation {
  const isEnd = !line.isIndented && !parser.isVerbatim && CLOSING_DETAILS.test(line.trimmed);
  if (!isEnd || parser.findOpen("details") !== block) return "continued";
  while (parser.tip !== block) parser.close(parser.tip);
  parser.close(block);
  return "consumed";
}

function continueFence(parser: BlockParser, block: Block, line: Line): Continuation {
  const { marker, indent } = block.fence!;
  if (!line.isIndented && line.trimmed.startsWith(marker) && CLOSING_FENCE.test(line.trimmed)) {
    parser.close(block);
    return "consumed";
  }
  line.skipColumns(Math.min(indent, line.indent));
  return "continued";
}

function continueIndentedCode(line: Line): Continuation {
  if (line.isIndented) line.skipColumns(4);
  else if (line.isBlank) line.skipSpaces();
  else return "ended";
  return "continued";
}
