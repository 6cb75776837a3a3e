import { ApprovalCard } from "./approval/card";
import type { Calls } from "./calls";
import { appendElement, appendScrolling, holdsFocus, keepKeys, setText } from "./element";
import { indentJson, revealed } from "./json_text";
import type { PartView } from "./part_view";
import type { Part, ToolCallPart, ToolOutcome, ToolResultPart } from "./protocol";

const TICK_MS = 100;
const SHOWN_FROM_S = 0.05;
const NAME_CHARACTERS = 80;
const SUMMARY_CHARACTERS = 60;
/** How much is looked at for the summary: enough, with line breaks and indentation. */
const READ_CHARACTERS = 2_000;
const OUTCOMES: Record<ToolOutcome, string> = {
  ok: "",
  error: "failed",
  invalid: "wrong arguments",
  denied: "denied",
  stopped: "stopped",
};
const OPEN_OUTCOMES: ReadonlySet<ToolOutcome> = new Set(["error", "invalid", "denied"]);

/** A call: one quiet line, which opens to all its arguments and its result; and a question while it waits. */
export class ToolCallPartView implements PartView {
  readonly element: HTMLElement;
  /** Where the result goes. */
  readonly body: HTMLElement;
  readonly isFinished = false;
  name = "";
  readonly #calls: Calls;
  readonly #details: HTMLDetailsElement;
  readonly #summary: HTMLElement;
  readonly #name: HTMLElement;
  readonly #brief: HTMLElement;
  readonly #state: HTMLElement;
  readonly #arguments: HTMLElement;
  readonly #edited: HTMLElement;
  readonly #written: Text;
  #card: ApprovalCard | undefined;
  #part: ToolCallPart | undefined;
  #result: ToolResultPart | undefined;
  /** True once the reader has opened or closed it by hand. */
  #isReaderChosen = false;
  #ticker: number | undefined;

  constructor(parent: Element, calls: Calls) {
    this.#calls = calls;
    this.element = appendElement(parent, "div", "holysheep-tool-call");
    this.#details = appendElement(this.element, "details");
    this.#summary = appendElement(this.#details, "summary");
    keepKeys(this.#summary);
    this.#summary.addEventListener("click", () => {
      this.#isReaderChosen = true;
    });
    const code = appendElement(this.#summary, "code");
    this.#name = appendElement(code, "span", "holysheep-tool-call-name");
    this.#brief = appendElement(code, "span", "holysheep-tool-call-brief");
    this.#state = appendElement(this.#summary, "span", "holysheep-tool-call-state");
    this.body = appendElement(this.#details, "div", "holysheep-tool-call-body");
    this.#arguments = appendScrolling(this.body, "holysheep-tool-text holysheep-tool-call-arguments", "");
    this.#written = parent.ownerDocument.createTextNode("");
    this.#arguments.append(this.#written);
    this.#edited = appendElement(this.body, "div", "holysheep-tool-call-edited");
    this.#edited.hidden = true;
  }

  append(text: string): void {
    this.#written.appendData(text);
    if (this.#part) this.#showLine(this.#part);
  }

  update(part: Part): void {
    if (part.type !== "tool_call") return;
    this.#part = part;
    this.name = oneLine(part.name.slice(0, NAME_CHARACTERS));
    if (part.state !== "writing") setText(this.#arguments, indentJson(part.arguments));
    this.#showEdited(part.edited);
    this.#showLine(part);
    this.#showCard(part);
    this.#setTicking(part.state === "running");
  }

  /** The result belonging to this call, or undefined if it was taken back. */
  takeResult(result: ToolResultPart | undefined): void {
    this.#result = result;
    if (this.#part) this.#showLine(this.#part);
    if (!this.#isReaderChosen) this.#details.open = result !== undefined && OPEN_OUTCOMES.has(result.outcome);
  }

  close(): void {
    this.#setTicking(false);
  }

  #showLine(part: ToolCallPart): void {
    const brief = oneLine((part.edited || part.arguments).slice(0, READ_CHARACTERS));
    const isCut = brief.length > SUMMARY_CHARACTERS;
    const isEmpty = brief === "" || brief === "{}";
    setText(this.#name, this.name);
    setText(this.#brief, `(${isEmpty ? "" : brief.slice(0, SUMMARY_CHARACTERS)}${isCut ? "…" : ""})`);
    this.element.dataset.state = part.state === "done" ? (this.#result?.outcome ?? "not_called") : part.state;
    const state = this.#describeState(part);
    setText(this.#state, state && ` · ${state}`);
  }

  #describeState(part: ToolCallPart): string {
    switch (part.state) {
      case "waiting":
        return "waiting for you";
      case "stopped":
        return "stopped";
      case "queued":
        return "approved, after the calls above";
      case "running": {
        const elapsed_s = this.#calls.elapsed_s(part.call_id);
        return elapsed_s === null ? "running" : `running · ${elapsed_s.toFixed(1)} s`;
      }
      case "done": {
        if (!this.#result) return "not called";
        const { outcome, seconds } = this.#result;
        return [OUTCOMES[outcome], seconds >= SHOWN_FROM_S ? `${seconds.toFixed(1)} s` : ""]
          .filter(Boolean)
          .join(" · ");
      }
      default:
        return "writing…";
    }
  }

  #showEdited(edited: string): void {
    this.#edited.replaceChildren();
    this.#edited.hidden = !edited;
    if (!edited) return;
    this.#edited.append("Changed by you to");
    appendScrolling(this.#edited, "holysheep-tool-text", indentJson(edited));
  }

  #showCard(part: ToolCallPart): void {
    if (part.state === "waiting") {
      this.#card ??= new ApprovalCard(this.element, part, this.#calls);
      this.#card.update(part);
    } else if (this.#card) {
      // The focus would be lost with the card: it goes to the line, which stays.
      if (holdsFocus(this.#card.element)) this.#summary.focus({ preventScroll: true });
      this.#card.element.remove();
      this.#card = undefined;
    }
  }

  #setTicking(isTicking: boolean): void {
    if (isTicking === (this.#ticker !== undefined)) return;
    const window = this.element.ownerDocument.defaultView!;
    if (!isTicking) window.clearInterval(this.#ticker);
    this.#ticker = isTicking ? window.setInterval(() => this.#showLine(this.#part!), TICK_MS) : undefined;
  }
}

function oneLine(text: string): string {
  return revealed(text.trim().replace(/\s+/g, " "));
}
