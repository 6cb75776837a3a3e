import { appendElement } from "./element";
import type { PartView, Place } from "./part_view";
import type { Part } from "./protocol";

/** Text shown as it is: for answers that are asked for as text or JSON. */
export class PlainPartView implements PartView {
  readonly element: HTMLElement;
  isFinished = false;

  constructor(parent: Element) {
    this.element = appendElement(parent, "pre", "holysheep-text holysheep-plain");
  }

  append(text: string): void {
    this.element.append(text);
  }

  update(_part: Part, place: Place): void {
    this.isFinished ||= !place.isOpen;
  }
}
