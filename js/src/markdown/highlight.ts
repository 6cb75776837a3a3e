import { Lazy } from "./lazy";

/** Longer code stays plain, so that no task of the page takes long. */
const MAX_LENGTH = 20_000;
const MAX_TASK_MS = 8;

interface TokenNode {
  scope?: string;
  children: (TokenNode | string)[];
}

/** A stretch of code in one colour; `classes` are those of highlight.js, outermost first. */
export interface Stretch {
  text: string;
  classes: string[];
}

const highlighter = new Lazy(async () => (await import("./languages")).highlighter);
const jobs: (() => void)[] = [];
let isScheduled = false;

/** Calls back with the colours of the code, soon; never for a language that is not known. */
export function highlight(code: string, language: string, show: (stretches: Stretch[]) => void): void {
  if (!language || code.length > MAX_LENGTH) return;
  highlighter.use((module) => {
    if (!module.getLanguage(language)) return;
    jobs.push(() => {
      const result = module.highlight(code, { language, ignoreIllegals: true });
      show(flatten((result._emitter as unknown as { rootNode: TokenNode }).rootNode));
    });
    schedule();
  });
}

function schedule(): void {
  if (isScheduled || jobs.length === 0) return;
  isScheduled = true;
  setTimeout(() => {
    isScheduled = false;
    const start = performance.now();
    while (jobs.length > 0 && performance.now() - start < MAX_TASK_MS) jobs.shift()!();
    schedule();
  });
}

function flatten(root: TokenNode): Stretch[] {
  const stretches: Stretch[] = [];
  const visit = (node: TokenNode | string, classes: string[]) => {
    if (typeof node === "string") {
      stretches.push({ text: node, classes });
      return;
    }
    const inner = node.scope ? [...classes, classOf(node.scope)] : classes;
    for (const child of node.children) visit(child, inner);
  };
  visit(root, []);
  return stretches;
}

/** The class names highlight.js itself gives: `title.function` is `hljs-title function_`. */
function classOf(scope: string): string {
  if (!/^[a-z][a-z._-]*$/.test(scope)) return "";
  const [first, ...others] = scope.split(".");
  return [`hljs-${first}`, ...others.map((part, index) => part + "_".repeat(index + 1))].join(" ");
}
