"""A notebook run by a program: markdown in the file, and no trace of a widget."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import HTMLExporter, MarkdownExporter
from raw_server import RawServer, answer, calling, json_answer


@pytest.fixture
def in_folder(at_server: RawServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    return tmp_path


def execute(folder: Path, *sources: str) -> Any:
    cells = [nbformat.v4.new_code_cell(source) for source in ("%load_ext holysheep_nb", *sources)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, timeout=30, resources={"metadata": {"path": str(folder)}}).execute()
    nbformat.validate(notebook)
    return notebook


def test_the_executed_notebook_holds_markdown_and_no_widget(at_server: RawServer, in_folder: Path) -> None:
    at_server.play(answer("# One\n\n", "first"))
    at_server.play(answer("second"))
    at_server.play(answer("third"))
    notebook = execute(
        in_folder,
        "%%holysheep\none",
        "%%holysheep --bg\ntwo",
        "%holysheep wait",
        "for q in ['three']:\n    print(get_ipython().run_cell_magic('holysheep', '', q).text)",
    )
    assert "widgets" not in notebook.metadata
    data = [output["data"] for cell in notebook.cells for output in cell.outputs if "data" in output]
    assert not [mime for bundle in data for mime in bundle if "widget" in mime]
    answers = [bundle["text/markdown"].split("\n\n<sub>")[0] for bundle in data if "text/markdown" in bundle]
    assert answers == ["# One\n\nfirst", "second", "third"]
    for exporter in (HTMLExporter(), MarkdownExporter()):
        page, _ = exporter.from_notebook_node(notebook)
        assert all(text in page for text in ("first", "second", "third"))


def test_an_error_fails_the_notebook(at_server: RawServer, in_folder: Path) -> None:
    at_server.play(json_answer({"error": {"message": "Incorrect API key"}}, "401 Unauthorized"))
    with pytest.raises(CellExecutionError, match="AuthenticationError: "):
        execute(in_folder, "%%holysheep\none", "print('never')")


def test_a_call_that_nobody_can_approve_is_denied_at_once_and_the_notebook_completes(
    at_server: RawServer, in_folder: Path
) -> None:
    at_server.play(calling(("order", {"city": "Paris"}), text="I order."))
    at_server.play(answer("Then not."))
    define = "calls = []\ndef order(city: str) -> str:\n    calls.append(city)\n    return city"
    notebook = execute(in_folder, define, "%%holysheep -T order\nDo it", "print(calls)")
    (said,) = [m["content"] for m in at_server.asked[1].json["messages"] if m["role"] == "tool"]
    assert said.startswith("The call was denied: Nobody is here to approve this call")
    assert notebook.cells[3].outputs[0]["text"] == "[]\n"
    (output,) = notebook.cells[2].outputs
    assert "· denied</summary>" in output["data"]["text/markdown"]
    timing = notebook.cells[2].metadata["execution"]
    began, ended = (
        datetime.fromisoformat(timing[name].removesuffix("Z"))
        for name in ("iopub.execute_input", "shell.execute_reply")
    )
    assert (ended - began).total_seconds() < 1.0
