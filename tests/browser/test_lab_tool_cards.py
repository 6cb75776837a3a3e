"""The cards of tool calls in a page that is reloaded, typed into, read by machines, and fed hostile text."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from lab import Notebook
from raw_server import RawServer, answer, call_chunk, calling, chunk, sse_head
from test_lab_accessibility import THEMES, violations
from test_lab_look import HOSTILE, UNSAFE, set_theme
from test_lab_tools import ASK, DEFINE, PRINT, begin, calls_made, told

pytestmark = pytest.mark.browser

OpenNotebook = Callable[..., Notebook]


def test_the_card_of_a_background_run_is_there_after_a_reload_and_works(
    open_notebook: OpenNotebook, server: RawServer
) -> None:
    server.play(calling(("order", {"city": "Paris", "count": 2}), text="I order."))
    server.play(answer("All done."))
    notebook = open_notebook(DEFINE, "%%holysheep -T order --bg\nDo it", PRINT)
    notebook.run(1)
    notebook.run(2)
    notebook.card(2, "order").wait_for()
    notebook.save()
    notebook.reload()
    card = notebook.card(2, "order")
    card.wait_for(timeout=5_000)
    assert len(server.asked) == 1
    card.get_by_label("count", exact=True).fill("5")
    card.get_by_role("button", name="Approve", exact=True).click()
    notebook.wait_text(2, "All done.")
    assert told(server)[0].endswith("\n5 for Paris")
    assert calls_made(notebook, 3) == [["Paris", 5, "book"]]


def test_after_a_reload_the_interrupt_ends_a_cell_that_waits_and_all_is_kept(
    open_notebook: OpenNotebook, server: RawServer
) -> None:
    server.play(calling(("order", {"city": "Paris"}), text="I order."))
    notebook = open_notebook(DEFINE, ASK, PRINT)
    notebook.run(1)
    begin(notebook, 2)
    notebook.save()
    notebook.reload()
    notebook.page.get_by_role("menuitem", name="Kernel", exact=True).click()
    notebook.page.get_by_role("menuitem", name="Interrupt Kernel").click()
    assert calls_made(notebook, 3) == []
    notebook.wait_text(2, "I order.")
    notebook.wait_text(2, "not called")


def test_typing_into_a_card_is_no_shortcut_of_the_notebook(open_notebook: OpenNotebook, server: RawServer) -> None:
    server.play(calling(("order", {"city": "Paris", "count": 2})))
    server.play(answer("All done."))
    notebook = open_notebook(DEFINE, ASK, PRINT)
    notebook.run(1)
    card = begin(notebook, 2)
    page = notebook.page
    sources = [cell.source for cell in notebook.save().cells]

    def type_everything() -> None:
        page.keyboard.type("ddabxyzm00ii", delay=5)
        for key in ("Enter", "Shift+Enter", "Alt+Enter", "ArrowDown", "ArrowUp", "Control+b", "Control+End"):
            page.keyboard.press(key)
        page.keyboard.type("dd")

    city = card.get_by_label("city", exact=True)
    city.click()
    page.keyboard.press("Control+a")
    type_everything()
    assert city.input_value() == "ddabxyzm00iidd"
    card.get_by_label("count", exact=True).click()
    type_everything()
    card.get_by_label("kind", exact=True).focus()
    type_everything()
    page.keyboard.press("Escape")
    type_everything()
    card.get_by_role("button", name="as JSON").focus()
    page.keyboard.type("ddab")
    card.get_by_label("city", exact=True).fill("Paris")
    card.get_by_label("count", exact=True).fill("2")
    page.keyboard.press("Tab")
    notebook.tab_to(card.get_by_role("button", name="as JSON"))
    page.keyboard.press("Enter")
    as_json = card.get_by_role("textbox", name="arguments as JSON")
    as_json.click()
    type_everything()
    assert "ddabxyzm00ii\n" in as_json.input_value()
    page.keyboard.press("Control+Shift+Minus")
    reason = card.get_by_role("textbox", name="reason for denying")
    reason.click()
    page.keyboard.type("dd a b", delay=5)
    page.keyboard.press("Shift+ArrowUp")
    assert notebook.is_running(2)
    assert card.is_visible()
    assert page.locator(".jp-Notebook .jp-Cell").count() == len(sources)
    assert notebook.cell(3).locator(".jp-InputPrompt").inner_text().strip() == "[ ]:"
    page.keyboard.press("Enter")
    notebook.wait_frozen(2)
    assert [cell.source for cell in notebook.save().cells] == sources
    assert calls_made(notebook, 3) == []
    assert len(told(server)) == 1


def open_details(notebook: Notebook, index: int) -> None:
    """Opens all there is to open in an output."""
    notebook.output(index).locator("details").evaluate_all("(all) => all.forEach((each) => { each.open = true; })")


STATES = """
from holysheep_nb import tool

def order(city: str, count: int = 1) -> str:
    "Places an order."
    return "ordered"

@tool(safe=True)
async def later(seconds: float) -> str:
    import asyncio
    await asyncio.sleep(seconds)
    print("printed")
    return "awake"

@tool(safe=True)
def fail() -> None:
    raise ValueError("no such thing")
"""


def test_axe_finds_nothing_serious_in_a_card_a_running_call_and_an_error(
    open_notebook: OpenNotebook, server: RawServer
) -> None:
    calls = [("later", {"seconds": 60}), ("later", {"seconds": 0}), ("fail", {}), ("fail", {"n": 1})]
    for _ in THEMES:
        server.play(calling(*calls, ("order", {"city": "Paris"}), text="I try."))
    notebook = open_notebook(STATES, *["%%holysheep -T order -T later -T fail --live --new --no-raise\nDo it"] * 2)
    notebook.run(1)
    for index, theme in enumerate(THEMES, start=2):
        set_theme(notebook, theme.removeprefix("JupyterLab "))
        notebook.page.wait_for_timeout(300)
        card = begin(notebook, index)
        for state in ("waiting", "running", "ok", "error", "invalid"):
            notebook.widget(index).locator(f".holysheep-tool-call[data-state={state}]").wait_for()
        assert violations(notebook, index) == []
        open_details(notebook, index)
        card.get_by_label("count", exact=True).fill("2.5")
        card.get_by_role("button", name="Approve", exact=True).click()
        card.locator(".holysheep-field-problem:visible").wait_for()
        assert violations(notebook, index) == []
        card.get_by_label("count", exact=True).fill("2")
        card.get_by_role("button", name="as JSON").click()
        card.get_by_role("textbox", name="arguments as JSON").fill("{")
        card.get_by_role("button", name="Approve", exact=True).click()
        assert violations(notebook, index) == []
        notebook.widget(index).get_by_role("button", name="Stop").click()
        notebook.wait_ended(index)
        assert violations(notebook, index) == []
    set_theme(notebook, "Light")


MARKUP = HOSTILE["tags"] + HOSTILE["images"] + HOSTILE["links"] + HOSTILE["math"] + "\n```\n" + HOSTILE["fence"]
PLAY_HOSTILE = f"""
from IPython.display import HTML, Javascript, Markdown, SVG, display
from holysheep_nb import tool

MARKUP = {MARKUP!r}

class Rich:
    def _repr_html_(self):
        return MARKUP
    def __repr__(self):
        return MARKUP

def send(text: str, note: str = "") -> str:
    return MARKUP

send.__doc__ = MARKUP

@tool(safe=True)
def show(text: str) -> str:
    print(MARKUP)
    display(HTML(MARKUP), Javascript("window.pwned = 'displayed'"), Markdown(MARKUP), Rich())
    display(SVG("<svg xmlns='http://www.w3.org/2000/svg' onload='window.pwned=1'><script>pwned=1</script></svg>"))
    return MARKUP

@tool(safe=True)
def fail(text: str) -> str:
    raise ValueError(MARKUP)
"""
# Nothing of what a browser would load or run came out of the texts: the fields are the card's own.
OWN_FIELDS = ".holysheep-approval :is(input, textarea, select)"


def test_hostile_names_arguments_descriptions_and_outputs_do_nothing(
    open_notebook: OpenNotebook, server: RawServer
) -> None:
    hostile = {"text": MARKUP, MARKUP: MARKUP}
    calls = [call_chunk(0, "send", hostile), call_chunk(1, "show", {"text": MARKUP})]
    calls += [call_chunk(2, "fail", {"text": MARKUP}), call_chunk(3, MARKUP, hostile)]
    calls += [call_chunk(4, "send", {"text": MARKUP}), call_chunk(5, "send", MARKUP)]
    server.play([sse_head(), *calls, chunk(finish_reason="tool_calls"), b"data: [DONE]\n\n"])
    server.play(answer("The end."))
    notebook = open_notebook(PLAY_HOSTILE, "%%holysheep -T send -T show -T fail\nDo it")
    notebook.run(1)
    notebook.begin(2)
    card = notebook.card(2, "send")
    card.wait_for()
    notebook.widget(2).locator(".holysheep-tool-call[data-state=error]").wait_for()

    def check() -> None:
        # Whatever was going to be loaded has been asked for by the time a request made now is answered.
        notebook.page.evaluate("() => fetch('/api/status').then((reply) => reply.text())")
        assert notebook.page.evaluate("() => window.pwned") is None
        assert notebook.foreign_requests == []
        own = notebook.output(2).locator(OWN_FIELDS).evaluate_all("(fields) => fields.map((one) => one.outerHTML)")
        found = notebook.output(2).first.evaluate(UNSAFE)
        assert [html for html in found if html not in own] == []

    open_details(notebook, 2)
    check()
    card.get_by_label("note", exact=True).fill(MARKUP)
    card.get_by_role("button", name="as JSON").click()
    as_json = card.get_by_role("textbox", name="arguments as JSON")
    assert json.loads(as_json.input_value()) == {"text": MARKUP, "note": " ".join(MARKUP.splitlines())}
    check()
    card.get_by_role("button", name="Approve", exact=True).click()
    notebook.wait_frozen(2)
    notebook.wait_text(2, "The end.")
    open_details(notebook, 2)
    check()


# Of each frame: where the paragraph below the calls is, how high the output is, and who shows them.
SAMPLE = """(cell) => {
  const samples = [];
  window.samples = samples;
  const sample = () => {
    if (window.samples !== samples) return;
    requestAnimationFrame(sample);
    const area = cell.querySelector(".jp-Cell-outputArea");
    const last = [...area?.querySelectorAll("p") ?? []].find((one) => one.textContent.trim() === "The end.");
    if (!last) return;
    samples.push({
      by: last.closest(".holysheep") ? "live" : "frozen",
      top: last.getBoundingClientRect().top - cell.getBoundingClientRect().top,
      height: area.getBoundingClientRect().height,
    });
  };
  sample();
}"""
LINE_PX = 22


CASES = {
    "one call": [("later", {"seconds": 0})],
    "three calls": [("later", {"seconds": 0})] * 3,
    "a call that failed": [("fail", {})],
    "a call with wrong arguments": [("later", {"n": 1})],
}


@pytest.mark.parametrize("case", CASES)
def test_what_stands_below_the_calls_stays_there_when_the_answer_is_frozen(
    open_notebook: OpenNotebook, server: RawServer, case: str
) -> None:
    server.play(calling(*CASES[case], text="I try."))
    server.play([*answer("The end.")[:-2], 0.4, *answer("The end.")[-2:]])
    notebook = open_notebook(STATES, "%%holysheep -T later -T fail\nHi")
    notebook.run(1)
    notebook.cell(2).evaluate(SAMPLE)
    notebook.begin(2)
    notebook.wait_frozen(2)
    notebook.page.wait_for_timeout(400)
    samples = notebook.page.evaluate("() => window.samples")
    last = [sample for sample in samples if sample["by"] == "live"][-1]
    after = [sample for sample in samples if sample["by"] == "frozen"]
    assert max(abs(sample["top"] - last["top"]) for sample in after) <= LINE_PX
    assert abs(after[-1]["height"] - last["height"]) <= LINE_PX
