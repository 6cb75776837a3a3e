"""A saved notebook is read back, whoever wrote it, and never run."""

from __future__ import annotations

import copy
import json
import logging
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import nbformat
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from raw_server import RawServer, answer
from saved_notebooks import answered, cell_of, output_of, save, version

from holysheep_nb import Chat
from holysheep_nb.config import Settings
from holysheep_nb.conversation import Conversation, Exchange
from holysheep_nb.errors import HolySheepError
from holysheep_nb.history import Memory
from holysheep_nb.history.notebook import find_notebook, read_notebook
from holysheep_nb.history.saved import read_answer
from holysheep_nb.view.frozen_comparison import frozen_comparison


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.ipynb"


def said(exchanges: list[Exchange]) -> list[tuple[str, list[str]]]:
    """Each exchange that said something, with the text of its versions."""
    return [(each.key, [turns[-1].text for turns in each.versions]) for each in exchanges if each.turns]


# Reading


def test_exchanges_are_read_in_the_order_of_the_notebook(path: Path) -> None:
    save(path, answered("b", "1"), nbformat.v4.new_markdown_cell("x"), cell_of("x", "1 + 1"), answered("a", "2"))
    found = read_notebook(path)
    assert said(found.exchanges) == [("b", ["1"]), ("a", ["2"])]
    assert found.exchanges[0].turns == version("1")
    assert {each.source for each in found.exchanges} == {found.name}
    assert found.unreadable == 0


def test_a_cell_without_an_answer_has_its_place(path: Path) -> None:
    save(path, answered("a", "1"), cell_of("b"), answered("c", "3"))
    conversation = Conversation(read_notebook(path).exchanges)
    assert [each.key for each in conversation.exchanges] == ["a", "b", "c"]
    exchange = conversation.begin("b", version("2"))
    assert [each.key for each in conversation.context(exchange)] == ["a"]
    assert (exchange.branches, exchange.source) == ([], "")


def test_versions_label_and_fresh_start_are_read(path: Path) -> None:
    branches = (version("one"), version("three"))
    save(path, answered("a", "two", branches=branches, version=2, label="mine", starts_afresh=True))
    (exchange,) = read_notebook(path).exchanges
    assert said([exchange]) == [("a", ["one", "two", "three"])]
    assert (exchange.number, exchange.label, exchange.starts_afresh) == (2, "mine", True)


def test_a_version_chosen_after_the_cell_ran_is_current_and_one_chosen_before_is_not(path: Path) -> None:
    later, earlier = "2026-01-02T00:00:00.000+00:00", "2026-01-01T00:00:00.000+00:00"
    for chosen_at, number in ((later, 1), (earlier, 2)):
        asked = answered("a", "two", branches=(version("one"),), version=2, asked_at="2026-01-01T12:00:00.000+00:00")
        checkout = cell_of("z", "%holysheep checkout 1", output_of(version("one"), "a", chosen_at=chosen_at))
        save(path, asked, checkout)
        (exchange,) = read_notebook(path).exchanges
        assert (exchange.number, said([exchange])) == (number, [("a", ["one", "two"])])


def test_an_answer_that_is_shown_elsewhere_or_copied_is_read_once(path: Path) -> None:
    shown = cell_of("s", "%holysheep show", output_of(version("1"), "a"))
    copied = cell_of("c", "%%holysheep\n1?", output_of(version("1"), "a"))
    save(path, answered("a", "1"), shown, copied)
    assert said(read_notebook(path).exchanges) == [("a", ["1"])]


def test_a_cell_that_a_program_ran_is_known_by_its_id_in_the_file(path: Path) -> None:
    save(path, cell_of("a", "%%holysheep\n1?", output_of(version("1"), "#1")))
    assert said(read_notebook(path).exchanges) == [("a", ["1"])]


def test_a_comparison_is_read_with_its_columns_as_versions(path: Path) -> None:
    cell = answered("a", "kept")
    metadata = cell.outputs[0].metadata["holysheep"]
    other = output_of(version("other"), "a").metadata["holysheep"]
    other["turns"][-1]["parts"] = [{"type": "text", "text": "other"}]
    metadata["columns"] = [{**metadata, "turns": []}, other]
    save(path, cell)
    (exchange,) = read_notebook(path).exchanges
    assert (exchange.turns[-1].text, sorted(said([exchange])[0][1])) == ("kept", ["kept", "other"])


def test_the_name_says_when_the_file_was_saved(path: Path) -> None:
    save(path, answered("a", "1"))
    today = datetime.now().replace(hour=12, minute=3)
    os.utime(path, (today.timestamp(), today.timestamp()))
    assert read_notebook(path).name == "the notebook as saved at 12:03"
    os.utime(path, (0, datetime(2025, 5, 6, 7, 8).timestamp()))
    assert read_notebook(path).name == "the notebook as saved at 07:08 on 2025-05-06"


# Hostile notebooks

WRONG: list[Any] = [
    None,
    7,
    "text",
    [],
    {},
    {"version": 2, "turns": []},
    {"version": 1},
    {"version": 1, "turns": {}},
    {"version": 1, "turns": [1, 2]},
    {"version": 1, "turns": [{"role": "assistant"}, {"role": "user"}]},
    {"version": 1, "turns": [{"role": "user", "parts": 5}, {"role": "assistant", "parts": []}]},
]


def good() -> Any:
    return output_of(version("1"), "a", branches=(version("0"),), version=2).metadata["holysheep"]


def changed(**changes: Any) -> Any:
    return {**good(), **changes}


def with_part(part: Any) -> Any:
    metadata = good()
    metadata["turns"][1]["parts"] = [part]
    return metadata


WRONG += [
    changed(position=-1),
    changed(position=2),
    changed(position=True),
    changed(branches=5),
    changed(branches=[[{}]]),
    changed(columns=[3]),
    changed(cell=[]),
    changed(asked_at=1),
    with_part({"type": "text", "text": 5}),
    with_part({"type": "text", "text_from": ["x"]}),
    with_part({"type": "text", "text_from": "text/none"}),
    with_part({"type": "text", "text": "x" * 2_000_000}),
    with_part({"type": "text", "text": "\ud800"}),
    with_part({"type": "video", "text": ""}),
    with_part({"type": ["text"]}),
    with_part({"type": "reasoning", "text": "", "seconds": "long"}),
    with_part({"type": "reasoning", "text": "", "seconds": float("nan")}),
    with_part({"type": "tool_call", "arguments": {}}),
    with_part({"type": "tool_result", "text": "", "outcome": "great"}),
]


@pytest.mark.parametrize("metadata", WRONG)
def test_metadata_of_others_is_left_out_with_a_note(
    path: Path, metadata: Any, caplog: pytest.LogCaptureFixture
) -> None:
    cell = answered("a", "1")
    notebook = nbformat.v4.new_notebook(cells=[cell, answered("b", "2")])
    notebook.cells[0].outputs[0].metadata["holysheep"] = metadata
    path.write_text(json.dumps(notebook))
    with caplog.at_level(logging.WARNING):
        found = read_notebook(path)
    assert said(found.exchanges) == [("b", ["2"])]
    assert found.unreadable == 1
    assert "the answer in cell 1 of the saved notebook is left out: " in caplog.text


def test_no_address_of_an_image_is_read(path: Path) -> None:
    metadata = good()
    metadata["turns"][0]["parts"].append({"type": "image", "url": "http://evil.test/x.png"})
    image = {"text": "", "call_id": "c", "images": ["http://evil.test/y.png"], "shown": [{"text/html": "<script>"}]}
    metadata["turns"][1]["parts"].append({"type": "tool_result", **image})
    answer = read_answer({"text/plain": "1"}, {"holysheep": metadata})
    assert answer is not None
    assert "evil" not in json.dumps([turn.to_dict() for turn in answer.turns])
    assert "script" not in json.dumps([turn.to_dict() for turn in answer.turns])


def places(value: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in JSON."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [above, *(place for key, each in inner for place in places(each, (*above, key)))]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_notebook_in_which_anything_is_replaced_is_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    shown = cell_of("z", "%holysheep checkout 1", output_of(version("0"), "a", chosen_at="2026"))
    notebook = nbformat.v4.new_notebook(cells=[answered("a", "1", branches=(version("0"),), version=2), shown])
    whole = copy.deepcopy(json.loads(json.dumps(notebook)))
    *above, last = data.draw(st.sampled_from(places(whole)[1:]))
    inner = whole
    for key in above:
        inner = inner[key]
    inner[last] = data.draw(json_values)
    path = tmp_path / "fuzz.ipynb"
    path.write_text(json.dumps(whole))
    try:
        exchanges = read_notebook(path).exchanges
    except HolySheepError:
        return
    assert Conversation.from_dict(json.loads(json.dumps(Conversation(exchanges).to_dict()))).exchanges == exchanges


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"\xff\xfe", "it is no JSON"),
        (b"[" * 200_000, "it is no JSON"),
        (b"[]", "it has no cells"),
        (b'{"cells": {}}', "it has no cells"),
        (b'{"worksheets": []}', "it has no cells"),
    ],
)
def test_what_is_no_notebook_is_refused_in_one_sentence(path: Path, content: bytes, problem: str) -> None:
    path.write_bytes(content)
    with pytest.raises(HolySheepError, match=rf"^The saved notebook a\.ipynb cannot be read: {problem}\.$"):
        read_notebook(path)


# Remembering


@pytest.fixture
def conversation() -> Conversation:
    return Conversation()


@pytest.fixture
def memory(conversation: Conversation, path: Path, monkeypatch: pytest.MonkeyPatch) -> Memory:
    monkeypatch.setenv("JPY_SESSION_NAME", str(path))
    memory = Memory(conversation, Settings())
    memory.cell = "b"
    return memory


def test_a_conversation_is_read_back_once(memory: Memory, conversation: Conversation, path: Path) -> None:
    save(path, answered("a", "1"))
    assert memory.recall() == ""
    assert said(conversation.exchanges) == [("a", ["1"])]
    conversation.reset()
    memory.recall()
    assert conversation.exchanges == []


def test_nothing_is_read_into_a_conversation_that_has_begun(
    memory: Memory, conversation: Conversation, path: Path
) -> None:
    save(path, answered("a", "1"))
    conversation.begin("b", version("2"))
    memory.recall()
    assert said(conversation.exchanges) == [("b", ["2"])]


def test_nothing_is_read_after_a_fresh_start(memory: Memory, conversation: Conversation, path: Path) -> None:
    save(path, answered("a", "1"))
    memory.recall(afresh=True)
    memory.recall()
    assert conversation.exchanges == []


def test_nothing_is_read_where_a_program_runs_the_notebook(
    memory: Memory, conversation: Conversation, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(path, answered("a", "1"))
    memory.cell = None
    assert memory.recall() == ""
    memory.cell = "b"
    monkeypatch.delenv("JPY_SESSION_NAME")
    assert memory.recall() == ""
    assert conversation.exchanges == []
    assert memory.why_nothing() == "Nothing was asked in this kernel, and nothing says where the notebook's file is."


def test_the_setting_turns_it_off(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(path, answered("a", "1"))
    monkeypatch.setenv("JPY_SESSION_NAME", str(path))
    conversation = Conversation()
    memory = Memory(conversation, Settings(remembers=False))
    memory.cell = "b"
    assert memory.recall() == ""
    assert conversation.exchanges == []
    assert "`remembers` is off" in memory.why_nothing()


def test_a_notebook_that_is_gone_is_said_beside_the_first_prompt_alone(
    memory: Memory, conversation: Conversation
) -> None:
    remark = "no earlier cells: the saved notebook a.ipynb cannot be read (No such file or directory)"
    assert memory.recall() == remark
    assert memory.recall() == remark
    assert memory.why_nothing() == f"Nothing was asked in this kernel, and {remark}."
    conversation.begin("b", version("2"))
    assert memory.recall() == ""


def test_cells_that_could_not_be_read_are_counted(memory: Memory, conversation: Conversation, path: Path) -> None:
    broken = answered("x", "3")
    broken.outputs[0].metadata["holysheep"]["version"] = 9
    save(path, answered("a", "1"), broken)
    assert memory.recall().startswith("1 cell could not be read from the notebook as saved at ")


@pytest.mark.parametrize(
    ("name", "expected"),
    [("", None), ("console-1", None), ("sub/a.ipynb", "a.ipynb"), ("a.ipynb", "a.ipynb")],
)
def test_the_notebook_is_found_from_the_folder_of_the_kernel(
    name: str, expected: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "a.ipynb")
    monkeypatch.setenv("JPY_SESSION_NAME", name)
    found = find_notebook()
    assert (found and found.resolve()) == (expected and (tmp_path / expected).resolve())


def test_a_comparison_keeps_what_its_cell_said_before(path: Path, at_server: RawServer) -> None:
    chat = Chat()
    for text in ("one", "two", "three"):
        at_server.play(answer(text))
    chat.ask("?", cell="a", show=False).result()
    comparison = chat.compare("?", ["raw", "raw-large"], cell="a", show=False).result()
    assert {run.request.version for run in comparison} == {2}
    data, metadata = frozen_comparison(comparison)
    output = nbformat.v4.new_output("display_data", data, metadata=metadata)
    save(path, cell_of("a", "%%holysheep -m raw -m raw-large\n?", output))
    ((_, texts),) = said(read_notebook(path).exchanges)
    assert (texts[0], sorted(texts)) == ("one", ["one", "three", "two"])
    assert read_notebook(path).exchanges[0].number == 2
