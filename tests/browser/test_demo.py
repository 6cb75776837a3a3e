from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import BrowserContext, Page

pytestmark = [pytest.mark.browser, pytest.mark.timeout(400)]

_STREAMING = ".holysheep-status:not([hidden])"


@pytest.mark.skipif(os.environ.get("HOLYSHEEP_OFFLINE") == "1", reason="the model's weights come from the network")
def test_the_demo_answers_every_cell_of_the_quickstart_with_the_real_model(
    context: BrowserContext, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "holysheep_nb", "demo", "--no-browser", "--dir", str(tmp_path)]
    demo = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert demo.stdout is not None
        address = next(found[0] for line in demo.stdout if (found := re.search(r"http://127\S+token=\S+", line)))
        page = context.new_page()
        page.goto(address)
        page.wait_for_selector("text=/\\| Idle/", timeout=60_000)
        _run_all(page)
        page.wait_for_selector(_STREAMING, timeout=60_000)
        page.wait_for_function(
            "(running) => document.querySelectorAll('.jp-Notebook .jp-InputPrompt').length > 0"
            " && ![...document.querySelectorAll('.jp-InputPrompt')].some((p) => p.textContent.trim() === running)",
            arg="[*]:",
            timeout=180_000,
        )
        page.keyboard.press("Control+s")
        page.wait_for_function("() => !document.querySelector('.jp-mod-dirty')", timeout=30_000)
        page.close()
    finally:
        demo.send_signal(signal.SIGINT)
        assert demo.wait(30) == 0
    (notebook,) = tmp_path.glob("*.ipynb")
    cells = nbformat.read(notebook, as_version=4).cells
    answers = [cell for cell in cells if cell.source.startswith("%%holysheep")]
    assert len(answers) >= 3
    for cell in answers:
        (output,) = cell.outputs
        assert output.metadata.holysheep.status == "complete"
        assert output.metadata.holysheep.model == "smollm2-135m-instruct"
        assert len(output.data["text/markdown"]) > 60


def _run_all(page: Page) -> None:
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
