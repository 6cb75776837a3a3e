import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { MATH_ATTRIBUTES, MATH_TAGS } from "../../src/markdown/safety";
import hostile from "./hostile.json";
import { cut, render, settle } from "./page";

/** Shared with the browser tests. */
const { scripts, loads } = hostile;

const TAGS = new Set(
  (
    "div section p h1 h2 h3 h4 h5 h6 ul ol li blockquote pre code hr br table thead tbody tr th td details summary " +
    "span a button input sup sub b i em strong u s del ins kbd mark small"
  ).split(" "),
);
const ATTRIBUTES = new Set("class title start align scope tabindex type disabled aria-label".split(" "));
const LINK_ATTRIBUTES = new Set("href title rel target data-host".split(" "));

function checkElement(element: Element, source: string): void {
  const tag = element.tagName.toLowerCase();
  const isMath = MATH_TAGS.has(tag);
  assert.ok(isMath || TAGS.has(tag), `<${tag}> from ${source}`);
  for (const { name, value } of Array.from(element.attributes)) {
    if (tag === "a") {
      assert.ok(LINK_ATTRIBUTES.has(name), `a ${name} from ${source}`);
      if (name === "href") assert.match(value, /^(?:https?:|mailto:)/i, source);
    } else if (isMath) {
      assert.ok(
        MATH_ATTRIBUTES.has(name) || name === "class" || name === "style",
        `${tag} ${name} from ${source}`,
      );
      assert.doesNotMatch(value, /url|script|\(|:\/\//i, source);
    } else {
      assert.ok(ATTRIBUTES.has(name), `${tag} ${name} from ${source}`);
    }
  }
}

async function checkPayloads(payloads: string[]): Promise<void> {
  const pages = payloads.flatMap((source) =>
    [render([source]), render(cut(source, 3)), render([`> 1. ${source}`])].map((root) => ({ source, root })),
  );
  await settle();
  for (const { source, root } of pages) {
    for (const element of root.querySelectorAll("*")) checkElement(element, source);
  }
}

test(`${scripts.length} script payloads make no element, attribute or address outside the lists`, async () => {
  assert.ok(scripts.length >= 60);
  await checkPayloads(scripts);
});

test(`${loads.length} payloads that would load something make no element that loads`, async () => {
  assert.ok(loads.length >= 20);
  await checkPayloads(loads);
});

test("an image names its host and is loaded by a click, without a referrer", () => {
  const root = render(["![a plot](https://img.example/p.png)"]);
  const button = root.querySelector("button")!;
  assert.equal(button.textContent, "Load image from img.example");
  assert.equal(root.querySelector("img"), null);
  button.click();
  const image = root.querySelector("img")!;
  assert.equal(image.src, "https://img.example/p.png");
  assert.equal(image.referrerPolicy, "no-referrer");
});

test("a link opens elsewhere, tells nothing, and shows the host its text does not show", () => {
  const root = render([
    "[bank.example](https://user@evil.example/x) https://a.example/b [c](mailto:d@e.example)",
  ]);
  const [masked, plain, mail] = Array.from(root.querySelectorAll("a"));
  assert.equal(masked!.rel, "noopener noreferrer nofollow");
  assert.equal(masked!.target, "_blank");
  assert.equal(masked!.dataset.host, "evil.example");
  assert.equal(plain!.dataset.host, undefined);
  assert.equal(mail!.getAttribute("href"), "mailto:d@e.example");
});

test("no file of the front end makes markup out of strings", async () => {
  const forbidden =
    /innerHTML|outerHTML|insertAdjacentHTML|DOMParser|createContextualFragment|document\.write|setHTML|srcdoc|\beval\(|new Function/;
  const folder = join(process.cwd(), "src");
  const files = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith(".ts"));
  assert.ok(files.length > 20);
  for (const name of files) assert.doesNotMatch(await readFile(join(folder, name), "utf8"), forbidden, name);
});
