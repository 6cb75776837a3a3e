"""Several models side by side, in JupyterLab."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from lab import WIDGET_VIEW, Notebook
from raw_server import HANG, RawServer, answer, chunk, sse_head
from test_lab_accessibility import violations

pytestmark = pytest.mark.browser

OpenNotebook = Callable[..., Notebook]
CELL = "%%holysheep -m one -m two -m three\nWhich join?"


def open_comparison(open_notebook: OpenNotebook) -> Notebook:
    """A notebook whose cell 1 asks three models, and cell 2 goes on."""
    return open_notebook(CELL, "%%holysheep\nAnd?")


def test_keep_makes_an_answer_the_one_that_later_cells_go_on_from(
    open_notebook: OpenNotebook, server: RawServer
) -> None:
    for text in ("Prefer the merge join.", "Prefer a hash join.", "It depends."):
        server.play(answer(*text.split(" "), pause_s=0.02))
    notebook = open_comparison(open_notebook)
    notebook.run(1)
    columns = notebook.output(1).locator(".holysheep-column")
    assert columns.count() == 3
    notebook.wait(lambda: notebook.output(1).get_by_role("button", name="Keep").count() == 3)
    kept = columns.nth(1).locator(".holysheep-text").inner_text()
    assert violations(notebook, 1) == []
    notebook.output(1).get_by_role("button", name="Differences").click()
    notebook.wait(lambda: columns.page.locator(".holysheep-difference-text :is(del, ins)").count() > 1)
    assert violations(notebook, 1) == []
    keep = columns.nth(1).get_by_role("button", name="Keep two")
    notebook.page.mouse.click(5, 400)
    notebook.output(1).locator(".holysheep-comparison").focus()
    notebook.tab_to(keep)
    notebook.page.keyboard.press("Enter")
    notebook.wait_frozen(1)
    notebook.wait_text(1, "two · kept")
    server.play(answer("So be it."))
    notebook.run(2)
    assert [m["content"] for m in server.asked[-1].json["messages"]] == ["Which join?", kept.replace(" ", ""), "And?"]
    saved = notebook.save()
    assert WIDGET_VIEW not in saved.cells[1].outputs[0].data
    assert "widgets" not in saved.metadata


def test_each_column_has_a_stop_in_its_head(open_notebook: OpenNotebook, server: RawServer) -> None:
    server.play([sse_head(), chunk("An answer that goes on and on until it is stopped by a person."), HANG])
    notebook = open_comparison(open_notebook)
    notebook.begin(1)
    stops = notebook.output(1).get_by_role("button", name="Stop")
    notebook.wait(lambda: stops.count() == 3)
    heads = notebook.output(1).locator(".holysheep-column-head")
    for index in range(3):
        stop, head = stops.nth(index).bounding_box(), heads.nth(index).bounding_box()
        assert stop is not None
        assert head is not None
        assert head["y"] - 2 <= stop["y"] < head["y"] + head["height"] / 2
        assert head["x"] < stop["x"] < head["x"] + head["width"]
    assert violations(notebook, 1) == []
    stops.nth(0).click()
    notebook.wait(lambda: stops.count() == 2)
    stops.nth(0).focus()
    notebook.page.keyboard.press("Escape")
    notebook.wait(lambda: stops.count() == 1)
    stops.nth(0).click()
    notebook.wait_ended(1)


def test_on_a_narrow_page_the_columns_stack(open_notebook: OpenNotebook, server: RawServer) -> None:
    server.play([sse_head(), chunk("An answer."), HANG])
    notebook = open_comparison(open_notebook)
    notebook.begin(1)
    columns = notebook.output(1).locator(".holysheep-column")
    notebook.wait(lambda: columns.count() == 3)

    def lefts() -> set[int]:
        return {round(box["x"]) for box in (columns.nth(n).bounding_box() for n in range(3)) if box}

    assert len(lefts()) == 3
    notebook.page.set_viewport_size({"width": 600, "height": 900})
    notebook.wait(lambda: len(lefts()) == 1)
    notebook.page.set_viewport_size({"width": 1200, "height": 900})
    notebook.page.evaluate("() => window.jupyterapp.commands.execute('notebook:interrupt-kernel')")
    notebook.wait_ended(1)


def test_a_page_that_is_reloaded_shows_the_columns_again_and_keeps_one(
    open_notebook: OpenNotebook, server: RawServer
) -> None:
    server.play(answer(*["word "] * 40, pause_s=0.1))
    notebook = open_comparison(open_notebook)
    notebook.begin(1)
    notebook.wait_text(1, "word word word")
    notebook.save()
    notebook.reload()
    columns = notebook.output(1).locator(".holysheep-column")
    notebook.wait(lambda: columns.count() == 3)
    notebook.wait(lambda: notebook.output(1).get_by_role("button", name="Keep").count() == 3)
    assert [text.split() for text in columns.locator(".holysheep-text").all_inner_texts()] == [["word"] * 40] * 3
    columns.nth(2).get_by_role("button", name="Keep three").click()
    notebook.wait(lambda: notebook.widget(1).count() == 0)
    notebook.wait_text(1, "three · kept")
    assert WIDGET_VIEW not in notebook.save().cells[1].outputs[0].data
