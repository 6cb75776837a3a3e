"""The same corpus of hostile answers, frozen, as JupyterLab renders it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from lab import Notebook
from raw_server import RawServer, answer
from test_page_safety import CORPUS, FIND_UNSAFE, NOTE_EXECUTION, TOUCH

pytestmark = pytest.mark.browser

OpenNotebook = Callable[..., Notebook]

# JupyterLab shows no more than 50 outputs of a cell.
BATCH = 45
ASK = """from holysheep_nb import Chat
for _ in range({count}):
    await Chat().ask("Hi")"""
# What the page loads of its own: JupyterLab itself, and anywidget's modules.
JUPYTER = re.compile(r"^blob:|/static/|/lab/|/custom/")
FROZEN = ".jp-RenderedMarkdown"


@pytest.mark.parametrize("kind", ["scripts", "loads"])
def test_a_hostile_answer_that_is_frozen_runs_nothing_and_loads_nothing(
    open_notebook: OpenNotebook, server: RawServer, kind: str
) -> None:
    sources = [*CORPUS[kind], *["> 1. " + source for source in CORPUS[kind]]]
    for source in sources:
        server.play(answer(source))
    counts = [len(sources[start : start + BATCH]) for start in range(0, len(sources), BATCH)]
    notebook = open_notebook(*[ASK.format(count=count) for count in counts], init_script=NOTE_EXECUTION)
    loaded: list[str] = []
    kinds = {"image", "media", "font", "stylesheet", "script", "document"}
    notebook.page.on("request", lambda request: loaded.append(request.url) if request.resource_type in kinds else None)
    for index, count in enumerate(counts, start=1):
        notebook.begin(index)
        frozen = notebook.output(index).locator(FROZEN)
        notebook.wait(lambda frozen=frozen, count=count: frozen.count() == count, 30, "it is not frozen")
    # The formulas are set a little later.
    notebook.page.wait_for_timeout(500)
    assert notebook.page.evaluate(FIND_UNSAFE, FROZEN) == []
    notebook.page.evaluate(TOUCH, FROZEN)
    notebook.page.wait_for_timeout(200)
    assert notebook.page.evaluate("() => window.executed") == []
    assert notebook.foreign_requests == []
    assert [url for url in loaded if not JUPYTER.search(url)] == []
