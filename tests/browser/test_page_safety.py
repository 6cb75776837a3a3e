"""The built front end in Chromium, over a corpus of hostile answers: nothing runs, nothing is loaded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Route

from holysheep_nb.view.front_end import FRONT_END

pytestmark = pytest.mark.browser

JS = Path(__file__).parents[2] / "js"
CORPUS: dict[str, list[str]] = json.loads((JS / "test/markdown/hostile.json").read_text("utf-8"))
ORIGIN = "http://page.test"
FILES = {
    "/": ("text/html", b"<!doctype html><meta charset=utf-8><title>page</title><body>"),
    "/widget.js": ("text/javascript", FRONT_END.read_bytes()),
    "/purify.js": ("text/javascript", (JS / "node_modules/dompurify/dist/purify.es.mjs").read_bytes()),
}

NOTE_EXECUTION = """
window.executed = [];
for (const name of ["alert", "confirm", "prompt", "print", "msgbox"]) {
  window[name] = () => { try { top.executed.push(name); } catch { window.executed.push(name); } };
}
"""

# Streams each answer into a widget of its own, all of them a piece a frame.
SHOW = """async ({sources, size}) => {
  const {default: createWidget} = await import("/widget.js");
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  const status = (state) => ({state, message: "", model: "raw", context: "", seconds_since_start: 0});
  const runs = sources.map((source) => {
    const traits = {document: {seq: 0, parts: []}, status: status("streaming")};
    const listeners = {};
    const model = {
      get: (name) => traits[name],
      on: (event, callback) => { (listeners[event] ??= []).push(callback); },
      send: () => {},
    };
    const set = (name, value) => {
      traits[name] = value;
      for (const callback of listeners[`change:${name}`] ?? []) callback();
    };
    const element = document.body.appendChild(document.createElement("div"));
    element.className = "answer";
    const widget = createWidget();
    widget.initialize({model});
    widget.render({model, el: element});
    set("patch", {seq: 1, ops: [["part", 0, {type: "text", text: ""}]]});
    return {source, set, seq: 1, at: 0};
  });
  for (let open = runs; open.length > 0; open = open.filter((run) => run.at < run.source.length)) {
    for (const run of open) {
      const text = run.source.slice(run.at, run.at + size);
      run.at += size;
      run.seq += 1;
      run.set("patch", {seq: run.seq, ops: [["append", 0, text]]});
    }
    await frame();
  }
  for (const {set, seq, source} of runs) {
    set("document", {seq, parts: [{type: "text", text: source}]});
    set("status", status("complete"));
  }
  await frame();
  // Formulas and colours come later.
  await new Promise((resolve) => setTimeout(resolve, 300));
  await frame();
}"""

# What a reader may do without meaning to; buttons load images, and links lead away, when they are clicked.
TOUCH = """(selector) => {
  const events = "mouseover mouseenter focus focusin toggle animationstart load error begin".split(" ");
  for (const element of document.querySelectorAll(`${selector}, ${selector} *`)) {
    for (const name of events) element.dispatchEvent(new Event(name, {bubbles: true}));
    if (!element.closest("a, button")) element.dispatchEvent(new MouseEvent("click", {bubbles: true}));
  }
}"""

FIND_UNSAFE = """(selector) => {
  const addresses = /^(?:(?:xlink:)?href|src|srcset|data|action|formaction|poster|background|ping|cite|manifest)$/;
  const loading = "script, iframe, frame, object, embed, img, image, video, audio, source, track, link, style, base,"
    + " meta, form, portal, template, use, feImage";
  // A form's own field may be called "attributes".
  const {get} = Object.getOwnPropertyDescriptor(Element.prototype, "attributes");
  const attributesOf = (element) => get.call(element);
  const found = [];
  for (const answer of document.querySelectorAll(selector)) {
    const text = answer.textContent.slice(0, 80);
    for (const element of answer.querySelectorAll("*")) {
      const note = (what) => found.push(`${what} in ${element.outerHTML.slice(0, 200)} of ${text}`);
      if (element.matches(loading)) note("element");
      for (const {name, value} of attributesOf(element)) {
        if (/^on/i.test(name)) note(name);
        if (addresses.test(name) && !/^(?:https?:\\/\\/|mailto:|#)/i.test(value)) note(name);
        if (name === "style" && /url|\\\\|@|expression|image/i.test(value)) note(name);
      }
      const isLink = element instanceof HTMLAnchorElement;
      if (isLink && !["http:", "https:", "mailto:"].includes(element.protocol)) note("link");
    }
  }
  return found;
}"""

# What DOMPurify would take out of what we made. Ours on purpose: `target`, with rel="noopener", and of MathML,
# which it does not know whole, `semantics` and `form` (prefix, infix or postfix).
ASK_DOMPURIFY = """async () => {
  const {default: DOMPurify} = await import("/purify.js");
  const found = [];
  for (const answer of document.querySelectorAll(".answer")) {
    const html = answer.innerHTML;
    DOMPurify.sanitize(html, {ADD_ATTR: ["target", "form"], ADD_TAGS: ["semantics"]});
    for (const {element, attribute, from} of DOMPurify.removed) {
      const what = element ? element.outerHTML ?? element.textContent : `${attribute?.name} of ${from.outerHTML}`;
      found.push(`${what.slice(0, 200)} of ${answer.textContent.slice(0, 80)}`);
    }
  }
  return found;
}"""


@dataclass
class HostilePage:
    page: Page
    requests: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    def show(self, sources: list[str], size: int) -> None:
        self.page.evaluate(SHOW, {"sources": sources, "size": size})
        shown = self.page.locator(".answer .holysheep-text").count()
        assert shown == len(sources)

    @property
    def executed(self) -> list[Any]:
        return [*self.page.evaluate("() => window.executed"), *self.dialogs]


@pytest.fixture
def hostile(context: BrowserContext) -> Iterator[HostilePage]:
    """An empty page that has the front end; every request it makes is counted, and only the page's own are answered."""
    page = context.new_page()
    hostile = HostilePage(page)

    def answer(route: Route) -> None:
        url = route.request.url
        path = url.removeprefix(ORIGIN)
        if path not in FILES:
            hostile.requests.append(url)
            route.abort()
            return
        content_type, body = FILES[path]
        route.fulfill(content_type=content_type, body=body)

    page.route("**/*", answer)
    page.on("dialog", lambda dialog: (hostile.dialogs.append(dialog.message), dialog.dismiss())[1])
    page.add_init_script(NOTE_EXECUTION)
    page.goto(f"{ORIGIN}/")
    yield hostile
    page.close()


def wrap(sources: list[str]) -> list[str]:
    """Each answer as it is, and inside other blocks."""
    inside = ["> 1. " + source for source in sources]
    return [*sources, *inside, *[f"| a |\n|---|\n| {source} |" for source in sources if "\n" not in source]]


@pytest.mark.parametrize("size", [3, 10_000], ids=["streamed", "whole"])
@pytest.mark.parametrize(("kind", "least"), [("scripts", 60), ("loads", 20)])
def test_a_hostile_answer_runs_nothing_and_loads_nothing(
    hostile: HostilePage, kind: str, least: int, size: int
) -> None:
    assert len(CORPUS[kind]) >= least
    hostile.show(wrap(CORPUS[kind]), size)
    assert hostile.page.evaluate(FIND_UNSAFE, ".answer") == []
    assert hostile.page.evaluate(ASK_DOMPURIFY) == []
    hostile.page.evaluate(TOUCH, ".answer")
    hostile.page.wait_for_timeout(100)
    assert hostile.executed == []
    assert hostile.requests == []
    assert hostile.page.url == f"{ORIGIN}/"


def test_an_image_is_loaded_once_its_host_was_clicked(hostile: HostilePage) -> None:
    hostile.show(["![a plot](https://evil.example/plot.png)"], 10_000)
    assert hostile.requests == []
    hostile.page.get_by_role("button", name="Load image from evil.example").click()
    hostile.page.wait_for_function("() => document.querySelector('.answer img')")
    hostile.page.wait_for_timeout(100)
    assert hostile.requests == ["https://evil.example/plot.png"]


def test_the_corpus_is_hostile_and_the_page_notices(hostile: HostilePage) -> None:
    """What this file looks for is there when a page shows the same answers as HTML."""
    hostile.page.evaluate(
        """(sources) => {
          for (const source of sources) {
            const answer = document.body.appendChild(document.createElement("div"));
            answer.className = "answer";
            answer.innerHTML = source;
          }
        }""",
        [source for source in CORPUS["scripts"] + CORPUS["loads"] if "<meta" not in source and "<base" not in source],
    )
    hostile.page.wait_for_timeout(200)
    hostile.page.evaluate(TOUCH, ".answer")
    hostile.page.wait_for_timeout(200)
    assert len(hostile.executed) >= 10
    assert len({url for url in hostile.requests if "evil.example" in url}) >= 6
    assert len(hostile.page.evaluate(FIND_UNSAFE, ".answer")) >= 40
    assert len(hostile.page.evaluate(ASK_DOMPURIFY)) >= 40
