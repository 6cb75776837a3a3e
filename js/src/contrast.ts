import { appendElement, keepKeys, setText } from "./element";
import type { Difference } from "./protocol";

const TAGS = { same: "span", left: "del", right: "ins" } as const;

/** Where two answers differ, word by word: a button that opens it, and a choice of the two. The kernel compares. */
export class Contrast {
  readonly #toggle: HTMLButtonElement;
  readonly #body: HTMLElement;
  readonly #left: HTMLSelectElement;
  readonly #right: HTMLSelectElement;
  readonly #text: HTMLElement;
  readonly #ask: (left: number, right: number) => void;

  constructor(parent: Element, names: readonly string[], ask: (left: number, right: number) => void) {
    this.#ask = ask;
    this.#toggle = appendElement(parent, "button", "holysheep-contrast", "Differences");
    this.#toggle.type = "button";
    this.#toggle.addEventListener("click", () => this.#open(Boolean(this.#body.hidden)));
    keepKeys(this.#toggle);
    this.#body = appendElement(parent, "div", "holysheep-difference");
    const choice = appendElement(this.#body, "div", "holysheep-footer");
    appendElement(choice, "del", "", "only in");
    this.#left = this.#appendChoice(choice, "Left answer", names, 0);
    appendElement(choice, "ins", "", "only in");
    this.#right = this.#appendChoice(choice, "Right answer", names, 1);
    this.#text = appendElement(this.#body, "div", "holysheep-difference-text");
    this.#open(false);
  }

  /** Offers it where there are two answers; what is open is asked for anew, as an answer may have grown. */
  update(isPossible: boolean): void {
    this.#toggle.hidden = !isPossible;
    if (isPossible && !this.#body.hidden) this.#request();
  }

  show({ columns: [left, right], pieces, is_cut }: Difference): void {
    if (left !== this.#left.selectedIndex || right !== this.#right.selectedIndex) return;
    this.#text.replaceChildren();
    for (const [side, text] of pieces) appendElement(this.#text, TAGS[side] ?? "span", "", text);
    if (is_cut) appendElement(this.#text, "p", "", "… (only the beginnings were compared)");
  }

  #open(isOpen: boolean): void {
    this.#body.hidden = !isOpen;
    this.#toggle.setAttribute("aria-expanded", String(isOpen));
    if (isOpen) this.#request();
  }

  #request(): void {
    setText(this.#text, "…");
    this.#ask(this.#left.selectedIndex, this.#right.selectedIndex);
  }

  #appendChoice(parent: Element, label: string, names: readonly string[], index: number): HTMLSelectElement {
    const select = appendElement(parent, "select");
    select.setAttribute("aria-label", label);
    for (const name of names) appendElement(select, "option", "", name);
    select.selectedIndex = index;
    select.addEventListener("change", () => this.#request());
    keepKeys(select);
    return select;
  }
}
