const FRAME_MS = 16;
const HIDDEN_TAB_MS = 100;

/**
 * Runs a task at most once per animation frame, however often it is asked for.
 *
 * The first request after a quiet frame is answered at once, in a microtask: waiting for the next frame would
 * only add to the delay. Hidden tabs have no frames, only a timer.
 */
export class Frames {
  readonly #window: Window;
  readonly #task: () => void;
  #frame = 0;
  #timer = 0;
  #isPending = false;
  #ranAt_ms = Date.now();

  constructor(window: Window, task: () => void) {
    this.#window = window;
    this.#task = task;
  }

  request(): void {
    if (this.#isPending) return;
    this.#isPending = true;
    if (Date.now() - this.#ranAt_ms >= FRAME_MS) {
      queueMicrotask(this.#run);
      return;
    }
    this.#frame = this.#window.requestAnimationFrame(this.#run);
    this.#timer = this.#window.setTimeout(this.#run, HIDDEN_TAB_MS);
  }

  cancel(): void {
    this.#isPending = false;
    this.#window.cancelAnimationFrame(this.#frame);
    this.#window.clearTimeout(this.#timer);
  }

  readonly #run = (): void => {
    if (!this.#isPending) return;
    this.cancel();
    this.#ranAt_ms = Date.now();
    this.#task();
  };
}
