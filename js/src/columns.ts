import { Contrast } from "./contrast";
import { appendElement, keepKeys, setText } from "./element";
import type { Host } from "./host";
import type { Column, Command, ComparisonTraits } from "./protocol";
import { adoptStyle } from "./style";

/** What Jupyter's widget manager does for the answers, whose widgets are models of their own. */
interface Manager {
  get_model(model_id: string): Promise<unknown>;
  create_view(model: unknown): Promise<AnswerView>;
}

interface AnswerView {
  el: HTMLElement;
  remove(): void;
}

export interface ComparisonModel {
  widget_manager?: unknown;
  get<Name extends keyof ComparisonTraits>(name: Name): ComparisonTraits[Name] | undefined;
  on(event: string, callback: () => void): void;
  off?(event: string, callback: () => void): void;
  send(content: Command): void;
}

interface Shown {
  head: HTMLElement;
  keep: HTMLButtonElement;
}

/** One showing of a comparison under `parent`: each column holds a view of an answer, which is none of its business. */
export class Columns {
  readonly root: HTMLElement;
  readonly #model: ComparisonModel;
  readonly #host: Host;
  readonly #shown: Shown[] = [];
  readonly #note: HTMLElement;
  readonly #contrast: Contrast;
  readonly #views: AnswerView[] = [];
  #isClosed = false;

  constructor(parent: Element, model: ComparisonModel, host: Host = {}) {
    this.#model = model;
    this.#host = host;
    this.root = appendElement(parent, "div", "holysheep holysheep-comparison");
    this.root.tabIndex = -1;
    adoptStyle(this.root);
    const row = appendElement(this.root, "div", "holysheep-columns");
    const columns = model.get("columns") ?? [];
    columns.forEach((column, index) => {
      this.#addColumn(row, column, index);
    });
    this.#note = appendElement(this.root, "div", "holysheep-footer");
    const names = columns.map((column) => column.name);
    this.#contrast = new Contrast(this.root, names, (left, right) => {
      model.send({ command: "compare", columns: [left, right] });
    });
    model.on("change:columns", this.#update);
    model.on("change:note", this.#update);
    model.on("change:frozen", this.#update);
    model.on("change:keep_hint", this.#update);
    model.on("change:difference", this.#showDifference);
    this.#update();
  }

  close(): void {
    this.#isClosed = true;
    for (const name of ["columns", "note", "frozen", "keep_hint"]) {
      this.#model.off?.(`change:${name}`, this.#update);
    }
    this.#model.off?.("change:difference", this.#showDifference);
    for (const view of this.#views) view.remove();
    this.root.remove();
  }

  #addColumn(row: Element, column: Column, index: number): void {
    const element = appendElement(row, "div", "holysheep-column");
    element.setAttribute("role", "group");
    element.setAttribute("aria-label", column.name);
    const head = appendElement(element, "div", "holysheep-column-head");
    appendElement(head, "i", "holysheep-dot").setAttribute("aria-hidden", "true");
    appendElement(head, "span", "holysheep-column-name", column.name);
    const keep = appendElement(head, "button", "holysheep-keep");
    keep.type = "button";
    keepKeys(keep);
    keep.addEventListener("click", () => this.#model.send({ command: "keep", column: index }));
    this.#shown.push({ head, keep });
    void this.#addAnswer(element, column.model_id);
  }

  async #addAnswer(element: Element, model_id: string): Promise<void> {
    const manager = this.#model.widget_manager as Manager;
    const view = await manager.create_view(await manager.get_model(model_id));
    if (this.#isClosed) {
      view.remove();
      return;
    }
    this.#views.push(view);
    view.el.classList.add("holysheep-column-answer");
    element.append(view.el);
  }

  readonly #update = (): void => {
    const frozen = this.#model.get("frozen");
    if (frozen?.model_id && this.#host.freeze?.(frozen)) return;
    const columns = this.#model.get("columns") ?? [];
    this.#shown.forEach(({ head, keep }, index) => {
      const column = columns[index];
      if (column === undefined) return;
      head.dataset.state = column.state;
      keep.hidden = !column.can_keep;
      setText(keep, column.is_kept ? "Kept" : "Keep");
      keep.setAttribute("aria-pressed", String(column.is_kept));
      keep.setAttribute("aria-label", `Keep ${column.name}`);
    });
    setText(this.#note, [this.#model.get("note"), this.#model.get("keep_hint")].filter(Boolean).join(" "));
    this.#contrast.update(columns.filter((column) => column.can_keep).length > 1);
  };

  readonly #showDifference = (): void => {
    const difference = this.#model.get("difference");
    if (difference?.columns) this.#contrast.show(difference);
  };
}
