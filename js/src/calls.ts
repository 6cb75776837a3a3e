import type { Command, Part } from "./protocol";
import type { Change } from "./replica";
import type { Cancel, SessionHost } from "./session";

const ANSWER_MS = 1_000;

/** What was decided here about a call, and the kernel has not answered yet. */
export interface Decision {
  readonly verdict: "approve" | "deny";
  /** True when the kernel has had a second to answer. */
  readonly isUnanswered: boolean;
}

/** What the page knows about the tool calls besides their parts. */
export class Calls {
  readonly #host: SessionHost;
  readonly #tell: (call_id: string) => void;
  readonly #decisions = new Map<string, Decision>();
  readonly #hints = new Map<string, Cancel>();
  readonly #startedAt_ms = new Map<string, number>();

  constructor(host: SessionHost, tell: (call_id: string) => void) {
    this.#host = host;
    this.#tell = tell;
  }

  decision(call_id: string): Decision | undefined {
    return this.#decisions.get(call_id);
  }

  /** How long a call has been running; null if that is not known, as after a reload. */
  elapsed_s(call_id: string): number | null {
    const startedAt_ms = this.#startedAt_ms.get(call_id);
    return startedAt_ms === undefined ? null : (this.#host.now_ms() - startedAt_ms) / 1_000;
  }

  /** `edited` is JSON text, or null if the arguments stay as they are. */
  approve(call_id: string, edited: string | null, always: boolean): void {
    this.#decide(call_id, "approve", { command: "approve", call_id, arguments: edited, always });
  }

  deny(call_id: string, reason: string): void {
    this.#decide(call_id, "deny", { command: "deny", call_id, reason });
  }

  /** What happened to the parts: a change in a call answers what was decided about it. */
  observe(change: Change, parts: readonly Part[]): void {
    if (change.kind === "cut") {
      for (const call_id of [...this.#decisions.keys()]) this.#settle(call_id);
    }
    const part = change.kind === "changed" ? parts[change.index] : undefined;
    if (part?.type !== "tool_call") return;
    this.#settle(part.call_id);
    if (part.state !== "running") this.#startedAt_ms.delete(part.call_id);
    else if (!this.#startedAt_ms.has(part.call_id)) {
      this.#startedAt_ms.set(part.call_id, this.#host.now_ms());
    }
  }

  close(): void {
    for (const cancel of this.#hints.values()) cancel();
  }

  #decide(call_id: string, verdict: Decision["verdict"], command: Command): void {
    if (this.#decisions.has(call_id)) return;
    this.#decisions.set(call_id, { verdict, isUnanswered: false });
    this.#host.send(command);
    const cancel = this.#host.schedule(() => {
      this.#decisions.set(call_id, { verdict, isUnanswered: true });
      this.#tell(call_id);
    }, ANSWER_MS);
    this.#hints.set(call_id, cancel);
    this.#tell(call_id);
  }

  #settle(call_id: string): void {
    this.#decisions.delete(call_id);
    this.#hints.get(call_id)?.();
    this.#hints.delete(call_id);
  }
}
