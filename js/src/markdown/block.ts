import type { View } from "./view";

export type BlockType =
  | "document"
  | "block_quote"
  | "list"
  | "item"
  | "details"
  | "footnote"
  | "paragraph"
  | "heading"
  | "summary"
  | "code"
  | "math"
  | "html"
  | "table"
  | "thematic_break";

export interface ListMarker {
  isOrdered: boolean;
  delimiter: string;
  start: number;
  /** Columns from the container's edge to the item's content. */
  contentColumn: number;
}

export interface Fence {
  marker: string;
  indent: number;
  info: string;
}

export type Alignment = "left" | "center" | "right" | "";

const CONTAINERS = new Set<BlockType>(["document", "block_quote", "list", "item", "details", "footnote"]);

/** One node of the block tree: containers hold `children`, leaves hold `lines`. */
export class Block {
  /** The children not yet settled on screen, after at most one settled one. */
  children: Block[] = [];
  childCount = 0;
  lines: string[] = [];
  isOpen = true;
  isSettled = false;
  endsBlank = false;
  /** True once a blank line stands between two items or inside one; lists only. */
  isLoose = false;

  /** Its place among the children of its parent. */
  index = 0;
  level = 0;
  marker?: ListMarker;
  fence?: Fence;
  closer?: RegExp;
  alignments: Alignment[] = [];
  label = "";
  ordinal = 0;

  view?: View;

  constructor(
    readonly type: BlockType,
    readonly parent: Block | null,
  ) {}

  get isContainer(): boolean {
    return CONTAINERS.has(this.type);
  }

  get last(): Block | undefined {
    return this.children.at(-1);
  }

  get text(): string {
    return this.lines.join("\n");
  }

  canContain(type: BlockType): boolean {
    return this.type === "list" ? type === "item" : this.isContainer && type !== "item";
  }

  /** Freezes what a line can change and returns the way back. */
  checkpoint(): () => void {
    const { children, childCount, lines, isOpen, endsBlank, isLoose } = this;
    const kept = children.slice();
    const lineCount = lines.length;
    return () => {
      lines.length = lineCount;
      Object.assign(this, { children: kept, childCount, lines, isOpen, endsBlank, isLoose });
    };
  }
}

/** CommonMark: a list item ends with a blank line if its last descendant list or block does. */
export function endsWithBlankLine(block: Block): boolean {
  for (let at: Block | undefined = block; at; at = at.last) {
    if (at.endsBlank) return true;
    if (at.type !== "list" && at.type !== "item") return false;
  }
  return false;
}
