import type { Command, Question, ToolCallPart } from "../src/protocol";
import { callOf, FakeKernel, statusOf } from "./fake_kernel";
import { FakeLab } from "./fake_page";

/** A kernel whose calls wait for a person, and a lab that shows them. */
export class FakeQuestion {
  readonly kernel = new FakeKernel();
  readonly lab = new FakeLab({ status: statusOf("streaming") });
  element: HTMLElement;

  constructor(...calls: Partial<ToolCallPart>[]) {
    this.element = this.lab.render().element;
    for (const call of calls) {
      this.lab.model.set({ patch: this.kernel.open(callOf(call)) });
      this.lab.model.set({
        patch: this.kernel.change({ state: "waiting", question: questionOf(call.question) }),
      });
    }
    this.lab.model.set({ status: statusOf("waiting") });
    this.lab.page.frame();
  }

  get decisions(): Command[] {
    return this.lab.model.sent.filter(({ command }) => command === "approve" || command === "deny");
  }

  find<Type extends Element = HTMLElement>(selector: string): Type {
    const found = this.element.querySelector<Type>(selector);
    if (!found) throw new Error(`There is no ${selector}.`);
    return found;
  }

  /** The control whose label says `name`. */
  field(name: string): HTMLInputElement {
    const labels = [...this.element.querySelectorAll<HTMLLabelElement>(".holysheep-field-name")];
    const label = labels.find((each) => each.textContent === name);
    return this.find(`[id="${label?.htmlFor}"]`);
  }

  problemOf(control: HTMLElement): string {
    const ids = control.getAttribute("aria-describedby")!.split(" ");
    const problems = ids.map((id) => this.find(`[id="${id}"].holysheep-field-problem, [id="${id}"]`));
    return problems
      .filter((each) => each.matches(".holysheep-field-problem") && !each.hidden)
      .map((each) => each.textContent)
      .join(" ");
  }

  type(control: { value: string } & HTMLElement, text: string): void {
    control.value = text;
    this.#dispatch(control, "input");
  }

  check(control: HTMLInputElement, isChecked: boolean): void {
    control.checked = isChecked;
    this.#dispatch(control, "change");
  }

  press(target: Element, key: string, more: KeyboardEventInit = {}): boolean {
    const { KeyboardEvent } = this.lab.page.window as unknown as {
      KeyboardEvent: typeof globalThis.KeyboardEvent;
    };
    return target.dispatchEvent(
      new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true, ...more }),
    );
  }

  click(selector: string): void {
    this.find(selector).click();
    this.lab.page.frame();
  }

  change(metadata: Partial<ToolCallPart>, index?: number): void {
    this.lab.model.set({ patch: this.kernel.change(metadata, index) });
    this.lab.page.frame();
  }

  #dispatch(control: Element, type: string): void {
    const { Event } = this.lab.page.window as unknown as { Event: typeof globalThis.Event };
    control.dispatchEvent(new Event(type, { bubbles: true }));
  }
}

export function questionOf(question?: Partial<Question> | null): Question {
  return { schema: {}, description: "", problem: "", arguments: "", ...question };
}
