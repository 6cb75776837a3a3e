import { setTimeout as sleep } from "node:timers/promises";
import { Window } from "happy-dom";
import { createMarkdownStream, type MarkdownHost } from "../../src/markdown/index";

const window = new Window({ url: "http://127.0.0.1/", settings: { disableJavaScriptEvaluation: true } });
// temml refuses to be at ease in quirks mode, and happy-dom has no other.
Object.defineProperty(window.document, "compatMode", { value: "CSS1Compat" });
Object.assign(globalThis, {
  window,
  document: window.document,
  Node: window.Node,
  HTMLElement: window.HTMLElement,
});

/** Renders the fragments one after the other and returns the element they were rendered under. */
export function render(fragments: Iterable<string>, host?: MarkdownHost): HTMLElement {
  const root = document.createElement("div");
  const stream = createMarkdownStream(root, host);
  for (const fragment of fragments) stream.append(fragment);
  stream.finish();
  return root;
}

/** The text in pieces of `size` UTF-16 units, which may cut a character. */
export function* cut(text: string, size: number): Generator<string> {
  for (let at = 0; at < text.length; at += size) yield text.slice(at, at + size);
}

/** Waits until formulas and colours are there. */
export async function settle(): Promise<void> {
  for (let round = 0; round < 20; round++) await sleep(5);
}
