import assert from "node:assert/strict";
import { test } from "node:test";
import { createMarkdownStream } from "../../src/markdown/index";
import { cut, render, settle } from "./page";

const FAMILY = "👩‍👩‍👧‍👦 and 🇪🇺, 👍🏽 **é̂** 漢字 \ud83d\ude00!";

test("characters cut anywhere come out whole", () => {
  const whole = render([FAMILY]);
  for (let at = 0; at <= FAMILY.length; at++) {
    assert.equal(render([FAMILY.slice(0, at), FAMILY.slice(at)]).innerHTML, whole.innerHTML);
  }
  assert.equal(render(cut(FAMILY, 1)).innerHTML, whole.innerHTML);
});

test("half a character is never shown while its other half is on the way", () => {
  const root = document.createElement("div");
  const stream = createMarkdownStream(root);
  stream.append("a \ud83d");
  assert.equal(root.textContent.trim(), "a");
  stream.append("\ude00");
  assert.equal(root.textContent, "a 😀");
});

test("what is written is shown before its line is complete", () => {
  const root = document.createElement("div");
  const stream = createMarkdownStream(root);
  stream.append("# Ti");
  assert.equal(root.querySelector("h1")?.textContent, "Ti");
  stream.append("tle\n\n```python\nprint(");
  assert.equal(root.querySelector("code")?.textContent, "print(\n");
});

test("blocks that are closed keep their nodes", () => {
  const root = document.createElement("div");
  const stream = createMarkdownStream(root);
  stream.append("one **two**\n\n- a\n- b\n");
  const kept = Array.from(root.querySelectorAll("p, strong, li:first-child"));
  stream.append("\n- c\n\n# end\n\nmore text");
  stream.finish();
  for (const element of kept) assert.ok(root.contains(element), element.outerHTML);
});

test("a line that may still become anything is not shown", () => {
  const root = document.createElement("div");
  const stream = createMarkdownStream(root);
  stream.append("text\n--");
  assert.equal(root.querySelector("h2"), null);
  stream.append("- no");
  assert.equal(root.textContent, "text\n--- no");
});

test("a definition that comes late repairs the links, cells and notes that waited for it", () => {
  const markdown = "see [here] and[^n]\n\n| [here] |\n|---|\n| [x][HERE] |\n\n> [here]\n\n";
  const definitions = '[here]: https://e.example/ "t"\n\n[^n]: a note\n';
  const root = render(cut(markdown + definitions, 5));
  assert.equal(root.querySelectorAll('a[href="https://e.example/"]').length, 4);
  assert.equal(root.querySelector(".holysheep-footnote-reference")?.textContent, "1");
  assert.equal(root.querySelector(".holysheep-footnotes li")?.textContent, "a note");
});

test("a definition in a line that is not complete defines nothing", () => {
  const root = document.createElement("div");
  const stream = createMarkdownStream(root);
  stream.append("[a]\n\n[a]: https://e.exam");
  assert.equal(root.querySelector("p")?.innerHTML, "[a]");
  stream.append("ple/b\n\n");
  assert.equal(root.querySelector("a")?.getAttribute("href"), "https://e.example/b");
});

test("Copy gives the source of the fence, Insert below its language as well", () => {
  const copied: string[] = [];
  const inserted: string[][] = [];
  const host = {
    copy: (text: string) => void copied.push(text),
    insertBelow: (code: string, language: string) => void inserted.push([code, language]),
  };
  const root = render(["- x\n\n  ~~~python {1}\n  a = 1\n\n  \tb\n  ~~~\n"], host);
  const [copy, insert] = Array.from(root.querySelectorAll("button"));
  copy!.click();
  insert!.click();
  assert.deepEqual(copied, ["a = 1\n\n\tb"]);
  assert.deepEqual(inserted, [["a = 1\n\n\tb", "python"]]);
  assert.equal(copy!.textContent, "Copied");
  assert.equal(render(["```\nx\n```"]).querySelectorAll("button").length, 1);
});

test("a closed fence is coloured, its text unchanged and in blocks of 64 lines", async () => {
  const code = Array.from(
    { length: 150 },
    (_, index) => `value_${index} = "text" if ${index} else None`,
  ).join("\n");
  const root = render(cut(`\`\`\`python\n${code}\n\`\`\`\n`, 32));
  await settle();
  assert.equal(root.querySelector("code")!.textContent, `${code}\n`);
  assert.equal(root.querySelectorAll(".holysheep-code-lines").length, 3);
  assert.equal(root.querySelectorAll(".hljs-string").length, 150);
});

test("a long comment is shown as it is, and its first lines are never touched again", () => {
  const line = (index: number) => `line ${index} <b onclick="x()">\n`;
  const lines = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, index) => line(from + index));
  const root = document.createElement("div");
  const stream = createMarkdownStream(root);
  stream.append(`<!--\n${lines(0, 100).join("")}`);
  const first = root.querySelector("pre")!.firstChild!.firstChild!;
  const last = root.querySelector("pre")!.lastChild!.firstChild!;
  for (const text of lines(100, 200)) stream.append(text);
  stream.append("-->\n");
  stream.finish();
  assert.equal(root.querySelector("pre")!.textContent, `<!--\n${lines(0, 200).join("")}-->\n`);
  assert.ok(root.contains(first) && root.contains(last));
  assert.equal(first.textContent!.split("\n").length, 65);
});

test("formulas become MathML, amounts of money and broken TeX stay text", async () => {
  const root = render([
    "$x_1^2$ \\(y\\) $$z$$ and $5 and $6, $10 million or 20$\n\n$$\na\n=\nb\n$$\n\n\\[ c \\]\n\n$\\broken{$\n",
  ]);
  await settle();
  assert.equal(root.querySelectorAll("math").length, 5);
  assert.equal(root.querySelectorAll(".holysheep-formula math").length, 2);
  assert.match(root.textContent, /and \$5 and \$6, \$10 million or 20\$/);
  assert.equal(root.querySelector(".holysheep-math-source")?.textContent, "$\\broken{$");
});

test("a formula that is never closed is text", () => {
  assert.equal(render(["$$\na\n\nb"]).textContent, "$$\nab");
});

test("details hold blocks, short tags without attributes are elements, everything else is text", () => {
  const root = render([
    "<details><summary>More *here*</summary>\n\n- a\n\n</details>\n\nH<sub>2</sub>O <i>open <u x>u</u>",
  ]);
  assert.equal(root.querySelector("details > summary > em")?.textContent, "here");
  assert.equal(root.querySelector("details > ul > li")?.textContent, "a");
  assert.equal(root.querySelector("p sub")?.textContent, "2");
  assert.equal(root.querySelector("div > p:last-child")?.textContent, "H2O <i>open <u x>u</u>");
});

test("a long table goes on in tables of their own, with every row once", () => {
  const rows = Array.from({ length: 300 }, (_, index) => `| ${index} | x |`);
  const source = ["| n | what |", "|--:|---|", ...rows, ""].join("\n");
  for (const size of [7, source.length]) {
    const element = render(cut(source, size));
    const tables = [...element.querySelectorAll("table")];
    assert.equal(tables.length, 3);
    assert.equal(element.querySelectorAll("thead tr").length, 1);
    const firsts = [...element.querySelectorAll("tbody tr")].map(
      (row) => row.querySelector("td")!.textContent,
    );
    assert.deepEqual(
      firsts,
      rows.map((_, index) => String(index)),
    );
  }
});
