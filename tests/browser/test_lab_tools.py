"""A person decides about the calls of an answer while its cell runs, by mouse and by keyboard."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, Literal

import pytest
from lab import Notebook
from playwright.sync_api import Locator
from raw_server import RawServer, answer, calling

pytestmark = pytest.mark.browser

OpenNotebook = Callable[..., Notebook]
Way = Literal["mouse", "keyboard"]

DEFINE = """
import time
from typing import Literal
from holysheep_nb import tool

calls = []

def order(city: str, count: int = 1, kind: Literal["book", "pen"] = "book") -> str:
    "Places an order."
    calls.append([city, count, kind])
    return f"{count} for {city}"

def cancel(city: str) -> str:
    calls.append(city)
    return "cancelled"

@tool(safe=True)
def sleep(seconds: float) -> str:
    time.sleep(seconds)
    return "awake"

@tool(safe=True)
def plot():
    from matplotlib.figure import Figure
    figure = Figure(figsize=(2, 1))
    figure.subplots().plot([1, 4, 9])
    return figure
"""
ASK = "%%holysheep -T order -T cancel\nDo it"
both_ways = pytest.mark.parametrize("way", ["mouse", "keyboard"])


def told(server: RawServer, number: int = -1) -> list[Any]:
    """What the tools' messages of a request say."""
    return [m["content"] for m in server.asked[number].json["messages"] if m["role"] == "tool"]


def begin(notebook: Notebook, index: int, name: str = "order") -> Locator:
    """Starts a cell, and gives the card in which it asks."""
    notebook.begin(index)
    card = notebook.card(index, name)
    card.wait_for()
    assert notebook.is_running(index)
    return card


def press(notebook: Notebook, index: int, button: Locator, way: Way) -> None:
    if way == "mouse":
        button.click()
        return
    notebook.widget(index).focus()
    notebook.tab_to(button)
    notebook.page.keyboard.press("Enter")


def fill(notebook: Notebook, index: int, field: Locator, text: str, way: Way) -> None:
    if way == "mouse":
        field.click()
    else:
        notebook.widget(index).focus()
        notebook.tab_to(field)
    notebook.page.keyboard.press("Control+a")
    notebook.page.keyboard.type(text)


def markdown(notebook: Notebook, index: int) -> str:
    outputs = notebook.save().cells[index].outputs
    return "".join(output.data.get("text/markdown", "") for output in outputs if "data" in output)


def calls_made(notebook: Notebook, index: int) -> Any:
    """What the functions were called with, shown by a cell that prints it."""
    notebook.run(index)
    return json.loads(notebook.text(index))


PRINT = "import json\nprint(json.dumps(calls))"


@both_ways
def test_a_call_is_approved_while_the_cell_runs(open_notebook: OpenNotebook, server: RawServer, way: Way) -> None:
    server.play(calling(("order", {"city": "Paris", "count": 2}), text="I order."))
    server.play(answer("All done."))
    notebook = open_notebook(DEFINE, ASK, PRINT)
    notebook.run(1)
    card = begin(notebook, 2)
    assert "Places an order." in card.inner_text()
    assert card.get_by_label("count", exact=True).input_value() == "2"
    assert len(server.asked) == 1
    if way == "mouse":
        card.get_by_role("button", name="Approve", exact=True).click()
    else:
        notebook.widget(2).focus()
        notebook.tab_to(card.get_by_label("city", exact=True))
        notebook.page.keyboard.press("Control+Enter")
    notebook.wait_frozen(2)
    notebook.wait_text(2, "All done.")
    assert told(server) == ["2 for Paris"]
    assert calls_made(notebook, 3) == [["Paris", 2, "book"]]


@both_ways
def test_what_is_edited_is_called_kept_and_told_to_the_model(
    open_notebook: OpenNotebook, server: RawServer, way: Way
) -> None:
    server.play(calling(("order", {"city": "Paris", "count": 2})))
    server.play(answer("All done."))
    notebook = open_notebook(DEFINE, ASK, PRINT)
    notebook.run(1)
    card = begin(notebook, 2)
    fill(notebook, 2, card.get_by_label("city", exact=True), "Rome", way)
    if way == "mouse":
        card.get_by_label("kind", exact=True).select_option("pen")
    else:
        notebook.tab_to(card.get_by_label("kind", exact=True))
        notebook.page.keyboard.type("pen")
    assert card.get_by_role("checkbox", name="set kind").is_checked()
    press(notebook, 2, card.get_by_role("button", name="Approve", exact=True), way)
    notebook.wait_frozen(2)
    edited = {"city": "Rome", "count": 2, "kind": "pen"}
    (said,) = told(server)
    assert said.startswith("(The person changed the arguments to ")
    assert said.endswith("\n2 for Rome")
    assert json.loads(said.partition(" to ")[2].partition(".)\n")[0]) == edited
    assert calls_made(notebook, 3) == [["Rome", 2, "pen"]]
    assert "Changed by you to" in markdown(notebook, 2)
    assert '"city": "Rome"' in markdown(notebook, 2)


@both_ways
def test_an_edit_of_the_wrong_type_is_refused_beside_its_field(
    open_notebook: OpenNotebook, server: RawServer, way: Way
) -> None:
    server.play(calling(("order", {"city": "Paris", "count": 2})))
    server.play(answer("All done."))
    notebook = open_notebook(DEFINE, ASK, PRINT)
    notebook.run(1)
    card = begin(notebook, 2)
    approve = card.get_by_role("button", name="Approve", exact=True)
    count = card.get_by_label("count", exact=True)
    fill(notebook, 2, count, "2.5", way)
    press(notebook, 2, approve, way)
    problem = card.locator(".holysheep-field-problem:visible")
    assert problem.inner_text() == "This must be a whole number."
    beside = problem.bounding_box(), count.bounding_box()
    assert beside[0]
    assert beside[1]
    assert 0 < beside[0]["y"] - beside[1]["y"] < 80
    assert count.evaluate("(element) => element === document.activeElement")
    press(notebook, 2, card.get_by_role("button", name="as JSON"), way)
    assert card.get_by_role("textbox", name="arguments as JSON").count() == 0
    fill(notebook, 2, count, "3", way)
    press(notebook, 2, card.get_by_role("button", name="as JSON"), way)
    as_json = card.get_by_role("textbox", name="arguments as JSON")
    assert json.loads(as_json.input_value()) == {"city": "Paris", "count": 3}
    fill(notebook, 2, as_json, '{"city": 7, "count": 3}', way)
    press(notebook, 2, approve, way)
    assert card.locator(".holysheep-field-problem:visible").inner_text() == '"city" must be text.'
    assert len(server.asked) == 1
    fill(notebook, 2, as_json, '{"city": "Rome", "count": 4}', way)
    press(notebook, 2, approve, way)
    notebook.wait_frozen(2)
    assert calls_made(notebook, 3) == [["Rome", 4, "book"]]


@both_ways
def test_a_call_is_denied_and_the_model_hears_the_reason(
    open_notebook: OpenNotebook, server: RawServer, way: Way
) -> None:
    server.play(calling(("order", {"city": "Paris"})))
    server.play(answer("Then not."))
    notebook = open_notebook(DEFINE, ASK, PRINT)
    notebook.run(1)
    card = begin(notebook, 2)
    fill(notebook, 2, card.get_by_role("textbox", name="reason for denying"), "too dear", way)
    if way == "mouse":
        card.get_by_role("button", name="Deny").click()
    else:
        notebook.page.keyboard.press("Enter")
    notebook.wait_frozen(2)
    notebook.wait_text(2, "Then not.")
    assert told(server) == ["The call was denied: too dear"]
    assert calls_made(notebook, 3) == []
    assert "· denied</summary>" in markdown(notebook, 2)


@both_ways
def test_always_asks_once_for_this_tool_and_still_for_others(
    open_notebook: OpenNotebook, server: RawServer, way: Way
) -> None:
    for number in (1, 2):
        server.play(calling(("order", {"city": "Paris", "count": number})))
    server.play(calling(("order", {"city": "Paris", "count": 3}), ("cancel", {"city": "Rome"})))
    server.play(answer("All done."))
    notebook = open_notebook(DEFINE, ASK, PRINT)
    notebook.run(1)
    card = begin(notebook, 2)
    press(notebook, 2, card.get_by_role("button", name="Always for order"), way)
    other = notebook.card(2, "cancel")
    other.wait_for()
    assert card.count() == 0
    assert told(server) == ["1 for Paris", "2 for Paris"]
    press(notebook, 2, other.get_by_role("button", name="Deny"), way)
    notebook.wait_frozen(2)
    assert calls_made(notebook, 3) == [["Paris", number, "book"] for number in (1, 2, 3)]


def test_two_calls_are_asked_about_at_once_and_answered_in_any_order(
    open_notebook: OpenNotebook, server: RawServer
) -> None:
    server.play(calling(("order", {"city": "Paris"}), ("cancel", {"city": "Rome"})))
    server.play(answer("All done."))
    notebook = open_notebook(DEFINE, ASK, PRINT)
    notebook.run(1)
    first = begin(notebook, 2)
    second = notebook.card(2, "cancel")
    second.get_by_role("button", name="Approve", exact=True).click()
    second.wait_for(state="detached")
    assert first.is_visible()
    assert notebook.is_running(2)
    assert len(server.asked) == 1
    first.get_by_role("button", name="Approve", exact=True).click()
    notebook.wait_frozen(2)
    assert told(server) == ["1 for Paris", "cancelled"]
    assert calls_made(notebook, 3) == [["Paris", 1, "book"], "Rome"]


def test_a_figure_is_shown_in_the_card_and_is_an_output_of_the_saved_notebook(
    open_notebook: OpenNotebook, server: RawServer
) -> None:
    server.play(calling(("plot", {})))
    server.play(answer("There it is.", pause_s=1.0))
    notebook = open_notebook(DEFINE, "%%holysheep -T plot\nDraw")
    notebook.run(1)
    notebook.begin(2)
    image = notebook.call(2, "plot").get_by_role("img", name="Image from plot")
    image.wait_for()
    assert image.evaluate("async (image) => { await image.decode(); return image.naturalWidth; }") > 100
    assert notebook.is_running(2)
    notebook.wait_frozen(2)
    notebook.output(2).locator(".jp-RenderedImage img").wait_for()
    kinds = [list(output.data) for output in notebook.save().cells[2].outputs]
    assert [kind for data in kinds for kind in data if kind.startswith("image/")] == ["image/png"]
    notebook.reopen_without_kernel()
    notebook.output(2).locator(".jp-RenderedImage img").wait_for()
    notebook.wait_text(2, "There it is.")


@both_ways
def test_interrupting_the_kernel_ends_a_tool_within_a_second_and_keeps_what_came(
    open_notebook: OpenNotebook, server: RawServer, way: Way
) -> None:
    server.play(calling(("sleep", {"seconds": 60}), text="Good night."))
    notebook = open_notebook(DEFINE, "%%holysheep -T sleep --out kept\nSleep", "print(kept.status, kept.text)")
    notebook.run(1)
    notebook.begin(2)
    notebook.call(2, "sleep").and_(notebook.page.locator("[data-state=running]")).wait_for()
    notebook.page.wait_for_timeout(500)
    if way == "keyboard":
        notebook.cell(3).locator(".jp-InputPrompt").click()
        notebook.page.keyboard.press("i")
        pressed_at = time.monotonic()
        notebook.page.keyboard.press("i")
    else:
        button = notebook.page.locator(".jp-NotebookPanel-toolbar [data-jp-item-name=interrupt] [role=button]")
        button = button.or_(notebook.page.get_by_role("button", name="Interrupt the kernel")).first
        pressed_at = time.monotonic()
        button.click()
    notebook.wait_ended(2)
    # The tool would sleep for a minute.
    assert time.monotonic() - pressed_at < 5.0
    notebook.wait_text(2, "Good night.")
    notebook.wait_text(2, "sleep(")
    notebook.wait_text(2, "Interrupted; what came is kept (")
    assert "Traceback" not in notebook.text(2)
    assert len(server.asked) == 1
    notebook.run(3)
    notebook.wait_text(3, "stopped Good night.")
