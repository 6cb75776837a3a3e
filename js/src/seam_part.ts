import { appendElement, setText } from "./element";
import type { PartView } from "./part_view";
import type { Part } from "./protocol";

/** One quiet line between what came before an answer was cut off and what came when it was resumed. */
export class SeamPartView implements PartView {
  readonly element: HTMLElement;
  readonly isFinished = false;

  constructor(parent: Element) {
    this.element = appendElement(parent, "div", "holysheep-seam");
  }

  append(): void {}

  update(part: Part): void {
    if (part.type === "seam") setText(this.element, `${part.text} — resumed`);
  }
}
