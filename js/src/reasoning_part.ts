import { appendElement, keepKeys, setText } from "./element";
import type { MarkdownHost } from "./markdown";
import type { PartView, Place } from "./part_view";
import type { Part } from "./protocol";
import { TextPartView } from "./text_part";

/** Folded reasoning: open while it is written, closed when the answer begins, unless the reader chose otherwise. */
export class ReasoningPartView implements PartView {
  readonly element: HTMLDetailsElement;
  readonly #summary: HTMLElement;
  readonly #text: TextPartView;
  /** True once the reader has opened or closed it by hand. */
  #isReaderChosen = false;

  constructor(parent: Element, host: MarkdownHost) {
    this.element = appendElement(parent, "details", "holysheep-reasoning");
    this.#summary = appendElement(this.element, "summary");
    keepKeys(this.#summary);
    this.#summary.addEventListener("click", () => {
      this.#isReaderChosen = true;
    });
    this.#text = new TextPartView(this.element, host);
  }

  get isFinished(): boolean {
    return this.#text.isFinished;
  }

  append(text: string): void {
    this.#text.append(text);
  }

  update(part: Part, place: Place): void {
    const seconds = part.type === "reasoning" ? part.seconds : null;
    setText(this.#summary, summaryText(seconds ?? null, place.isOpen));
    if (!this.#isReaderChosen) this.element.open = !place.isFollowed;
    this.#text.update(part, place);
  }
}

function summaryText(seconds: number | null, isOpen: boolean): string {
  if (seconds !== null) return `Thought for ${seconds < 1 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  return isOpen ? "Thinking…" : "Thought";
}
