"""The versions of a cell: their order, which one is sent, and what is kept of them."""

from __future__ import annotations

import json

import pytest
from saved_notebooks import run_of, version

from holysheep_nb.conversation import Conversation, Exchange, Turn
from holysheep_nb.parts import ImagePart, TextPart
from holysheep_nb.view.frozen import context_note, run_metadata
from holysheep_nb.view.versions import MOST_BRANCHES


def three() -> tuple[Conversation, Exchange]:
    conversation = Conversation()
    for text in ("one", "two", "three"):
        exchange = conversation.begin("b", version(text))
    return conversation, exchange


def texts(exchange: Exchange) -> list[str]:
    return [turns[-1].text for turns in exchange.versions]


def test_a_version_that_is_checked_out_is_sent_and_keeps_its_number() -> None:
    conversation, exchange = three()
    exchange.check_out(1)
    assert (exchange.number, exchange.turns[-1].text) == (1, "one")
    exchange.check_out(2)
    assert (exchange.number, exchange.turns[-1].text, texts(exchange)) == (2, "two", ["one", "two", "three"])
    assert conversation.context_of("c")[0].turns[-1].text == "two"


def test_a_run_after_a_checkout_is_the_newest_version() -> None:
    conversation, exchange = three()
    exchange.check_out(1)
    conversation.begin("b", version("four"))
    assert (exchange.number, texts(exchange)) == (4, ["one", "two", "three", "four"])


@pytest.mark.parametrize("number", [0, -1, 4])
def test_a_version_there_is_not_cannot_be_checked_out(number: int) -> None:
    _, exchange = three()
    with pytest.raises(IndexError):
        exchange.check_out(number)
    assert exchange.number == 3


def test_choosing_turns_is_checking_their_version_out() -> None:
    conversation, exchange = three()
    conversation.choose("b", exchange.branches[1])
    assert (exchange.number, texts(exchange)) == (2, ["one", "two", "three"])
    conversation.choose("b", version("two"))
    assert exchange.number == 2


def test_a_run_that_gave_nothing_is_no_version() -> None:
    conversation, exchange = three()
    conversation.begin("b", [Turn.user("?"), Turn("assistant", finish_reason="failed")])
    conversation.begin("b", version("four"))
    assert texts(exchange) == ["one", "two", "three", "four"]


def test_an_exchange_that_was_checked_out_survives_json() -> None:
    conversation, exchange = three()
    exchange.check_out(2)
    exchange.label, exchange.source = "a label", "the notebook"
    assert Conversation.from_dict(json.loads(json.dumps(conversation.to_dict()))) == conversation


def test_the_footer_says_which_version_it_is_and_what_was_read() -> None:
    branches = (version("one"), version("two"))
    run = run_of(version("x"), "b", branches=branches, version=2)
    assert context_note(run) == "version 2 of 3"
    source = "the notebook as saved at 12:03"
    run = run_of(version("x"), "b", earlier_cells=2, earlier_read=2, earlier_source=source)
    assert context_note(run) == f"with 2 earlier cells, read from {source}"
    run = run_of(version("x"), "b", earlier_cells=2, earlier_read=1, earlier_source=source, remark="a remark")
    assert context_note(run) == f"with 2 earlier cells, 1 of them read from {source} · a remark"


def test_the_metadata_keeps_the_newest_versions_without_their_images() -> None:
    image = [Turn.user([TextPart("look"), ImagePart("data:image/png;base64,AAAA")]), version("seen")[-1]]
    branches = (*(version(f"{number}") for number in range(7)), image)
    metadata = run_metadata(run_of(version("last"), "b", branches=branches, version=9))
    assert len(metadata["branches"]) == metadata["position"] == MOST_BRANCHES
    assert [turns[0]["parts"][0]["text"] for turns in metadata["branches"]] == ["3?", "4?", "5?", "6?", "look"]
    assert "AAAA" not in json.dumps(metadata)
    assert image[0].parts[1] == ImagePart("data:image/png;base64,AAAA")


def test_the_metadata_says_where_a_chosen_version_stands_among_those_that_are_kept() -> None:
    branches = tuple(version(f"{number}") for number in range(7))
    assert run_metadata(run_of(version("x"), "b", branches=branches, version=4))["position"] == 1
    assert run_metadata(run_of(version("x"), "b", branches=branches, version=1))["position"] == 0


def test_versions_that_are_too_long_are_not_kept() -> None:
    branches = (version("old"), version("x" * 200_000), version("new"))
    metadata = run_metadata(run_of(version("x"), "b", branches=branches, version=4))
    assert [turns[0]["parts"][0]["text"] for turns in metadata["branches"]] == ["new?"]
    assert "branches" not in run_metadata(run_of(version("x"), "b"))
