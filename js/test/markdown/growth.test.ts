import assert from "node:assert/strict";
import { test } from "node:test";
import { Lexer } from "marked";
import { writeDocument } from "./documents";
import { cut, render } from "./page";

interface Work {
  /** Characters given to marked, nested readings included. */
  read: number;
  /** Nodes made. */
  made: number;
  final: number;
}

function countNodes(node: Node): number {
  let count = 1;
  for (const child of Array.from(node.childNodes)) count += countNodes(child);
  return count;
}

/** What it costs to stream the text, in operations instead of time. */
function measure(markdown: string, size = 32): Work {
  const work: Work = { read: 0, made: 0, final: 0 };
  const { inlineTokens } = Lexer.prototype;
  const { createElement, createTextNode } = document;
  Lexer.prototype.inlineTokens = function (src, tokens) {
    work.read += src.length;
    return inlineTokens.call(this, src, tokens);
  };
  document.createElement = ((tag: string) => {
    work.made++;
    return createElement.call(document, tag);
  }) as typeof createElement;
  document.createTextNode = (data) => {
    work.made++;
    return createTextNode.call(document, data);
  };
  try {
    work.final = countNodes(render(cut(markdown, size)));
  } finally {
    Lexer.prototype.inlineTokens = inlineTokens;
    Object.assign(document, { createElement, createTextNode });
  }
  return work;
}

const repeat = (line: (index: number) => string, length: number): string => {
  let text = "";
  for (let index = 0; text.length < length; index++) text += line(index);
  return text;
};

/** Every kind of block that grows long, and inputs that are slow for one parser or another. */
const GROWING: Record<string, (length: number) => string> = {
  "a fence": (n) => `\`\`\`\n${repeat((i) => `x${i} = compute(${i})  # note\n`, n)}`,
  "a fence in a list": (n) => `1. do\n\n   \`\`\`\n${repeat((i) => `   x${i} = compute(${i})\n`, n)}`,
  "a list": (n) => repeat((i) => `- item ${i} with **bold** and \`code\`\n`, n),
  "a loose list": (n) => repeat((i) => `- item ${i} with **bold**\n\n  and a second paragraph\n\n`, n),
  "a table": (n) => `| a | b |\n|---|---|\n${repeat((i) => `| row ${i} | **${i}** words |\n`, n)}`,
  "a quote": (n) => repeat((i) => `> line ${i} of a quote with **bold**\n${i % 4 ? "" : ">\n"}`, n),
  "a paragraph": (n) => repeat((i) => `Sentence ${i} has **bold words** in it. `, n),
  "a paragraph of lines": (n) => repeat((i) => `Line ${i} has **bold words** in it.\n`, n),
  "open emphasis": (n) => "**a* ".repeat(n / 5),
  brackets: (n) => "[".repeat(n),
  "a word": (n) => "a".repeat(n),
  "runs of backticks": (n) => repeat((i) => `${"`".repeat((i % 50) + 1)} `, n),
  "open links": (n) => "[a](b".repeat(n / 5),
  dollars: (n) => "$a ".repeat(n / 3),
  tags: (n) => "<b>".repeat(n / 3),
  "e-mail addresses that are none": (n) => "a@".repeat(n / 2),
  "quotes in quotes": (n) => `${"> ".repeat(n / 2)}x`,
  "labels defined late": (n) =>
    `${repeat((i) => `[label ${i}] `, n / 2)}\n\n${repeat((i) => `[label ${i}]: https://e.example\n`, n / 2)}`,
  definitions: (n) => repeat((i) => `[label ${i}]: https://e.example/${i}\n\n`, n),
};

for (const [name, write] of Object.entries(GROWING)) {
  test(`${name} of 20 KB costs about four times what 5 KB cost`, () => {
    const small = measure(write(5000));
    const large = measure(write(20_000));
    assert.ok(large.read <= 6 * small.read + 20_000, `read ${small.read} and ${large.read}`);
    assert.ok(large.made <= 6 * small.made + 100, `made ${small.made} and ${large.made}`);
  });
}

test("an answer is read a bounded number of times, and nodes are hardly ever replaced", () => {
  for (const length of [5_000, 50_000]) {
    const { read, made, final } = measure(writeDocument(length));
    assert.ok(read <= 12 * length, `read ${read / length} times`);
    assert.ok(made - final <= 0.5 * final, `replaced ${(made - final) / final} nodes per final node`);
  }
});
