import { appendElement } from "./element";
import { createMarkdownStream, type MarkdownHost, type MarkdownStream } from "./markdown";
import { HOST_MARKDOWN_CLASSES, type PartView, type Place } from "./part_view";
import type { Part } from "./protocol";

export class TextPartView implements PartView {
  readonly element: HTMLElement;
  isFinished = false;
  readonly #markdown: MarkdownStream;

  constructor(parent: Element, host: MarkdownHost) {
    this.element = appendElement(parent, "div", `holysheep-text ${HOST_MARKDOWN_CLASSES}`);
    this.#markdown = createMarkdownStream(this.element, host);
  }

  append(text: string): void {
    this.#markdown.append(text);
  }

  update(_part: Part, place: Place): void {
    if (place.isOpen || this.isFinished) return;
    this.isFinished = true;
    this.#markdown.finish();
  }
}
