import { noticeText } from "./footer";
import { isRunning, type Part, type Status } from "./protocol";

const PAUSE_MS = 1_000;
const MAX_UNFINISHED = 2_000;
const NAME_CHARACTERS = 80;
const SENTENCE_END = /[.!?…。！？]["'”’)\]*_]*(?=\s)|\n\s*\n/g;

/** Tells a screen reader what happens: each new state, and at most once a second the sentence last finished. */
export class Announcer {
  readonly #region: HTMLElement;
  readonly #window: Window;
  #status: Status | null;
  /** What the calls that wait were last said to ask, by their place in the turn. */
  #questions: Map<number, string>;
  #unsaid = "";
  #timer: number | undefined;

  constructor(region: HTMLElement, status: Status | null, parts: readonly Part[], window: Window) {
    this.#region = region;
    this.#status = status;
    this.#questions = questionsIn(parts);
    this.#window = window;
    region.setAttribute("aria-live", "polite");
  }

  hear(text: string): void {
    if (!isRunning(this.#status)) return;
    this.#unsaid += text;
    this.#timer ??= this.#window.setTimeout(() => this.#saySentence(), PAUSE_MS);
  }

  update(status: Status | null, parts: readonly Part[]): void {
    this.#updateState(status, parts);
    const questions = questionsIn(parts);
    const fresh = [...questions].filter(([index, question]) => this.#questions.get(index) !== question);
    this.#questions = questions;
    if (fresh.length > 0) this.#region.textContent = fresh.map(([, question]) => question).join(" ");
  }

  close(): void {
    this.#window.clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#unsaid = "";
  }

  #updateState(status: Status | null, parts: readonly Part[]): void {
    if (status === null || status.state === this.#status?.state) return;
    this.#status = status;
    const saysMore = status.state === "waiting" && questionsIn(parts).size > 0;
    if (!saysMore) this.#region.textContent = describeState(status);
    if (!isRunning(status)) this.close();
  }

  #saySentence(): void {
    this.#timer = undefined;
    const ends = [...this.#unsaid.matchAll(SENTENCE_END)].map((match) => match.index + match[0].length);
    const end = ends.at(-1);
    if (end !== undefined) {
      this.#region.textContent = this.#unsaid.slice(ends.at(-2) ?? 0, end).trim();
    }
    this.#unsaid = this.#unsaid.slice(end ?? 0).slice(-MAX_UNFINISHED);
  }
}

function questionsIn(parts: readonly Part[]): Map<number, string> {
  const questions = new Map<number, string>();
  parts.forEach((part, index) => {
    if (part.type !== "tool_call" || part.state !== "waiting") return;
    const name = part.name.slice(0, NAME_CHARACTERS);
    const problem = part.question?.problem;
    questions.set(index, problem ? `${name}: ${problem}` : `${name} waits for your approval.`);
  });
  return questions;
}

function describeState(status: Status): string {
  switch (status.state) {
    case "connecting":
      return `Asking ${status.model}.`;
    case "streaming":
      return `${status.model} is answering.`;
    case "waiting":
      return `${status.model} is waiting for you. ${status.message}`.trim();
    case "retrying":
      return status.message || "Trying again.";
    case "complete":
      return "The answer is complete.";
    case "stopped":
      return "Stopped.";
    default:
      return noticeText(status);
  }
}
