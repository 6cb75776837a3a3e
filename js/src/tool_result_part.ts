import { appendElement, keepKeys } from "./element";
import { appendImage, appendPlain, bundleImageUrl, bundleText, checkedImageUrl } from "./mime_bundle";
import type { PartView } from "./part_view";
import type { Part, ToolResultPart } from "./protocol";
import type { ToolCallPartView } from "./tool_call_part";

/** What came of a call, in the card of the call: what it showed, what the model is told, what went wrong. */
export class ToolResultPartView implements PartView {
  readonly element: HTMLElement;
  readonly isFinished = false;
  readonly #call: ToolCallPartView | undefined;
  readonly #images: HTMLElement;
  #text = "";
  #isOutdated = true;

  /** Without a call the result stands by itself in `parent`. */
  constructor(parent: Element, call: ToolCallPartView | undefined) {
    this.#call = call;
    this.element = appendElement(call?.body ?? parent, "div", "holysheep-tool-result");
    this.#images = appendElement(call?.element ?? this.element, "div", "holysheep-tool-images");
  }

  append(text: string): void {
    this.#text += text;
    this.#isOutdated = true;
  }

  update(part: Part): void {
    if (part.type !== "tool_result") return;
    if (this.#isOutdated) this.#show(part);
    this.#isOutdated = false;
    this.#call?.takeResult(part);
  }

  close(): void {
    this.#images.remove();
    this.#call?.takeResult(undefined);
  }

  #show(part: ToolResultPart): void {
    this.element.replaceChildren();
    const urls = (part.images ?? []).map(checkedImageUrl);
    for (const bundle of part.shown ?? []) {
      const url = bundleImageUrl(bundle);
      if (url === undefined) appendPlain(this.element, bundleText(bundle));
      else urls.push(url);
    }
    appendPlain(this.element, this.#text);
    this.#showDetails(part.details ?? "");
    this.#showImages(urls.filter((url) => url !== undefined));
  }

  #showDetails(text: string): void {
    if (text === "") return;
    const details = appendElement(this.element, "details", "holysheep-tool-details");
    keepKeys(appendElement(details, "summary", "", "Details, for you only"));
    appendPlain(details, text);
  }

  #showImages(urls: string[]): void {
    this.#images.replaceChildren();
    this.#images.hidden = urls.length === 0;
    if (!this.#call) this.element.append(this.#images);
    const name = this.#call?.name ?? "the tool";
    urls.forEach((url, index) => {
      const count = urls.length > 1 ? ` ${index + 1}` : "";
      appendImage(this.#images, url, `Image${count} from ${name}`);
    });
  }
}
