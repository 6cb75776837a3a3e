import assert from "node:assert/strict";
import { test } from "node:test";
import { type Command, growingText } from "../src/protocol";
import { Session } from "../src/session";
import { FakeKernel, seededRandom, statusOf } from "./fake_kernel";

class FakeHost {
  now = 0;
  readonly sent: Command[] = [];
  #tasks: { due: number; callback: () => void }[] = [];

  send(command: Command): void {
    this.sent.push(command);
  }

  now_ms(): number {
    return this.now;
  }

  schedule(callback: () => void, delay_ms: number): () => void {
    const task = { due: this.now + delay_ms, callback };
    this.#tasks.push(task);
    return () => {
      this.#tasks = this.#tasks.filter((each) => each !== task);
    };
  }

  advance(delay_ms: number): void {
    const end = this.now + delay_ms;
    for (;;) {
      const next = this.#tasks.filter((task) => task.due <= end).sort((a, b) => a.due - b.due)[0];
      if (next === undefined) break;
      this.now = next.due;
      this.#tasks = this.#tasks.filter((task) => task !== next);
      next.callback();
    }
    this.now = end;
  }
}

function openSession(): { host: FakeHost; session: Session; kernel: FakeKernel } {
  const host = new FakeHost();
  const session = new Session(host);
  const kernel = new FakeKernel();
  session.receive("document", kernel.document);
  session.receive("status", statusOf("streaming"));
  session.receive("patch", kernel.open({ type: "text", text: "" }));
  return { host, session, kernel };
}

test("a gap sends one resync with the last seq applied, however many patches follow", () => {
  const { host, session, kernel } = openSession();
  kernel.append("lost");
  for (let i = 0; i < 20; i += 1) session.receive("patch", kernel.append("x"));
  assert.deepEqual(host.sent, [{ command: "resync", seq: 1 }]);
});

test("a resync that gets no document is repeated after a second, then ever more slowly", () => {
  const { host, session, kernel } = openSession();
  kernel.append("lost");
  session.receive("patch", kernel.append("x"));
  host.advance(999);
  assert.equal(host.sent.length, 1);
  host.advance(1);
  assert.equal(host.sent.length, 2);
  host.advance(59_000);
  assert.ok(host.sent.length < 8, `${host.sent.length} resyncs in a minute`);
});

test("a document ends the asking", () => {
  const { host, session, kernel } = openSession();
  kernel.append("lost");
  session.receive("patch", kernel.append("x"));
  session.receive("document", kernel.document);
  host.advance(60_000);
  assert.equal(host.sent.length, 1);
});

test("a second gap within a second of the last resync waits until the second is over", () => {
  const { host, session, kernel } = openSession();
  for (let i = 0; i < 2; i += 1) {
    kernel.append("lost");
    session.receive("patch", kernel.append("x"));
    if (i === 0) session.receive("document", kernel.document);
    host.advance(100);
  }
  assert.equal(host.sent.length, 1);
  host.advance(900);
  assert.deepEqual(host.sent.at(-1), { command: "resync", seq: 3 });
});

test("a run that ends without its document asks for it after a second", () => {
  const { host, session, kernel } = openSession();
  session.receive("patch", kernel.append("x"));
  kernel.append("lost");
  session.receive("status", statusOf("complete"));
  assert.equal(session.isSettled, false);
  assert.equal(host.sent.length, 0);
  host.advance(1_000);
  assert.deepEqual(host.sent, [{ command: "resync", seq: 2 }]);
  session.receive("document", kernel.document);
  assert.equal(session.isSettled, true);
  assert.equal(growingText(session.parts[0]!), "xlost");
});

for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
  test(`whatever is lost on the way, the text ends equal to the kernel's (seed ${seed})`, () => {
    const random = seededRandom(seed);
    const host = new FakeHost();
    const session = new Session(host);
    const kernel = new FakeKernel();
    const shown: string[] = [];
    session.subscribe({
      stateChanged: () => {},
      transcriptChanged: (change) => {
        if (change.kind === "cut") shown.length = change.length;
        else if (change.kind === "opened") shown.push("");
        else if (change.kind === "appended") shown[change.index] += change.text;
      },
    });
    session.receive("status", statusOf("streaming"));
    let answered = 0;
    const answerResyncs = (isReliable: boolean) => {
      for (; answered < host.sent.length; answered += 1) {
        if (isReliable || random() < 0.7) session.receive("document", kernel.document);
      }
    };
    for (let i = 0; i < 400; i += 1) {
      const isOpening = kernel.parts.length === 0 || random() < 0.05;
      const patch = isOpening
        ? kernel.open({ type: "text", text: random() < 0.5 ? "" : "§" })
        : kernel.append(`${i} `);
      if (random() > 0.2) session.receive("patch", patch);
      if (random() < 0.05) session.receive("patch", patch);
      host.advance(33);
      answerResyncs(false);
    }
    session.receive("status", statusOf("complete"));
    for (let i = 0; i < 60; i += 1) {
      host.advance(1_000);
      answerResyncs(true);
    }
    assert.equal(session.isSettled, true);
    assert.deepEqual(session.parts, kernel.parts);
    assert.deepEqual(shown, kernel.parts.map(growingText));
  });
}

test("stop is sent once", () => {
  const { host, session } = openSession();
  session.stop();
  session.stop();
  assert.deepEqual(host.sent, [{ command: "stop" }]);
});

test("a run that is over cannot be stopped", () => {
  const { host, session, kernel } = openSession();
  session.receive("document", kernel.document);
  session.receive("status", statusOf("complete"));
  session.stop();
  assert.deepEqual(host.sent, []);
});

test("a stop without an answer for a second is unanswered, until the status changes", () => {
  const { host, session } = openSession();
  session.stop();
  host.advance(999);
  assert.equal(session.isStopUnanswered, false);
  host.advance(1);
  assert.equal(session.isStopUnanswered, true);
  session.receive("status", statusOf("stopped"));
  assert.equal(session.isStopUnanswered, false);
});

test("a new run in the same widget can be stopped again", () => {
  const { host, session } = openSession();
  session.stop();
  session.receive("status", statusOf("stopped"));
  session.receive("status", statusOf("connecting"));
  session.stop();
  assert.equal(host.sent.filter(({ command }) => command === "stop").length, 2);
});

test("the age of the run goes on from the kernel's", () => {
  const { host, session } = openSession();
  session.receive("status", statusOf("streaming", { seconds_since_start: 5 }));
  host.advance(1_500);
  assert.equal(session.elapsed_s, 6.5);
});

test("a later report corrects an age that looked too young", () => {
  const { session } = openSession();
  session.receive("stats", { first_delta_s: 0.2, deltas_per_s: 80, seconds: 42, usage: null });
  assert.equal(session.elapsed_s, 42);
});

test("traits that were never set are no state", () => {
  const session = new Session(new FakeHost());
  session.receive("document", undefined);
  session.receive("status", {} as never);
  session.receive("stats", {} as never);
  assert.equal(session.status, null);
  assert.equal(session.stats, null);
  assert.equal(session.isSettled, false);
});

test("a status that knows of patches which never came asks for the document at once", () => {
  const { host, session, kernel } = openSession();
  kernel.append("lost");
  session.receive("status", statusOf("complete", { seq: kernel.seq }));
  assert.deepEqual(host.sent, [{ command: "resync", seq: 1 }]);
  session.receive("document", kernel.document);
  assert.equal(session.isSettled, true);
});
