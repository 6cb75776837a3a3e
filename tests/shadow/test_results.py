"""The file of results: what survives a process that dies, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from holysheep_nb.errors import HolySheepError, UsageError
from holysheep_nb.shadow.answers import Answer, Pair
from holysheep_nb.shadow.results import Results

COMPARED = {"old_model": "a", "new_model": "b"}
PAIR = Pair(
    Answer("a", "ä\u2028ö", [], "", 0.1, [0.01], 0.2, 1, 2),
    Answer("b", "", [], "It failed.", None, [], 0.2, None, None),
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    results = Results(tmp_path / "r.jsonl", COMPARED)
    results.add("one", PAIR)
    results.add("two", PAIR)
    return results.path


def test_what_was_added_is_there_again(file: Path) -> None:
    again = Results(file, COMPARED)
    assert [key in again for key in ("one", "two", "three")] == [True, True, False]
    assert again["one"] == PAIR


def test_cut_at_every_byte_it_keeps_the_whole_lines_and_goes_on(file: Path) -> None:
    content = file.read_bytes()
    ends = [index + 1 for index, byte in enumerate(content) if byte == 10]
    for end in range(0, len(content), 7):
        file.write_bytes(content[:end])
        results = Results(file, COMPARED)
        assert len(results) == max(sum(each <= end for each in ends) - 1, 0)
        results.add("three", PAIR)
        assert Results(file, COMPARED)["three"] == PAIR


def test_the_later_of_two_results_of_a_prompt_counts(file: Path) -> None:
    Results(file, COMPARED).add("one", Pair(PAIR.old, PAIR.old))
    assert Results(file, COMPARED)["one"].is_whole


def test_results_of_another_comparison_are_refused_with_what_differs(file: Path) -> None:
    with pytest.raises(UsageError, match=r"compare something else \(new model differ\): name another file"):
        Results(file, {**COMPARED, "new_model": "c"})


@pytest.mark.parametrize("content", ["hello", "hello\n", "[]\n", '{"prompt": "a"}\n'])
def test_a_file_of_something_else_is_refused_and_left_as_it_is(tmp_path: Path, content: str) -> None:
    file = tmp_path / "notes.jsonl"
    file.write_text(content, "utf-8")
    with pytest.raises(UsageError, match="holds no results of a comparison"):
        Results(file, COMPARED)
    assert file.read_text("utf-8") == content


def test_a_line_that_is_not_a_result_is_named(file: Path) -> None:
    with file.open("a", encoding="utf-8") as opened:
        opened.write('{"key": "x", "old": {}, "new": {}}\n')
    with pytest.raises(UsageError, match=r"line 4 cannot be read: take the line out\."):
        Results(file, COMPARED)


def test_results_that_cannot_be_written_are_said(tmp_path: Path) -> None:
    results = Results(tmp_path / "none" / "r.jsonl", COMPARED)
    with pytest.raises(HolySheepError, match=r"cannot be written \(No such file or directory\)"):
        results.add("one", PAIR)
