import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { FakeKernel, statusOf } from "./fake_kernel";
import { FakeLab, textOf } from "./fake_page";

let lab: FakeLab;
afterEach(() => lab.page.close());

function openAnnounced(): { kernel: FakeKernel; said: () => string } {
  lab = new FakeLab({ status: statusOf("connecting") });
  const kernel = new FakeKernel();
  const { element } = lab.render();
  lab.model.set({ patch: kernel.open({ type: "text", text: "" }) });
  return { kernel, said: () => textOf(element, "[aria-live=polite]") };
}

test("a change of state is announced, the state found at the start is not", () => {
  const { said, kernel } = openAnnounced();
  assert.equal(said(), "");
  lab.model.set({ status: statusOf("streaming") });
  lab.page.frame();
  assert.equal(said(), "gpt-4.1 is answering.");
  lab.model.set({ document: kernel.document, status: statusOf("failed", { message: "Refused." }) });
  lab.page.frame();
  assert.equal(said(), "Refused.");
});

test("only finished sentences are announced, the last one, once a second", () => {
  const { kernel, said } = openAnnounced();
  lab.model.set({ patch: kernel.append("One. Two is longer. Thr") });
  lab.page.advance(900);
  assert.equal(said(), "");
  lab.page.advance(100);
  assert.equal(said(), "Two is longer.");
  lab.model.set({ patch: kernel.append("ee! ") });
  lab.page.advance(500);
  assert.equal(said(), "Two is longer.");
  lab.page.advance(500);
  assert.equal(said(), "Three!");
});

test("the end of the run has the last word", () => {
  const { kernel, said } = openAnnounced();
  lab.model.set({ patch: kernel.append("One. ") });
  lab.model.set({ document: kernel.document, status: statusOf("complete") });
  lab.page.advance(5_000);
  assert.equal(said(), "The answer is complete.");
});
