const HIDDEN_TAB_MS = 100;

/** Runs a task once per animation frame, however often it is asked for; hidden tabs have no frames, only a timer. */
export class Frames {
  readonly #window: Window;
  readonly #task: () => void;
  #frame = 0;
  #timer = 0;
  #isPending = false;

  constructor(window: Window, task: () => void) {
    this.#window = window;
    this.#task = task;
  }

  request(): void {
    if (this.#isPending) return;
    this.#isPending = true;
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
    this.#task();
  };
}
