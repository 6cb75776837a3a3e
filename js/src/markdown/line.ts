const TAB_STOP = 4;

/** A reading position in one line that counts columns, as tabs may be consumed in part. */
export class Line {
  offset = 0;
  column = 0;
  next = 0;
  indent = 0;
  isBlank = false;
  /** True once a block has taken the whole line and nothing is left to add. */
  isUsedUp = false;
  private nextColumn = 0;
  private isInsideTab = false;

  constructor(readonly text: string) {
    this.findNext();
  }

  get isIndented(): boolean {
    return this.indent >= TAB_STOP;
  }

  get first(): string {
    return this.text[this.next] ?? "";
  }

  /** The line from its first character that is not a space. */
  get trimmed(): string {
    return this.text.slice(this.next);
  }

  /** The line from the reading position; a tab consumed in part leaves its other columns as spaces. */
  get rest(): string {
    if (!this.isInsideTab) return this.text.slice(this.offset);
    return " ".repeat(TAB_STOP - (this.column % TAB_STOP)) + this.text.slice(this.offset + 1);
  }

  get isAtSpace(): boolean {
    const char = this.text[this.offset];
    return char === " " || char === "\t";
  }

  get isAtEnd(): boolean {
    return this.offset >= this.text.length;
  }

  skipSpaces(): void {
    this.offset = this.next;
    this.column = this.nextColumn;
    this.isInsideTab = false;
    this.findNext();
  }

  skipCharacters(count: number): void {
    for (let left = count; left > 0 && this.offset < this.text.length; left--) {
      this.column += this.text[this.offset] === "\t" ? TAB_STOP - (this.column % TAB_STOP) : 1;
      this.offset++;
    }
    this.isInsideTab = false;
    this.findNext();
  }

  skipColumns(count: number): void {
    let left = count;
    while (left > 0 && this.offset < this.text.length) {
      const width = this.text[this.offset] === "\t" ? TAB_STOP - (this.column % TAB_STOP) : 1;
      this.isInsideTab = width > left;
      this.column += Math.min(left, width);
      if (!this.isInsideTab) this.offset++;
      left -= width;
    }
    this.findNext();
  }

  useUp(): void {
    this.isUsedUp = true;
  }

  rewind(offset: number, column: number): void {
    this.offset = offset;
    this.column = column;
    this.isInsideTab = false;
    this.findNext();
  }

  private findNext(): void {
    let at = this.offset;
    let column = this.column;
    for (; ; at++) {
      const char = this.text[at];
      if (char === " ") column++;
      else if (char === "\t") column += TAB_STOP - (column % TAB_STOP);
      else break;
    }
    this.next = at;
    this.nextColumn = column;
    this.indent = column - this.column;
    this.isBlank = at >= this.text.length;
  }
}
