import type { Block } from "./block";
import { createView, kindOf, type View, type ViewContext } from "./view";

/** Keeps the page in step with the block tree; settled blocks are never visited again. */
export class TreeRenderer {
  private readonly views = new WeakMap<Node, View>();
  private readonly settled = new WeakMap<Block, ChildNode>();

  constructor(private readonly context: ViewContext) {}

  /** Shows what the tree is now, with the line that is being tried. */
  show(block: Block): void {
    const view = block.view!;
    let last = this.settled.get(block) ?? null;
    let { body } = view;
    for (const child of block.children) {
      if (child.isSettled) continue;
      if (child.type === "footnote") {
        this.placeFootnote(child);
      } else {
        body = view.bodyAt?.(child.index) ?? body;
        if (last?.parentNode !== body) last = null;
        this.place(child, body, last);
        last = child.view!.element;
      }
      child.view!.update(child);
      if (child.isContainer) this.show(child);
    }
    if (last?.parentNode !== body) last = null;
    for (let next = following(body, last); next; next = following(body, last)) next.remove();
  }

  /** Lets go of the blocks that are closed for good. */
  settle(block: Block): void {
    for (const child of block.children) {
      if (child.isSettled) continue;
      this.settle(child);
      if (child.isOpen) continue;
      child.isSettled = true;
      child.view!.settle?.(child);
      if (child.type !== "footnote") this.settled.set(block, child.view!.element);
    }
    if (block.children.length > 1) {
      const open = block.children.filter((child) => !child.isSettled);
      block.children = open.length > 0 ? open : block.children.slice(-1);
    }
  }

  private place(child: Block, body: HTMLElement, last: ChildNode | null): void {
    const next = following(body, last);
    const isPlaced = child.view && child.view.element.parentNode === body;
    if (isPlaced && child.view!.kind === kindOf(child)) {
      for (let other = next; other !== child.view!.element; other = following(body, last)) other!.remove();
      return;
    }
    child.view = this.adopt(child, next) ?? this.create(child);
    if (child.view.element !== next) body.insertBefore(child.view.element, next);
  }

  private placeFootnote(child: Block): void {
    const { footnotes } = this.context;
    child.view ??= this.adopt(child, footnotes.at(child.ordinal) ?? null) ?? this.create(child);
    footnotes.place(child.ordinal, child.view.element);
  }

  private adopt(child: Block, node: Node | null): View | null {
    const view = node && this.views.get(node);
    return view?.kind === kindOf(child) ? view : null;
  }

  private create(child: Block): View {
    const view = createView(child, this.context);
    this.views.set(view.element, view);
    return view;
  }
}

function following(body: HTMLElement, last: ChildNode | null): ChildNode | null {
  return last ? last.nextSibling : body.firstChild;
}
