import { Calls } from "./calls";
import {
  type AnswerFormat,
  type Command,
  type Frozen,
  isRunning,
  type Part,
  type Stats,
  type Status,
  type Traits,
} from "./protocol";
import { type Change, Replica } from "./replica";

const RESYNC_RETRY_MS = 1_000;
const RESYNC_RETRY_MAX_MS = 30_000;
const STOP_ANSWER_MS = 1_000;

export type Cancel = () => void;

/** The three things a session needs from outside; tests give it a clock of their own. */
export interface SessionHost {
  send(command: Command): void;
  now_ms(): number;
  schedule(callback: () => void, delay_ms: number): Cancel;
}

export interface SessionListener {
  transcriptChanged(change: Change): void;
  stateChanged(): void;
}

/** All that is known about one widget model, gathered whether or not a view is there to show it. */
export class Session {
  status: Status | null = null;
  stats: Stats | null = null;
  prompt = "";
  showsPrompt = false;
  keepHint = "";
  isColumn = false;
  frozen: Frozen | null = null;
  answerFormat: AnswerFormat = "markdown";
  /** True from the Stop click to the next run. */
  isStopRequested = false;
  /** True from the Resume click to what the kernel says next. */
  isResumeRequested = false;
  /** True when a Stop was sent and the kernel has shown no reaction to it. */
  isStopUnanswered = false;

  readonly calls: Calls;
  readonly #replica = new Replica((change) => {
    this.calls.observe(change, this.parts);
    this.#tell(change);
  });
  readonly #host: SessionHost;
  readonly #listeners = new Set<SessionListener>();
  #startedAt_ms = Number.POSITIVE_INFINITY;
  #resyncedAt_ms = Number.NEGATIVE_INFINITY;
  #resyncDelay_ms = RESYNC_RETRY_MS;
  #cancelResync: Cancel | undefined;
  #cancelStopHint: Cancel | undefined;

  constructor(host: SessionHost) {
    this.#host = host;
    this.calls = new Calls(host, (call_id) => {
      this.parts.forEach((part, index) => {
        if (part.type === "tool_call" && part.call_id === call_id) this.#tell({ kind: "changed", index });
      });
    });
  }

  get parts(): readonly Part[] {
    return this.#replica.parts;
  }

  get isRunning(): boolean {
    return isRunning(this.status);
  }

  /** True when the run is over and its whole document has arrived: nothing can be appended any more. */
  get isSettled(): boolean {
    return this.status !== null && !this.isRunning && this.#replica.isConfirmed;
  }

  /** The age of the run by the kernel's reckoning, going on by the browser's clock. */
  get elapsed_s(): number {
    return Math.max(0, (this.#host.now_ms() - this.#startedAt_ms) / 1_000);
  }

  subscribe(listener: SessionListener): Cancel {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  receive<Name extends keyof Traits>(name: Name, value: Traits[Name] | undefined): void {
    if (value === undefined || value === null) return;
    const take = this.#takers[name] as (value: Traits[Name]) => void;
    take(value);
    this.#watchForLoss();
    this.#notify();
  }

  stop(): void {
    if (this.isStopRequested || !this.isRunning) return;
    this.isStopRequested = true;
    this.#host.send({ command: "stop" });
    this.#cancelStopHint = this.#host.schedule(() => {
      this.isStopUnanswered = true;
      this.#notify();
    }, STOP_ANSWER_MS);
    this.#notify();
  }

  resume(): void {
    if (this.isResumeRequested || !this.status?.can_resume) return;
    this.isResumeRequested = true;
    this.#host.send({ command: "resume" });
    this.#notify();
  }

  close(): void {
    this.#cancelResync?.();
    this.#cancelStopHint?.();
    this.calls.close();
    this.#listeners.clear();
  }

  readonly #takers: { [Name in keyof Traits]: (value: Traits[Name]) => void } = {
    document: (document) => {
      if (typeof document.seq === "number") this.#replica.takeDocument(document);
    },
    patch: (patch) => {
      if (typeof patch.seq === "number") this.#replica.takePatch(patch);
    },
    status: (status) => {
      if (status.state) this.#takeStatus(status);
    },
    stats: (stats) => {
      if (typeof stats.seconds !== "number") return;
      this.stats = stats;
      if (this.isRunning) this.#observeAge(stats.seconds);
    },
    prompt: (prompt) => {
      this.prompt = prompt;
    },
    shows_prompt: (showsPrompt) => {
      this.showsPrompt = showsPrompt;
    },
    keep_hint: (keepHint) => {
      this.keepHint = keepHint;
    },
    is_column: (isColumn) => {
      this.isColumn = isColumn;
    },
    frozen: (frozen) => {
      if (frozen.model_id) this.frozen = frozen;
    },
    answer_format: (answerFormat) => {
      this.answerFormat = answerFormat;
    },
  };

  #takeStatus(status: Status): void {
    const isNewRun = !this.isRunning && isRunning(status);
    if (isNewRun) {
      this.#startedAt_ms = Number.POSITIVE_INFINITY;
      this.isStopRequested = false;
    }
    if (status.state !== this.status?.state) {
      this.isStopUnanswered = false;
      this.#cancelStopHint?.();
    }
    this.isResumeRequested = false;
    this.status = status;
    this.#observeAge(status.seconds_since_start);
  }

  /** Delays on the way only make the run look younger, so the oldest age reported is the truest. */
  #observeAge(seconds: number): void {
    this.#startedAt_ms = Math.min(this.#startedAt_ms, this.#host.now_ms() - seconds * 1_000);
  }

  /** Asks for the document at once when a patch is missing, and after a second when the last one stays away. */
  #watchForLoss(): void {
    const isBehind = this.#replica.hasGap || (this.status?.seq ?? 0) > this.#replica.seq;
    const isOverUnconfirmed = this.status !== null && !this.isRunning && !this.#replica.isConfirmed;
    if (!isBehind && !isOverUnconfirmed) {
      this.#cancelResync?.();
      this.#cancelResync = undefined;
      this.#resyncDelay_ms = RESYNC_RETRY_MS;
      return;
    }
    if (this.#cancelResync) return;
    const now = this.#host.now_ms();
    const dueAt = isBehind ? this.#resyncedAt_ms + RESYNC_RETRY_MS : now + RESYNC_RETRY_MS;
    if (dueAt <= now) this.#resync();
    else this.#cancelResync = this.#host.schedule(() => this.#resync(), dueAt - now);
  }

  #resync(): void {
    this.#resyncedAt_ms = this.#host.now_ms();
    this.#cancelResync = this.#host.schedule(() => this.#resync(), this.#resyncDelay_ms);
    this.#resyncDelay_ms = Math.min(2 * this.#resyncDelay_ms, RESYNC_RETRY_MAX_MS);
    this.#host.send({ command: "resync", seq: this.#replica.seq });
  }

  #tell(change: Change): void {
    for (const listener of this.#listeners) listener.transcriptChanged(change);
  }

  #notify(): void {
    for (const listener of this.#listeners) listener.stateChanged();
  }
}
