import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import type { Traits } from "../src/protocol";
import { FakeKernel, statusOf } from "./fake_kernel";
import { FakeLab, isShown, textOf } from "./fake_page";

let lab: FakeLab;
afterEach(() => lab.page.close());

function openLab(traits: Partial<Traits> = {}): { kernel: FakeKernel; element: HTMLElement } {
  lab = new FakeLab({ status: statusOf("streaming"), ...traits });
  const kernel = new FakeKernel();
  lab.model.set({ patch: kernel.open({ type: "text", text: "" }) });
  return { kernel, element: lab.render().element };
}

function press(element: Element, key: string): void {
  const Event = (lab.page.window as unknown as { KeyboardEvent: typeof KeyboardEvent }).KeyboardEvent;
  element.dispatchEvent(new Event("keydown", { key, bubbles: true, cancelable: true }));
}

test("the status line shows state, age and rate, and its clock goes on by itself", () => {
  const { element } = openLab({ status: statusOf("streaming", { seconds_since_start: 3.2 }) });
  lab.model.set({ stats: { first_delta_s: 0.2, deltas_per_s: 182.2, seconds: 3.2, usage: null } });
  lab.page.frame();
  assert.equal(textOf(element, ".holysheep-status-text"), "gpt-4.1 · streaming · 3.2 s · 182 tokens/s");
  lab.page.advance(500);
  assert.match(textOf(element, ".holysheep-status-text"), /· 3\.7 s ·/);
  assert.equal(isShown(element, ".holysheep-footer"), false);
});

test("connecting becomes waiting for the first token after a second", () => {
  const { element } = openLab({ status: statusOf("connecting", { seconds_since_start: 0.4 }) });
  assert.equal(textOf(element, ".holysheep-status-text"), "gpt-4.1 · connecting · 0.4 s");
  lab.page.advance(800);
  assert.equal(textOf(element, ".holysheep-status-text"), "gpt-4.1 · waiting for the first token · 1.2 s");
});

test("the status line of a waiting run says why", () => {
  const { element } = openLab({ status: statusOf("waiting", { message: "round 2 of 8" }) });
  assert.equal(textOf(element, ".holysheep-status-text"), "gpt-4.1 · waiting for you · round 2 of 8");
  assert.equal(element.querySelector<HTMLElement>(".holysheep-status")!.dataset.state, "waiting");
});

test("a retry is counted down", () => {
  const retry = { problem: "429", at_s: 2.5, attempt: 2, attempts: 5 };
  const { element } = openLab({ status: statusOf("retrying", { retry, seconds_since_start: 0.6 }) });
  const text = (): string => textOf(element, ".holysheep-status-text");
  assert.equal(text(), "gpt-4.1 · 429: again in 2 s, try 2 of 5");
  lab.page.advance(1_000);
  assert.equal(text(), "gpt-4.1 · 429: again in 1 s, try 2 of 5");
  lab.page.advance(1_000);
  assert.equal(text(), "gpt-4.1 · 429: try 2 of 5");
});

test("while text streams, the clock is shown four times a second and news at once", () => {
  const { element } = openLab({ status: statusOf("streaming", { seconds_since_start: 3 }) });
  lab.page.advance(100);
  assert.equal(textOf(element, ".holysheep-status-text"), "gpt-4.1 · streaming · 3.0 s");
  lab.page.advance(200);
  assert.equal(textOf(element, ".holysheep-status-text"), "gpt-4.1 · streaming · 3.3 s");
});

test("an answer that was cut off can be resumed with one click", () => {
  const { element, kernel } = openLab();
  lab.model.set({ patch: kernel.append("The sky is bl") });
  const cut = statusOf("truncated", { message: "The connection was closed.", can_resume: true });
  lab.model.set({ status: cut, document: kernel.document });
  lab.page.frame();
  const resume = element.querySelector<HTMLButtonElement>(".holysheep-resume")!;
  assert.equal(isShown(element, ".holysheep-resume"), true);
  assert.match(textOf(element, ".holysheep-notice"), /^The connection was closed\./);
  resume.click();
  lab.page.frame();
  resume.click();
  assert.equal(lab.model.commands("resume").length, 1);
  assert.equal(resume.disabled, true);
  lab.model.set({ status: statusOf("connecting") });
  lab.page.frame();
  assert.equal(isShown(element, ".holysheep-notice"), false);
  lab.model.set({ patch: kernel.open({ type: "seam", text: "The connection was closed." }) });
  lab.model.set({ patch: kernel.open({ type: "text", text: "ue." }), status: statusOf("streaming") });
  lab.page.frame();
  assert.equal(textOf(element, ".holysheep-seam"), "The connection was closed. — resumed");
  assert.match(textOf(element, ".holysheep-transcript"), /The sky is bl.*ue\./s);
});

test("an answer that cannot be resumed has no such button", () => {
  const { element } = openLab({ status: statusOf("truncated", { message: "Cut off." }) });
  assert.equal(isShown(element, ".holysheep-notice"), true);
  assert.equal(element.querySelector(".holysheep-resume"), null);
});

test("a click on Stop sends stop once and says so", () => {
  const { element } = openLab();
  const stop = element.querySelector<HTMLButtonElement>(".holysheep-stop")!;
  stop.click();
  stop.click();
  lab.page.frame();
  stop.click();
  assert.equal(lab.model.commands("stop").length, 1);
  assert.equal(stop.textContent, "Stopping…");
  assert.equal(stop.disabled, true);
});

test("Esc inside the widget sends stop once", () => {
  const { element } = openLab();
  const root = element.querySelector(".holysheep-transcript")!;
  press(root, "a");
  assert.equal(lab.model.commands("stop").length, 0);
  press(root, "Escape");
  press(root, "Escape");
  assert.equal(lab.model.commands("stop").length, 1);
});

test("Esc outside the widget, or when nothing runs, sends nothing", () => {
  const { element, kernel } = openLab();
  press(lab.page.document.body, "Escape");
  lab.model.set({ document: kernel.document, status: statusOf("complete") });
  press(element.querySelector(".holysheep-transcript")!, "Escape");
  assert.equal(lab.model.commands("stop").length, 0);
});

test("a stop that nothing answers for a second points to the interrupt button", async () => {
  const { element } = openLab();
  element.querySelector<HTMLButtonElement>(".holysheep-stop")!.click();
  lab.page.advance(900);
  assert.equal(isShown(element, ".holysheep-stop-hint"), false);
  lab.page.advance(100);
  await Promise.resolve();
  assert.equal(isShown(element, ".holysheep-stop-hint"), true);
  assert.match(textOf(element, ".holysheep-stop-hint"), /^Use ■ \(interrupt\)/);
});

test("focus stays where it is when a run ends, and inside the widget when Stop had it", () => {
  const { element, kernel } = openLab();
  const { document } = lab.page;
  const other = document.createElement("input");
  document.body.append(other);
  other.focus();
  const second = lab.render().element;
  lab.model.set({ document: kernel.document, status: statusOf("complete") });
  lab.page.frame();
  assert.equal(document.activeElement, other);

  lab.model.set({ status: statusOf("streaming") });
  lab.page.frame();
  second.querySelector<HTMLElement>(".holysheep-stop")!.focus();
  lab.model.set({ status: statusOf("stopped") });
  lab.page.frame();
  assert.equal(document.activeElement, second.querySelector(".holysheep"));
  assert.notEqual(document.activeElement, element.querySelector(".holysheep"));
});

const STATS = {
  first_delta_s: 0.24,
  deltas_per_s: 182,
  seconds: 2.1,
  usage: { input_tokens: 1612, output_tokens: 214 },
};

test("a complete run shows one line of figures and no status line", () => {
  const { element, kernel } = openLab();
  lab.model.set({
    document: kernel.document,
    stats: { ...STATS, cost: "≥ $0.0017, input price unknown" },
    keep_hint: "%holysheep show keeps this answer",
    status: statusOf("complete", { context: "with 2 earlier cells" }),
  });
  lab.page.frame();
  assert.equal(isShown(element, ".holysheep-status"), false);
  assert.equal(isShown(element, ".holysheep-notice"), false);
  assert.equal(
    textOf(element, ".holysheep-footer"),
    "gpt-4.1 · 1,612 + 214 tokens · ≥ $0.0017, input price unknown · 2.1 s, first after 0.24 s · " +
      "with 2 earlier cells · %holysheep show keeps this answer",
  );
});

test("a run that its budget ended says so above its figures", () => {
  const { element } = openLab();
  const message = "This run has reached its limit of $0.05.";
  lab.model.set({ status: statusOf("budget", { message }), stats: { ...STATS, cost: "≈ $0.05" } });
  lab.page.frame();
  assert.equal(isShown(element, ".holysheep-status"), false);
  assert.equal(textOf(element, ".holysheep-notice"), message);
  assert.match(textOf(element, ".holysheep-footer"), /^gpt-4\.1 · 1,612 \+ 214 tokens · ≈ \$0\.05 · 2\.1 s/);
});

test("a stopped run says so in its footer", () => {
  const { element } = openLab();
  lab.model.set({ status: statusOf("stopped"), stats: { ...STATS, usage: null, first_delta_s: null } });
  lab.page.frame();
  assert.equal(textOf(element, ".holysheep-footer"), "gpt-4.1 · stopped · 2.1 s");
});

for (const state of ["failed", "truncated", "budget"] as const) {
  test(`a ${state} run shows its sentence as a notice and keeps the text`, () => {
    const { element, kernel } = openLab();
    lab.model.set({ patch: kernel.append("so far") });
    lab.model.set({ document: kernel.document, status: statusOf(state, { message: "It went wrong." }) });
    lab.page.frame();
    assert.equal(textOf(element, ".holysheep-notice"), "It went wrong.");
    assert.equal(element.querySelector<HTMLElement>(".holysheep-notice")!.dataset.state, state);
    assert.equal(textOf(element, ".holysheep-text"), "so far");
    assert.equal(isShown(element, ".holysheep-status"), false);
  });
}
