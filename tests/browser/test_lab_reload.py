"""The page is reloaded while an answer streams: it is never gone."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from lab import WIDGET_VIEW, Notebook
from raw_server import RawServer, answer

pytestmark = pytest.mark.browser

WORDS = [f"word{n} " for n in range(400)]
TEXT = "".join(WORDS).strip()
OpenNotebook = Callable[..., Notebook]


def holds_as_markdown(notebook: Notebook, index: int) -> bool:
    (output,) = notebook.save().cells[index].outputs
    return WIDGET_VIEW not in output.data and output.data["text/markdown"].startswith(TEXT)


def test_a_background_answer_goes_on_in_the_reloaded_page(open_notebook: OpenNotebook, server: RawServer) -> None:
    server.play(answer(*WORDS, pause_s=0.02))
    notebook = open_notebook("%%holysheep --bg\nHi", "%holysheep show")
    notebook.run(1)
    notebook.save()
    notebook.wait_text(1, "word100 ")
    notebook.reload()
    connected_at = time.monotonic()
    notebook.wait(lambda: "word100 " in notebook.text(1), 5, "the answer is gone")
    length = len(notebook.text(1))
    notebook.wait(lambda: len(notebook.text(1)) > length, 5, "the answer does not grow")
    print(f"the answer goes on {time.monotonic() - connected_at:.2f} s after the page is back")
    assert server.asked[0].disconnected_at is None
    notebook.wait_text(1, TEXT)
    notebook.wait(lambda: holds_as_markdown(notebook, 1), 10, "the widget was not replaced")
    notebook.run(2)
    notebook.wait_text(2, TEXT)
    assert holds_as_markdown(notebook, 2)


def test_a_foreground_answer_is_complete_when_its_cell_ends(open_notebook: OpenNotebook, server: RawServer) -> None:
    server.play(answer(*WORDS, pause_s=0.02))
    notebook = open_notebook("%%holysheep\nHi", "%holysheep show")
    notebook.begin(1)
    notebook.wait_text(1, "word10 ")
    notebook.save()
    notebook.wait_text(1, "word100 ")
    notebook.reload()
    notebook.wait_text(1, TEXT, 30)
    notebook.wait(lambda: holds_as_markdown(notebook, 1), 10, "the widget was not replaced")
    notebook.run(2)
    notebook.wait_text(2, TEXT)
    assert holds_as_markdown(notebook, 2)
