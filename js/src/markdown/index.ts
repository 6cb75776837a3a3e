import { BlockParser } from "./blocks";
import { Definitions } from "./definitions";
import { DocumentView } from "./document_view";
import { FootnoteList } from "./footnotes";
import { InlineReader } from "./inline";
import { TreeRenderer } from "./tree";

export interface MarkdownStream {
  append(delta: string): void;
  finish(): void;
}

export interface MarkdownHost {
  insertBelow?: (code: string, language: string) => void;
  copy?: (text: string) => void;
}

/**
 * Renders Markdown under `root` while it arrives. `append` takes any fragment and changes only what it
 * must; `finish` closes what is open. Model output is hostile: see safety.ts for what it may become.
 */
export function createMarkdownStream(root: HTMLElement, host: MarkdownHost = {}): MarkdownStream {
  return new Stream(root, host);
}

/** Only markers so far: the line may still become any kind of block, so it is not shown yet. */
const UNDECIDED_LINE =
  /^[\s>*+\-_=~`#|:.()\d$\\]{0,80}(?:<\/?[a-z]{0,8}|\[(?:\^[^\]\s]{0,80}\]?:?|[ xX]?\]?))?$/i;

class Stream implements MarkdownStream {
  private readonly parser: BlockParser;
  private readonly tree: TreeRenderer;
  private readonly definitions = new Definitions();
  private line = "";
  /** Half a character or half a line end, kept until the other half is there. */
  private held = "";

  constructor(root: HTMLElement, host: MarkdownHost) {
    root.classList.add("holysheep-markdown");
    const { definitions } = this;
    const footnotes = new FootnoteList(root);
    const reader = new InlineReader(definitions, footnotes);
    this.parser = new BlockParser(definitions);
    this.tree = new TreeRenderer({ host, reader, footnotes });
    const view = new DocumentView();
    root.append(view.element);
    this.parser.document.view = view;
  }

  append(delta: string): void {
    this.addText(this.complete(delta));
    const undo = UNDECIDED_LINE.test(this.line) ? null : this.parser.tryLine(this.line);
    this.tree.show(this.parser.document);
    undo?.();
    this.tree.settle(this.parser.document);
    this.definitions.refreshDue(false);
  }

  finish(): void {
    this.addText(this.held.replace("\r", "\n"));
    this.held = "";
    if (this.line) this.parser.addLine(this.line);
    this.line = "";
    this.parser.finish();
    this.tree.show(this.parser.document);
    this.tree.settle(this.parser.document);
    this.definitions.refreshDue(true);
  }

  private complete(delta: string): string {
    const text = this.held + delta;
    const last = text.charCodeAt(text.length - 1);
    const isHalf = (last >= 0xd800 && last <= 0xdbff) || last === 0x0d;
    this.held = isHalf ? text.slice(-1) : "";
    return (isHalf ? text.slice(0, -1) : text).replace(/\r\n?/g, "\n").replaceAll("\0", "\ufffd");
  }

  private addText(text: string): void {
    const lines = text.split("\n");
    lines[0] = this.line + lines[0]!;
    this.line = lines.pop()!;
    for (const line of lines) this.parser.addLine(line);
  }
}
