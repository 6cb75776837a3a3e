"""The notebooks run from top to bottom without a network, and what is committed is what they give."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from raw_server import KEY

from holysheep_nb.local import Gateway, start_gateway
from holysheep_nb.view.frozen import turns_from_output

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
QUICKSTART = NOTEBOOKS / "01-quickstart.ipynb"
CALLS = {
    "02-customer-support": [
        *[("find_orders", "ok"), ("find_orders", "ok"), ("refund", "denied")],
        *[("find_orders", "ok"), ("refund", "error"), ("refund", "ok")],
    ],
    "03-code-generation": [("show_cases", "ok"), ("run_cases", "ok"), ("run_cases", "ok")],
    "04-autonomous-workflow": [("look", "ok"), *[("percent_sent_back", "ok")] * 4, ("draw_sent_back", "ok")],
}
"""What each notebook with tools calls, in this order, and what comes of it where nobody can approve."""
MIGRATION = "06-migration"


@pytest.fixture(scope="module", params=["script", "smollm2"])
def gateway(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    if request.param == "smollm2" and os.environ.get("HOLYSHEEP_OFFLINE") == "1":
        pytest.skip("the model's weights come from the network")
    with start_gateway(request.param) as running:
        yield running


def test_the_quickstart_runs_from_top_to_bottom(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLYSHEEP_API_KEY", gateway.key)
    monkeypatch.setenv("HOLYSHEEP_BASE_URL", gateway.base_url)
    monkeypatch.setenv("HOLYSHEEP_MODEL", gateway.models[0])
    notebook = run(nbformat.read(QUICKSTART, as_version=4))
    assert "widgets" not in notebook.metadata
    assert gateway.key not in nbformat.writes(notebook)
    for cell in notebook.cells:
        if cell.source.startswith("%%holysheep"):
            (output,) = cell.outputs
            assert output.metadata.holysheep.status == "complete"
            assert "text/markdown" in output.data


def test_the_committed_quickstart_shows_real_answers_and_no_widget() -> None:
    notebook = nbformat.read(QUICKSTART, as_version=4)
    assert "widgets" not in notebook.metadata
    answers = [cell for cell in notebook.cells if cell.source.startswith("%%holysheep")]
    assert answers
    for cell in answers:
        (output,) = cell.outputs
        assert output.metadata.holysheep.model == "smollm2-135m-instruct"
        assert set(output.data) == {"text/plain", "text/markdown"}


@dataclass(frozen=True)
class Ran:
    """A notebook after a run, and the key that its gateway had."""

    name: str
    notebook: Any
    key: str


@pytest.fixture(scope="module", params=CALLS)
def ran(request: pytest.FixtureRequest) -> Ran:
    return run_without_key(request.param)


def test_a_notebook_with_tools_runs_from_top_to_bottom_without_a_key(ran: Ran) -> None:
    outputs = answers(ran.notebook)
    assert outputs
    assert {output.metadata.holysheep.status for output in outputs} == {"complete"}
    assert {output.metadata.holysheep.error for output in outputs} == {None}
    assert calls(ran.notebook) == CALLS[ran.name]


def test_a_notebook_with_tools_says_in_each_answer_that_a_script_speaks(ran: Ran) -> None:
    for output in answers(ran.notebook):
        assert output.metadata.holysheep.model.startswith("script-")
        assert "<sub>script-" in output.data["text/markdown"]


def test_a_notebook_with_tools_inserts_all_results_that_it_speaks_of(ran: Ran) -> None:
    for output in answers(ran.notebook):
        assert "{{" not in output.data["text/plain"]


def test_a_notebook_with_tools_keeps_neither_key_nor_widget(ran: Ran) -> None:
    saved = nbformat.writes(ran.notebook)
    assert len(ran.key) > 20
    assert ran.key not in saved
    assert "widget" not in saved


def test_a_notebook_with_tools_gives_the_same_transcript_again(ran: Ran) -> None:
    again = run_without_key(ran.name)
    assert again.key != ran.key
    assert transcript(again.notebook) == transcript(ran.notebook)


def test_a_committed_notebook_with_tools_is_what_a_run_gives(ran: Ran) -> None:
    committed = nbformat.read(NOTEBOOKS / f"{ran.name}.ipynb", as_version=4)
    assert calls(committed) == calls(ran.notebook)
    assert [output.data["text/plain"] for output in answers(committed)] == [
        output.data["text/plain"] for output in answers(ran.notebook)
    ]
    assert images(committed) == images(ran.notebook)


@pytest.mark.parametrize("name", [*CALLS, MIGRATION])
def test_a_committed_notebook_tells_nothing_of_a_machine(name: str) -> None:
    text = (NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8")
    notebook = nbformat.reads(text, as_version=4)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert all(cell.metadata == {} for cell in notebook.cells)
    assert "widget" not in text
    assert not re.search(r"/(tmp|home|root|Users|var|usr|opt)/|[A-Z]:\\\\", text)


def test_the_code_that_the_model_shows_is_the_code_that_passed() -> None:
    notebook = nbformat.read(NOTEBOOKS / "03-code-generation.ipynb", as_version=4)
    (output,) = answers(notebook)
    turn = turns_from_output(output.data, output.metadata)[-1]
    reports = [part.text for part in turn.parts if part.type == "tool_result"]
    assert [report.splitlines()[-1] for report in reports[1:]] == ["3 of 6 cases pass.", "6 of 6 cases pass."]
    shown = re.findall(r"```python\n(.*?)```", turn.text, re.DOTALL)
    asked = [part.arguments for part in turn.parts if part.type == "tool_call"]
    assert shown == [json.loads(asked[-1])["code"]]


def test_a_figure_of_a_tool_is_shown_once() -> None:
    notebook = nbformat.read(NOTEBOOKS / "04-autonomous-workflow.ipynb", as_version=4)
    assert images(notebook) == ["image/png"]


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The notebook about the migration after a run, with no account of anything."""
    notebook = nbformat.read(NOTEBOOKS / f"{MIGRATION}.ipynb", as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell("print(old.key)\nprint(new.key)"))
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        environment.setenv("HOLYSHEEP_BASE_URL", "http://127.0.0.1:9/v1")
        environment.setenv("HOLYSHEEP_API_KEY", KEY)
        run(notebook)
    keys = notebook.cells.pop().outputs[0].text.split()
    saved = nbformat.writes(notebook)
    assert [len(key) > 20 for key in keys] == [True, True]
    assert [key in saved for key in (*keys, KEY)] == [False, False, False]
    return notebook


def test_the_migration_is_shown_from_find_to_roll_back(migrated: Any) -> None:
    assert "widget" not in nbformat.writes(migrated)
    found, written, shadow, estimate, back = shown(migrated, "%holysheep migrate", "%holysheep shadow")
    assert found.startswith("3 findings (2 exact, 1 review) in 1 file; 1 file to rewrite.")
    assert "Written: `letters.ipynb`." in written
    assert "- Answers that agree: 11 of 13 (85 %)" in shadow
    assert "- Failures: old 1 of 14, HolySheep 0 of 14" in shadow
    assert "What is saved is unknown: give the input price of gpt-4.1 with --price IN,OUT." in estimate
    assert back == "Restored: `letters.ipynb`.\n"
    assert [cell.outputs[0].data["text/plain"] for cell in migrated.cells if "read_bytes" in cell.source] == ["True"]


def test_the_faster_of_the_two_gateways_is_found_to_be_faster(migrated: Any) -> None:
    (shadow,) = shown(migrated, "%holysheep shadow")
    for what in ("time to first token", "total time"):
        (percent,) = re.findall(rf"- Median {what}: .*\(−(\d+) %\)", shadow)
        assert int(percent) >= 30


def test_a_profile_has_the_same_cell_answered_elsewhere(migrated: Any) -> None:
    texts = [output.data["text/plain"].splitlines()[0] for output in answers(migrated)]
    assert texts == [
        "This is the script that stands for the old endpoint.",
        "This is the script that stands for HolySheep.",
    ]


def test_the_committed_migration_is_what_a_run_gives(migrated: Any) -> None:
    committed = nbformat.read(NOTEBOOKS / f"{MIGRATION}.ipynb", as_version=4)
    assert [without_times(text) for text in shown(committed, "")] == [
        without_times(text) for text in shown(migrated, "")
    ]
    assert images(committed) == images(migrated) == ["image/png", "image/png"]


def test_the_notebook_that_is_migrated_is_left_as_it_is(migrated: Any) -> None:
    text = (NOTEBOOKS / "legacy" / "letters.ipynb").read_text(encoding="utf-8")
    assert "https://api.openai.com/v1" in text
    assert "HOLYSHEEP" not in text


def shown(notebook: Any, *starts: str) -> list[str]:
    """What the cells show that begin with one of `starts`: markdown where there is any, else text."""
    texts = []
    for cell in notebook.cells:
        if cell.cell_type == "code" and cell.source.startswith(starts):
            bundles = [output.get("data", {"text/plain": output.get("text", "")}) for output in cell.outputs]
            texts.append("\n".join(bundle.get("text/markdown", bundle.get("text/plain", "")) for bundle in bundles))
    return texts


def without_times(text: str) -> str:
    """The text without what is another each time: ports, times, and how much shorter they are."""
    return re.sub(r"127\.0\.0\.1:\d+|\d[\d.]* m?s\b|[+−±]\d+ %", "…", text)


def run(notebook: Any) -> Any:
    """The notebook after a run in its folder."""
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(NOTEBOOKS)}}).execute()
    return notebook


def run_without_key(name: str) -> Ran:
    """The notebook after a run with its script. Were it to ask another endpoint, that would refuse the connection."""
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell("import os; print(os.environ['HOLYSHEEP_LOCAL_KEY'])"))
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("HOLYSHEEP_BASE_URL", "http://127.0.0.1:9/v1")
        environment.setenv("HOLYSHEEP_API_KEY", KEY)
        run(notebook)
    key = notebook.cells.pop().outputs[0].text.strip()
    assert KEY not in nbformat.writes(notebook)
    return Ran(name, notebook, key)


def answers(notebook: Any) -> list[Any]:
    """The first output of each cell that asks: what stays of the run."""
    return [cell.outputs[0] for cell in notebook.cells if cell.source.startswith("%%holysheep")]


def images(notebook: Any) -> list[str]:
    """The kinds of the images in the outputs."""
    bundles = [output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", [])]
    return [kind for bundle in bundles for kind in bundle if kind.startswith("image/")]


def transcript(notebook: Any) -> list[dict[str, Any]]:
    """All turns of all runs, without the seconds they took, and without tracebacks, which name temporary files."""
    turns = [turn.to_dict() for output in answers(notebook) for turn in turns_from_output(output.data, output.metadata)]
    for part in (part for turn in turns for part in turn["parts"]):
        for volatile in ("seconds", "details"):
            part.pop(volatile, None)
    return turns


def calls(notebook: Any) -> list[tuple[str, str]]:
    """The tools that were called, and what came of it."""
    parts = [part for turn in transcript(notebook) for part in turn["parts"]]
    outcomes = {part["call_id"]: part["outcome"] for part in parts if part["type"] == "tool_result"}
    return [(part["name"], outcomes[part["call_id"]]) for part in parts if part["type"] == "tool_call"]
