import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { callOf, FakeKernel, statusOf } from "./fake_kernel";
import { FakeLab, textOf } from "./fake_page";

let lab: FakeLab;
afterEach(() => lab.page.close());

function openThinking(): { kernel: FakeKernel; details: HTMLDetailsElement; element: HTMLElement } {
  lab = new FakeLab({ status: statusOf("streaming") });
  const kernel = new FakeKernel();
  lab.model.set({ patch: kernel.open({ type: "reasoning", text: "Let me see", seconds: null }) });
  const { element } = lab.render();
  return { kernel, element, details: element.querySelector("details")! };
}

test("reasoning is open while it is written and folds itself when the answer begins", () => {
  const { kernel, details } = openThinking();
  assert.equal(details.open, true);
  assert.equal(textOf(details, "summary"), "Thinking…");
  lab.model.set({ patch: kernel.change({ seconds: 4.1, is_open: false }) });
  lab.model.set({ patch: kernel.open({ type: "text", text: "So" }) });
  lab.page.frame();
  assert.equal(details.open, false);
  assert.equal(textOf(details, "summary"), "Thought for 4 s");
  assert.equal(textOf(details, ".holysheep-text"), "Let me see");
});

test("reasoning that the reader has toggled stays as the reader left it", () => {
  const { kernel, details } = openThinking();
  details.querySelector("summary")!.click();
  details.open = true;
  lab.model.set({ patch: kernel.open({ type: "text", text: "So" }) });
  lab.page.frame();
  assert.equal(details.open, true);
});

test("reasoning without an answer stays open when the run is stopped", () => {
  const { kernel, details } = openThinking();
  lab.model.set({ document: kernel.document, status: statusOf("stopped") });
  lab.page.frame();
  assert.equal(details.open, true);
  assert.equal(textOf(details, "summary"), "Thought");
});

test("thinking for less than a second is not rounded to nothing", () => {
  const { kernel, details } = openThinking();
  lab.model.set({ patch: kernel.change({ seconds: 0.32 }) });
  lab.page.frame();
  assert.equal(textOf(details, "summary"), "Thought for 0.3 s");
});

test("a tool call shows its name and its arguments as they grow", () => {
  const { kernel, element } = openThinking();
  lab.model.set({ patch: kernel.open(callOf()) });
  lab.page.frame();
  const shown = element.querySelector(".holysheep-tool-call");
  lab.model.set({ patch: kernel.append('{"limit": ') });
  lab.page.frame();
  lab.model.set({ patch: kernel.append("100}") });
  lab.page.frame();
  assert.equal(textOf(element, ".holysheep-tool-call-name"), "query");
  assert.equal(textOf(element, ".holysheep-tool-call-arguments"), '{"limit": 100}');
  assert.equal(element.querySelector(".holysheep-tool-call"), shown);
});

test("the arguments of two calls may grow in turn", () => {
  const { kernel, element } = openThinking();
  for (const name of ["first", "second"]) {
    lab.model.set({ patch: kernel.open(callOf({ call_id: name, name })) });
  }
  for (const digit of "123") {
    lab.model.set({ patch: kernel.append(digit, 1) });
    lab.model.set({ patch: kernel.append(digit, 2) });
    lab.page.frame();
  }
  assert.equal(textOf(element, ".holysheep-tool-call-arguments"), "123 123");
});

test("a part of a type not known here does no harm to the parts after it", () => {
  const { kernel, element } = openThinking();
  lab.model.set({ patch: kernel.open({ type: "image", url: "x" } as never) });
  lab.model.set({ patch: kernel.open({ type: "text", text: "after" }) });
  lab.page.frame();
  assert.equal(textOf(element, ".holysheep-transcript > .holysheep-text"), "after");
});

test("an answer asked for as text is shown as it is, without markdown", () => {
  lab = new FakeLab({ status: statusOf("streaming"), answer_format: "text" });
  const kernel = new FakeKernel();
  lab.model.set({ patch: kernel.open({ type: "text", text: "# one\n" }) });
  const { element } = lab.render();
  lab.model.set({ patch: kernel.append("**two**") });
  lab.page.frame();
  const text = element.querySelector(".holysheep-text")!;
  assert.equal(text.textContent, "# one\n**two**");
  assert.equal(text.querySelector("h1, strong"), null);
});
