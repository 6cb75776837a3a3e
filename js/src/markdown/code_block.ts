import type { Block } from "./block";
import { CodeLines } from "./code_lines";
import { highlight } from "./highlight";
import type { MarkdownHost } from "./index";
import type { View } from "./view";

const COPIED_MS = 1500;
/** A name that may stand in a class; others are only shown. */
const LANGUAGE = /^[^\s"'<>&=`]{1,40}$/;

/** A code block that grows by lines, with its language, Copy and, where the host can, Insert below. */
export class CodeView implements View {
  readonly kind = "code";
  readonly element = document.createElement("div");
  readonly body = document.createElement("code");
  private readonly label = document.createElement("span");
  private readonly lines = new CodeLines(this.body);
  private source: string[] = [];

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
    this.source = block.lines;
    this.lines.update(block.lines);
  }

  settle(block: Block): void {
    highlight(`${block.text}\n`, languageOf(block).toLowerCase(), (stretches) => this.lines.paint(stretches));
  }

  private get language(): string {
    return this.label.textContent ?? "";
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
