"""An answer streams into the cell, is frozen, saved, and shown again without a kernel."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from lab import WIDGET_VIEW, Notebook
from nbconvert import HTMLExporter, MarkdownExporter
from raw_server import HANG, RawServer, answer

pytestmark = pytest.mark.browser

WORDS = [f"word{n} " for n in range(60)]
TEXT = "".join(WORDS).strip()
OPEN_ANSWERS = """
from ipywidgets.widgets.widget import _instances
print("open:", sum(type(widget).__name__ == "AnswerWidget" for widget in _instances.values()))
"""
OpenNotebook = Callable[..., Notebook]


def test_an_answer_streams_is_frozen_saved_and_shown_without_a_kernel(
    open_notebook: OpenNotebook, server: RawServer
) -> None:
    server.play(answer("# Title\n\n", *WORDS, "\n\n```python\nprint(1)\n```\n", pause_s=0.04))
    notebook = open_notebook("%%holysheep\nHi", OPEN_ANSWERS)
    notebook.begin(1)
    lengths: list[int] = []
    while notebook.widget(1).count() or not lengths:
        shown = "".join(notebook.output(1).locator(".holysheep-text").all_inner_texts())
        if not lengths or len(shown) != lengths[-1]:
            lengths.append(len(shown))
        notebook.page.wait_for_timeout(30)
    assert len(lengths) > 15
    notebook.wait_ended(1)
    notebook.wait_text(1, TEXT)
    assert notebook.output(1).locator("h1").inner_text().startswith("Title")
    assert notebook.output(1).locator("pre").inner_text().strip() == "print(1)"

    notebook.run(2)
    notebook.wait_text(2, "open: 0")

    saved = notebook.save()
    assert "widgets" not in saved.metadata
    (output,) = saved.cells[1].outputs
    assert WIDGET_VIEW not in output.data
    assert output.data["text/markdown"].startswith(f"# Title\n\n{TEXT}")
    for exporter in (HTMLExporter(), MarkdownExporter()):
        exported, _ = exporter.from_filename(str(notebook.path))
        assert TEXT in exported

    notebook.reopen_without_kernel()
    notebook.wait_text(1, TEXT)
    assert notebook.output(1).locator("h1").inner_text().startswith("Title")
    assert "model not found" not in notebook.page.inner_text("body")


def test_the_stop_button_ends_the_cell_and_the_next_one_runs(open_notebook: OpenNotebook, server: RawServer) -> None:
    server.play([*answer(*WORDS[:10], pause_s=0.02, usage=None)[:-2], HANG])
    notebook = open_notebook("%%holysheep --out kept\nHi", "print(kept.status, len(kept.text), kept is _)")
    notebook.begin(1)
    notebook.wait_text(1, "word9")
    button = notebook.output(1).get_by_role("button", name="Stop")
    clicked_at = time.monotonic()
    button.click()
    assert server.wait_for_disconnect(server.asked[0]) - clicked_at < 1.0
    notebook.wait_ended(1)
    notebook.wait(lambda: notebook.widget(1).count() == 0)
    notebook.wait_text(1, "".join(WORDS[:10]).strip())
    assert "stopped" in notebook.text(1)
    assert "Error" not in notebook.text(1)
    notebook.run(2)
    notebook.wait_text(2, f"stopped {len(''.join(WORDS[:10]))} True")


@pytest.mark.parametrize("way", ["keyboard", "toolbar"])
def test_interrupting_the_kernel_ends_the_cell_and_the_next_one_runs(
    open_notebook: OpenNotebook, server: RawServer, way: str
) -> None:
    server.play([*answer(*WORDS[:10], pause_s=0.02, usage=None)[:-2], HANG])
    notebook = open_notebook("%%holysheep --out kept\nHi", "print(kept.status, len(kept.text))")
    notebook.begin(1)
    notebook.wait_text(1, "word9")
    if way == "keyboard":
        notebook.cell(2).locator(".jp-InputPrompt").click()
        notebook.page.keyboard.press("i")
        pressed_at = time.monotonic()
        notebook.page.keyboard.press("i")
    else:
        button = notebook.page.locator(".jp-NotebookPanel-toolbar [data-jp-item-name=interrupt] [role=button]")
        pressed_at = time.monotonic()
        button.or_(notebook.page.get_by_role("button", name="Interrupt the kernel")).first.click()
    assert server.wait_for_disconnect(server.asked[0]) - pressed_at < 2.0
    notebook.wait_ended(1)
    notebook.wait_text(1, "Interrupted; what came is kept (")
    notebook.wait_text(1, "".join(WORDS[:10]).strip())
    assert "Traceback" not in notebook.text(1)
    notebook.run(2)
    notebook.wait_text(2, f"stopped {len(''.join(WORDS[:10]))}")


COUNT_GROWTH = """(element) => {
  let length = element.textContent.length;
  window.growth = 0;
  new MutationObserver(() => {
    if (element.textContent.length > length) window.growth += 1;
    length = element.textContent.length;
  }).observe(element, {childList: true, characterData: true, subtree: true});
}"""


def test_a_background_answer_grows_while_another_cell_computes(open_notebook: OpenNotebook, server: RawServer) -> None:
    server.play(answer(*[f"w{n} " for n in range(400)], pause_s=0.01))
    busy = "import time\nuntil = time.monotonic() + 2\nwhile time.monotonic() < until:\n    sum(range(1000))"
    notebook = open_notebook("%%holysheep --bg\nHi", busy)
    notebook.run(1)
    notebook.wait_text(1, "w5")
    notebook.output(1).first.evaluate(COUNT_GROWTH)
    notebook.run(2)
    assert notebook.page.evaluate("() => window.growth") >= 20
    notebook.wait_text(1, "w399", 30)


LOSSY = """
const Native = window.WebSocket;
window.lossy = {patches: 0, dropped: 0};
function contentOf(data) {
  if (typeof data === "string") return JSON.parse(data);
  const view = new DataView(data);
  const at = (n) => Number(view.getBigUint64(8 * (n + 1), true));
  const part = (n) => JSON.parse(new TextDecoder().decode(data.slice(at(n), at(n + 1))));
  return {header: part(1), content: part(4)};
}
function isDropped(data) {
  const {header, content} = contentOf(data);
  if (header.msg_type !== "comm_msg" || !content.data?.state?.patch?.seq) return false;
  window.lossy.patches += 1;
  if (window.lossy.patches % 20) return false;
  window.lossy.dropped += 1;
  return true;
}
window.WebSocket = class extends Native {
  set onmessage(handler) {
    super.onmessage = (event) => { if (!this.url.includes("/channels") || !isDropped(event.data)) handler(event); };
  }
  get onmessage() { return super.onmessage; }
};
"""


def test_with_every_20th_patch_dropped_the_text_ends_equal_to_the_kernel_s(
    open_notebook: OpenNotebook, server: RawServer
) -> None:
    words = [f"w{n} " for n in range(500)]
    server.play(answer(*words, pause_s=0.01))
    notebook = open_notebook("%%holysheep --live --out kept\nHi", "print(kept.text)", init_script=LOSSY)
    notebook.run(1)
    notebook.run(2)
    counts = notebook.page.evaluate("() => window.lossy")
    assert counts["dropped"] >= 5
    kept = notebook.text(2)
    assert kept == "".join(words).strip()
    notebook.wait(
        lambda: " ".join("".join(notebook.widget(1).locator(".holysheep-text").all_inner_texts()).split()) == kept,
        10,
        "the text on the screen is not the kernel's",
    )


def test_insert_below_puts_the_code_into_a_cell_below_the_answer(
    open_notebook: OpenNotebook, server: RawServer
) -> None:
    server.play(answer("```python\nprint(6 * 7)\n```\n"))
    notebook = open_notebook("%%holysheep --live\nHi", "'the cell after'")
    notebook.run(1)
    notebook.output(1).get_by_role("button", name="Insert below").click()
    notebook.wait(lambda: notebook.page.locator(".jp-Notebook .jp-CodeCell").count() == 4)
    assert [cell.source for cell in notebook.save().cells[2:]] == ["print(6 * 7)", "'the cell after'"]
