import { appendElement, setText } from "./element";
import type { PartView } from "./part_view";
import type { Part } from "./protocol";

export class ToolCallPartView implements PartView {
  readonly element: HTMLElement;
  readonly isFinished = false;
  readonly #name: HTMLElement;
  readonly #arguments: Text;

  constructor(parent: Element) {
    this.element = appendElement(parent, "div", "holysheep-tool-call");
    this.#name = appendElement(this.element, "span", "holysheep-tool-call-name");
    this.#arguments = parent.ownerDocument.createTextNode("");
    appendElement(this.element, "span", "holysheep-tool-call-arguments").append(this.#arguments);
  }

  append(text: string): void {
    this.#arguments.appendData(text);
  }

  update(part: Part): void {
    if (part.type === "tool_call") setText(this.#name, part.name);
  }
}
