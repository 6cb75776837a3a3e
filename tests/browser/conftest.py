from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lab import CHROMIUM, CHROMIUM_ARGS, KEY, Lab, Notebook
from playwright.sync_api import BrowserContext, sync_playwright
from raw_server import RawServer

REQUIRED = os.environ.get("HOLYSHEEP_REQUIRE_BROWSER") == "1"


@pytest.fixture(scope="session")
def chromium() -> str:
    if not Path(CHROMIUM).exists():
        if REQUIRED:
            pytest.fail(f"There is no {CHROMIUM}, and HOLYSHEEP_REQUIRE_BROWSER is 1.")
        pytest.skip(f"There is no {CHROMIUM}.")
    return CHROMIUM


@pytest.fixture(scope="session")
def lab(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("lab"))
    try:
        yield lab.wait()
    finally:
        lab.stop()


@pytest.fixture(scope="module")
def context(chromium: str) -> Iterator[BrowserContext]:
    """A browser. For a module only: while Playwright's synchronous face is in use, `asyncio.run` is not."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGS)
        yield browser.new_context(viewport={"width": 1200, "height": 900})
        browser.close()


OpenNotebook = Callable[..., Notebook]


@pytest.fixture
def open_notebook(
    lab: Lab, context: BrowserContext, server: RawServer, request: pytest.FixtureRequest
) -> Iterator[OpenNotebook]:
    """Opens a notebook of the given cells, the first of which (cell 0) has run: it loads the extension."""
    opened: list[Notebook] = []

    def open_with(*sources: str, init_script: str = "") -> Notebook:
        environment = {"HOLYSHEEP_API_KEY": KEY, "HOLYSHEEP_BASE_URL": server.base_url, "HOLYSHEEP_MODEL": "raw"}
        setup = f"import os\nos.environ.update({environment!r})\n%load_ext holysheep_nb"
        name = re.sub(r"\W+", "-", request.node.name)
        notebook = Notebook(lab, context, f"{name}.ipynb", [setup, *sources])
        opened.append(notebook)
        if init_script:
            notebook.page.add_init_script(init_script)
        notebook.open().run(0)
        return notebook

    yield open_with
    for notebook in opened:
        notebook.close()
    assert [error for notebook in opened for error in notebook.errors] == []
