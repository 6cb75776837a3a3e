import type { Block } from "./block";
import { highlight, type Stretch } from "./highlight";
import type { MarkdownHost } from "./index";
import type { View } from "./view";

/** One text node for a long program makes layout quadratic; a block of lines each keeps it linear. */
const LINES_PER_BLOCK = 64;
const COPIED_MS = 1500;
/** A name that may stand in a class; others are only shown. */
const LANGUAGE = /^[^\s"'<>&=`]{1,40}$/;

/** A code block that grows by lines, with its language, Copy and, where the host can, Insert below. */
export class CodeView implements View {
  readonly kind = "code";
  readonly element = document.createElement("div");
  readonly body = document.createElement("code");
  private readonly label = document.createElement("span");
  private source: string[] = [];
  /** The lines that earlier, full blocks hold. */
  private settledLines = 0;
  private lastText: Text | null = null;

  constructor(private readonly host: MarkdownHost) {
    this.element.className = "holysheep-code";
    const bar = document.createElement("div");
    bar.className = "holysheep-code-bar";
    this.label.className = "holysheep-code-language";
    bar.append(this.label, this.createCopyButton());
    if (host.insertBelow) bar.append(this.createInsertButton(host.insertBelow));
    const frame = document.createElement("pre");
    frame.tabIndex = 0;
    frame.append(this.body);
    this.element.append(bar, frame);
  }

  update(block: Block): void {
    const language = languageOf(block);
    if (this.label.textContent !== language) {
      this.label.textContent = language;
      this.body.className = LANGUAGE.test(language) ? `language-${language}` : "";
    }
    const { lines } = block;
    while (lines.length - this.settledLines > LINES_PER_BLOCK) {
      const end = this.settledLines + LINES_PER_BLOCK;
      this.fill(lines.slice(this.settledLines, end));
      this.settledLines = end;
      this.lastText = null;
    }
    this.source = lines;
    this.fill(lines.slice(this.settledLines));
  }

  settle(block: Block): void {
    highlight(`${block.text}\n`, languageOf(block).toLowerCase(), (stretches) => this.paint(stretches));
  }

  private get language(): string {
    return this.label.textContent ?? "";
  }

  private fill(lines: string[]): void {
    const text = lines.length > 0 ? `${lines.join("\n")}\n` : "";
    if (!this.lastText) {
      if (!text) return;
      this.lastText = document.createTextNode("");
      this.addLines().append(this.lastText);
    }
    growText(this.lastText, text);
  }

  private addLines(): HTMLElement {
    const lines = document.createElement("span");
    lines.className = "holysheep-code-lines";
    this.body.append(lines);
    return lines;
  }

  private paint(stretches: Stretch[]): void {
    this.body.replaceChildren();
    let lineCount = 0;
    let block: HTMLElement | null = null;
    for (const { text, classes } of stretches) {
      for (const part of text.split(/(?<=\n)/)) {
        if (!part) continue;
        block ??= this.addLines();
        block.append(paintText(part, classes));
        if (part.endsWith("\n") && ++lineCount % LINES_PER_BLOCK === 0) block = null;
      }
    }
  }

  private createCopyButton(): HTMLElement {
    const button = createButton("Copy", () => {
      const { copy } = this.host;
      if (copy) copy(this.source.join("\n"));
      else void navigator.clipboard.writeText(this.source.join("\n"));
      button.textContent = "Copied";
      setTimeout(() => {
        button.textContent = "Copy";
      }, COPIED_MS);
    });
    return button;
  }

  private createInsertButton(insertBelow: NonNullable<MarkdownHost["insertBelow"]>): HTMLElement {
    return createButton("Insert below", () => insertBelow(this.source.join("\n"), this.language));
  }
}

function createButton(text: string, click: () => void): HTMLButtonElement {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = text;
  button.addEventListener("click", click);
  return button;
}

function languageOf(block: Block): string {
  return /^[^\s{]*/.exec(block.fence?.info ?? "")![0];
}

/** A line that was being written ends in a line end that the next character overwrites. */
function growText(node: Text, text: string): void {
  const { data } = node;
  if (data === text) return;
  const kept = data.endsWith("\n") ? data.slice(0, -1) : data;
  if (text.startsWith(kept))
    node.replaceData(kept.length, data.length - kept.length, text.slice(kept.length));
  else node.data = text;
}

function paintText(text: string, classes: string[]): Node {
  let node: Node = document.createTextNode(text);
  for (const name of classes.toReversed()) {
    if (!name) continue;
    const span = document.createElement("span");
    span.className = name;
    span.append(node);
    node = span;
  }
  return node;
}
