import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import type { ToolResultPart } from "../src/protocol";
import { callOf, FakeKernel, resultOf, statusOf } from "./fake_kernel";
import { FakeLab, isShown, textOf } from "./fake_page";

let lab: FakeLab;
afterEach(() => lab.page.close());

const PNG = "iVBORw0KGgo=";
const ESCAPE = String.fromCharCode(27);

interface Called {
  kernel: FakeKernel;
  element: HTMLElement;
  details: HTMLDetailsElement;
}

/** A call that runs. */
function openCall(): Called {
  lab = new FakeLab({ status: statusOf("streaming") });
  const kernel = new FakeKernel();
  const { element } = lab.render();
  lab.model.set({ patch: kernel.open(callOf({ arguments: '{"sql":"select 1"}' })) });
  lab.page.frame();
  lab.model.set({ patch: kernel.change({ state: "running" }) });
  lab.page.frame();
  return { kernel, element, details: element.querySelector(".holysheep-tool-call > details")! };
}

function finish({ kernel }: Called, result: Partial<ToolResultPart>): void {
  lab.model.set({ patch: kernel.change({ state: "done" }, 0) });
  lab.model.set({ patch: kernel.open(resultOf(result)) });
  lab.page.frame();
}

test("a call says that it runs, and for how long", () => {
  const { element } = openCall();
  assert.equal(
    textOf(element, "summary"),
    '(name)({"sql":"select 1"}) · running · 0.0 s'.replace("(name)", "query"),
  );
  lab.page.advance(1_200);
  assert.equal(textOf(element, ".holysheep-tool-call-state"), "· running · 1.2 s");
});

test("a page that opens while a call runs does not make up for how long", () => {
  const kernel = new FakeKernel();
  kernel.open(callOf({ state: "running" }));
  lab = new FakeLab({ document: kernel.document, status: statusOf("streaming") });
  assert.equal(textOf(lab.render().element, ".holysheep-tool-call-state"), "· running");
});

for (const [outcome, seconds, line, isOpen] of [
  ["ok", 0.31, "· 0.3 s", false],
  ["ok", 0, "", false],
  ["error", 0.31, "· failed · 0.3 s", true],
  ["invalid", 0, "· wrong arguments", true],
  ["denied", 0, "· denied", true],
  ["stopped", 0, "· stopped", false],
] as const) {
  test(`a result that is ${outcome} after ${seconds} s is one line, ${isOpen ? "open" : "closed"}`, () => {
    const called = openCall();
    finish(called, { outcome, seconds, text: "told" });
    assert.equal(textOf(called.element, ".holysheep-tool-call-state"), line);
    assert.equal(called.details.open, isOpen);
    assert.equal(called.element.querySelector<HTMLElement>(".holysheep-tool-call")!.dataset.state, outcome);
    assert.equal(textOf(called.details, ".holysheep-tool-result"), "told");
  });
}

test("a call without a result was not called", () => {
  const { kernel, element } = openCall();
  lab.model.set({ patch: kernel.change({ state: "done" }), status: statusOf("stopped") });
  lab.page.frame();
  assert.equal(textOf(element, ".holysheep-tool-call-state"), "· not called");
});

test("no clock goes on when the call is done, or its view is gone", async () => {
  const called = openCall();
  const { element, close } = lab.render();
  const gone = element.querySelector(".holysheep-tool-call-state")!;
  close();
  lab.page.advance(5_000);
  assert.equal(gone.textContent, " · running · 0.0 s");
  finish(called, { seconds: 0.3 });
  await Promise.resolve();
  lab.page.advance(5_000);
  assert.equal(textOf(called.element, ".holysheep-tool-call-state"), "· 0.3 s");
});

test("a later call of the same id has its own clock", async () => {
  const called = openCall();
  lab.page.advance(5_000);
  finish(called, {});
  await Promise.resolve();
  lab.model.set({ patch: called.kernel.open(callOf()) });
  lab.model.set({ patch: called.kernel.change({ state: "running" }) });
  lab.page.frame();
  assert.match(textOf(called.element, ".holysheep-tool-call-state"), /running · 0\.0 s$/);
});

test("the arguments are shown in full and indented, with what the person changed", () => {
  const called = openCall();
  lab.model.set({ patch: called.kernel.change({ edited: '{"sql":"select 2"}' }) });
  lab.page.frame();
  const [written, edited] = [...called.details.querySelectorAll("pre")].map((each) => each.textContent);
  assert.equal(written, '{\n  "sql": "select 1"\n}');
  assert.equal(edited, '{\n  "sql": "select 2"\n}');
  assert.match(textOf(called.details, ".holysheep-tool-call-edited"), /^Changed by you to/);
  assert.match(textOf(called.element, "summary code"), /select 2/);
});

test("long arguments are cut in the line, with an ellipsis", () => {
  lab = new FakeLab({ status: statusOf("streaming") });
  const kernel = new FakeKernel();
  lab.model.set({ patch: kernel.open(callOf({ arguments: `["${"x".repeat(100)}"]` })) });
  const { element } = lab.render();
  assert.equal(textOf(element, "summary code"), `query(["${"x".repeat(58)}…)`);
});

test("a result stands in the card of its call, and text goes on below the cards", () => {
  lab = new FakeLab({ status: statusOf("streaming") });
  const kernel = new FakeKernel();
  const { element } = lab.render();
  lab.model.set({ patch: kernel.open({ type: "text", text: "First." }) });
  for (const call_id of ["a", "b", "a"])
    lab.model.set({ patch: kernel.open(callOf({ call_id, state: "done" })) });
  for (const [call_id, text] of [
    ["b", "of b"],
    ["a", "of a"],
    ["a", "of the second a"],
  ] as const) {
    lab.model.set({ patch: kernel.open(resultOf({ call_id, text })) });
    lab.page.frame();
  }
  lab.model.set({ patch: kernel.open({ type: "text", text: "Then." }) });
  lab.page.frame();
  const blocks = [...element.querySelector(".holysheep-transcript")!.children];
  assert.deepEqual(
    blocks.map((each) => textOf(each, ".holysheep-tool-result") || each.textContent),
    ["First.", "of a", "of b", "of the second a", "Then."],
  );
});

test("a result whose call is not there stands by itself", () => {
  lab = new FakeLab({ status: statusOf("streaming") });
  const kernel = new FakeKernel();
  lab.model.set({
    patch: kernel.open(
      resultOf({ call_id: "none", text: "alone", images: [`data:image/png;base64,${PNG}`] }),
    ),
  });
  const { element } = lab.render();
  assert.equal(textOf(element, ".holysheep-transcript > .holysheep-tool-result"), "alone");
  assert.equal(element.querySelectorAll("img").length, 1);
});

test("a result that a document takes back leaves its call, and one that comes again is shown once", () => {
  const called = openCall();
  finish(called, { outcome: "error", text: "wrong", images: [`data:image/png;base64,${PNG}`] });
  const [call] = called.kernel.parts;
  lab.model.set({ document: { seq: called.kernel.seq, parts: [call!, resultOf({ text: "right" })] } });
  lab.page.frame();
  assert.equal(textOf(called.element, ".holysheep-tool-result"), "right");
  assert.equal(called.element.querySelectorAll("img").length, 0);
  lab.model.set({ document: { seq: called.kernel.seq, parts: [call!] } });
  lab.page.frame();
  assert.equal(textOf(called.element, ".holysheep-tool-call-state"), "· not called");
});

test("a card that the reader has closed stays closed", () => {
  const called = openCall();
  called.details.querySelector("summary")!.click();
  called.details.open = false;
  finish(called, { outcome: "error", text: "no" });
  assert.equal(called.details.open, false);
});

test("a traceback is folded and without the codes of its colours", () => {
  const called = openCall();
  finish(called, {
    outcome: "error",
    text: `${ESCAPE}[31mZeroDivisionError${ESCAPE}[0m`,
    details: `${ESCAPE}[1;31mTraceback${ESCAPE}[0m\n  ${ESCAPE}]8;;http://evil${ESCAPE}\\line${ESCAPE}]8;;${ESCAPE}\\ 1`,
  });
  const details = called.element.querySelector<HTMLDetailsElement>(".holysheep-tool-details")!;
  assert.equal(details.open, false);
  assert.equal(details.querySelector("pre")!.textContent, "Traceback\n  line 1");
  assert.equal(
    called.element.querySelector(".holysheep-tool-result > pre")!.textContent,
    "ZeroDivisionError",
  );
});

test("what a tool printed and displayed is shown: images at once, the rest as plain text", () => {
  const called = openCall();
  finish(called, {
    text: "told",
    images: [`data:image/webp;base64,${PNG}`],
    shown: [
      { "text/plain": "printed" },
      { "text/plain": "<Figure>", "image/png": `${PNG.slice(0, 4)}\n${PNG.slice(4)}\n` },
      { "text/plain": "a table", "text/html": "<table><tr><td>x</td></tr></table>" },
    ],
  });
  const texts = [...called.details.querySelectorAll(".holysheep-tool-result > pre")].map(
    (each) => each.textContent,
  );
  assert.deepEqual(texts, ["printed", "a table", "told"]);
  const images = [...called.element.querySelectorAll("img")];
  assert.deepEqual(
    images.map((each) => [each.getAttribute("src"), each.alt]),
    [
      [`data:image/webp;base64,${PNG}`, "Image 1 from query"],
      [`data:image/png;base64,${PNG}`, "Image 2 from query"],
    ],
  );
  assert.equal(called.details.contains(images[0]!), false);
  assert.equal(called.element.querySelector("table"), null);
});

test("nothing but base64 of an image without a script becomes an image", () => {
  const called = openCall();
  const svg = "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>";
  finish(called, {
    images: [
      "javascript:alert(1)",
      "http://evil/x.png",
      "data:text/html;base64,PHNjcmlwdD4=",
      "data:image/svg+xml;base64,PHN2Zz4=",
      `data:image/png,${PNG}`,
      'data:image/png;base64,AAAA" onerror="alert(1)',
      "data:image/png;base64,AAA",
      "data:image/png;base64,",
      null as never,
    ],
    shown: [
      { "image/svg+xml": svg, "text/plain": "a drawing" },
      { "image/png": "javascript:alert(1)", "text/plain": "no picture" },
      { "image/png": { toString: PNG }, "text/plain": ["not text"] },
      { "text/html": svg },
    ],
  });
  assert.equal(called.element.querySelectorAll("img, svg, script, [src], [onload]").length, 0);
  assert.equal(isShown(called.element, ".holysheep-tool-images"), false);
  assert.equal(textOf(called.element, ".holysheep-tool-result > pre"), "a drawing no picture");
});

test("very long text is cut, and says so", () => {
  const called = openCall();
  finish(called, { text: "x".repeat(1_000_000) });
  const shown = called.element.querySelector(".holysheep-tool-result > pre")!.textContent!;
  assert.equal(shown.length < 51_000, true);
  assert.match(shown, /cut here/);
});

test("a document with calls and results is shown as the patches were", () => {
  const called = openCall();
  finish(called, {
    outcome: "error",
    seconds: 0.3,
    text: "no",
    details: "trace",
    shown: [{ "text/plain": "p" }],
  });
  const before = called.element.querySelector(".holysheep-transcript")!.innerHTML;
  lab.model.set({ document: called.kernel.document });
  lab.page.frame();
  assert.equal(called.element.querySelector(".holysheep-transcript")!.innerHTML, before);
  assert.equal(lab.render().element.querySelector(".holysheep-transcript")!.innerHTML, before);
});

test("a change of route and the end of the rounds stand below the answer", () => {
  const { kernel, element } = openCall();
  lab.model.set({
    document: kernel.document,
    status: statusOf("truncated", {
      message: "ended after its last round: --max-rounds allows more",
      context: "over SSE: The WebSocket could not be opened",
    }),
  });
  lab.page.frame();
  assert.equal(textOf(element, ".holysheep-notice"), "ended after its last round: --max-rounds allows more");
  assert.match(textOf(element, ".holysheep-footer"), /over SSE: The WebSocket could not be opened/);
});
