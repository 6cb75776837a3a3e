/**
 * The front end's code reaches a page once, with a widget nobody sees; the answers' own widgets bring only a
 * loader, which finds the code here. Several builds may live in one page, each under its own id.
 */

declare const BUILD_ID: string;

export type CreateWidget = () => {
  initialize(context: unknown): unknown;
  render(context: unknown): unknown;
};

interface Registry {
  builds: Map<string, CreateWidget>;
  waiting: Set<() => void>;
}

const KEY = Symbol.for("holysheep_nb");

function registry(): Registry {
  const page = globalThis as unknown as Record<symbol, Registry | undefined>;
  page[KEY] ??= { builds: new Map(), waiting: new Set() };
  return page[KEY];
}

export function register(create: CreateWidget): void {
  const { builds, waiting } = registry();
  builds.set(BUILD_ID, create);
  for (const wake of [...waiting]) wake();
}

export function find(): CreateWidget | undefined {
  return registry().builds.get(BUILD_ID);
}

/** Gives the code once it is there, or nothing after `timeout_ms`. */
export function waitFor(timeout_ms: number): Promise<CreateWidget | undefined> {
  const { waiting } = registry();
  return new Promise((resolve) => {
    const settle = () => {
      const found = find();
      if (!found && Date.now() < deadline) return;
      clearTimeout(timer);
      waiting.delete(settle);
      resolve(found);
    };
    const deadline = Date.now() + timeout_ms;
    const timer = setTimeout(settle, timeout_ms + 1);
    waiting.add(settle);
    settle();
  });
}
