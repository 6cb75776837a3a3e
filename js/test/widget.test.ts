import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import type { Traits } from "../src/protocol";
import { callOf, FakeKernel, statusOf } from "./fake_kernel";
import { FakeLab, isShown, textOf } from "./fake_page";

let lab: FakeLab;
afterEach(() => lab.page.close());

/** A kernel in the midst of an answer, and a lab that shows it. */
function openLab(traits: Partial<Traits> = {}): {
  kernel: FakeKernel;
  element: HTMLElement;
  close: () => void;
} {
  lab = new FakeLab({ status: statusOf("streaming"), ...traits });
  const kernel = new FakeKernel();
  lab.model.set({ patch: kernel.open({ type: "text", text: "" }) });
  return { kernel, ...lab.render() };
}

test("a view says hello when it opens and bye when it goes", () => {
  const { close, element } = openLab();
  const [hello] = lab.model.sent;
  assert.equal(hello?.command, "hello");
  close();
  assert.deepEqual(lab.model.sent.at(-1), { ...hello, command: "bye" });
  assert.equal(element.childNodes.length, 0);
});

test("two views say hello with ids of their own", () => {
  openLab();
  lab.render();
  const [first, second] = lab.model.commands("hello");
  assert.notDeepEqual(first, second);
});

test("many patches between two frames ask for one frame and all appear in it", () => {
  const { kernel, element } = openLab();
  lab.page.frame();
  for (let i = 0; i < 50; i += 1) lab.model.set({ patch: kernel.append(`${i} `) });
  assert.equal(lab.page.waitingFrames, 1);
  assert.equal(textOf(element, ".holysheep-text"), "");
  lab.page.frame();
  assert.match(textOf(element, ".holysheep-text"), /^0 1 2 .* 48 49$/);
});

test("a patch after a quiet frame is shown at once, and the next one with the frame", async () => {
  const { kernel, element } = openLab();
  lab.page.advance(20);
  lab.model.set({ patch: kernel.append("first ") });
  await Promise.resolve();
  assert.equal(lab.page.waitingFrames, 0);
  assert.equal(textOf(element, ".holysheep-text"), "first");
  lab.model.set({ patch: kernel.append("second") });
  await Promise.resolve();
  assert.equal(textOf(element, ".holysheep-text"), "first");
  lab.page.frame();
  assert.equal(textOf(element, ".holysheep-text"), "first second");
});

test("a second view shows everything that came before it, and what comes after", () => {
  const { kernel } = openLab();
  lab.model.set({ patch: kernel.append("one ") });
  lab.model.set({ patch: kernel.append("two ") });
  const second = lab.render().element;
  assert.equal(textOf(second, ".holysheep-text"), "one two");
  lab.model.set({ patch: kernel.append("three") });
  lab.page.frame();
  assert.equal(textOf(second, ".holysheep-text"), "one two three");
});

test("patches that came while no view was open are shown by the first one", () => {
  lab = new FakeLab({ status: statusOf("streaming") });
  const kernel = new FakeKernel();
  lab.model.set({ patch: kernel.open({ type: "text", text: "early " }) });
  lab.model.set({ patch: kernel.append("bird") });
  assert.equal(textOf(lab.render().element, ".holysheep-text"), "early bird");
  assert.deepEqual(lab.model.commands("resync"), []);
});

test("a reloaded page with a patch that its document already has asks for nothing", () => {
  const kernel = new FakeKernel();
  kernel.open({ type: "text", text: "kept " });
  const patch = kernel.append("text");
  lab = new FakeLab({ document: kernel.document, patch, status: statusOf("streaming") });
  assert.equal(textOf(lab.render().element, ".holysheep-text"), "kept text");
  assert.deepEqual(lab.model.commands("resync"), []);
});

test("a page that opens beyond the document asks for it at once", () => {
  const kernel = new FakeKernel();
  kernel.open({ type: "text", text: "a" });
  lab = new FakeLab({ patch: kernel.append("b"), status: statusOf("streaming") });
  assert.deepEqual(lab.model.sent, [{ command: "resync", seq: 0 }]);
  lab.model.set({ document: kernel.document });
  assert.equal(textOf(lab.render().element, ".holysheep-text"), "ab");
});

test("a document that extends what is shown rebuilds no element", () => {
  const { kernel, element } = openLab();
  lab.model.set({ patch: kernel.append("one ") });
  lab.page.frame();
  const before = element.querySelector(".holysheep-text")!;
  const inside = before.firstChild;
  kernel.append("two");
  kernel.open({ type: "text", text: "next" });
  lab.model.set({ document: kernel.document });
  lab.page.frame();
  assert.equal(element.querySelector(".holysheep-text"), before);
  assert.equal(before.firstChild, inside);
  assert.equal(textOf(element, ".holysheep-text"), "one two next");
});

test("a document that differs rebuilds from the first part that differs", () => {
  const { kernel, element } = openLab();
  lab.model.set({ patch: kernel.append("same") });
  lab.model.set({ patch: kernel.open({ type: "text", text: "wrong" }) });
  lab.page.frame();
  const [first, second] = element.querySelectorAll(".holysheep-text");
  const parts = [kernel.parts[0]!, { type: "text" as const, text: "right" }];
  lab.model.set({ document: { seq: kernel.seq, parts } });
  lab.page.frame();
  const after = element.querySelectorAll(".holysheep-text");
  assert.equal(after[0], first);
  assert.notEqual(after[1], second);
  assert.equal(textOf(element, ".holysheep-text"), "same right");
});

test("text that comes after its part was finished is still shown", () => {
  const { kernel, element } = openLab();
  lab.model.set({ patch: kernel.append("one ") });
  lab.model.set({ patch: kernel.open({ type: "text", text: "last" }) });
  lab.page.frame();
  lab.model.set({ patch: kernel.append("two ", 0) });
  lab.page.frame();
  assert.equal(textOf(element, ".holysheep-text"), "one two last");
});

test("a cut and a new part within one frame show only the new part", () => {
  const { kernel, element } = openLab();
  lab.model.set({ patch: kernel.append("wrong") });
  lab.model.set({ document: { seq: kernel.seq, parts: [] } });
  lab.model.set({ patch: { seq: kernel.seq + 1, ops: [["part", 0, { type: "text", text: "right" }]] } });
  lab.page.frame();
  assert.equal(textOf(element, ".holysheep-text"), "right");
});

test("no timer and no frame goes on when the run is over", () => {
  const { element, kernel } = openLab();
  lab.model.set({ document: kernel.document, status: statusOf("complete") });
  lab.page.frame();
  const before = element.textContent;
  lab.page.advance(10_000);
  assert.equal(element.textContent, before);
  assert.equal(lab.page.waitingFrames, 0);
});

test("a tab without frames is still brought up to date by a timer", () => {
  const { kernel, element } = openLab();
  lab.page.window.requestAnimationFrame = () => 0;
  lab.page.frame();
  lab.model.set({ patch: kernel.append("unseen") });
  lab.page.advance(100);
  assert.equal(textOf(element, ".holysheep-text"), "unseen");
});

test("the prompt is shown only when it is asked for", () => {
  const { element } = openLab({ prompt: "Which index would help?", shows_prompt: false });
  assert.equal(isShown(element, ".holysheep-prompt"), false);
  lab.model.set({ shows_prompt: true });
  lab.page.frame();
  assert.equal(isShown(element, ".holysheep-prompt"), true);
  assert.equal(textOf(element, ".holysheep-prompt"), "Which index would help?");
});

test("the caret class is there only while text streams", () => {
  const { element, kernel } = openLab();
  const hasCaret = () => element.querySelector(".holysheep-is-streaming") !== null;
  assert.equal(hasCaret(), true);
  lab.model.set({ document: kernel.document, status: statusOf("complete") });
  lab.page.frame();
  assert.equal(hasCaret(), false);
});

test("hostile text in every field creates no element and no attribute of its own", () => {
  const hostile =
    '<img src="http://evil/x" onerror="alert(1)"><script>alert(1)</script><a href="javascript:1">x</a>';
  const { element, kernel } = openLab({ prompt: hostile, shows_prompt: true, keep_hint: hostile });
  lab.model.set({ patch: kernel.append(hostile) });
  lab.model.set({ patch: kernel.open({ type: "reasoning", text: hostile, seconds: null }) });
  lab.model.set({ patch: kernel.open(callOf({ call_id: hostile, name: hostile, arguments: hostile })) });
  lab.model.set({ status: statusOf("waiting", { message: hostile, model: hostile }) });
  lab.page.frame();
  lab.model.set({
    document: kernel.document,
    status: statusOf("failed", { message: hostile, model: hostile, context: hostile }),
  });
  lab.page.frame();
  assert.equal(
    element.querySelectorAll("img, script, iframe, object, link, style, [onerror], [src]").length,
    0,
  );
  for (const link of element.querySelectorAll("a")) assert.doesNotMatch(link.href, /^javascript:/);
  assert.equal(element.querySelector(".holysheep-tool-call-arguments")!.textContent, hostile);
});
