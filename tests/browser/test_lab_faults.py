"""The page's own faults: a second view, a second tab, a lost connection, a restarted kernel, a closed tab."""

from __future__ import annotations

import contextlib
import copy
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from lab import KEY, WIDGET_VIEW, Lab, Notebook
from playwright.sync_api import BrowserContext, Page
from raw_server import HANG, RawServer, answer, chunk, sse_head

pytestmark = pytest.mark.browser

# How long the page is cut off; by hand it may be longer.
OFFLINE_S = float(os.environ.get("HOLYSHEEP_OFFLINE_S", "6"))
PAUSE_S = 0.02
WORDS = [f"word{n} " for n in range(300)]
TEXT = "".join(WORDS).strip()
COUNT_ANSWERS = """
from ipywidgets.widgets.widget import _instances
print("open:", sum(type(widget).__name__ == "AnswerWidget" for widget in _instances.values()))
"""
OpenNotebook = Callable[..., Notebook]


def holds_as_markdown(notebook: Notebook, index: int, text: str = TEXT) -> bool:
    outputs = notebook.save().cells[index].outputs
    return [WIDGET_VIEW not in each.data and each.data["text/markdown"].startswith(text) for each in outputs] == [True]


def in_one_line(shown: str) -> str:
    return " ".join(shown.split())


def last_word(shown: str) -> int:
    """The number of the last word; none of those before it may be missing."""
    numbers = [int(number) for number in re.findall(r"word(\d+)", shown)]
    assert numbers == list(range(len(numbers)))
    return len(numbers) - 1


def test_a_second_view_of_an_answer_shows_all_of_it_and_both_are_frozen(
    open_notebook: OpenNotebook, server: RawServer
) -> None:
    server.play(answer(*WORDS, pause_s=PAUSE_S))
    notebook = open_notebook("%%holysheep --bg\nHi", COUNT_ANSWERS)
    notebook.run(1)
    notebook.wait_text(1, "word50 ")
    panel = notebook.page.evaluate("() => window.jupyterapp.shell.currentWidget.id")
    notebook.page.evaluate("() => window.jupyterapp.commands.execute('notebook:create-output-view')")
    notebook.page.evaluate("(id) => window.jupyterapp.shell.activateById(id)", panel)
    second = notebook.page.locator(".jp-LinkedOutputView")
    notebook.wait(lambda: last_word(second.inner_text()) >= 50, 5, "the second view is empty")
    notebook.wait(lambda: TEXT in in_one_line(second.inner_text()), 30, "the second view is not complete")
    notebook.wait_text(1, TEXT)
    notebook.wait(lambda: notebook.page.locator(".holysheep").count() == 0, 10, "a widget stays")
    notebook.wait(lambda: TEXT in in_one_line(second.inner_text()), 10, "the second view is empty at the end")
    assert holds_as_markdown(notebook, 1)
    notebook.run(2)
    notebook.wait_text(2, "open: 0")


def shown_in(page: Page) -> str:
    return in_one_line(page.locator(".jp-Notebook .jp-Cell").nth(1).locator(".jp-Cell-outputArea").inner_text())


def test_a_second_tab_shows_a_background_answer_and_both_are_frozen(
    open_notebook: OpenNotebook, lab: Lab, context: BrowserContext, server: RawServer
) -> None:
    server.play(answer(*WORDS, pause_s=PAUSE_S))
    notebook = open_notebook("%%holysheep --bg\nHi", COUNT_ANSWERS)
    notebook.begin(1)
    notebook.wait_text(1, "word20 ")
    notebook.save()
    tab = context.new_page()
    try:
        tab.goto(lab.address(notebook.name))
        tab.wait_for_selector(".jp-Notebook .jp-Cell")
        notebook.wait(lambda: TEXT in shown_in(tab), 90, "the second tab is not complete")
        notebook.wait_text(1, TEXT)
        for page in (notebook.page, tab):
            notebook.wait(lambda: page.locator(".holysheep").count() == 0, 10, "a widget stays")  # noqa: B023
            notebook.wait(lambda: TEXT in shown_in(page), 10, "the answer is gone at the end")  # noqa: B023
        notebook.wait_ended(1)
        notebook.run(2)
        notebook.wait_text(2, "open: 0")
    finally:
        tab.close()
    assert holds_as_markdown(notebook, 1)


def test_a_closed_tab_opened_again_shows_the_answer(open_notebook: OpenNotebook, server: RawServer) -> None:
    server.play(answer(*WORDS, pause_s=PAUSE_S))
    notebook = open_notebook("%%holysheep --bg\nHi")
    notebook.run(1)
    notebook.wait_text(1, "word20 ")
    notebook.save()
    notebook.leave()
    time.sleep(2)
    notebook.come_back()
    notebook.wait(lambda: last_word(notebook.text(1)) > 100, 10, "the answer is gone")
    notebook.wait_text(1, TEXT)
    notebook.wait(lambda: holds_as_markdown(notebook, 1), 10, "the widget was not replaced")


@pytest.mark.parametrize("line", ["--bg", ""], ids=["background", "foreground"])
def test_restarting_the_kernel_in_mid_stream_leaves_every_text_on_the_screen(
    open_notebook: OpenNotebook, server: RawServer, line: str
) -> None:
    server.play(answer("finished"))
    server.play([sse_head(), chunk("so "), chunk("far"), HANG])
    notebook = open_notebook("%%holysheep\nHi", f"%%holysheep {line}\nHi", "40 + 2")
    notebook.run(1)
    notebook.begin(2)
    notebook.wait_text(2, "so far")
    notebook.page.evaluate("() => void window.jupyterapp.commands.execute('kernelmenu:restart')")
    notebook.page.get_by_role("button", name="Confirm Kernel Restart").click()
    server.wait_for_disconnect(server.asked[1])
    notebook.wait(lambda: holds_as_markdown(notebook, 1, "finished"), 10)
    notebook.run(3)
    notebook.wait_text(3, "42")
    assert "so far" in notebook.text(2)
    assert "Error" not in notebook.text(2)


class Wire:
    """What lies between the page and the server: it can be cut."""

    def __init__(self, port: int) -> None:
        self._server = port
        self._ends: list[socket.socket] = []
        self._is_cut = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, name="wire", daemon=True).start()

    def cut(self) -> None:
        """Ends every connection, and lets no new one through."""
        self._is_cut = True
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._ends.clear()

    def mend(self) -> None:
        self._is_cut = False

    def close(self) -> None:
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                page, _ = self._listener.accept()
                if self._is_cut:
                    page.close()
                    continue
                server = socket.create_connection(("127.0.0.1", self._server))
                self._ends += [page, server]
                for source, target in ((page, server), (server, page)):
                    threading.Thread(target=_carry, args=(source, target), name="wire", daemon=True).start()


def _carry(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def wire(lab: Lab) -> Iterator[Wire]:
    wire = Wire(urlsplit(lab.base_url).port or 0)
    yield wire
    wire.close()


@pytest.fixture
def wired_notebook(lab: Lab, wire: Wire, context: BrowserContext, server: RawServer) -> Iterator[OpenNotebook]:
    """Opens a notebook in a page that reaches the server by the wire; its cell 0 has run."""
    wired = copy.copy(lab)
    wired.base_url = f"http://127.0.0.1:{wire.port}"
    opened: list[Notebook] = []

    def open_with(*sources: str) -> Notebook:
        environment = {"HOLYSHEEP_API_KEY": KEY, "HOLYSHEEP_BASE_URL": server.base_url, "HOLYSHEEP_MODEL": "raw"}
        setup = f"import os\nos.environ.update({environment!r})\n%load_ext holysheep_nb"
        notebook = Notebook(wired, context, f"wired-{len(sources)}-{time.monotonic_ns()}.ipynb", [setup, *sources])
        opened.append(notebook)
        notebook.open().run(0)
        return notebook

    yield open_with
    wire.mend()
    for notebook in opened:
        notebook.page.close()
    lab.end_kernels()


@pytest.mark.parametrize("line", ["--bg", ""], ids=["background", "foreground"])
def test_a_page_that_was_cut_off_catches_up_and_ends_complete(
    wired_notebook: OpenNotebook, wire: Wire, server: RawServer, line: str
) -> None:
    words = [f"word{n} " for n in range(int(2 * (OFFLINE_S + 3) / PAUSE_S / 2))]
    server.play(answer(*words, pause_s=PAUSE_S))
    notebook = wired_notebook(f"%%holysheep {line}\nHi")
    notebook.begin(1)
    notebook.wait_text(1, "word20 ")
    wire.cut()
    time.sleep(OFFLINE_S)
    before = last_word(notebook.text(1))
    wire.mend()
    notebook.wait_connected()
    connected_at = time.monotonic()
    sent = len(server.asked[0].sent_at) - 2
    assert sent - before > 0.5 * OFFLINE_S / PAUSE_S / 2
    notebook.wait(lambda: last_word(notebook.text(1)) >= min(sent, len(words)) - 1, 10, "it does not catch up")
    caught_up_s = time.monotonic() - connected_at
    print(f"cut off for {OFFLINE_S} s; {caught_up_s:.2f} s after the connection the page has all {sent} words")
    notebook.wait_text(1, "".join(words).strip(), 60)
    notebook.wait(lambda: holds_as_markdown(notebook, 1, "".join(words).strip()), 15, "the widget was not replaced")
