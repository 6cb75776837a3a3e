import type { Waiter } from "./definitions";
import { type InlineReader, settledLength } from "./inline";
import { nodeAt, type Piece, patchNodes } from "./patch";

/** marked is quadratic in some inputs, so it never sees more than this at once. */
const MAX_SEGMENT = 4096;
const MAX_DELIMITERS = 400;
const MAX_WORD = 1024;
/** Text is settled in steps, as each one costs a text node. */
const SETTLE_STEP = 256;
const COMPARED = 256;

/** Inline content that grows: what cannot change any more is read and placed once. */
export class InlineText implements Waiter {
  private source = "";
  private settled = 0;
  private segmentStart = 0;
  private lastSettled: ChildNode | null = null;
  private lead: Piece[] = [];

  constructor(
    private readonly element: HTMLElement,
    private readonly reader: InlineReader,
  ) {}

  /** Shows `source`; `lead` is what stands before it. */
  update(source: string, lead: Piece[] = []): void {
    if (source === this.source && lead.length === this.lead.length) return;
    if (!this.isContinuedBy(source) || lead.length !== this.lead.length) this.reset(lead);
    this.source = source;
    for (let end = this.segmentEnd(); end < source.length; end = this.segmentEnd()) {
      this.settle(end, []);
      this.segmentStart = end;
    }
    this.showTail();
  }

  /** Asks to be read again when a label in it, not yet known, is defined. */
  awaitLabels(): void {
    const { definitions } = this.reader;
    for (const label of this.reader.findUndefined(this.source)) definitions.awaitLabel(label, this);
  }

  refresh(): void {
    const { source, lead } = this;
    this.reset(lead);
    this.source = "";
    this.update(source, lead);
  }

  /** Text grows at its end, or loses definitions at its start; so the ends of what is settled tell. */
  private isContinuedBy(source: string): boolean {
    const head = this.source.slice(0, Math.min(this.settled, COMPARED));
    const tailStart = Math.max(0, this.settled - COMPARED);
    return (
      source.startsWith(head) && source.startsWith(this.source.slice(tailStart, this.settled), tailStart)
    );
  }

  private reset(lead: Piece[]): void {
    this.settled = 0;
    this.segmentStart = 0;
    this.lastSettled = null;
    this.lead = lead;
  }

  private showTail(): void {
    const { source, settled } = this;
    const tail = this.reader.read(source.slice(settled));
    const length = source.length - settled > SETTLE_STEP ? settledLength(tail) : 0;
    if (length >= SETTLE_STEP / 2) {
      const rest = this.reader.read(source.slice(settled + length));
      this.settle(settled + length, rest.pieces);
    } else {
      patchNodes(this.element, this.lastSettled, [...this.pendingLead, ...tail.pieces]);
    }
  }

  /** Places the text up to `end` for good, and `rest` behind it. */
  private settle(end: number, rest: Piece[]): void {
    const { pieces } = this.reader.read(this.source.slice(this.settled, end));
    const final = [...this.pendingLead, ...pieces];
    patchNodes(this.element, this.lastSettled, [...final, ...rest]);
    this.lastSettled = nodeAt(this.element, this.lastSettled, final.length);
    this.settled = end;
  }

  private get pendingLead(): Piece[] {
    return this.settled === 0 ? this.lead : [];
  }

  /**
   * Where the segment that is being read ends: it depends on the text alone, not on how it arrived.
   * If there is a place near its limit where nothing is open, it ends there.
   */
  private segmentEnd(): number {
    const { source, segmentStart: start } = this;
    const { limit, space } = this.segmentLimit();
    if (limit >= source.length) return source.length;
    const settled = settledLength(this.reader.read(source.slice(start, limit)));
    if (settled > (limit - start) / 4) return start + settled;
    return space > start ? space : cutAt(source, limit);
  }

  /** Where the segment becomes too long to be read again and again, and the last space before. */
  private segmentLimit(): { limit: number; space: number } {
    const { source, segmentStart: start } = this;
    if (source.length - start < MAX_DELIMITERS) return { limit: source.length, space: start };
    let delimiters = 0;
    let space = start;
    for (let at = start; at < source.length; at++) {
      const char = source[at]!;
      if (char === " " || char === "\n") space = at + 1;
      else if ("*_`[]~<$\\!@&".includes(char)) delimiters++;
      if (at - start >= MAX_SEGMENT || delimiters >= MAX_DELIMITERS || at - space >= MAX_WORD)
        return { limit: at, space };
    }
    return { limit: source.length, space };
  }
}

function cutAt(source: string, at: number): number {
  const code = source.charCodeAt(at);
  return code >= 0xdc00 && code <= 0xdfff ? at - 1 : at;
}
