import type { Calls, Decision } from "../calls";
import { appendElement, giveId, holdsFocus, keepKeys, setText } from "../element";
import { revealed } from "../json_text";
import type { ToolCallPart } from "../protocol";
import { ArgumentsEditor } from "./editor";

const MAX_DESCRIPTION = 2_000;
const MAX_NAME = 40;
const UNHEARD =
  "Use ■ (interrupt) to stop on this kernel: it hears clicks only between cells, so run this with --bg.";

/** Asks a person about one call: what it does, its arguments to look at and to change, and what to do with it. */
export class ApprovalCard {
  readonly element: HTMLElement;
  readonly #calls: Calls;
  readonly #call_id: string;
  readonly #controls: HTMLFieldSetElement;
  readonly #problem: HTMLElement;
  readonly #editor: ArgumentsEditor;
  readonly #approve: HTMLButtonElement;
  readonly #deny: HTMLButtonElement;
  readonly #reason: HTMLInputElement;
  readonly #hint: HTMLElement;

  constructor(parent: Element, part: ToolCallPart, calls: Calls) {
    const { call_id, name, question } = part;
    const shownName = shorten(revealed(name), MAX_NAME);
    this.#calls = calls;
    this.#call_id = call_id;
    this.element = appendElement(parent, "div", "holysheep-approval");
    this.element.setAttribute("role", "group");
    this.element.setAttribute("aria-label", `Approve ${shownName}?`);
    this.element.tabIndex = -1;
    keepKeys(this.element);
    const description = shorten((question?.description ?? "").trim(), MAX_DESCRIPTION);
    if (description !== "") {
      appendElement(this.element, "div", "holysheep-approval-description", description).dir = "auto";
    }
    this.#problem = appendElement(this.element, "div", "holysheep-approval-problem");
    this.#problem.dir = "auto";
    this.#controls = appendElement(this.element, "fieldset");
    this.#controls.setAttribute("aria-describedby", giveId(this.#problem));
    const text = question?.arguments || part.arguments;
    this.#editor = new ArgumentsEditor(this.#controls, part.arguments, text, question?.schema);

    const row = appendElement(this.#controls, "div", "holysheep-approval-buttons");
    this.#approve = this.#appendButton(row, "holysheep-approve", "Approve", () => this.#sendApproval(false));
    this.#approve.title = "Ctrl+Enter or ⌘+Enter";
    this.#appendButton(row, "holysheep-always", `Always for ${shownName}`, () => this.#sendApproval(true));
    this.#reason = appendElement(row, "input", "holysheep-field-control holysheep-reason");
    this.#reason.type = "text";
    this.#reason.placeholder = "why not (optional)";
    this.#reason.setAttribute("aria-label", "reason for denying");
    keepKeys(this.#reason);
    this.#deny = this.#appendButton(row, "holysheep-deny", "Deny", () => this.#sendDenial());
    this.#hint = appendElement(this.element, "div", "holysheep-approval-hint");
    this.#hint.setAttribute("role", "status");
    this.element.addEventListener("keydown", (event) => this.#obeyKey(event));
  }

  update(part: ToolCallPart): void {
    const problem = part.question?.problem ?? "";
    setText(this.#problem, problem);
    this.#problem.hidden = problem === "";
    this.#show(this.#calls.decision(this.#call_id));
  }

  #show(decision: Decision | undefined): void {
    // What is disabled loses the focus, and the page forgets the place.
    if (decision && !this.#controls.disabled && holdsFocus(this.#controls)) {
      this.element.focus({ preventScroll: true });
    }
    this.#controls.disabled = decision !== undefined;
    setText(this.#approve, decision?.verdict === "approve" ? "Approving…" : "Approve");
    setText(this.#deny, decision?.verdict === "deny" ? "Denying…" : "Deny");
    setText(this.#hint, decision?.isUnanswered ? UNHEARD : "");
    this.#hint.hidden = !decision?.isUnanswered;
  }

  #sendApproval(always: boolean): void {
    const edited = this.#editor.read();
    if (edited) this.#calls.approve(this.#call_id, edited.text, always);
  }

  #sendDenial(): void {
    this.#calls.deny(this.#call_id, this.#reason.value.trim());
  }

  /** Ctrl+Enter approves, Enter in the reason denies, Esc leaves a field. A bare Enter elsewhere sends nothing. */
  #obeyKey(event: KeyboardEvent): void {
    if (event.isComposing || event.defaultPrevented) return;
    const target = event.target as HTMLElement;
    if (event.key === "Escape" && isField(target)) this.element.focus({ preventScroll: true });
    else if (event.key === "Enter" && target === this.#reason) this.#sendDenial();
    else if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.#sendApproval(false);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #appendButton(row: Element, className: string, text: string, act: () => void): HTMLButtonElement {
    const button = appendElement(row, "button", className, text);
    button.type = "button";
    keepKeys(button);
    button.addEventListener("click", act);
    return button;
  }
}

function isField(element: HTMLElement): boolean {
  return element.matches("input, textarea, select");
}

function shorten(text: string, characters: number): string {
  return text.length > characters ? `${text.slice(0, characters)}…` : text;
}
