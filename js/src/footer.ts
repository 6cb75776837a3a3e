import { appendElement, keepKeys, setText } from "./element";
import { describeFirst, describeRate, formatCount, formatSeconds, joinFigures } from "./figures";
import type { State, Stats, Status } from "./protocol";
import type { Session } from "./session";

const NOTICES: { [Name in State]?: string } = {
  truncated: "The answer was cut off. The text so far is kept.",
  failed: "The request failed.",
  budget: "The budget of this run is used up. The text so far is kept.",
};

/** What stands below a finished answer: a notice when it did not end well, and one quiet line of figures. */
export class Footer {
  readonly #notice: HTMLElement;
  readonly #sentence: HTMLElement;
  readonly #resume: HTMLButtonElement;
  readonly #line: HTMLElement;
  readonly #session: Session;

  constructor(notice: HTMLElement, line: HTMLElement, session: Session) {
    this.#notice = notice;
    this.#sentence = appendElement(notice, "span");
    this.#resume = notice.ownerDocument.createElement("button");
    this.#resume.className = "holysheep-resume";
    this.#resume.textContent = "Resume";
    this.#resume.type = "button";
    keepKeys(this.#resume);
    this.#resume.addEventListener("click", () => session.resume());
    this.#line = line;
    this.#session = session;
    this.update();
  }

  update(): void {
    const { status, isRunning } = this.#session;
    const isOver = status !== null && !isRunning;
    const notice = isOver ? noticeText(status) : "";
    const line = isOver ? describeEnd(this.#session) : "";
    setText(this.#sentence, notice);
    if (!status?.can_resume) this.#resume.remove();
    else if (!this.#resume.isConnected) this.#notice.append(this.#resume);
    this.#resume.disabled = this.#session.isResumeRequested;
    setText(this.#line, line);
    this.#notice.hidden = notice === "";
    this.#line.hidden = line === "";
    if (isOver) this.#notice.dataset.state = status.state;
  }
}

export function noticeText(status: Status): string {
  const fallback = NOTICES[status.state];
  return fallback === undefined ? "" : status.message || fallback;
}

export function describeEnd({ status, stats, keepHint, isColumn }: Session): string {
  if (status === null) return "";
  const usage = stats?.usage;
  const hasNotice = noticeText(status) !== "";
  return joinFigures([
    isColumn ? null : status.model,
    status.state === "stopped" ? "stopped" : null,
    hasNotice ? null : status.message,
    usage ? describeUsage(usage) : null,
    stats?.cost,
    isColumn ? describeFirst(stats) : null,
    isColumn ? describeRate(stats) : null,
    stats ? describeTiming(stats.seconds, isColumn ? null : stats.first_delta_s) : null,
    status.context,
    keepHint,
  ]);
}

function describeUsage({ input_tokens, output_tokens, is_estimate }: NonNullable<Stats["usage"]>): string {
  return `${is_estimate ? "≈ " : ""}${formatCount(input_tokens)} + ${formatCount(output_tokens)} tokens`;
}

function describeTiming(seconds: number, first_delta_s: number | null): string {
  const total = formatSeconds(seconds);
  return first_delta_s === null ? total : `${total}, first after ${formatSeconds(first_delta_s, 2)}`;
}
