import type { Block } from "./block";
import { CodeView } from "./code_block";
import { CodeLines } from "./code_lines";
import type { FootnoteList } from "./footnotes";
import { readDisplayFormula } from "./formula";
import type { MarkdownHost } from "./index";
import type { InlineReader } from "./inline";
import { InlineText } from "./inline_text";
import { createFormula } from "./math";
import type { Piece } from "./patch";
import { TableView } from "./table";

/** What a block looks like on the page. */
export interface View {
  readonly element: HTMLElement;
  /** Where the views of the children go. */
  readonly body: HTMLElement;
  /** Where the view of the child in this place goes, for views that spread their children. */
  bodyAt?(index: number): HTMLElement;
  /** Views of one kind can stand in for each other when a line turns out to be another block. */
  readonly kind: string;
  update(block: Block): void;
  /** Called once, when the block cannot change any more. */
  settle?(block: Block): void;
}

export interface ViewContext {
  host: MarkdownHost;
  reader: InlineReader;
  footnotes: FootnoteList;
}

export function kindOf(block: Block): string {
  switch (block.type) {
    case "list":
      return block.marker!.isOrdered ? "ol" : "ul";
    case "heading":
      return `h${block.level}`;
    case "table":
      return `table ${block.alignments.join()}`;
    default:
      return TAGS[block.type] ?? block.type;
  }
}

const TAGS: Partial<Record<Block["type"], string>> = {
  block_quote: "blockquote",
  item: "li",
  footnote: "li",
  details: "details",
  summary: "summary",
  paragraph: "p",
  thematic_break: "hr",
};

export function createView(block: Block, context: ViewContext): View {
  const kind = kindOf(block);
  switch (block.type) {
    case "paragraph":
    case "heading":
    case "summary":
      return new TextView(kind, context.reader);
    case "code":
      return new CodeView(context.host);
    case "table":
      return new TableView(kind, block.alignments, context.reader);
    case "math":
      return new FormulaView();
    case "html":
      return new SourceView();
    case "list":
      return new ListView(kind);
    default:
      return new PlainView(kind);
  }
}

class PlainView implements View {
  readonly element: HTMLElement;

  constructor(readonly kind: string) {
    this.element = document.createElement(kind);
  }

  get body(): HTMLElement {
    return this.element;
  }

  update(_block: Block): void {}
}

class ListView extends PlainView {
  override update(block: Block): void {
    const { start } = block.marker!;
    if (start !== 1) this.element.setAttribute("start", String(start));
    this.element.classList.toggle("holysheep-tight", !block.isLoose);
  }
}

const TASK = /^\[([ xX])\][ \t]+(?=\S)/;

class TextView extends PlainView {
  private readonly text: InlineText;

  constructor(kind: string, reader: InlineReader) {
    super(kind);
    this.text = new InlineText(this.element, reader);
  }

  override update(block: Block): void {
    const source = trimSpaces(block.text);
    const canBeTask = block.index === 0 && block.type === "paragraph" && block.parent?.type === "item";
    const task = canBeTask ? TASK.exec(source) : null;
    if (task) this.text.update(source.slice(task[0].length), [checkboxPiece(task[1] !== " "), " "]);
    else this.text.update(source);
  }

  settle(): void {
    this.text.awaitLabels();
  }
}

/** Without the spaces and tabs around it; other white space is content. */
function trimSpaces(text: string): string {
  let start = 0;
  let end = text.length;
  while (text[start] === " " || text[start] === "\t" || text[start] === "\n") start++;
  while (end > start && (text[end - 1] === " " || text[end - 1] === "\t" || text[end - 1] === "\n")) end--;
  return text.slice(start, end);
}

function checkboxPiece(isChecked: boolean): Piece {
  return { key: `checkbox ${isChecked}`, create: () => createCheckbox(isChecked) };
}

function createCheckbox(isChecked: boolean): HTMLElement {
  const box = document.createElement("input");
  box.type = "checkbox";
  box.disabled = true;
  box.checked = isChecked;
  box.setAttribute("aria-label", isChecked ? "done" : "to do");
  return box;
}

class SourceView implements View {
  readonly kind = "html";
  readonly element = document.createElement("pre");
  readonly body = this.element;
  private readonly lines = new CodeLines(this.element);

  constructor() {
    this.element.className = "holysheep-source";
  }

  update(block: Block): void {
    this.lines.update(block.lines);
  }
}

class FormulaView implements View {
  readonly kind = "math";
  readonly element = document.createElement("div");
  readonly body = this.element;
  private shown = "";

  constructor() {
    this.element.className = "holysheep-formula";
  }

  update(block: Block): void {
    const { text } = block;
    if (text === this.shown) return;
    this.shown = text;
    const formula = readDisplayFormula(text);
    if (formula) this.element.replaceChildren(createFormula(formula.tex, true, text), formula.punctuation);
    else this.element.textContent = text;
  }
}
