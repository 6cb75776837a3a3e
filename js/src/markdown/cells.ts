/** The cells of a table row; a pipe after an odd number of backslashes does not end one. */
export function splitCells(row: string): string[] {
  const text = row.trim();
  const cells: string[] = [];
  let start = text.startsWith("|") ? 1 : 0;
  let slashes = 0;
  for (let at = start; at < text.length; at++) {
    if (text[at] === "|" && slashes % 2 === 0) {
      cells.push(text.slice(start, at));
      start = at + 1;
    }
    slashes = text[at] === "\\" ? slashes + 1 : 0;
  }
  if (start < text.length) cells.push(text.slice(start));
  return cells.map((cell) => cell.trim().replace(/\\\|/g, "|"));
}
