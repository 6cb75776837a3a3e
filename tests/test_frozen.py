"""What stays in the notebook: markdown that is readable anywhere, loads nothing and runs nothing."""

from __future__ import annotations

import itertools
import json
import random
import re
import subprocess
import time
from collections.abc import AsyncGenerator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from raw_server import RawServer, answer

from holysheep_nb import Chat
from holysheep_nb.conversation import Part, ReasoningPart, TextPart, ToolCallPart, Turn, Usage
from holysheep_nb.errors import DisconnectedError, HolySheepError
from holysheep_nb.events import Event
from holysheep_nb.run import Request, Run, State, Timing
from holysheep_nb.view.frozen import frozen_bundle, frozen_markdown, frozen_text, turns_from_output
from holysheep_nb.view.markdown import fenced, plain, safe_markdown, strip_fence

IMG = "<img src=http://evil.test/x onerror=alert(1)>"
MARKED = Path(__file__).parent.parent / "js/node_modules/marked/lib/marked.esm.js"


async def _nothing() -> AsyncGenerator[Event, None]:
    return
    yield


def run_of(
    *parts: Part,
    status: State = "complete",
    finish_reason: str = "stop",
    error: HolySheepError | None = None,
    answer_format: str = "markdown",
    earlier_cells: int = 0,
    usage: Usage | None = None,
    skipped: tuple[str, ...] = (),
    model: str = "m",
) -> Run:
    turn = Turn("assistant", list(parts), model, finish_reason, usage, list(skipped))
    request = Request("q", "asked", {}, "api.test", earlier_cells, answer_format)
    run = Run(request, [Turn.user("q"), turn], _nothing)
    run.status, run.error = status, error
    run.timing = Timing(first_delta_s=0.25, total_s=1.5, deltas=2)
    return run


FOOTER = "<sub>m · 1.5 s, first after 0.25 s</sub>"


# The whole


def test_an_answer_is_its_markdown_and_a_footer() -> None:
    assert frozen_markdown(run_of(TextPart("Hello **you**\n"))) == f"Hello **you**\n\n{FOOTER}"


def test_reasoning_and_tool_calls_are_details() -> None:
    run = run_of(
        ReasoningPart("hm", 2.5), ToolCallPart('{"a": "```"}', "c", "add"), TextPart("4"), ReasoningPart("hm", None)
    )
    assert frozen_markdown(run) == (
        "<details><summary>Thought for 2.5 s</summary>\n\nhm\n\n</details>\n\n"
        "<details><summary><code>add({&quot;a&quot;: &quot;```&quot;})</code> · not called</summary>\n\n"
        '````json\n{\n  "a": "```"\n}\n````\n\n</details>\n\n'
        "4\n\n"
        "<details><summary>Thought for 0 s</summary>\n\nhm\n\n</details>\n\n" + FOOTER
    )


@pytest.mark.parametrize(
    ("options", "footer"),
    [
        ({}, "m · 1.5 s, first after 0.25 s"),
        ({"status": "stopped", "finish_reason": "stopped"}, "m · stopped · 1.5 s, first after 0.25 s"),
        ({"status": "failed", "finish_reason": "failed"}, "m · failed · 1.5 s, first after 0.25 s"),
        ({"status": "truncated", "finish_reason": "truncated"}, "m · cut off · 1.5 s, first after 0.25 s"),
        ({"finish_reason": "length"}, "m · reached the token limit · 1.5 s, first after 0.25 s"),
        ({"finish_reason": "content_filter"}, "m · ended by a content filter · 1.5 s, first after 0.25 s"),
        ({"usage": Usage(1234, 5)}, "m · 1,234 + 5 tokens · cost unknown · 1.5 s, first after 0.25 s"),
        (
            {"usage": Usage(1234, 210), "model": "gpt-4.1"},
            "gpt-4.1 · 1,234 + 210 tokens · ≥ &#36;0.0017, input price unknown · 1.5 s, first after 0.25 s",
        ),
        (
            {"usage": Usage(1234, 210, is_estimate=True), "model": "gpt-4.1", "status": "budget"},
            "gpt-4.1 · ended by its budget · ≈ 1,234 + 210 tokens · ≈ &#36;0.0017 or more, input price unknown · "
            "1.5 s, first after 0.25 s",
        ),
        ({"earlier_cells": 1}, "m · 1.5 s, first after 0.25 s · with 1 earlier cell"),
        ({"earlier_cells": 2}, "m · 1.5 s, first after 0.25 s · with 2 earlier cells"),
        ({"skipped": ("x",)}, "m · 1.5 s, first after 0.25 s · 1 unreadable payload(s) left out"),
        ({"model": ""}, "asked · 1.5 s, first after 0.25 s"),
    ],
)
def test_the_footer_says_how_it_ended(options: dict[str, Any], footer: str) -> None:
    assert frozen_markdown(run_of(TextPart("a"), **options)) == f"a\n\n<sub>{footer}</sub>"


def test_an_error_is_quoted_below_what_came_unless_the_cell_says_it() -> None:
    run = run_of(TextPart("half"), status="truncated", error=DisconnectedError("The connection was cut."))
    sub = "<sub>m · cut off · 1.5 s, first after 0.25 s</sub>"
    assert frozen_markdown(run) == f"half\n\n> The connection was cut.\n\n{sub}"
    assert frozen_markdown(run, shows_error=False) == f"half\n\n{sub}"
    assert frozen_text(run) == "half\n\nThe connection was cut."
    assert frozen_text(run, shows_error=False) == "half"


def test_plain_text_without_an_answer_is_the_footer() -> None:
    assert frozen_text(run_of(status="stopped")) == "(m · stopped · 1.5 s, first after 0.25 s)"


@pytest.mark.parametrize("text", ['{"a": [1]}', '```json\n{"a": [1]}\n```\n', 'Sure:\n\n```\n{"a": [1]}'])
def test_a_json_answer_is_a_block_of_indented_json(text: str) -> None:
    block = '```json\n{\n  "a": [\n    1\n  ]\n}\n```'
    assert frozen_markdown(run_of(TextPart(text), answer_format="json")) == f"{block}\n\n{FOOTER}"


def test_a_json_answer_that_is_none_is_shown_as_it_is() -> None:
    shown = frozen_markdown(run_of(TextPart(f"no {IMG}"), answer_format="json"))
    assert shown == f"```\nno {IMG}\n```\n\n{FOOTER}"


def test_a_text_answer_has_no_markdown() -> None:
    data, _ = frozen_bundle(run_of(TextPart("*a*"), answer_format="text"))
    assert data == {"text/plain": "*a*"}


def test_a_bundle_is_markdown_text_and_metadata() -> None:
    data, metadata = frozen_bundle(run_of(TextPart("a"), usage=Usage(3, 5)))
    assert data == {
        "text/plain": "a",
        "text/markdown": "a\n\n<sub>m · 3 + 5 tokens · cost unknown · 1.5 s, first after 0.25 s</sub>",
    }
    assert metadata["holysheep"]["status"] == "complete"
    assert metadata["holysheep"]["host"] == "api.test"
    assert metadata["holysheep"]["error"] is None
    assert metadata["holysheep"]["timing"] == {"seconds": 1.5, "first_delta_s": 0.25, "deltas": 2}


@pytest.mark.parametrize(
    "run",
    [
        run_of(TextPart("a")),
        run_of(ReasoningPart("hm", 1.0), TextPart("a"), ToolCallPart("{}", "c", "f"), TextPart("b")),
        run_of(TextPart("a"), status="truncated", error=DisconnectedError("cut")),
        run_of(),
    ],
)
def test_the_turns_can_be_read_back_from_a_saved_output(run: Run) -> None:
    data, metadata = json.loads(json.dumps(frozen_bundle(run)))
    assert turns_from_output(data, metadata) == run.turns


def test_nothing_that_stays_holds_the_key(at_server: RawServer) -> None:
    at_server.play(answer("a"))
    run = Chat().ask("Hi").result()
    assert "hs-test-key" not in json.dumps([frozen_bundle(run), run.request.body]) + repr(run) + repr(run.request)


# Safe markdown: what it looks like


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("![cat](http://evil.test/x.png)", "[cat](http://evil.test/x.png)"),
        ("!![cat](http://evil.test/x.png)", "[cat](http://evil.test/x.png)"),
        ("Wow! [a](http://b.test)", "Wow! [a](http://b.test)"),
        ("![cat][1]\n\n[1]: http://evil.test", "[cat][1]\n\n[1]: http://evil.test"),
        ("<script>alert(1)</script>", "&lt;script>alert(1)&lt;/script>"),
        (f"a {IMG} b", f"a &lt;{IMG[1:]} b"),
        ("<!-- x -->", "&lt;!-- x -->"),
        ("a<br>H<sub>2</sub>O <b>x</b>", "a<br>H<sub>2</sub>O <b>x</b>"),
        ("a <b onclick=x>b</b>", "a &lt;b onclick=x>b</b>"),
        ("<b>\nx", "&lt;b>\nx"),
        ("<https://a.test> <mailto:a@b.test>", "<https://a.test> <mailto:a@b.test>"),
        ("<javascript:alert(1)>", "&lt;javascript:alert(1)>"),
        ("1 < 2 && `a < b`", "1 &lt; 2 && `a < b`"),
        ("in `code *x*` too", "in `code *x*` too"),
        ("`<b>*x*`", "<code>&#60;b&#62;&#42;x&#42;</code>"),
        ("``![a](b)``", "<code>&#33;&#91;a&#93;&#40;b&#41;</code>"),
        ("d[x]: y", "d[x]&#58; y"),
        ("[a](https://b.test/(c)) [d](mailto:e@f.test)",) * 2,
        ("[a](javascript:alert(1))", "[a]&#40;javascript:alert(1))"),
        ("[a](JaVa&#115;cript:x)", "[a]&#40;JaVa&#115;cript:x)"),
        ("[a](data:text/html,x)", "[a]&#40;data:text/html,x)"),
        ("[a](x[b](vbscript:y)", "[a]&#40;x[b]&#40;vbscript:y)"),
        ("[a](\njavascript:x)", "[a]&#40;\njavascript:x)"),
        (f"[a](&#{'0' * 300}106;avascript:x)", f"[a]&#40;&#{'0' * 300}106;avascript:x)"),
    ],
)
def test_outside_blocks_of_code_images_are_links_and_html_is_text(text: str, safe: str) -> None:
    assert safe_markdown(text) == safe


@pytest.mark.parametrize(
    "text",
    [
        f"```html\n{IMG}\n![a](b)\n```",
        f"~~~\n```\n{IMG}\n```\n~~~",
        f"````\n```\n{IMG}\n````\nx",
        f"x\n```\n{IMG}\n```\ny",
        f"1. Do:\n   ```bash\n   {IMG}\n\n     more\n   ```\n2. So",
        f"- ```\n  {IMG}\n  ```",
        f"  ```\n  {IMG}\n  ```",
        f"- a\n\n    ```\n    {IMG}\n    ```",
    ],
)
def test_blocks_of_code_are_untouched(text: str) -> None:
    assert safe_markdown(text) == text


def test_a_block_of_code_that_was_cut_is_closed() -> None:
    assert safe_markdown(f"```\n{IMG}") == f"```\n{IMG}\n```"
    assert safe_markdown(f"- ~~~~\n  {IMG}") == f"- ~~~~\n  {IMG}\n  ~~~~"


def test_a_block_deep_in_a_list_is_set_off_from_its_paragraph() -> None:
    assert safe_markdown(f"1. Do:\n    ```\n    {IMG}\n    ```") == f"1. Do:\n\n    ```\n    {IMG}\n    ```"


def test_a_block_that_its_list_may_not_contain_is_quoted_and_escaped() -> None:
    assert safe_markdown("- x\n  ```\n<b>\n  ```\n<i>") == "- x\n\n>   ```\n> &lt;b>\n>   ```\n> &lt;i>"


def test_a_model_or_an_error_or_a_tool_cannot_write_markdown() -> None:
    evil = f"x\n\n![a](http://evil.test/x.png) {IMG} `"
    run = run_of(ToolCallPart("{}", "c", evil), model=evil, error=HolySheepError(evil), status="failed")
    (html,) = rendered(frozen_markdown(run))
    assert "<img" not in html


def test_plain_says_just_what_it_was_told() -> None:
    assert plain("a_b [c](d)\n`e` <f> & *g*") == r"a_b \[c\](d) \`e\` &lt;f&gt; &amp; \*g\*"


def test_a_fence_is_longer_than_any_in_its_text() -> None:
    assert fenced("a\r\n````\n", "x") == "`````x\na\n````\n`````"


@pytest.mark.parametrize(
    ("text", "code"),
    [("```python\na\n```\nb", "a\n"), ("see\n~~~\na\n~~~", "a\n"), ("```\na", "a"), ("a", "a"), ("", "")],
)
def test_the_first_block_of_an_answer_is_its_code(text: str, code: str) -> None:
    assert strip_fence(text) == code


# Safe markdown: what JupyterLab's own parser makes of it

PIECES = [
    *["`", "``", "```", "````", "~~~", "~", "\n", "\n", "\n", "\n\n", "\n```\n", "\n  ```\n", "\n~~~\n", "```py\n"],
    *["- ", "* ", "> ", "1. ", "2) ", "[ ] ", "# ", "---", "  ", "   ", "    ", "     ", "\t", "\r"],
    *[IMG, IMG, IMG, "![a](http://evil.test)", "!", "[a]", ": ", "[a]: http://u ", '"', "'", "(", ")", "\\", "|", "$"],
    *["<b>", "</b>", "<details>", "<!--", "-->", "<https://a.b>", "x", "x y", "|a|b|\n|-|-|\n"],
]
KNOWN_ESCAPES = [
    f"a ` b\n\n{IMG} ` c",
    f"\\`{IMG}`",
    f"<details>`{IMG}`",
    f"<details>\n```\n{IMG}\n```",
    f"- x\n  ```\n{IMG}\n  ```",
    f"- ```\n  x\n  ```\n  {IMG}\n  ```",
    f"- [ ] ```\n  x\n  ```\n  {IMG}\n  ```",
    f"```\n```~\n{IMG}\n```",
    f"```\n\t```\n\n```\n{IMG}\n```",
    f"```(``{IMG}``\n{IMG}\n```",
    f"| a | b |\n|--|--|\n| ` | {IMG} ` |",
    f"x ` y\nz ` {IMG} ` w",
    f"<https://a.`b>` x `{IMG}`",
    f"https://a.b/` x ` y `{IMG}`",
    f'[a](u "`") b ` c `{IMG}`',
    f"*x ``y* z`` c ``{IMG}``",
    f"~x `y~ z` c `{IMG}`",
    f'[a]: u "\n```\n"\n{IMG}\n```\n',
    f'[a]: http://u\n"\n```\n"\n{IMG}\n```\n',
    f'[a\nb]: u "\n```\n"\n{IMG}\n```\n',
    f"foo\n     ~~~\n     {IMG}\n     ~~~",
    f"foo\n2. ~~~\n   {IMG}\n   ~~~",
    f"a\r```\r{IMG}\r```\rb",
    "!![x](http://evil.test)",
]


def rendered(*documents: str) -> list[str]:
    """HTML as marked, the parser of JupyterLab, makes it."""
    script = f"""
        import {{ marked }} from {json.dumps(MARKED.as_uri())};
        import fs from "node:fs";
        const documents = JSON.parse(fs.readFileSync(0, "utf8"));
        console.log(JSON.stringify(documents.map((each) => marked.parse(each, {{ gfm: true }}))));
    """
    done = subprocess.run(
        ["node", "--input-type=module", "-e", script],
        input=json.dumps(documents),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(done.stdout)


def test_jupyterlab_makes_no_image_and_no_element_of_hostile_markdown() -> None:
    chance = random.Random(2026)
    documents = [*KNOWN_ESCAPES]
    documents += ["".join(chance.choices(PIECES, k=chance.randint(2, 30))) for _ in range(8000)]
    # Each also stands above another, as parts of one answer do.
    safe = [f"{safe_markdown(one)}\n\n{safe_markdown(two)}" for one, two in itertools.pairwise(documents)]
    safe += [safe_markdown(document) for document in KNOWN_ESCAPES]
    assert sum(IMG in each for each in safe) > 1000, "code is kept, so there is something to get wrong"
    live = [each for each, html in zip(safe, rendered(*safe), strict=True) if re.search("<(img|details|!--)", html)]
    assert live == []


LINK_PIECES = [
    *[
        "[a](",
        ")",
        "[a]",
        ": ",
        "[a]: ",
        "](",
        "<",
        ">",
        " ",
        "\n",
        "\n\n",
        "(",
        "\\",
        "`",
        "``",
        "*",
        "_",
        "[",
        "]",
        "!",
    ],
    *["javascript:x", "javascript:x", "&#106;avascript:x", "java\\script:x", "java\tscript:x", "JaVaScript:x"],
    *["data:text/html,x", "vbscript:x", "javascript&colon;x", "javascript&#58;x", "&Tab;", "&NewLine;", "\x01"],
    *["http://u/", "https://", "//e", "?", "#", ":", "%3A", '"t"', "- ", "> ", "\t", "x", "~", "<b>", "\u200b"],
]


def test_jupyterlab_links_only_to_fair_places() -> None:
    chance = random.Random(2026)
    documents = ["".join(chance.choices(LINK_PIECES, k=chance.randint(2, 14))) for _ in range(8000)]
    safe = [safe_markdown(document) for document in documents]
    pages = rendered(*safe)
    assert sum("<a href" in html for html in pages) > 500
    foul = re.compile(r"\s*(javascript|vbscript|data):", re.I)
    links = [(each, link) for each, page in zip(safe, pages, strict=True) for link in re.findall('="([^"]*)"', page)]
    assert [(each, link) for each, link in links if foul.match(re.sub("[\x00-\x20]", "", unescape(link)))] == []


@pytest.mark.parametrize("piece", ["[a](", "<b>", "`a``b", "- ", "[a]: ", "```\n", "![", "1. ", " ", "`a` <"])
def test_hostile_markdown_takes_no_more_than_linear_time(piece: str) -> None:
    began = time.monotonic()
    safe_markdown(piece * (100_000 // len(piece)))
    assert time.monotonic() - began < 3


def test_jupyterlab_shows_ordinary_answers_as_they_were_meant() -> None:
    (html,) = rendered(safe_markdown("Use `List<T>`:\n\n1. Do\n   ```java\n   List<T> x;\n   ```\n2. <b>So</b>"))
    assert html == (
        "<p>Use <code>List&#60;T&#62;</code>:</p>\n"
        '<ol>\n<li>Do<pre><code class="language-java">List&lt;T&gt; x;\n</code></pre>\n</li>\n'
        "<li><b>So</b></li>\n</ol>\n"
    )
