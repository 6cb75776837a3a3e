import { Lexer, type Token, Tokenizer, type Tokens } from "marked";
import type { Definitions } from "./definitions";

/** Where plain text may end: at a delimiter, a hard break, the start of a literal address. */
const STOP = /[\\<![`*_~@]| {2,}\n|(?:https?|ftp):\/\/|(?:mailto|xmpp):|(?<![^\s*_~(])www\./gi;
const RUN = /^(?:`+|~+)/;
const ADDRESS_START = /[A-Za-z0-9.!#$%&'+/=?^{|}-]/;
const MAY_BE_ADDRESS = /^[A-Za-z0-9.+-]/;

/**
 * marked's inline rules with two changes: plain text is found in linear time (its own pattern looks
 * ahead for an e-mail address at every character), and raw HTML tags leave no state behind.
 */
class InlineTokenizer extends Tokenizer {
  override inlineText(src: string): Tokens.Text {
    const raw = src.slice(0, textLength(src));
    return { type: "text", raw, text: raw, escaped: false };
  }

  override url(src: string): Tokens.Link | undefined {
    return MAY_BE_ADDRESS.test(src) ? super.url(src) : undefined;
  }

  override tag(src: string): Tokens.Tag | undefined {
    const { inLink, inRawBlock } = this.lexer.state;
    const token = super.tag(src);
    Object.assign(this.lexer.state, { inLink, inRawBlock });
    return token;
  }
}

function textLength(src: string): number {
  STOP.lastIndex = RUN.exec(src)?.[0].length ?? 1;
  for (let match = STOP.exec(src); match; match = STOP.exec(src)) {
    if (match[0] !== "@") return match.index;
    let start = match.index;
    while (start > 0 && ADDRESS_START.test(src[start - 1]!)) start--;
    if (start > 0 && start < match.index) return start;
  }
  return src.length;
}

/** Turns the text of one leaf into marked's inline tokens. */
export class InlineLexer {
  private readonly lexer = new Lexer({ gfm: true, tokenizer: new InlineTokenizer() });

  constructor(definitions: Definitions) {
    this.lexer.tokens.links = definitions.links;
  }

  read(text: string): Token[] {
    Object.assign(this.lexer.state, { inLink: false, inRawBlock: false, linkEmitted: false });
    return this.lexer.inlineTokens(text);
  }
}
