import { mock } from "node:test";
import { Window as HappyWindow } from "happy-dom";
import type { Command, Traits } from "../src/protocol";
import createWidget, { type Model } from "../src/widget";

/** A page whose frames and clock move only when a test says so. */
export class FakePage {
  readonly window: Window;
  readonly document: Document;
  #frames: (() => void)[] = [];

  constructor() {
    mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: 1_000_000 });
    const window = new HappyWindow() as unknown as Window & Record<string, unknown>;
    window.setTimeout = ((task: () => void, delay_ms: number) => setTimeout(task, delay_ms)) as never;
    window.clearTimeout = ((timer: never) => clearTimeout(timer)) as never;
    window.setInterval = ((task: () => void, delay_ms: number) => setInterval(task, delay_ms)) as never;
    window.clearInterval = ((timer: never) => clearInterval(timer)) as never;
    window.requestAnimationFrame = ((task: () => void) => this.#frames.push(task)) as never;
    window.cancelAnimationFrame = () => {};
    this.window = window;
    this.document = window.document;
    Object.assign(globalThis, { document: this.document, Node: window.Node });
  }

  get waitingFrames(): number {
    return this.#frames.length;
  }

  frame(): void {
    const frames = this.#frames;
    this.#frames = [];
    for (const task of frames) task();
  }

  advance(delay_ms: number): void {
    mock.timers.tick(delay_ms);
    this.frame();
  }

  close(): void {
    mock.timers.reset();
  }
}

/** A widget model as ipywidgets has it: `set` is what arrives from the kernel. */
export class FakeModel {
  readonly sent: Command[] = [];
  readonly #traits: Partial<Traits>;
  readonly #listeners = new Map<string, (() => void)[]>();

  constructor(traits: Partial<Traits> = {}) {
    this.#traits = { document: { seq: 0, parts: [] }, patch: { seq: 0, ops: [] }, ...traits };
  }

  /** A fresh object at each call, as anywidget does it. */
  proxy(): Model {
    return {
      get: (name) => this.#traits[name],
      on: (event, callback) => {
        this.#listeners.set(event, [...(this.#listeners.get(event) ?? []), callback]);
      },
      send: (command) => {
        this.sent.push(command);
      },
    };
  }

  set(traits: Partial<Traits>): void {
    Object.assign(this.#traits, traits);
    for (const name of Object.keys(traits)) {
      for (const callback of this.#listeners.get(`change:${name}`) ?? []) callback();
    }
  }

  commands(command: Command["command"]): Command[] {
    return this.sent.filter((each) => each.command === command);
  }
}

/** One model in one page, initialised; `render` opens a view of it. */
export class FakeLab {
  readonly page = new FakePage();
  readonly model: FakeModel;
  readonly #widget = createWidget();

  constructor(traits: Partial<Traits> = {}) {
    this.model = new FakeModel(traits);
    this.#widget.initialize({ model: this.model.proxy() });
  }

  render(): { element: HTMLElement; close: () => void } {
    const element = this.page.document.createElement("div");
    this.page.document.body.append(element);
    return { element, close: this.#widget.render({ model: this.model.proxy(), el: element }) };
  }
}

export function textOf(element: Element, selector: string): string {
  const texts = [...element.querySelectorAll(selector)].map((each) => each.textContent ?? "");
  return texts.join(" ").replace(/\s+/g, " ").trim();
}

export function isShown(element: Element, selector: string): boolean {
  return !element.querySelector<HTMLElement>(selector)!.hidden;
}
