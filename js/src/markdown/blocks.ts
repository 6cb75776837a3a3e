import { Block, type BlockType, endsWithBlankLine } from "./block";
import { continueBlock } from "./continuations";
import { type Definitions, type LinkTarget, takeDefinitions } from "./definitions";
import { isFormulaOver, readDisplayFormula } from "./formula";
import { Line } from "./line";
import { openBlock } from "./openings";

const MAX_DEPTH = 40;
const OPENING = /^[#`~*+_=<>0-9\-$\\|:[]/;
const DETAILS_END = /^<\/details>\s*$/i;
/** Leaves whose lines open no other block. */
const VERBATIM = new Set<BlockType>(["code", "math", "html", "summary"]);

/**
 * The block structure of CommonMark (spec, appendix "A parsing strategy"), one line at a time.
 * A line is looked at once, so the cost of a document is linear in its length.
 */
export class BlockParser {
  readonly document = new Block("document", null);
  tip = this.document;
  /** True while a line that is not complete is tried; its definitions do not count yet. */
  private isTrying = false;
  private footnoteCount = 0;
  private deepestMatched = this.document;
  private isAllMatched = true;

  constructor(private readonly definitions: Definitions) {}

  addLine(text: string): void {
    const end = text.lastIndexOf("</");
    if (end > 0 && this.endsDetails(text, end)) {
      this.readLine(new Line(text.slice(0, end)));
      this.readLine(new Line(text.slice(end)));
    } else {
      this.readLine(new Line(text));
    }
  }

  /** Adds a line that is still being written; the function returned takes it back. */
  tryLine(text: string): () => void {
    const undo: (() => void)[] = [];
    for (let block: Block | null = this.tip; block; block = block.parent) undo.push(block.checkpoint());
    const { tip, footnoteCount } = this;
    this.isTrying = true;
    this.addLine(text);
    this.isTrying = false;
    return () => {
      for (const restore of undo) restore();
      this.tip = tip;
      this.footnoteCount = footnoteCount;
    };
  }

  finish(): void {
    while (this.tip !== this.document) this.close(this.tip);
    this.document.isOpen = false;
  }

  /** Opens a block at the tip, closing what cannot hold it. */
  open(type: BlockType): Block {
    while (!this.tip.canContain(type)) this.close(this.tip);
    const parent = this.tip;
    const block = new Block(type, parent);
    const previous = parent.last;
    if (previous && endsWithBlankLine(previous)) {
      if (parent.type === "list") parent.isLoose = true;
      else if (parent.type === "item") parent.parent!.isLoose = true;
    }
    parent.children.push(block);
    block.index = parent.childCount++;
    this.tip = block;
    return block;
  }

  openFootnote(label: string): Block {
    const block = this.open("footnote");
    block.label = label;
    block.ordinal = ++this.footnoteCount;
    if (!this.isTrying) this.definitions.defineFootnote(label, block.ordinal);
    return block;
  }

  /** Puts a new leaf in the place of the tip. */
  replace(block: Block, type: BlockType): Block {
    const parent = block.parent!;
    const successor = new Block(type, parent);
    parent.children[parent.children.indexOf(block)] = successor;
    successor.index = block.index;
    block.isOpen = false;
    this.tip = successor;
    return successor;
  }

  close(block: Block): void {
    block.isOpen = false;
    this.tip = block.parent ?? this.document;
    if (block.type === "paragraph") {
      this.takeDefinitions(block);
      if (block.lines.length === 0) this.remove(block);
    } else if (block.type === "code" && !block.fence) {
      block.lines = block.lines.slice(0, 1 + block.lines.findLastIndex((line) => line.trim() !== ""));
    } else if (block.type === "math" && !readDisplayFormula(block.text)) {
      this.turnIntoParagraph(block);
      this.close(this.tip);
    }
  }

  /** Text that began like a formula and is none. */
  turnIntoParagraph(block: Block): void {
    const { lines } = block;
    this.replace(block, "paragraph").lines = lines.map((line) => line.trimStart());
  }

  takeDefinitions(paragraph: Block): void {
    const text = paragraph.text;
    if (!text.startsWith("[")) return;
    const define = (label: string, target: LinkTarget) => {
      if (!this.isTrying) this.definitions.defineLink(label, target);
    };
    const rest = takeDefinitions(text, define);
    if (rest !== text) paragraph.lines = rest.trim() ? rest.split("\n") : [];
  }

  closeUnmatched(): void {
    if (this.isAllMatched) return;
    while (this.tip !== this.deepestMatched) this.close(this.tip);
    this.isAllMatched = true;
  }

  findOpen(type: BlockType): Block | null {
    let block: Block | null = this.tip;
    while (block && block.type !== type) block = block.parent;
    return block;
  }

  get isVerbatim(): boolean {
    return VERBATIM.has(this.tip.type);
  }

  /** Whether `</details>` stands at the end of a line that begins with something else. */
  private endsDetails(text: string, end: number): boolean {
    if (this.isVerbatim || !DETAILS_END.test(text.slice(end))) return false;
    const before = text.slice(0, end);
    return /[^\s>]/.test(before) && (this.findOpen("details") !== null || /<details/i.test(before));
  }

  private remove(block: Block): void {
    const parent = block.parent!;
    parent.children = parent.children.filter((child) => child !== block);
    parent.childCount--;
  }

  private readLine(line: Line): void {
    let container: Block = this.document;
    let isMatched = true;
    while (isMatched && container.last?.isOpen) {
      const child = container.last;
      const outcome = continueBlock(this, child, line);
      if (outcome === "consumed") return;
      if (outcome === "continued") container = child;
      else isMatched = false;
    }
    this.deepestMatched = container;
    this.isAllMatched = container === this.tip;
    container = this.openBlocks(container, line);
    if (line.isUsedUp) {
      this.noteBlankLine(container, line);
      return;
    }
    if (!this.isAllMatched && !line.isBlank && this.tip.type === "paragraph") {
      this.tip.lines.push(line.trimmed);
      return;
    }
    this.closeUnmatched();
    this.noteBlankLine(container, line);
    this.addText(container, line);
  }

  private openBlocks(matched: Block, line: Line): Block {
    let container = matched;
    while (!VERBATIM.has(container.type)) {
      if (!line.isIndented && !OPENING.test(line.first)) break;
      const outcome = this.depth(container) < MAX_DEPTH ? openBlock(this, container, line) : "none";
      if (outcome === "none") break;
      container = this.tip;
      if (outcome === "leaf") return container;
    }
    return container;
  }

  private depth(block: Block): number {
    let depth = 0;
    for (let at = block.parent; at; at = at.parent) depth++;
    return depth;
  }

  private noteBlankLine(container: Block, line: Line): void {
    if (line.isBlank && !line.isUsedUp && container.last) container.last.endsBlank = true;
    const isInside =
      container.type === "block_quote" ||
      (container.type === "code" && container.fence !== undefined) ||
      (container.type === "item" && container.childCount === 0);
    const endsBlank = line.isBlank && !line.isUsedUp && !isInside;
    for (let at: Block | null = container; at; at = at.parent) at.endsBlank = endsBlank;
  }

  private addText(container: Block, line: Line): void {
    switch (container.type) {
      case "code":
      case "html":
      case "math":
        container.lines.push(line.rest);
        this.closeAtEnd(container);
        break;
      case "summary":
        container.lines.push(line.trimmed.replace(/<\/summary>\s*$/i, ""));
        if (/<\/summary>\s*$/i.test(line.text)) this.close(container);
        break;
      case "paragraph":
      case "table":
        if (!line.isBlank) container.lines.push(line.trimmed);
        break;
      default:
        if (!line.isBlank) this.open("paragraph").lines.push(line.trimmed);
    }
  }

  private closeAtEnd(block: Block): void {
    const last = block.lines.at(-1)!;
    if (block.type === "html" && block.closer!.test(last)) this.close(block);
    if (block.type !== "math" || !isFormulaOver(block.lines)) return;
    if (readDisplayFormula(block.text)) this.close(block);
    else this.turnIntoParagraph(block);
  }
}
