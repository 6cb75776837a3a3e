"""The widget takes the host's colours, and a hostile answer gets nothing done."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from lab import Notebook
from raw_server import RawServer, answer

pytestmark = pytest.mark.browser

OpenNotebook = Callable[..., Notebook]

COLOURS = """(element) => {
  const probe = document.createElement("div");
  probe.style.color = "var(--jp-content-font-color1)";
  element.append(probe);
  const host = getComputedStyle(probe).color;
  probe.remove();
  return {host, text: getComputedStyle(element.querySelector(".holysheep-text")).color};
}"""


def set_theme(notebook: Notebook, theme: str) -> None:
    notebook.page.evaluate(
        "(theme) => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", f"JupyterLab {theme}"
    )
    is_light = "true" if theme == "Light" else "false"
    notebook.page.wait_for_selector(f"body[data-jp-theme-light={is_light}]", state="attached")


def test_the_widget_follows_the_theme(open_notebook: OpenNotebook, server: RawServer) -> None:
    server.play(answer("Some *text*"))
    notebook = open_notebook("%%holysheep --live\nHi")
    notebook.run(1)
    notebook.wait_text(1, "Some text")
    light = notebook.widget(1).evaluate(COLOURS)
    set_theme(notebook, "Dark")
    notebook.wait(lambda: notebook.widget(1).evaluate(COLOURS)["host"] != light["host"])
    dark = notebook.widget(1).evaluate(COLOURS)
    set_theme(notebook, "Light")
    assert light["text"] == light["host"]
    assert dark["text"] == dark["host"]


IMAGE = """<img src="http://evil.invalid/x.png" onerror="window.pwned = 'onerror'">"""
HOSTILE = {
    "tags": f"""<script>window.pwned = "script"</script>

{IMAGE}
<svg onload="window.pwned = 'svg'"><a href="javascript:window.pwned=1">svg link</a></svg>
<iframe src="http://evil.invalid/frame"></iframe> <iframe srcdoc="<script>parent.pwned = 1</script>"></iframe>
<style>@import "http://evil.invalid/style.css"; body {{ background: url(http://evil.invalid/background.png) }}</style>
<link rel="stylesheet" href="http://evil.invalid/link.css"><base href="http://evil.invalid/">
<details open ontoggle="window.pwned = 'ontoggle'"><summary>open</summary>inside</details>
<form action="http://evil.invalid/form"><input autofocus onfocus="window.pwned = 'focus'"></form>

| a |
|---|
| {IMAGE} |
""",
    "images": """![image](http://evil.invalid/image.png) ![other][ref] [![nested](//evil.invalid/nested.png)](http://evil.invalid/)
!\\[escaped](http://evil.invalid/1.png) &#33;[entity](http://evil.invalid/2.png) \\![escape](http://evil.invalid/3.png)

[ref]: http://evil.invalid/reference.png
""",
    "links": """[link](javascript:window.pwned='link') [data](data:text/html,<script>parent.pwned=1</script>)
[padded](  java\tscript:window.pwned=2) <javascript:window.pwned=3> [vb](vbscript:msgbox) [ref link][js]
[angle](<javascript:window.pwned=4>) [entity](java&#115;cript:window.pwned=5) [colon](javascript&colon;window.pwned=6)
[escape](javascript\\:window.pwned=7) [capitals](JavaScript:window.pwned=8) [line](
javascript:window.pwned=9) [titled](javascript:window.pwned=10 "title") [js] [js][]

> [quoted](
> javascript:window.pwned=11)

[span\\`](javascript:window.pwned=13)` [tag](java<b></b>script:window.pwned=14) [tab](<java	script:window.pwned=15>)
[new line](java&NewLine;script:window.pwned=16) [blank](&#1;javascript:window.pwned=17) [file](file:///etc/passwd)

[js]: javascript:window.pwned='reference'
[two lines]:
  javascript:window.pwned=12

[two lines]
""",
    "math": "$$\\href{javascript:window.pwned=1}{x} \\includegraphics{http://evil.invalid/math.png}$$\n\n"
    f"$\\class{{x}}{{{IMAGE}}}$ and $$\n{IMAGE}\n$$",
    "fence": f"```html\n{IMAGE}\n```\n\n~~~\n{IMAGE}\n~~~\n\n    {IMAGE}\n",
    "fence in a tag": f"<details>\n```\n{IMAGE}\n```\n</details>",
    "fence left by a list": f"- a\n  ```\n{IMAGE}\n  ```\n",
    "fence ended by a list": f"- a\n\n  ```\n  b\n- c\n\n  {IMAGE}\n",
    "fence in a quote": f"> ```\n{IMAGE}\n\n> ~~~\n> {IMAGE}\n",
    "code span": f"`{IMAGE}` ``{IMAGE}``",
    "code span over paragraphs": f"`a\n\n{IMAGE}\n\nb`",
    "code span that begins escaped": f"\\`{IMAGE}`",
    "code span in a tag": f"<details>`{IMAGE}`</details>\n\n<b>\n`{IMAGE}`",
    "code span over blocks": f"- `a\n- {IMAGE}\n- b`\n\n# `c\n{IMAGE}\n`",
    "code span in a link": f"[`](http://example.org/`{IMAGE})",
    "math over a fence": f"$$\n```\n$$\n{IMAGE}\n```\n",
    "code span with math": f"`$` {IMAGE} `$` $`$ {IMAGE} `",
}

# What a browser would load or run, were it in the page.
UNSAFE = """(element) => {
  const tags = "script, iframe, object, embed, form, input, link, base, meta, audio, video, style, img";
  const found = [...element.querySelectorAll(tags)];
  for (const one of element.querySelectorAll("*")) {
    for (const {name, value} of one.attributes) {
      const isAddress = /^(href|xlink:href|src|srcset|data|action|formaction|poster|background)$/i.test(name);
      if (/^on/i.test(name) || (isAddress && !/^(https?:|mailto:|#|\\/\\/)/.test(value))) found.push(one);
    }
  }
  return [...new Set(found)].map((one) => one.outerHTML);
}"""


@pytest.mark.parametrize("option", ["--live", ""], ids=["live", "frozen"])
def test_a_hostile_answer_executes_nothing_and_requests_nothing(
    open_notebook: OpenNotebook, server: RawServer, option: str
) -> None:
    for text in HOSTILE.values():
        server.play(answer(*[text[start : start + 7] for start in range(0, len(text), 7)], "\n\nThe end."))
    notebook = open_notebook(*[f"%%holysheep --new {option}\n{name}" for name in HOSTILE])
    done: dict[str, object] = {}
    for index, name in enumerate(HOSTILE, start=1):
        notebook.run(index)
        notebook.wait_text(index, "The end.")
        if not option:
            notebook.wait(lambda index=index: notebook.widget(index).count() == 0)
        # Whatever was going to be loaded has been asked for by the time a request made now is answered.
        notebook.page.evaluate("() => fetch('/api/status').then((reply) => reply.text())")
        pwned = notebook.page.evaluate("() => { const found = window.pwned; delete window.pwned; return found; }")
        found = notebook.output(index).first.evaluate(UNSAFE)
        if pwned is not None or found or notebook.foreign_requests:
            done[name] = {"executed": pwned, "found": found, "requested": list(notebook.foreign_requests)}
        notebook.foreign_requests.clear()
    assert done == {}
