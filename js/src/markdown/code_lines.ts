import type { Stretch } from "./highlight";

/** One text node for a long program makes layout quadratic; a block of lines each keeps it linear. */
const LINES_PER_BLOCK = 64;

/** Lines of code under `body` that grow at their end; only the last block of them is ever touched again. */
export class CodeLines {
  /** The lines that earlier, full blocks hold. */
  private settledLines = 0;
  private lastText: Text | null = null;

  constructor(private readonly body: HTMLElement) {}

  update(lines: string[]): void {
    while (lines.length - this.settledLines > LINES_PER_BLOCK) {
      const end = this.settledLines + LINES_PER_BLOCK;
      this.fill(lines.slice(this.settledLines, end));
      this.settledLines = end;
      this.lastText = null;
    }
    this.fill(lines.slice(this.settledLines));
  }

  /** Shows the same lines in colours, once they do not grow any more. */
  paint(stretches: Stretch[]): void {
    this.body.replaceChildren();
    let lineCount = 0;
    let block: HTMLElement | null = null;
    for (const { text, classes } of stretches) {
      for (const part of text.split(/(?<=\n)/)) {
        if (!part) continue;
        block ??= this.addBlock();
        block.append(paintText(part, classes));
        if (part.endsWith("\n") && ++lineCount % LINES_PER_BLOCK === 0) block = null;
      }
    }
  }

  private fill(lines: string[]): void {
    const text = lines.length > 0 ? `${lines.join("\n")}\n` : "";
    if (!this.lastText) {
      if (!text) return;
      this.lastText = document.createTextNode("");
      this.addBlock().append(this.lastText);
    }
    growText(this.lastText, text);
  }

  private addBlock(): HTMLElement {
    const block = document.createElement("span");
    block.className = "holysheep-code-lines";
    this.body.append(block);
    return block;
  }
}

/** A line that was being written ends in a line end that the next character overwrites. */
function growText(node: Text, text: string): void {
  const { data } = node;
  if (data === text) return;
  const kept = data.endsWith("\n") ? data.slice(0, -1) : data;
  if (text.startsWith(kept))
    node.replaceData(kept.length, data.length - kept.length, text.slice(kept.length));
  else node.data = text;
}

function paintText(text: string, classes: string[]): Node {
  let node: Node = document.createTextNode(text);
  for (const name of classes.toReversed()) {
    if (!name) continue;
    const span = document.createElement("span");
    span.className = name;
    span.append(node);
    node = span;
  }
  return node;
}
