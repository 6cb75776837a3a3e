import { appendElement, giveId, keepKeys, setText } from "../element";
import { indentJson, parseJson, revealed } from "../json_text";
import { expectation, fits, type Kind, type Shape } from "./schema";

const LONG_TEXT = 60;
const MAX_ROWS = 20;
const MAX_DESCRIPTION = 300;
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
const INPUT_TYPES: Record<string, string> = { date: "date", time: "time" };

type Control = HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement;

/** One argument in a form: its label, a control that suits it, and whether it is given at all. */
export class ArgumentField {
  readonly name: string;
  readonly #shape: Shape;
  readonly #given: string | undefined;
  readonly #isRequired: boolean;
  readonly #kind: Kind;
  readonly #control: Control;
  readonly #toggle: HTMLInputElement | undefined;
  readonly #problem: HTMLElement;
  #isTouched = false;

  /** `given` is the value as JSON text; undefined if the argument is left out. */
  constructor(parent: Element, name: string, shape: Shape, given: string | undefined, isRequired: boolean) {
    this.name = name;
    this.#shape = shape;
    this.#given = given;
    this.#isRequired = isRequired;
    const label = appendElement(parent, "label", "holysheep-field-name", revealed(name));
    const cell = appendElement(parent, "div", "holysheep-field");
    const row = appendElement(cell, "div", "holysheep-field-row");
    this.#kind = suitableKind(shape, given);
    this.#control = this.#appendControl(row);
    this.#control.setAttribute("aria-required", String(isRequired));
    label.htmlFor = giveId(this.#control);
    const isOptional = !isRequired || shape.isNullable;
    if (isOptional && this.#kind !== "json") this.#toggle = this.#appendToggle(row);
    const description = shape.description.trim().slice(0, MAX_DESCRIPTION);
    const help = appendElement(cell, "div", "holysheep-field-help", description);
    help.hidden = description === "";
    help.dir = "auto";
    this.#problem = appendElement(cell, "div", "holysheep-field-problem");
    this.#problem.hidden = true;
    this.#control.setAttribute("aria-describedby", `${giveId(help)} ${giveId(this.#problem)}`);
    const touch = () => this.#touch();
    this.#control.addEventListener("input", touch);
    this.#control.addEventListener("change", touch);
  }

  /** The value as JSON text, null to leave it out; undefined if it will not do, which is then said beside it. */
  read(): string | null | undefined {
    const value = this.#value();
    const isGood = value === null ? !this.#isRequired : this.#isGood(value);
    const rule = value === null ? "This is required" : `This must be ${expectation(this.#shape)}`;
    setText(this.#problem, isGood ? "" : `${rule}.`);
    this.#problem.hidden = isGood;
    if (isGood) this.#control.removeAttribute("aria-invalid");
    else this.#control.setAttribute("aria-invalid", "true");
    return isGood ? value : undefined;
  }

  focus(): void {
    this.#control.focus();
  }

  #isGood(text: string): boolean {
    if (!this.#isTouched) return true;
    const value = parseJson(text);
    return value !== undefined && fits(value, text, this.#shape);
  }

  #value(): string | null {
    if (!this.#isTouched) return this.#given ?? null;
    if (this.#toggle && !this.#toggle.checked) return this.#unset();
    const { value } = this.#control;
    switch (this.#kind) {
      case "boolean":
        return String((this.#control as HTMLInputElement).checked);
      case "choice":
        return this.#shape.choices[Number(value)] ?? "";
      case "text":
        return JSON.stringify(value);
      case "integer":
      case "number":
        return numberText(value.trim());
      default:
        return value.trim() === "" && !this.#isRequired ? null : value.trim();
    }
  }

  /** Left out where that may be, null otherwise. */
  #unset(): string | null {
    return this.#isRequired || (this.#given === "null" && this.#shape.isNullable) ? "null" : null;
  }

  #touch(): void {
    this.#isTouched = true;
    if (this.#toggle) this.#toggle.checked = true;
    if (!this.#problem.hidden) this.read();
  }

  #appendControl(row: Element): Control {
    const given = this.#given === undefined ? undefined : parseJson(this.#given);
    const control = appendElement(row, tagOf(this.#kind, given), "holysheep-field-control");
    keepKeys(control);
    switch (this.#kind) {
      case "boolean":
        (control as HTMLInputElement).type = "checkbox";
        (control as HTMLInputElement).checked = given === true;
        return control;
      case "choice":
        this.#appendChoices(control as HTMLSelectElement);
        return control;
      case "json":
        control.value = indentJson(this.#given ?? "");
        control.dir = "ltr";
        (control as HTMLTextAreaElement).rows = rowsFor(control.value);
        (control as HTMLTextAreaElement).spellcheck = false;
        return control;
      default:
        this.#fill(control as HTMLInputElement, given);
        return control;
    }
  }

  #fill(input: HTMLInputElement | HTMLTextAreaElement, given: unknown): void {
    const isText = this.#kind === "text";
    const value = typeof given === "string" ? given : isText || given === null ? "" : (this.#given ?? "");
    input.spellcheck = false;
    if (isText) input.dir = "auto";
    input.autocomplete = "off";
    input.placeholder =
      this.#given === "null" ? "null" : this.#shape.fallback && `default ${this.#shape.fallback}`;
    if (!("rows" in input)) {
      input.type = isText ? (INPUT_TYPES[this.#shape.format] ?? "text") : "number";
      if (!isText) {
        input.step = this.#kind === "integer" ? "1" : "any";
        // Who scrolls the page past the field does not mean to change it.
        input.addEventListener("wheel", (event) => input.matches(":focus") && event.preventDefault());
      }
      input.value = value;
      // A control that cannot hold the value would show another.
      if (input.value !== value) input.type = "text";
    }
    input.value = value;
    if ("rows" in input) input.rows = rowsFor(value);
  }

  #appendChoices(select: HTMLSelectElement): void {
    const { choices } = this.#shape;
    const given = this.#given ?? "";
    if (!choices.some((choice) => choice === given))
      appendElement(select, "option", "", "choose…").value = "";
    choices.forEach((choice, index) => {
      const value = parseJson(choice);
      const option = appendElement(
        select,
        "option",
        "",
        revealed(typeof value === "string" ? value : choice),
      );
      option.value = String(index);
      option.selected = choice === given;
    });
  }

  #appendToggle(row: Element): HTMLInputElement {
    const label = appendElement(row, "label", "holysheep-field-set");
    const toggle = appendElement(label, "input");
    toggle.type = "checkbox";
    toggle.checked = this.#given !== undefined && this.#given !== "null";
    toggle.setAttribute("aria-label", `set ${this.name}`);
    keepKeys(toggle);
    label.append("set");
    toggle.addEventListener("change", () => {
      this.#isTouched = true;
      if (!this.#problem.hidden) this.read();
    });
    return toggle;
  }
}

/** The control for the shape, or JSON where that could not show what is given as it is. */
function suitableKind(shape: Shape, given: string | undefined): Kind {
  if (given === undefined) return shape.kind;
  const value = parseJson(given);
  if (!fits(value, given, shape)) return "json";
  if (shape.kind === "choice" && value !== null && !shape.choices.includes(given)) return "json";
  const isShownAsItIs = typeof value !== "string" || (revealed(value) === value && !/[\r\0]/.test(value));
  return isShownAsItIs ? shape.kind : "json";
}

/** As many as the text needs, so that code can be read before it is approved; more scroll. */
function rowsFor(text: string): number {
  const lines = text.split("\n").map((line) => Math.max(1, Math.ceil(line.length / LONG_TEXT)));
  return Math.min(
    MAX_ROWS,
    lines.reduce((sum, count) => sum + count, 0),
  );
}

function tagOf(kind: Kind, given: unknown): "input" | "textarea" | "select" {
  if (kind === "choice") return "select";
  const isLong = typeof given === "string" && (given.length > LONG_TEXT || given.includes("\n"));
  return kind === "json" || (kind === "text" && isLong) ? "textarea" : "input";
}

/** What was typed, as JSON: ".5" is a number to a browser but not to JSON. */
function numberText(typed: string): string {
  if (typed === "" || NUMBER.test(typed)) return typed;
  const value = Number(typed);
  return Number.isFinite(value) ? String(value) : typed;
}
