import type { Token, Tokens } from "marked";
import { type Definitions, normalizeLabel } from "./definitions";
import { decodeEntities } from "./entities";
import type { FootnoteList } from "./footnotes";
import { InlineLexer } from "./inline_lexer";
import { imagePiece, linkPiece } from "./links";
import { createFormula } from "./math";
import type { ElementPiece, Piece } from "./patch";
import { RAW_TAGS } from "./safety";
import { ProtectedText, type Span } from "./spans";

const TAG = /^<(\/?)([a-z]+)\s*\/?>$/i;
const REFERENCE = /\[((?:\\[\s\S]|[^[\]\\]){1,999})\]/g;
/** A text that holds one of these may still become part of something. */
const UNDECIDED = /[*_~`[\]!<$\\\ue000]/;

/** An open tag of raw HTML, with the pieces read since; the first frame has no tag. */
interface Frame {
  tag: string;
  source: string;
  pieces: Piece[];
}

/** Turns the text of a leaf into pieces, and tells what of it cannot change any more. */
export class InlineReader {
  private readonly lexer: InlineLexer;

  constructor(
    readonly definitions: Definitions,
    private readonly footnotes: FootnoteList,
  ) {
    this.lexer = new InlineLexer(definitions);
  }

  read(source: string): InlineResult {
    const text = new ProtectedText(source, (label) => this.definitions.footnotes.has(label));
    const tokens = this.lexer.read(text.text);
    const pieces = new PieceBuilder(text, this.definitions, this.footnotes).build(tokens);
    return { pieces, tokens, text };
  }

  /** The labels in brackets that nothing defines yet. */
  findUndefined(source: string): string[] {
    if (!source.includes("[")) return [];
    const labels = Array.from(source.matchAll(REFERENCE), (match) => normalizeLabel(match[1]!));
    return labels.filter((label) => label !== "" && !this.definitions.isDefined(label));
  }
}

export interface InlineResult {
  pieces: Piece[];
  tokens: Token[];
  text: ProtectedText;
}

/**
 * How much of the source, up to a space between words, no later text can change:
 * nothing in it is a delimiter that still looks for its partner.
 */
export function settledLength({ tokens, text }: InlineResult): number {
  let length = 0;
  let settled = 0;
  let prefix = "";
  for (const token of tokens) {
    if (!isDecided(token)) break;
    if (token.type === "text") {
      const space = token.raw.slice(0, -1).lastIndexOf(" ");
      const isBetweenWords =
        space > 0 && /\S/.test(token.raw[space - 1]!) && /\S/.test(token.raw[space + 1]!);
      if (isBetweenWords) settled = length + space + 1;
    }
    prefix += token.raw;
    length += token.raw.length;
  }
  return text.restore(prefix.slice(0, settled)).length;
}

function isDecided(token: Token): boolean {
  switch (token.type) {
    case "text":
      return !UNDECIDED.test(token.raw);
    case "em":
    case "strong":
    case "del":
      return (token.tokens ?? []).every(isDecided);
    case "codespan":
    case "br":
      return true;
    case "escape":
      return token.raw !== "\\(" && token.raw !== "\\[";
    case "link":
      return (
        (token as Tokens.Link).autolink || (token.raw.endsWith(")") && (token.tokens ?? []).every(isDecided))
      );
    default:
      return false;
  }
}

class PieceBuilder {
  constructor(
    private readonly text: ProtectedText,
    private readonly definitions: Definitions,
    private readonly footnotes: FootnoteList,
  ) {}

  build(tokens: Token[]): Piece[] {
    const frames: Frame[] = [{ tag: "", source: "", pieces: [] }];
    for (const token of tokens) {
      if (token.type === "html") this.addTag(frames, token.raw);
      else for (const piece of this.convert(token)) addPiece(frames.at(-1)!.pieces, piece);
    }
    while (frames.length > 1) unwrapFrame(frames);
    return frames[0]!.pieces;
  }

  private addTag(frames: Frame[], raw: string): void {
    const match = TAG.exec(raw);
    const tag = (match?.[2] ?? "").toLowerCase();
    const isEnd = match?.[1] === "/";
    if (tag === "br" && !isEnd) {
      addPiece(frames.at(-1)!.pieces, elementPiece("br"));
    } else if (RAW_TAGS.has(tag) && !isEnd && !raw.endsWith("/>")) {
      frames.push({ tag, source: raw, pieces: [] });
    } else if (isEnd && frames.some((frame) => frame.tag === tag)) {
      while (frames.at(-1)!.tag !== tag) unwrapFrame(frames);
      const { pieces } = frames.pop()!;
      addPiece(frames.at(-1)!.pieces, elementPiece(tag, pieces));
    } else {
      addPiece(frames.at(-1)!.pieces, this.text.restore(raw));
    }
  }

  private convert(token: Token): Piece[] {
    switch (token.type) {
      case "text":
        return this.text.split(token.raw).map((part) => this.convertPart(part));
      case "escape":
        return [(token as Tokens.Escape).text];
      case "em":
      case "strong":
      case "del":
        return [elementPiece(token.type, this.build(token.tokens ?? []))];
      case "codespan":
        return [elementPiece("code", [this.text.restore((token as Tokens.Codespan).text)])];
      case "br":
        return [elementPiece("br"), "\n"];
      case "link":
        return [this.convertLink(token as Tokens.Link)];
      case "image":
        return [this.convertImage(token as Tokens.Image)];
      default:
        return [this.text.restore(token.raw)];
    }
  }

  private convertPart(part: string | Span): Piece {
    if (typeof part === "string") return decodeEntities(part);
    if (part.type === "literal") return part.source;
    if (part.type === "footnote") {
      const ordinal = this.definitions.footnotes.get(part.label) ?? 0;
      return { key: `footnote ${ordinal}`, create: () => this.footnotes.createReference(ordinal) };
    }
    const { tex, isDisplay, source } = part;
    return { key: `formula ${source}`, create: () => createFormula(tex, isDisplay, source) };
  }

  private convertLink(token: Tokens.Link): Piece {
    const label = this.text.restore(token.text);
    if (token.autolink) return linkPiece(this.text.restore(token.href), "", label, [label]);
    const title = decodeEntities(this.text.restore(token.title ?? ""));
    const children = this.build(token.tokens);
    return linkPiece(decodeEntities(this.text.restore(token.href)), title, plainText(children), children);
  }

  private convertImage(token: Tokens.Image): Piece {
    const alt = plainText(this.build(token.tokens));
    const title = decodeEntities(this.text.restore(token.title ?? ""));
    return imagePiece(decodeEntities(this.text.restore(token.href)), title, alt);
  }
}

function elementPiece(tag: string, children: Piece[] = []): ElementPiece {
  return { key: tag, create: () => document.createElement(tag), children };
}

function addPiece(pieces: Piece[], piece: Piece): void {
  const last = pieces.at(-1);
  if (piece === "") return;
  if (typeof piece === "string" && typeof last === "string") pieces[pieces.length - 1] = last + piece;
  else pieces.push(piece);
}

/** A tag that is never closed is text. */
function unwrapFrame(frames: Frame[]): void {
  const { source, pieces } = frames.pop()!;
  for (const piece of [source, ...pieces]) addPiece(frames.at(-1)!.pieces, piece);
}

function plainText(pieces: Piece[]): string {
  return pieces
    .map((piece) => (typeof piece === "string" ? piece : (piece.alt ?? plainText(piece.children ?? []))))
    .join("");
}
