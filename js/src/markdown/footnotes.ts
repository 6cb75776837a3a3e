/** The notes, numbered as they are defined, in a section that stays behind the last block. */
export class FootnoteList {
  readonly element = document.createElement("section");
  readonly body = document.createElement("ol");

  constructor(private readonly root: HTMLElement) {
    this.element.className = "holysheep-footnotes";
    this.element.setAttribute("aria-label", "Footnotes");
    this.element.append(this.body);
  }

  /** Puts a note in its place, or takes over the one that stands there while its line is written. */
  place(ordinal: number, element: HTMLElement): void {
    if (!this.element.parentNode) this.root.append(this.element);
    const present = this.body.children[ordinal - 1];
    if (present === element) return;
    if (present) present.replaceWith(element);
    else this.body.append(element);
  }

  at(ordinal: number): Element | undefined {
    return this.body.children[ordinal - 1];
  }

  createReference(ordinal: number): HTMLElement {
    const reference = document.createElement("sup");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "holysheep-footnote-reference";
    button.textContent = String(ordinal);
    button.setAttribute("aria-label", `Footnote ${ordinal}`);
    button.addEventListener("click", () => showElement(this.at(ordinal)));
    reference.append(button);
    return reference;
  }
}

function showElement(element: Element | undefined): void {
  if (!(element instanceof HTMLElement)) return;
  element.tabIndex = -1;
  element.scrollIntoView({ block: "nearest" });
  element.focus({ preventScroll: true });
}
