import { type CreateWidget, find, waitFor } from "./registry";

interface Model {
  on(event: "msg:custom", callback: (message: { front_end?: string }) => void): void;
  off(event: "msg:custom", callback: (message: { front_end?: string }) => void): void;
  send(content: { command: "load" }): void;
}

const PATIENCE_MS = 300;
const ANSWER_TIMEOUT_MS = 600_000;

/** The code, from the kernel itself: for pages the shared widget does not reach, such as Colab's output frames. */
async function load(model: Model): Promise<CreateWidget> {
  const evaluate = async (message: { front_end?: string }) => {
    if (!message.front_end) return;
    const url = URL.createObjectURL(new Blob([message.front_end], { type: "text/javascript" }));
    await import(url);
    URL.revokeObjectURL(url);
  };
  model.on("msg:custom", evaluate);
  model.send({ command: "load" });
  const found = await waitFor(ANSWER_TIMEOUT_MS);
  model.off("msg:custom", evaluate);
  if (!found) throw new Error("The kernel did not send the front end of holysheep_nb.");
  return found;
}

export default function createLoader() {
  let widget: ReturnType<CreateWidget> | undefined;
  return {
    initialize(context: { model: Model }) {
      const create = find();
      if (create) {
        widget = create();
        return widget.initialize(context);
      }
      return waitFor(PATIENCE_MS).then(async (found) => {
        widget = (found ?? (await load(context.model)))();
        return widget.initialize(context);
      });
    },
    render(context: { model: Model }) {
      if (!widget) throw new Error("The front end of holysheep_nb was not initialised.");
      return widget.render(context);
    },
  };
}
