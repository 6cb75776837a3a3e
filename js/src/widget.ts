import { Columns, type ComparisonModel } from "./columns";
import { findHost } from "./host";
import type { Command, Traits } from "./protocol";
import { type CreateWidget, register } from "./registry";
import { Session } from "./session";
import { View } from "./view";

/** What anywidget hands out: a fresh proxy for each call, so it cannot serve as the key of a model's state. */
export interface Model {
  get<Name extends keyof Traits>(name: Name): Traits[Name] | undefined;
  on(event: string, callback: () => void): void;
  send(content: Command): void;
}

/** `document` comes before `patch`: a patch already in it must not be taken for a gap. */
const TRAITS = [
  "answer_format",
  "document",
  "patch",
  "prompt",
  "shows_prompt",
  "frozen",
  "keep_hint",
  "is_column",
  "status",
  "stats",
] as const;

function openSession(model: Model): Session {
  const session = new Session({
    send: (command) => model.send(command),
    now_ms: () => Date.now(),
    schedule: (callback, delay_ms) => {
      const timer = setTimeout(callback, delay_ms);
      return () => clearTimeout(timer);
    },
  });
  for (const name of TRAITS) {
    session.receive(name, model.get(name));
    model.on(`change:${name}`, () => session.receive(name, model.get(name)));
  }
  return session;
}

/** Answers and comparisons of them share the code; a comparison has columns, and no text of its own. */
function isComparison(model: object): model is ComparisonModel {
  return (model as ComparisonModel).get("columns") !== undefined;
}

/** Called by anywidget once per model, so what is closed over here is that model's own. */
export default function createWidget() {
  let session: Session | undefined;
  const open = (model: Model, el: HTMLElement) => {
    if (isComparison(model)) return new Columns(el, model, findHost(model, el));
    session ??= openSession(model);
    return new View(el, session, findHost(model, el));
  };
  return {
    initialize({ model }: { model: Model }) {
      if (isComparison(model)) return undefined;
      session = openSession(model);
      return () => session?.close();
    },

    render({ model, el }: { model: Model; el: HTMLElement }) {
      const id = Math.random().toString(36).slice(2);
      const view = open(model, el);
      model.send({ command: "hello", view: id });
      return () => {
        view.close();
        model.send({ command: "bye", view: id });
      };
    },
  };
}

register(createWidget as CreateWidget);
