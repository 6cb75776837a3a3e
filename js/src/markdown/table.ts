import type { Alignment, Block } from "./block";
import { splitCells } from "./cells";
import type { InlineReader } from "./inline";
import { InlineText } from "./inline_text";
import type { View } from "./view";

interface Row {
  element: HTMLTableRowElement;
  source: string;
  cells: InlineText[];
}

const ROWS_PER_GROUP = 64;
/** The page lays out a whole table when a row is added to it: what is longer goes on in another one below. */
const GROUPS_PER_TABLE = 2;

/** A table that grows by rows; only the last one is ever touched again. */
export class TableView implements View {
  readonly element = document.createElement("div");
  body = document.createElement("tbody");
  private readonly head = document.createElement("thead");
  private readonly first = document.createElement("table");
  private table = this.first;
  private settledRows = 0;
  private lastRow: Row | null = null;

  constructor(
    readonly kind: string,
    private readonly alignments: Alignment[],
    private readonly reader: InlineReader,
  ) {
    this.element.className = "holysheep-table";
    this.element.tabIndex = 0;
    this.table.append(this.head);
    this.element.append(this.table);
  }

  update(block: Block): void {
    const { lines } = block;
    for (let index = this.settledRows; index < lines.length; index++) {
      if (index > this.settledRows) this.settleRow();
      this.lastRow ??= this.addRow(index);
      this.fillRow(this.lastRow, lines[index]!);
    }
    if (lines.length <= this.settledRows) this.dropRow();
  }

  settle(): void {
    this.settleRow();
  }

  private settleRow(): void {
    if (!this.lastRow) return;
    for (const cell of this.lastRow.cells) cell.awaitLabels();
    this.lastRow = null;
    this.settledRows++;
  }

  private dropRow(): void {
    this.lastRow?.element.remove();
    this.lastRow = null;
    if (this.body.childElementCount > 0) return;
    this.body.remove();
    if (this.table === this.first || this.table.tBodies.length > 0) return;
    this.table.parentElement!.remove();
    this.table = (this.element.lastElementChild as HTMLElement).querySelector("table") ?? this.first;
  }

  private addGroup(): void {
    if (this.table.tBodies.length === GROUPS_PER_TABLE) this.addTable();
    this.body = document.createElement("tbody");
    this.table.append(this.body);
  }

  /** Another table with columns as wide as those of the first, whose rows do not change any more. */
  private addTable(): void {
    this.table = document.createElement("table");
    const widths = [...this.first.rows[0]!.cells].map((cell) => cell.getBoundingClientRect().width);
    const columns = document.createElement("colgroup");
    for (const width of widths) {
      const column = document.createElement("col");
      column.style.width = `${width}px`;
      columns.append(column);
    }
    const width = this.first.getBoundingClientRect().width;
    // Without a width nothing is laid out yet, and each table finds its own.
    if (width > 0) {
      this.table.style.width = `${width}px`;
      this.table.append(columns);
    }
    const part = document.createElement("div");
    part.className = "holysheep-table-part";
    part.append(this.table);
    this.element.append(part);
  }

  private addRow(index: number): Row {
    const element = document.createElement("tr");
    const tag = index === 0 ? "th" : "td";
    const cells = this.alignments.map((alignment) => {
      const cell = document.createElement(tag);
      if (alignment) cell.setAttribute("align", alignment);
      if (tag === "th") cell.scope = "col";
      element.append(cell);
      return new InlineText(cell, this.reader);
    });
    if (index > 0 && (index - 1) % ROWS_PER_GROUP === 0) this.addGroup();
    (index === 0 ? this.head : this.body).append(element);
    return { element, source: "", cells };
  }

  private fillRow(row: Row, source: string): void {
    if (row.source === source) return;
    row.source = source;
    const texts = splitCells(source);
    row.cells.forEach((cell, index) => {
      cell.update(texts[index] ?? "");
    });
  }
}
