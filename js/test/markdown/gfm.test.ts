import assert from "node:assert/strict";
import { test } from "node:test";
import { micromark } from "micromark";
import { gfm, gfmHtml } from "micromark-extension-gfm";
import { writeDocument } from "./documents";
import { cut, render } from "./page";
import { normalizeHtml, referenceForm } from "./reference";

/** The examples of the GFM specification (0.29) for what it adds, by their number there. */
const EXAMPLES: Record<string, string> = {
  "table 198": "| foo | bar |\n| --- | --- |\n| baz | bim |",
  "table 199": "| abc | defghi |\n:-: | -----------:\nbar | baz",
  "table 200": "| f\\|oo  |\n| ------ |\n| b `\\|` az |\n| b **\\|** im |",
  "table 201": "| abc | def |\n| --- | --- |\n| bar | baz |\n> bar",
  "table 202": "| abc | def |\n| --- | --- |\n| bar | baz |\nbar\n\nbar",
  "table 203": "| abc | def |\n| --- |\n| bar |",
  "table 204": "| abc | def |\n| --- | --- |\n| bar |\n| bar | baz | boo |",
  "table 205": "| abc | def |\n| --- | --- |",
  "task list 279": "- [ ] foo\n- [x] bar",
  "task list 280": "- [x] foo\n  - [ ] bar\n  - [x] baz\n- [ ] bim",
  "strikethrough 491": "~~Hi~~ Hello, ~there~ world!",
  "strikethrough 492": "This ~~has a\n\nnew paragraph~~.",
  "strikethrough 493": "This will ~~~not~~~ strike.",
  "autolink 621": "www.commonmark.org",
  "autolink 622": "Visit www.commonmark.org/help for more information.",
  "autolink 623": "Visit www.commonmark.org.\n\nVisit www.commonmark.org/a.b.",
  "autolink 624":
    "www.google.com/search?q=Markup+(business)\n\nwww.google.com/search?q=Markup+(business)))\n\n" +
    "(www.google.com/search?q=Markup+(business))\n\n(www.google.com/search?q=Markup+(business)",
  "autolink 625": "www.google.com/search?q=(business))+ok",
  "autolink 626": "www.google.com/search?q=commonmark&hl=en\n\nwww.google.com/search?q=commonmark&hl;",
  "autolink 627": "www.commonmark.org/he<lp",
  "autolink 628": "http://commonmark.org\n\n(Visit https://encrypted.google.com/search?q=Markup+(business))",
  "autolink 629": "foo@bar.baz",
  "autolink 630": "hello@mail+xyz.example isn't valid, but hello+xyz@mail.example is.",
  "autolink 631": "a.b-c_d@a.b\n\na.b-c_d@a.b.\n\na.b-c_d@a.b-\n\na.b-c_d@a.b_",
};

function toHtml(markdown: string): string {
  return micromark(markdown, { extensions: [gfm()], htmlExtensions: [gfmHtml()] });
}

for (const [name, markdown] of Object.entries(EXAMPLES)) {
  test(`GFM ${name} is what micromark makes of it, however it arrives`, () => {
    const root = render([markdown]);
    const form = Array.from(root.childNodes, referenceForm).join("");
    assert.equal(normalizeHtml(form), normalizeHtml(toHtml(markdown)));
    for (const size of [1, 3, 7]) assert.equal(render(cut(markdown, size)).innerHTML, root.innerHTML);
  });
}

/** Formulas are not part of micromark's GFM; their source stands for them on both sides. */
function textOf(markdown: string): { ours: string; theirs: string } {
  const root = render(cut(markdown, 32));
  for (const bar of root.querySelectorAll(".holysheep-code-bar")) bar.remove();
  const page = document.createElement("div");
  page.innerHTML = toHtml(markdown);
  const squeeze = (text: string) => text.replace(/\s+/g, "");
  return { ours: squeeze(root.textContent), theirs: squeeze(page.textContent) };
}

for (const length of [5_000, 50_000]) {
  test(`a streamed answer of ${length} characters has the text micromark finds in it`, () => {
    const markdown = writeDocument(length).replace(/\$\$[^$]+\$\$\n\n/g, "");
    const { ours, theirs } = textOf(markdown);
    assert.equal(ours, theirs);
  });

  test(`an answer of ${length} characters is the same at 1 and 32 characters and in one piece`, () => {
    const markdown = writeDocument(length, 2);
    const whole = render([markdown]).innerHTML;
    assert.equal(render(cut(markdown, 32)).innerHTML, whole);
    if (length < 10_000) assert.equal(render(cut(markdown, 1)).innerHTML, whole);
  });
}
