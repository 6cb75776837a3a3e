"""The soak, by hand: 20 background answers at 100 tokens a second each for three minutes, in one kernel, in one page.

    .venv/bin/python tests/soak.py [SECONDS]

Prints the memory of kernel and page each ten seconds, and at the end whether every text is whole in the kernel and
in the saved notebook, how often the page had to ask for a document again, and which threads stay after unloading.
Ends with 1 if anything is missing, or if the memory of either grew by 30 MB or more after the first minute.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent / "browser"))

import psutil
from lab import CHROMIUM, CHROMIUM_ARGS, KEY, WIDGET_VIEW, Lab, Notebook
from playwright.sync_api import sync_playwright
from raw_server import RawServer, answer

RUNS = 20
TOKENS_PER_S = 100
MAX_GROWTH_MB = 30.0
SETTLED_AFTER_S = 60.0
SAMPLE_S = 10.0

COUNT_RESYNCS = """
import os
from holysheep_nb.view.widget import WidgetView
resyncs, obey = [], WidgetView._obey
def counting(view, content):
    if content.get("command") == "resync":
        resyncs.append(content)
    obey(view, content)
WidgetView._obey = counting
print("pid", os.getpid())
"""
REPORT = """
import json
chat = get_ipython().magics_manager.registry["HolySheepMagics"].chat
print(json.dumps({"states": [run.status for run in chat.runs], "texts": [hash(run.text) for run in chat.runs],
    "expected": hash(open(EXPECTED).read()), "resyncs": len(resyncs)}))
"""
THREADS = """
import json, threading
print(json.dumps([t.name for t in threading.enumerate() if t.name.startswith("holysheep")]))
"""


def words(count: int) -> list[str]:
    """Tokens of about eight bytes, with a paragraph now and then."""
    return [f"word{n:<4d}" + ("\n\n" if n % 50 == 49 else "") for n in range(count)]


def page_memory_mb() -> float:
    """The largest renderer of the browsers this process has started."""
    renderers = [
        child.memory_info().rss
        for child in psutil.Process().children(recursive=True)
        if "--type=renderer" in " ".join(child.cmdline())
    ]
    return max(renderers) / 1e6


def watch(notebook: Notebook, pid: int, seconds: float) -> tuple[float, float]:
    """How much kernel and page grew, in MB, from when the first minute was over to the end."""
    kernel = psutil.Process(pid)
    began = time.monotonic()
    settled: tuple[float, float] | None = None
    now = (0.0, 0.0)
    while time.monotonic() - began < seconds:
        notebook.page.wait_for_timeout(SAMPLE_S * 1000)
        now = (kernel.memory_info().rss / 1e6, page_memory_mb())
        passed = time.monotonic() - began
        if settled is None and passed >= SETTLED_AFTER_S:
            settled = now
        print(
            f"{passed:5.0f} s  kernel {now[0]:6.1f} MB  page {now[1]:6.1f} MB  load {os.getloadavg()[0]:.1f}",
            flush=True,
        )
    first = settled or now
    return now[0] - first[0], now[1] - first[1]


def printed(notebook: Notebook, index: int, begins: str) -> Any:
    """What a cell printed, once it has."""
    notebook.run(index)
    notebook.wait(lambda: notebook.text(index).startswith(begins), 30)
    return notebook.text(index)


def soak(seconds: float) -> bool:
    tokens = words(int(seconds * TOKENS_PER_S))
    text = "".join(tokens)
    with tempfile.TemporaryDirectory() as folder, RawServer() as server, sync_playwright() as playwright:
        expected = Path(folder) / "expected.txt"
        expected.write_text(text, "utf-8")
        server.play(answer(*tokens, pause_s=1 / TOKENS_PER_S))
        lab = Lab(Path(folder)).wait()
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGS)
        try:
            environment = {"HOLYSHEEP_API_KEY": KEY, "HOLYSHEEP_BASE_URL": server.base_url, "HOLYSHEEP_MODEL": "raw"}
            setup = (
                f"import os\nos.environ.update({environment!r})\n%load_ext holysheep_nb\nEXPECTED = {str(expected)!r}"
            )
            sources = [setup, COUNT_RESYNCS, *["%%holysheep --bg --new\nHi"] * RUNS, "%holysheep wait", REPORT]
            sources += ["%unload_ext holysheep_nb", THREADS]
            notebook = Notebook(
                lab, browser.new_context(viewport={"width": 1200, "height": 900}), "soak.ipynb", sources
            )
            notebook.open().run(0)
            pid = int(printed(notebook, 1, "pid").split()[1])
            began = time.monotonic()
            for index in range(2, RUNS + 2):
                notebook.run(index)
            growth = watch(notebook, pid, seconds)
            notebook.begin(RUNS + 2)
            notebook.wait_ended(RUNS + 2, 2 * seconds)
            took_s = time.monotonic() - began
            report = json.loads(printed(notebook, RUNS + 3, "{"))
            notebook.page.wait_for_timeout(5000)
            cells = notebook.save().cells[2 : RUNS + 2]
            saved = [cell.outputs[0].data for cell in cells]
            notebook.run(RUNS + 4)
            threads = json.loads(printed(notebook, RUNS + 5, "["))
            dropped = [line for line in lab._log.read_text().splitlines() if "rate exceeded" in line]
        finally:
            browser.close()
            lab.stop()
    checks = {
        "every run complete": report["states"] == ["complete"] * RUNS,
        "every text whole in the kernel": report["texts"] == [report["expected"]] * RUNS,
        "every text whole in the notebook": all(
            WIDGET_VIEW not in data and data["text/plain"].strip() == text.strip() for data in saved
        ),
        "no message dropped by the server": not dropped,
        "no document asked for again": report["resyncs"] == 0,
        f"kernel grew by {growth[0]:.1f} MB": growth[0] < MAX_GROWTH_MB,
        f"page grew by {growth[1]:.1f} MB": growth[1] < MAX_GROWTH_MB,
        f"threads after unloading: {threads}": threads == [],
    }
    print(f"{len(tokens):,} tokens each in {took_s:.0f} s; {len(text) * RUNS / 1e6:.1f} MB of text in all")
    for claim, holds in checks.items():
        print("ok  " if holds else "NOT ", claim)
    return all(checks.values())


if __name__ == "__main__":
    sys.exit(0 if soak(float(sys.argv[1]) if len(sys.argv) > 1 else 180.0) else 1)
