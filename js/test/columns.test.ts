import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import type { Column, Command, ComparisonTraits } from "../src/protocol";
import createWidget, { type Model } from "../src/widget";
import { FakeKernel, statusOf } from "./fake_kernel";
import { FakeModel, FakePage, isShown, textOf } from "./fake_page";

let page: FakePage;
afterEach(() => page.close());

/** A page with a comparison of the given columns; the answer of each is an element with its model_id as text. */
class FakeComparison {
  readonly sent: Command[] = [];
  readonly removed: string[] = [];
  readonly element: HTMLElement;
  readonly close: () => void;
  readonly #traits: Partial<ComparisonTraits>;
  readonly #listeners = new Map<string, (() => void)[]>();

  constructor(columns: Column[]) {
    page = new FakePage();
    this.#traits = { columns, note: "Later cells go on from a." };
    const model = {
      widget_manager: {
        get_model: async (id: string) => id,
        create_view: async (id: string) => this.#view(id),
      },
      get: (name: keyof ComparisonTraits) => this.#traits[name],
      on: (event: string, callback: () => void) => {
        this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), callback]);
      },
      send: (command: Command) => {
        this.sent.push(command);
      },
    } as unknown as Model;
    const widget = createWidget();
    widget.initialize({ model });
    this.element = page.document.createElement("div");
    page.document.body.append(this.element);
    this.close = widget.render({ model, el: this.element });
  }

  set(traits: Partial<ComparisonTraits>): void {
    Object.assign(this.#traits, traits);
    for (const name of Object.keys(traits)) {
      for (const callback of this.#listeners.get(`change:${name}`) ?? []) callback();
    }
  }

  button(selector: string, index = 0): HTMLButtonElement {
    return this.element.querySelectorAll<HTMLButtonElement>(selector)[index]!;
  }

  #view(model_id: string) {
    const el = page.document.createElement("p");
    el.textContent = model_id;
    return { el, remove: () => this.removed.push(model_id) };
  }
}

function column(name: string, more: Partial<Column> = {}): Column {
  return { model_id: `model-of-${name}`, name, state: "streaming", can_keep: false, is_kept: false, ...more };
}

const ended = { state: "complete", can_keep: true } as const;

test("each column shows the view of its answer, and takes it away when it is closed", async () => {
  const comparison = new FakeComparison([column("a"), column("b")]);
  await new Promise(setImmediate);
  assert.equal(textOf(comparison.element, ".holysheep-column > p"), "model-of-a model-of-b");
  assert.equal(comparison.element.querySelector('[role="group"]')?.getAttribute("aria-label"), "a");
  comparison.close();
  assert.deepEqual(comparison.removed, ["model-of-a", "model-of-b"]);
  assert.deepEqual(
    comparison.sent.map(({ command }) => command),
    ["hello", "bye"],
  );
});

test("an answer whose view comes after the comparison was closed is taken away again", async () => {
  const comparison = new FakeComparison([column("a")]);
  comparison.close();
  await new Promise(setImmediate);
  assert.deepEqual(comparison.removed, ["model-of-a"]);
});

test("an answer can be kept once it has ended, and is marked when the kernel says so", () => {
  const comparison = new FakeComparison([column("a"), column("b")]);
  assert.equal(comparison.button(".holysheep-keep", 1).hidden, true);
  comparison.set({ columns: [column("a"), column("b", ended)] });
  assert.equal(comparison.button(".holysheep-keep", 0).hidden, true);
  comparison.button(".holysheep-keep", 1).click();
  assert.deepEqual(comparison.sent.at(-1), { command: "keep", column: 1 });
  assert.equal(comparison.button(".holysheep-keep", 1).textContent, "Keep");
  comparison.set({ columns: [column("a"), column("b", { ...ended, is_kept: true })] });
  assert.equal(comparison.button(".holysheep-keep", 1).textContent, "Kept");
});

test("differences are offered for two answers, asked of the kernel, and shown for the chosen two alone", () => {
  const comparison = new FakeComparison([column("a", ended), column("b"), column("c")]);
  const toggle = comparison.button(".holysheep-contrast");
  assert.equal(toggle.hidden, true);
  comparison.set({ columns: [column("a", ended), column("b", ended), column("c")] });
  assert.equal(toggle.hidden, false);
  assert.equal(isShown(comparison.element, ".holysheep-difference"), false);
  toggle.click();
  assert.equal(toggle.getAttribute("aria-expanded"), "true");
  assert.deepEqual(comparison.sent.at(-1), { command: "compare", columns: [0, 1] });
  comparison.set({ difference: { columns: [0, 2], pieces: [["same", "stale"]], is_cut: false } });
  assert.equal(textOf(comparison.element, ".holysheep-difference-text"), "…");
  const pieces: ["same" | "left" | "right", string][] = [
    ["same", "A "],
    ["left", "<b>hash"],
    ["right", " merge"],
  ];
  comparison.set({ difference: { columns: [0, 1], pieces, is_cut: false } });
  assert.equal(textOf(comparison.element, ".holysheep-difference-text del"), "<b>hash");
  assert.equal(textOf(comparison.element, ".holysheep-difference-text ins"), "merge");
});

test("the figures of a column leave its model to the heading and say how fast it was", () => {
  page = new FakePage();
  const kernel = new FakeKernel();
  const model = new FakeModel({ is_column: true, document: kernel.document });
  const widget = createWidget();
  widget.initialize({ model: model.proxy() });
  const element = page.document.createElement("div");
  page.document.body.append(element);
  widget.render({ model: model.proxy(), el: element });
  const stats = { first_delta_s: 0.21, deltas_per_s: 212, seconds: 1.1, usage: null };
  model.set({ stats, status: statusOf("complete") });
  page.advance(20);
  assert.equal(textOf(element, ".holysheep-footer"), "first after 0.21 s · 212 tokens/s · 1.1 s");
});
