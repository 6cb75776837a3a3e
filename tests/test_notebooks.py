"""The notebooks run from top to bottom without a network, and what is committed is what they give."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from holysheep_nb.local import Gateway, start_gateway

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module", params=["script", "smollm2"])
def gateway(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    if request.param == "smollm2" and os.environ.get("HOLYSHEEP_OFFLINE") == "1":
        pytest.skip("the model's weights come from the network")
    with start_gateway(request.param) as running:
        yield running


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(path: Path, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLYSHEEP_API_KEY", gateway.key)
    monkeypatch.setenv("HOLYSHEEP_BASE_URL", gateway.base_url)
    monkeypatch.setenv("HOLYSHEEP_MODEL", gateway.models[0])
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=120).execute()
    assert "widgets" not in notebook.metadata
    assert gateway.key not in nbformat.writes(notebook)
    for cell in notebook.cells:
        if cell.source.startswith("%%holysheep"):
            (output,) = cell.outputs
            assert output.metadata.holysheep.status == "complete"
            assert "text/markdown" in output.data


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_committed_notebook_shows_real_answers_and_no_widget(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    assert "widgets" not in notebook.metadata
    answers = [cell for cell in notebook.cells if cell.source.startswith("%%holysheep")]
    assert answers
    for cell in answers:
        (output,) = cell.outputs
        assert output.metadata.holysheep.model == "smollm2-135m-instruct"
        assert set(output.data) == {"text/plain", "text/markdown"}
