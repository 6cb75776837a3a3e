import assert from "node:assert/strict";
import { test } from "node:test";
import type { Part } from "../src/protocol";
import { type Change, Replica } from "../src/replica";
import { callOf, FakeKernel } from "./fake_kernel";

const TEXT: Part = { type: "text", text: "" };

function replicaWith(...parts: Part[]): { replica: Replica; changes: Change[] } {
  const changes: Change[] = [];
  const replica = new Replica((change) => changes.push(change));
  replica.takeDocument({ seq: 1, parts });
  changes.length = 0;
  return { replica, changes };
}

test("a patch in order is applied and announced", () => {
  const { replica, changes } = replicaWith({ type: "text", text: "a" });
  replica.takePatch({ seq: 2, ops: [["append", 0, "b"]] });
  assert.deepEqual(replica.parts, [{ type: "text", text: "ab" }]);
  assert.deepEqual(changes, [{ kind: "appended", index: 0, text: "b" }]);
});

test("a patch that came before is ignored", () => {
  const { replica, changes } = replicaWith({ type: "text", text: "a" });
  replica.takePatch({ seq: 1, ops: [["append", 0, "b"]] });
  assert.deepEqual(changes, []);
});

test("a patch beyond a gap is kept out until the missing patch arrives", () => {
  const { replica } = replicaWith({ type: "text", text: "a" });
  replica.takePatch({ seq: 3, ops: [["append", 0, "c"]] });
  assert.equal(replica.hasGap, true);
  assert.deepEqual(replica.parts, [{ type: "text", text: "a" }]);
  replica.takePatch({ seq: 2, ops: [["append", 0, "b"]] });
  assert.equal(replica.hasGap, false);
  assert.deepEqual(replica.parts, [{ type: "text", text: "abc" }]);
});

test("a document closes the gap and the patches held beyond it follow", () => {
  const { replica } = replicaWith({ type: "text", text: "a" });
  replica.takePatch({ seq: 3, ops: [["append", 0, "c"]] });
  replica.takePatch({ seq: 4, ops: [["append", 0, "d"]] });
  replica.takeDocument({ seq: 3, parts: [{ type: "text", text: "abc" }] });
  assert.deepEqual(replica.parts, [{ type: "text", text: "abcd" }]);
  assert.equal(replica.seq, 4);
  assert.equal(replica.hasGap, false);
});

test("a document older than what is known is ignored", () => {
  const { replica, changes } = replicaWith({ type: "text", text: "new" });
  replica.takeDocument({ seq: 0, parts: [] });
  assert.deepEqual(changes, []);
});

test("a document of the same seq with other content is taken", () => {
  const { replica, changes } = replicaWith({ type: "text", text: "old" });
  replica.takeDocument({ seq: 1, parts: [{ type: "text", text: "new" }] });
  assert.deepEqual(replica.parts, [{ type: "text", text: "new" }]);
  assert.deepEqual(changes, [
    { kind: "cut", length: 0 },
    { kind: "opened", index: 0 },
    { kind: "appended", index: 0, text: "new" },
  ]);
});

test("a document that extends what is known appends only the difference", () => {
  const { replica, changes } = replicaWith({ type: "text", text: "one" });
  replica.takeDocument({
    seq: 9,
    parts: [
      { type: "text", text: "one two" },
      { type: "text", text: "three" },
    ],
  });
  assert.deepEqual(changes, [
    { kind: "appended", index: 0, text: " two" },
    { kind: "opened", index: 1 },
    { kind: "appended", index: 1, text: "three" },
  ]);
});

test("a document that differs in its second part leaves the first alone", () => {
  const { replica, changes } = replicaWith({ type: "text", text: "one" }, { type: "text", text: "two" });
  replica.takeDocument({
    seq: 2,
    parts: [
      { type: "text", text: "one" },
      { type: "text", text: "TWO" },
    ],
  });
  assert.deepEqual(changes[0], { kind: "cut", length: 1 });
});

test("a document with fewer parts cuts the rest off", () => {
  const { replica, changes } = replicaWith({ type: "text", text: "one" }, { type: "text", text: "two" });
  replica.takeDocument({ seq: 2, parts: [{ type: "text", text: "one" }] });
  assert.deepEqual(changes, [{ kind: "cut", length: 1 }]);
});

test("metadata is merged into an open part without touching its text", () => {
  const { replica, changes } = replicaWith({ type: "reasoning", text: "hm", seconds: null });
  replica.takePatch({ seq: 2, ops: [["part", 0, { seconds: 4.1, is_open: false } as Partial<Part>]] });
  assert.deepEqual(replica.parts, [{ type: "reasoning", text: "hm", seconds: 4.1, is_open: false }]);
  assert.deepEqual(changes, [{ kind: "changed", index: 0 }]);
});

test("the arguments of a tool call grow by append", () => {
  const { replica } = replicaWith(callOf({ arguments: '{"a"' }));
  replica.takePatch({ seq: 2, ops: [["append", 0, ":1}"]] });
  assert.deepEqual(replica.parts, [callOf({ arguments: '{"a":1}' })]);
});

test("a patch about a part that was never opened is a gap, and nothing of it is applied", () => {
  const { replica } = replicaWith(TEXT);
  replica.takePatch({
    seq: 2,
    ops: [
      ["append", 0, "a"],
      ["append", 3, "b"],
    ],
  });
  assert.equal(replica.hasGap, true);
  assert.deepEqual(replica.parts, [TEXT]);
});

test("what the kernel sent is never changed in place", () => {
  const document = Object.freeze({ seq: 1, parts: [Object.freeze({ ...TEXT })] });
  const replica = new Replica(() => {});
  replica.takeDocument(document);
  replica.takePatch({ seq: 2, ops: [["append", 0, "a"]] });
  assert.deepEqual(document.parts, [TEXT]);
});

test("a copy is confirmed by a document and unconfirmed by the next patch", () => {
  const { replica } = replicaWith(TEXT);
  assert.equal(replica.isConfirmed, true);
  replica.takePatch({ seq: 2, ops: [["append", 0, "a"]] });
  assert.equal(replica.isConfirmed, false);
});

test("replaying a document's changes gives the document", () => {
  const kernel = new FakeKernel();
  const shown: string[] = [];
  const replica = new Replica((change) => {
    if (change.kind === "cut") shown.length = change.length;
    else if (change.kind === "opened") shown.push("");
    else if (change.kind === "appended") shown[change.index] += change.text;
  });
  replica.takePatch(kernel.open({ type: "text", text: "begun " }));
  replica.takePatch(kernel.append("here"));
  kernel.append(", lost");
  kernel.open({ type: "text", text: "next" });
  replica.takeDocument(kernel.document);
  assert.deepEqual(shown, ["begun here, lost", "next"]);
});
