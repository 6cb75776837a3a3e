"""The widget for people who do not see it, do not use a mouse, or read from right to left."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lab import Notebook
from raw_server import HANG, RawServer, answer, chunk, json_answer, sse_head

pytestmark = pytest.mark.browser

OpenNotebook = Callable[..., Notebook]

AXE = Path(__file__).parents[2] / "js" / "node_modules" / "axe-core" / "axe.min.js"
RICH = (
    "# A heading\n\nText with `code`, a [link](https://example.org/) and ~~an error~~.\n\n- one\n- [x] done\n\n"
    "| a | b |\n|---|--:|\n| 1 | 2 |\n\n```python\nfor i in range(3):  # a comment\n    print('x', 1)\n```\n\n$x^2$\n"
)
THEMES = ["JupyterLab Light", "JupyterLab Dark"]


@pytest.fixture
def use_theme(open_notebook: OpenNotebook) -> Iterator[Callable[[Notebook, str], None]]:
    """Changes the theme, and back again afterwards: JupyterLab remembers it for the tests that follow."""
    changed: list[Notebook] = []

    def change(notebook: Notebook, theme: str) -> None:
        notebook.page.evaluate(
            "(theme) => window.jupyterapp.commands.execute('apputils:change-theme', {theme})",
            theme,
        )
        light = "true" if theme.endswith("Light") else "false"
        notebook.page.wait_for_selector(f"body[data-jp-theme-light='{light}']", state="attached")
        notebook.page.wait_for_timeout(300)
        changed.append(notebook)

    yield change
    for notebook in changed[-1:]:
        change(notebook, THEMES[0])


def violations(notebook: Notebook, index: int) -> list[str]:
    """What axe finds serious or critical in the widget of a cell."""
    if not notebook.page.evaluate("() => 'axe' in window"):
        notebook.page.evaluate(AXE.read_text())
    found: list[dict[str, Any]] = notebook.widget(index).first.evaluate(
        "async (element) => (await axe.run(element, {resultTypes: ['violations']})).violations"
    )
    return [
        f"{one['id']}: {node['html'][:120]} {node['failureSummary'][:300]}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


@pytest.mark.parametrize("theme", THEMES)
def test_axe_finds_nothing_serious_in_any_state(
    open_notebook: OpenNotebook, use_theme: Callable[[Notebook, str], None], server: RawServer, theme: str
) -> None:
    reasoning = chunk(reasoning_content="I think of this.")
    server.play([sse_head(), reasoning, *answer(RICH)[1:-2], HANG])
    server.play([sse_head(), reasoning, HANG])
    server.play(json_answer({"error": {"message": "wrong key"}}, "401 Unauthorized"))
    server.play([sse_head(), chunk("half an answer")])
    notebook = open_notebook(
        "%%holysheep --live\nHi",
        "%%holysheep --live --bg\nHi",
        "%%holysheep --live --no-raise\nHi",
        "%%holysheep --live --no-raise\nHi",
    )
    use_theme(notebook, theme)
    notebook.begin(1)
    notebook.wait_text(1, "a comment")
    assert violations(notebook, 1) == []
    notebook.widget(1).get_by_role("button", name="Stop").click()
    notebook.wait_ended(1)
    notebook.wait_text(1, "stopped")
    assert violations(notebook, 1) == []
    notebook.run(2)
    notebook.wait_text(2, "I think of this.")
    assert violations(notebook, 2) == []
    notebook.run(3)
    notebook.wait_text(3, "refused the key")
    assert violations(notebook, 3) == []
    notebook.run(4)
    notebook.wait_text(4, "what came is kept")
    assert violations(notebook, 4) == []


def test_everything_is_done_by_keyboard_and_the_focus_is_neither_lost_nor_stolen(
    open_notebook: OpenNotebook, server: RawServer
) -> None:
    server.play([sse_head(), chunk(reasoning_content="I think."), *answer(RICH)[1:-2], HANG])
    notebook = open_notebook("%%holysheep --live\nHi")
    page = notebook.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    focused = "() => document.activeElement.textContent"
    notebook.begin(1)
    notebook.wait_text(1, "a comment")
    notebook.widget(1).locator("summary").focus()
    page.keyboard.press("Enter")
    notebook.wait(lambda: notebook.widget(1).locator("details").get_attribute("open") is not None)
    page.keyboard.press("Tab")
    for _ in range(12):
        if page.evaluate(focused) == "Copy":
            break
        page.keyboard.press("Tab")
    assert page.evaluate(focused) == "Copy"
    page.keyboard.press("Enter")
    notebook.wait(lambda: page.evaluate("() => navigator.clipboard.readText()").startswith("for i in range(3):"))
    assert page.evaluate("() => document.activeElement.closest('.holysheep') !== null")
    page.keyboard.press("Escape")
    server.wait_for_disconnect(server.asked[0])
    notebook.wait_ended(1)
    notebook.wait_text(1, "stopped")
    assert page.evaluate("() => document.activeElement.closest('.holysheep') !== null")


def test_stop_is_reached_and_pressed_by_keyboard(open_notebook: OpenNotebook, server: RawServer) -> None:
    server.play([sse_head(), chunk("so far"), HANG])
    notebook = open_notebook("%%holysheep --live\nHi")
    notebook.begin(1)
    notebook.wait_text(1, "so far")
    notebook.widget(1).focus()
    notebook.page.keyboard.press("Tab")
    assert notebook.page.evaluate("() => document.activeElement.textContent") == "Stop"
    notebook.page.keyboard.press("Enter")
    server.wait_for_disconnect(server.asked[0])
    notebook.wait_ended(1)


def test_typing_elsewhere_is_not_disturbed_while_an_answer_streams_and_ends(
    open_notebook: OpenNotebook, server: RawServer
) -> None:
    server.play(answer(*[f"w{n} " for n in range(40)], pause_s=0.03))
    notebook = open_notebook("%%holysheep --bg\nHi", "")
    notebook.begin(1)
    notebook.wait_text(1, "w1 ")
    notebook.cell(2).locator(".cm-content").click()
    typed = "the quick brown fox jumps over the lazy dog again and again"
    notebook.page.keyboard.type(typed, delay=30)
    notebook.wait_text(1, "w39")
    assert notebook.cell(2).locator(".cm-content").inner_text() == typed


def test_the_live_region_speaks_at_most_once_a_second(open_notebook: OpenNotebook, server: RawServer) -> None:
    server.play(answer(*[f"This is sentence {n}. " for n in range(60)], pause_s=0.05))
    notebook = open_notebook("%%holysheep --live\nHi")
    notebook.begin(1)
    notebook.widget(1).wait_for()
    notebook.widget(1).evaluate(
        "(element) => { window.spoken = []; const region = element.querySelector('[aria-live=polite]');"
        " new MutationObserver(() => spoken.push([performance.now(), region.textContent]))"
        ".observe(region, {childList: true, characterData: true, subtree: true}); }"
    )
    notebook.wait_ended(1)
    notebook.page.wait_for_timeout(1500)
    spoken = [(at, text) for at, text in notebook.page.evaluate("() => spoken") if text]
    sentences = [(at, text) for at, text in spoken if text.startswith("This is sentence")]
    assert 2 <= len(sentences) <= 6
    assert all(later[0] - earlier[0] > 900 for earlier, later in itertools.pairwise(sentences))
    assert "complete" in spoken[-1][1]


def test_wide_tables_and_code_scroll_inside_and_hebrew_is_set_from_right_to_left(
    open_notebook: OpenNotebook, server: RawServer
) -> None:
    row = "| " + " | ".join(f"a_rather_long_name_{n}" for n in range(30)) + " |\n"
    wide = row + "|" + "---|" * 30 + "\n" + row + "\n```python\n" + "x = " + "1 + " * 200 + "1\n```\n\nשלום לכולם\n"
    server.play(answer(wide))
    notebook = open_notebook("%%holysheep --live\nHi")
    notebook.page.emulate_media(forced_colors="active", reduced_motion="reduce")
    notebook.run(1)
    notebook.wait_text(1, "שלום")
    assert notebook.widget(1).evaluate("(element) => element.scrollWidth <= element.clientWidth + 1")
    for block in (".holysheep-table", ".holysheep-code"):
        assert notebook.widget(1).evaluate(
            "(element, block) => [...element.querySelectorAll(`${block}, ${block} *`)].some((one) =>"
            " one.scrollWidth > one.clientWidth + 1 && /auto|scroll/.test(getComputedStyle(one).overflowX))",
            block,
        )
    gap_at_start, gap_at_end = (
        notebook.widget(1)
        .locator("p")
        .last.evaluate(
            "(element) => { const range = document.createRange(); range.selectNodeContents(element);"
            " const [text, box] = [range.getBoundingClientRect(), element.getBoundingClientRect()];"
            " return [text.left - box.left, box.right - text.right]; }"
        )
    )
    assert gap_at_end < 30 < gap_at_start
    notebook.page.emulate_media(forced_colors="none", reduced_motion="no-preference")


def test_an_answer_that_streams_does_not_move_the_reader(open_notebook: OpenNotebook, server: RawServer) -> None:
    server.play(answer(*[f"Line {n}.\n\n" for n in range(60)], pause_s=0.03))
    filler = "print('\\n'.join(str(n) for n in range(120)))"
    notebook = open_notebook("%%holysheep --bg\nHi", filler, filler)
    notebook.run(2)
    notebook.run(3)
    notebook.begin(1)
    notebook.wait_text(1, "Line 2.")
    place = (
        "() => { const box = document.querySelector('.jp-WindowedPanel-outer');"
        " return [box.scrollTop, document.querySelectorAll('.jp-Notebook .jp-Cell')[1].getBoundingClientRect().top]; }"
    )
    before = notebook.page.evaluate(place)
    notebook.wait_text(1, "Line 59.")
    notebook.wait(lambda: notebook.widget(1).count() == 0)
    assert notebook.page.evaluate(place) == before
