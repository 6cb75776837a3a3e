import { setText } from "./element";
import { formatCount, formatSeconds, joinFigures } from "./figures";
import type { State, Status } from "./protocol";
import type { Session } from "./session";

const NOTICES: { [Name in State]?: string } = {
  truncated: "The answer was cut off. The text so far is kept.",
  failed: "The request failed.",
  budget: "The budget of this run is used up. The text so far is kept.",
};

/** What stands below a finished answer: a notice when it did not end well, and one quiet line of figures. */
export class Footer {
  readonly #notice: HTMLElement;
  readonly #line: HTMLElement;
  readonly #session: Session;

  constructor(notice: HTMLElement, line: HTMLElement, session: Session) {
    this.#notice = notice;
    this.#line = line;
    this.#session = session;
    this.update();
  }

  update(): void {
    const { status, isRunning } = this.#session;
    const isOver = status !== null && !isRunning;
    const notice = isOver ? noticeText(status) : "";
    const line = isOver ? describeEnd(this.#session) : "";
    setText(this.#notice, notice);
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

export function describeEnd({ status, stats, keepHint }: Session): string {
  if (status === null) return "";
  const usage = stats?.usage;
  const hasNotice = noticeText(status) !== "";
  return joinFigures([
    status.model,
    status.state === "stopped" ? "stopped" : null,
    hasNotice ? null : status.message,
    usage ? `${formatCount(usage.input_tokens)} + ${formatCount(usage.output_tokens)} tokens` : null,
    stats ? describeTiming(stats.seconds, stats.first_delta_s) : null,
    status.context,
    keepHint,
  ]);
}

function describeTiming(seconds: number, first_delta_s: number | null): string {
  const total = formatSeconds(seconds);
  return first_delta_s === null ? total : `${total}, first after ${formatSeconds(first_delta_s, 2)}`;
}
