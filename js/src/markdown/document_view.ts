import type { View } from "./view";

/** A change in one group does not make the page lay out and paint the others again. */
const BLOCKS_PER_GROUP = 32;

/** The blocks of an answer, in groups. */
export class DocumentView implements View {
  readonly kind = "document";
  readonly element = document.createElement("div");
  private readonly groups: HTMLElement[] = [];

  constructor() {
    this.addGroup();
  }

  get body(): HTMLElement {
    return this.groups.at(-1)!;
  }

  /** The group for this place; groups behind it held only what turned out to be something else. */
  bodyAt(index: number): HTMLElement {
    const group = Math.floor(index / BLOCKS_PER_GROUP);
    while (this.groups.length <= group) this.addGroup();
    while (this.groups.length > group + 1) this.groups.pop()!.remove();
    return this.groups[group]!;
  }

  update(): void {}

  private addGroup(): void {
    const group = document.createElement("div");
    group.className = "holysheep-blocks";
    this.groups.push(group);
    this.element.append(group);
  }
}
