"""In a real kernel: versions of a cell, and what a fresh kernel reads of the saved notebook."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from live_kernel import Cell, LiveKernel
from raw_server import RawServer, answer


class Page:
    """A notebook before a kernel: cells with ids, and a file they are saved to."""

    def __init__(self, kernel: LiveKernel, path: Path) -> None:
        self.kernel = kernel
        self.path = path
        self.sources: dict[str, str] = {}
        self.shown: dict[str, Cell] = {}
        kernel.run(f"import os\nos.environ['JPY_SESSION_NAME'] = {str(path)!r}")

    def run(self, key: str, source: str) -> Cell:
        self.sources[key] = source
        self.shown[key] = self.kernel.begin(source, cell_id=key)
        if source.startswith("%%holysheep"):
            self.shown[key].widget().say("bye")
        return self.shown[key].wait()

    def ask(self, key: str, prompt: str) -> Cell:
        cell = self.run(key, f"%%holysheep\n{prompt}")
        self.kernel.wait_for(lambda: any("holysheep" in output.metadata for output in cell.outputs))
        return cell

    def save(self) -> None:
        cells = []
        for key, source in self.sources.items():
            outputs = [
                nbformat.v4.new_output("display_data", output.data, metadata=output.metadata)
                for output in self.shown[key].outputs
            ]
            cells.append(nbformat.v4.new_code_cell(source, outputs=outputs))
            cells[-1]["id"] = key
        nbformat.write(nbformat.v4.new_notebook(cells=cells), self.path)

    def start_afresh(self) -> None:
        """A fresh kernel, as far as the extension is concerned."""
        self.kernel.run("%reload_ext holysheep_nb")


@pytest.fixture
def page(kernel: LiveKernel, tmp_path: Path) -> Page:
    return Page(kernel, tmp_path / "cells.ipynb")


@pytest.fixture(autouse=True)
def no_page(kernel: LiveKernel) -> Any:
    """Other tests have no notebook."""
    yield
    kernel.run("import os\nos.environ.pop('JPY_SESSION_NAME', None)")


def echo(server: RawServer, *texts: str) -> None:
    for text in texts:
        server.play(answer(text))


def sent(server: RawServer) -> list[str]:
    """What the last request says, a message each."""
    return [message["content"] for message in server.asked[-1].json["messages"]]


def test_an_edit_in_the_middle_sends_what_stands_above_and_no_turn_twice(page: Page, server: RawServer) -> None:
    echo(server, "a", "b", "c", *(f"b{n}" for n in range(5)), "c2")
    for key in "ABC":
        page.ask(key, f"{key}?")
    for n in range(5):
        cell = page.ask("B", f"B{n}?")
        assert sent(server) == ["A?", "a", f"B{n}?"]
        assert f"version {n + 2} of {n + 2}" in cell.markdown
    page.ask("C", "C2?")
    assert sent(server) == ["A?", "a", "B4?", "b4", "C2?"]
    assert "with 2 earlier cells · version 2 of 2" in page.shown["C"].markdown
    assert len(server.asked) == 9


def test_checkout_makes_an_older_version_current_and_shows_it(page: Page, server: RawServer) -> None:
    echo(server, "a", "b1", "b2", "c")
    page.ask("A", "A?")
    page.ask("B", "B1?")
    page.ask("B", "B2?")
    cell = page.run("v", "%holysheep checkout 1")
    assert cell.outputs[0].data["text/plain"] == "Later cells go on from version 1 of 2 of cell 2."
    assert cell.markdown.startswith("b1\n")
    assert "version 1 of 2" in cell.markdown
    assert page.run("s", "%holysheep show").markdown == cell.markdown
    page.ask("C", "C?")
    assert sent(server) == ["A?", "a", "B1?", "b1", "C?"]
    assert page.run("s", "%holysheep show").markdown.startswith("c\n")
    below = page.run("v", "%holysheep checkout 2 2")
    assert below.outputs[0].data["text/plain"] == (
        "Later cells go on from version 2 of 2 of cell 2.\n"
        "1 cell below answered another version: run again what depends on it."
    )


def test_history_lists_every_cell_with_its_version(page: Page, server: RawServer) -> None:
    echo(server, "a", "b1", "b2")
    page.ask("A", "A?")
    page.ask("B", "B1?")
    page.run("B", "%%holysheep -l sky\nB2?")
    page.run("v", "%holysheep checkout sky 1")
    rows = [line.split() for line in page.run("h", "%holysheep history").text.split("\n")]
    assert rows[:3] == [
        ["cell", "version", "state", "model", "sent", "prompt"],
        ["1", "A", "1", "of", "1", "complete", "raw", "yes", "A?"],
        ["2", "sky", "1", "of", "2", "complete", "raw", "yes", "B1?"],
    ]


def test_branches_shows_what_changed_word_by_word(page: Page, server: RawServer) -> None:
    echo(server, "The sky is *blue*.\nYes.", "The sky is green.\nYes.")
    page.ask("A", "Why is it blue?")
    page.ask("A", "Why is it green?")
    cell = page.run("v", "%holysheep branches")
    assert "**Cell 1 · 2 versions, 2 is current**" in cell.markdown
    assert "Prompt: Why is it <del>blue?</del> <strong>green?</strong>" in cell.markdown
    assert "Answer: The sky is <del>\\*blue\\*.</del> <strong>green.</strong><br>Yes." in cell.markdown
    assert "Answer: The sky is [-*blue*.-] {+green.+}\nYes." in cell.text
    back = page.run("v", "%holysheep branches A 2 1")
    assert "Prompt: Why is it <del>green?</del> <strong>blue?</strong>" in back.markdown


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("checkout", "%holysheep checkout takes the number of a version, after the cell if it is not the last."),
        ("checkout 2", "Cell 1 has 1 version: there is no 2."),
        ("checkout B 1", "There is no cell 'B': `%holysheep history` lists them."),
        ("branches 1 1 0", "Cell 1 has 1 version: there is no 0."),
        ("history all", "%holysheep history takes nothing."),
    ],
)
def test_a_wrong_word_is_one_sentence(page: Page, server: RawServer, line: str, problem: str) -> None:
    echo(server, "a")
    page.ask("A", "A?")
    assert page.run("v", f"%holysheep {line}").traceback == [f"UsageError: {problem}"]


def test_a_fresh_kernel_knows_what_the_cells_above_said(page: Page, server: RawServer) -> None:
    echo(server, "a", "b1", "b2", "c", "n", "c2")
    page.ask("A", "A?")
    page.ask("B", "B1?")
    page.ask("B", "B2?")
    page.ask("C", "C?")
    page.save()
    page.start_afresh()
    cell = page.ask("B", "B3?")
    assert sent(server) == ["A?", "a", "B3?"]
    assert "with 1 earlier cell, read from the notebook as saved at " in cell.markdown
    assert "version 3 of 3" in cell.markdown
    page.ask("C", "C2?")
    assert sent(server) == ["A?", "a", "B3?", "n", "C2?"]
    assert "with 2 earlier cells, 1 of them read from the notebook as saved at " in page.shown["C"].markdown


def test_a_fresh_kernel_has_the_branches_and_checks_them_out(page: Page, server: RawServer) -> None:
    echo(server, "a", "b1", "b2", "b3", "c", "c2")
    page.ask("A", "A?")
    for n in (1, 2, 3):
        page.ask("B", f"B{n}?")
    page.save()
    page.start_afresh()
    assert "**Cell 2 · 3 versions, 3 is current**" in page.run("v", "%holysheep branches B").markdown
    shown = page.run("k", "%holysheep checkout B 2")
    assert shown.markdown.startswith("b2\n")
    assert "version 2 of 3" in shown.markdown
    page.ask("C", "C?")
    assert sent(server) == ["A?", "a", "B2?", "b2", "C?"]
    page.save()
    page.start_afresh()
    page.ask("C", "C2?")
    assert sent(server) == ["A?", "a", "B2?", "b2", "C2?"]


def test_a_dry_run_shows_what_was_read(page: Page, server: RawServer) -> None:
    echo(server, "a")
    page.ask("A", "A?")
    page.save()
    page.start_afresh()
    dry = page.kernel.run("%%holysheep --dry-run\nNext?", cell_id="N")
    assert "1 earlier cell would go with it." in dry.markdown


@pytest.mark.parametrize("forget", ["%holysheep reset", "%config HolySheepMagics.remembers = False"])
def test_what_a_person_wants_forgotten_is_not_read(page: Page, server: RawServer, forget: str) -> None:
    echo(server, "a", "b", "c")
    page.ask("A", "A?")
    page.save()
    page.start_afresh()
    page.kernel.run(forget)
    cell = page.ask("B", "B?")
    assert sent(server) == ["B?"]
    assert "earlier cell" not in cell.markdown


def test_new_reads_nothing(page: Page, server: RawServer) -> None:
    echo(server, "a", "b", "c")
    page.ask("A", "A?")
    page.save()
    page.start_afresh()
    page.run("B", "%%holysheep --new\nB?")
    page.ask("C", "C?")
    assert sent(server) == ["B?", "b", "C?"]


def test_a_notebook_that_cannot_be_found_is_said_once(page: Page, server: RawServer) -> None:
    echo(server, "a", "b")
    cell = page.ask("A", "A?")
    assert "no earlier cells: the saved notebook cells.ipynb cannot be read" in cell.markdown
    assert "cannot be read" not in page.ask("B", "B?").markdown


def test_a_kernel_that_no_notebook_is_named_to_reads_nothing_and_says_nothing(
    page: Page, kernel: LiveKernel, server: RawServer
) -> None:
    echo(server, "a", "b")
    page.ask("A", "A?")
    page.save()
    page.start_afresh()
    kernel.run("del os.environ['JPY_SESSION_NAME']")
    cell = page.ask("B", "B?")
    assert sent(server) == ["B?"]
    assert "earlier" not in cell.markdown
    page.start_afresh()
    assert kernel.run("%holysheep history").traceback == [
        "UsageError: Nothing was asked in this kernel, and nothing says where the notebook's file is."
    ]
