import type { Calls } from "./calls";
import type { MarkdownHost } from "./markdown";
import type { PartView } from "./part_view";
import { PlainPartView } from "./plain_part";
import { type AnswerFormat, growingText, type Part } from "./protocol";
import { ReasoningPartView } from "./reasoning_part";
import type { Change } from "./replica";
import { SeamPartView } from "./seam_part";
import { TextPartView } from "./text_part";
import { ToolCallPartView } from "./tool_call_part";
import { ToolResultPartView } from "./tool_result_part";

/** Parts → DOM. Changes are gathered as they come and applied by `flush`, once per frame, never twice. */
export class Transcript {
  readonly element: HTMLElement;
  readonly #calls: Calls;
  readonly #host: MarkdownHost;
  readonly #isPlain: boolean;
  readonly #views: PartView[] = [];
  /** How many of the shown parts stay. */
  #kept = 0;
  #gathered = new Map<number, string[]>();
  readonly #outdated = new Set<number>();
  #isSettled = false;

  constructor(
    element: HTMLElement,
    parts: readonly Part[],
    calls: Calls,
    answerFormat: AnswerFormat = "markdown",
    host: MarkdownHost = {},
  ) {
    this.element = element;
    this.#calls = calls;
    this.#isPlain = answerFormat === "text" || answerFormat === "json";
    this.#host = host;
    parts.forEach((part, index) => {
      this.gather({ kind: "appended", index, text: growingText(part) });
    });
  }

  gather(change: Change): void {
    if (change.kind === "appended") {
      const texts = this.#gathered.get(change.index);
      if (texts) texts.push(change.text);
      else this.#gathered.set(change.index, [change.text]);
    } else if (change.kind === "changed") {
      this.#outdated.add(change.index);
    } else if (change.kind === "cut") {
      this.#kept = Math.min(this.#kept, change.length);
      for (const index of this.#gathered.keys()) {
        if (index >= change.length) this.#gathered.delete(index);
      }
    }
  }

  flush(parts: readonly Part[], isSettled: boolean): void {
    this.#removeCut();
    for (let index = this.#views.length; index < parts.length; index += 1) {
      this.#views.push(this.#createView(index, parts));
      this.#outdated.add(index - 1).add(index);
    }
    this.#kept = this.#views.length;
    for (const [index, texts] of this.#gathered) this.#append(index, texts.join(""), parts);
    this.#gathered.clear();
    if (isSettled !== this.#isSettled) this.#outdated.add(parts.length - 1);
    this.#isSettled = isSettled;
    for (const index of this.#outdated) this.#update(index, parts);
    this.#outdated.clear();
  }

  close(): void {
    for (const view of this.#views) view.close?.();
  }

  #removeCut(): void {
    if (this.#kept === this.#views.length) return;
    for (const view of this.#views.splice(this.#kept)) {
      view.close?.();
      view.element.remove();
    }
    this.#outdated.add(this.#kept - 1);
  }

  #append(index: number, text: string, parts: readonly Part[]): void {
    const view = this.#views[index]!;
    if (text === "") return;
    if (!view.isFinished) {
      view.append(text);
      return;
    }
    const renewed = this.#createView(index, parts);
    view.element.replaceWith(renewed.element);
    renewed.append(growingText(parts[index]!));
    this.#views[index] = renewed;
    this.#outdated.add(index);
  }

  #update(index: number, parts: readonly Part[]): void {
    const part = parts[index];
    if (part === undefined) return;
    const isFollowed = index < parts.length - 1;
    const isOpen = !this.#isSettled && (part.is_open ?? !isFollowed);
    this.#views[index]!.update(part, { isOpen, isFollowed });
  }

  #createView(index: number, parts: readonly Part[]): PartView {
    const part = parts[index]!;
    if (part.type === "reasoning") return new ReasoningPartView(this.element, this.#host);
    if (part.type === "tool_call") return new ToolCallPartView(this.element, this.#calls);
    if (part.type === "tool_result") {
      return new ToolResultPartView(this.element, this.#callOf(part.call_id, index, parts));
    }
    if (part.type === "seam") return new SeamPartView(this.element);
    if (this.#isPlain) return new PlainPartView(this.element);
    return new TextPartView(this.element, this.#host);
  }

  /** The first call of that id above `index` that no result has been found for; a model may use an id again. */
  #callOf(call_id: string, index: number, parts: readonly Part[]): ToolCallPartView | undefined {
    const above = parts.slice(0, index);
    let answered = above.filter((part) => part.type === "tool_result" && part.call_id === call_id).length;
    const position = above.findIndex(
      (part) => part.type === "tool_call" && part.call_id === call_id && answered-- === 0,
    );
    const view = this.#views[position];
    return view instanceof ToolCallPartView ? view : undefined;
  }
}
