import { appendElement, giveId, keepKeys, setText } from "../element";
import { indentJson, isObject, isSameJson, membersOf, parseJson } from "../json_text";
import { ArgumentsForm } from "./form";
import { expectation, fits, readSchema } from "./schema";

const MAX_ROWS = 12;

/** The arguments of a call to look at and to change, as a form or as JSON text. */
export class ArgumentsEditor {
  readonly #original: string;
  readonly #schema: unknown;
  readonly #place: HTMLElement;
  readonly #toggle: HTMLButtonElement;
  readonly #problem: HTMLElement;
  #form: ArgumentsForm | undefined;
  #textarea: HTMLTextAreaElement | undefined;
  /** What the textarea began with, and what that stands for. */
  #shown = "";
  #base = "";

  /** `original` is what the model wrote; `text` what is shown at first, which the person may have changed. */
  constructor(parent: Element, original: string, text: string, schema: unknown) {
    this.#original = original;
    this.#schema = schema;
    this.#place = appendElement(parent, "div", "holysheep-arguments");
    this.#problem = appendElement(parent, "div", "holysheep-field-problem");
    this.#problem.hidden = true;
    giveId(this.#problem);
    this.#toggle = appendElement(parent, "button", "holysheep-as-json", "as JSON");
    this.#toggle.type = "button";
    keepKeys(this.#toggle);
    this.#toggle.addEventListener("click", () => this.#change());
    this.#openForm(text.trim() || "{}");
    if (!this.#form) {
      this.#openText(text);
      this.#toggle.hidden = true;
    }
  }

  /** `text` is null if it is as the model wrote it. Undefined if it will not do, which is then said beside it. */
  read(): { text: string | null } | undefined {
    const text = this.#form ? this.#form.read() : this.#readText();
    if (text === undefined) return undefined;
    return { text: isSameJson(text, this.#original.trim() || "{}") ? null : text };
  }

  #change(): void {
    const text = this.#form ? this.#form.read() : this.#readText();
    if (text === undefined) return;
    if (this.#form) this.#openText(text);
    else this.#openForm(text);
  }

  #openForm(text: string): void {
    const place = appendElement(this.#place, "div");
    const form = ArgumentsForm.open(place, text, this.#schema);
    if (!form) {
      place.remove();
      this.#say("This is too much for a form.");
      this.#problem.hidden = !this.#textarea;
      return;
    }
    this.#form = form;
    this.#textarea = undefined;
    this.#place.replaceChildren(place);
    this.#toggle.setAttribute("aria-pressed", "false");
  }

  #openText(text: string): void {
    this.#base = text;
    this.#form = undefined;
    this.#place.replaceChildren();
    const textarea = appendElement(this.#place, "textarea", "holysheep-field-control");
    textarea.setAttribute("aria-label", "arguments as JSON");
    textarea.setAttribute("aria-describedby", this.#problem.id);
    textarea.spellcheck = false;
    textarea.dir = "ltr";
    keepKeys(textarea);
    textarea.value = indentJson(text);
    textarea.rows = Math.min(MAX_ROWS, textarea.value.split("\n").length);
    textarea.addEventListener("input", () => {
      if (!this.#problem.hidden) this.#say(this.#objection(textarea.value));
    });
    this.#textarea = textarea;
    this.#shown = textarea.value;
    this.#toggle.setAttribute("aria-pressed", "true");
  }

  #readText(): string | undefined {
    const { value } = this.#textarea!;
    const isUntouched = value === this.#shown;
    const problem = isUntouched ? "" : this.#objection(value);
    this.#say(problem);
    if (problem !== "") this.#textarea!.focus();
    if (problem !== "") return undefined;
    return isUntouched ? this.#base : value.trim();
  }

  #objection(text: string): string {
    if (parseJson(text) === undefined) return "This is not JSON.";
    const members = membersOf(text);
    if (!members) return "This must be an object in braces.";
    const { shapes, required } = readSchema(this.#schema);
    for (const name of required) {
      if (!members.has(name)) return `${JSON.stringify(name)} is missing.`;
    }
    const values = parseJson(text);
    for (const [name, written] of members) {
      const shape = shapes.get(name);
      const value = isObject(values) ? values[name] : undefined;
      if (shape && !fits(value, written, shape)) {
        return `${JSON.stringify(name)} must be ${expectation(shape)}.`;
      }
    }
    return "";
  }

  #say(problem: string): void {
    setText(this.#problem, problem);
    this.#problem.hidden = problem === "";
    if (problem === "") this.#textarea?.removeAttribute("aria-invalid");
    else this.#textarea?.setAttribute("aria-invalid", "true");
  }
}
