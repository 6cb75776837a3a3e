import { appendElement, keepKeys, setText } from "./element";
import { describeFirst, describeRate, formatSeconds, joinFigures } from "./figures";
import type { Stats, Status } from "./protocol";
import type { Session } from "./session";

const TICK_MS = 100;
/** While text streams the clock stands still for so long: each new figure costs the page a layout. */
const STREAMING_TICK_S = 0.25;
/** From this age on a run without a delta is said to wait for one. */
const CONNECTING_S = 1;

/** The one quiet line below a running answer, where its footer will be: dot, figures. Stop is in the corner above. */
export class StatusLine {
  readonly #element: HTMLElement;
  readonly #session: Session;
  readonly #window: Window;
  readonly #text: HTMLElement;
  readonly #hint: HTMLElement;
  readonly #stop: HTMLButtonElement;
  readonly #key: HTMLElement;
  #ticker: number | undefined;
  #shownStatus: Status | null = null;
  #shownStats: Stats | null = null;
  #shownAt_s = 0;

  constructor(element: HTMLElement, session: Session, window: Window) {
    this.#element = element;
    this.#session = session;
    this.#window = window;
    appendElement(element, "i", "holysheep-dot").setAttribute("aria-hidden", "true");
    this.#text = appendElement(element, "span", "holysheep-status-text");
    this.#hint = appendElement(
      element,
      "span",
      "holysheep-stop-hint",
      "Use ■ (interrupt) to stop on this kernel.",
    );
    this.#stop = appendElement(element, "button", "holysheep-stop", "Stop");
    this.#stop.type = "button";
    keepKeys(this.#stop);
    this.#stop.addEventListener("click", () => session.stop());
    this.#key = appendElement(element, "kbd", "", "esc");
    this.update();
  }

  /** True when the keyboard focus would be lost by what `update` does next. */
  get isFocusEnding(): boolean {
    const isEnding = this.#session.isStopRequested || !this.#session.isRunning;
    return isEnding && !this.#stop.disabled && this.#stop.matches(":focus");
  }

  update(): void {
    const { isRunning, isStopRequested, isStopUnanswered } = this.#session;
    this.#element.hidden = !isRunning;
    this.#setTicking(isRunning);
    if (!isRunning) return;
    this.#element.dataset.state = this.#session.status!.state;
    this.#stop.disabled = isStopRequested;
    setText(this.#stop, isStopRequested ? "Stopping…" : "Stop");
    this.#key.hidden = isStopRequested;
    this.#hint.hidden = !isStopUnanswered;
    this.#tick();
  }

  close(): void {
    this.#setTicking(false);
  }

  #setTicking(isTicking: boolean): void {
    if (isTicking === (this.#ticker !== undefined)) return;
    if (!isTicking) this.#window.clearInterval(this.#ticker);
    this.#ticker = isTicking ? this.#window.setInterval(() => this.#tick(), TICK_MS) : undefined;
  }

  #tick(): void {
    const { status, stats, elapsed_s } = this.#session;
    const isNews = status !== this.#shownStatus || stats !== this.#shownStats;
    const isSoon = status?.state === "streaming" && elapsed_s - this.#shownAt_s < STREAMING_TICK_S;
    if (isSoon && !isNews) return;
    this.#shownStatus = status;
    this.#shownStats = stats;
    this.#shownAt_s = elapsed_s;
    setText(this.#text, describeRun(this.#session));
  }
}

export function describeRun({ status, stats, elapsed_s, isColumn }: Session): string {
  if (status === null) return "";
  const { message } = status;
  const model = isColumn ? null : status.model;
  const age = formatSeconds(elapsed_s);
  const rate = describeRate(stats);
  switch (status.state) {
    case "connecting":
      return joinFigures([
        model,
        message || (elapsed_s < CONNECTING_S ? "connecting" : "waiting for the first token"),
        age,
      ]);
    case "waiting":
      return joinFigures([model, "waiting for you", message]);
    case "retrying":
      return joinFigures([model, status.retry ? describeRetry(status.retry, elapsed_s) : message]);
    default:
      return joinFigures([model, "streaming", message, age, isColumn ? describeFirst(stats) : null, rate]);
  }
}

function describeRetry(retry: NonNullable<Status["retry"]>, elapsed_s: number): string {
  const left_s = Math.ceil(retry.at_s - elapsed_s);
  const when = left_s > 0 ? `again in ${left_s} s, ` : "";
  return `${retry.problem}: ${when}try ${retry.attempt} of ${retry.attempts}`;
}
