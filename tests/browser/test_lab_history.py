"""Versions of a cell in JupyterLab: they are there again when the notebook is reopened with a fresh kernel."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from lab import Notebook
from raw_server import RawServer, answer

pytestmark = pytest.mark.browser

OpenNotebook = Callable[..., Notebook]


def edit(notebook: Notebook, index: int, source: str) -> None:
    """Types over a cell."""
    notebook.page.evaluate(
        "([index, source]) => window.jupyterapp.shell.currentWidget.content.widgets[index]"
        ".model.sharedModel.setSource(source)",
        [index, source],
    )


def ask(notebook: Notebook, index: int) -> None:
    notebook.run(index)
    notebook.wait_frozen(index)


def sent(server: RawServer) -> list[str]:
    return [message["content"] for message in server.asked[-1].json["messages"]]


def test_versions_survive_save_and_reopen_with_a_fresh_kernel(open_notebook: OpenNotebook, server: RawServer) -> None:
    for text in ("answer a", "answer b1", "answer c", "answer b2 blue", "answer b3 green", "answer c2", "answer d"):
        server.play(answer(text))
    cells = ["%%holysheep\nA?", "%%holysheep\nB1?", "%%holysheep\nC?"]
    notebook = open_notebook(*cells, "%holysheep branches 2", "%holysheep checkout 2 2", "%holysheep history")
    for index in (1, 2, 3):
        ask(notebook, index)
    for number in (2, 3):
        edit(notebook, 2, f"%%holysheep\nB{number}?")
        ask(notebook, 2)
        assert sent(server) == ["A?", "answer a", f"B{number}?"]
    notebook.wait_text(2, "version 3 of 3")
    notebook.save()

    notebook.reopen_without_kernel()
    notebook.wait_connected()
    notebook.run(0)
    notebook.run(4)
    notebook.wait_text(4, "Cell 2 · 3 versions, 3 is current")
    assert notebook.output(4).locator("del").all_inner_texts()[-2:] == ["B2?", "b2 blue"]
    assert notebook.output(4).locator("strong").all_inner_texts()[-2:] == ["B3?", "b3 green"]
    notebook.run(5)
    notebook.wait_text(5, "Later cells go on from version 2 of 3 of cell 2.")
    notebook.wait_text(5, "answer b2 blue")
    ask(notebook, 3)
    assert sent(server) == ["A?", "answer a", "B2?", "answer b2 blue", "C?"]
    notebook.wait_text(3, "with 2 earlier cells, read from the notebook as saved at ")
    notebook.run(6)
    notebook.wait_text(6, "2 of 3")
    assert notebook.foreign_requests == []
