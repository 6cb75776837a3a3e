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

/** Called by anywidget once per model, so what is closed over here is that model's own. */
export default function createWidget() {
  let session: Session | undefined;
  return {
    initialize({ model }: { model: Model }) {
      session = openSession(model);
      return () => session?.close();
    },

    render({ model, el }: { model: Model; el: HTMLElement }) {
      session ??= openSession(model);
      const id = Math.random().toString(36).slice(2);
      const view = new View(el, session, findHost(model, el));
      model.send({ command: "hello", view: id });
      return () => {
        view.close();
        model.send({ command: "bye", view: id });
      };
    },
  };
}

register(createWidget as CreateWidget);
