"""When two answers agree."""

from __future__ import annotations

import pytest

from holysheep_nb.shadow.answers import Answer, percentile
from holysheep_nb.shadow.likeness import compare


def said(text: str = "", *calls: tuple[str, str]) -> Answer:
    made = [{"name": name, "arguments": arguments} for name, arguments in calls]
    return Answer("m", text, made, "", 0.1, [], 0.2, 1, 1)


@pytest.mark.parametrize(
    ("old", "new", "kind", "agrees"),
    [
        (said("It is blue."), said("It is\nblue."), "text", True),
        (said("one two three four"), said("one two three five"), "text", False),
        (said("one two three four five"), said("one two three four six"), "text", True),
        (said(""), said(""), "text", True),
        (said('{"a": 1, "b": 2}'), said('```json\n{"b": 2, "a": 1}\n```'), "json", True),
        (said('{"a": 1}'), said('{"a": true}'), "json", False),
        (said('{"a": 1}'), said("a is 1"), "json", False),
        (said("[1, 2]"), said("[2, 1]"), "json", False),
        (said("42"), said("42"), "text", True),
        (said("", ("f", '{"a": 1}'), ("g", "{}")), said("", ("g", "{}"), ("f", '{ "a":1 }')), "calls", True),
        (said("", ("f", '{"a": 1}')), said("", ("f", '{"a": 2}')), "calls", False),
        (said("", ("f", '{"a": 1')), said("", ("f", '{"a": 1')), "calls", True),
        (said("", ("f", "{}")), said("f"), "calls", False),
        (said("", ("f", "{}")), said("", ("f", "{}"), ("f", "{}")), "calls", False),
    ],
)
def test_texts_json_and_calls_agree_as_they_should(old: Answer, new: Answer, kind: str, agrees: bool) -> None:
    found = compare(old, new)
    assert (found.kind, found.agrees) == (kind, agrees)
    assert compare(new, old).agrees == agrees


def test_the_similarity_from_which_on_texts_agree_can_be_set() -> None:
    old, new = said("one two three four"), said("one two three five")
    assert compare(old, new, 0.75).agrees
    assert compare(old, new).similarity == 0.75


def test_the_percentile_is_one_of_the_values() -> None:
    assert percentile(list(range(1, 101)), 0.95) == 95
    assert percentile([3.0, 1.0], 0.95) == 3.0
    assert percentile([], 0.95) is None


def test_an_answer_comes_back_from_json_as_it_was() -> None:
    answer = said("text", ("f", "{}"))
    assert Answer.from_dict(answer.to_dict()) == answer


def test_the_order_of_keys_and_of_calls_makes_no_difference_to_the_similarity() -> None:
    assert compare(said('{"a": 1, "b": 2}'), said('{"b":2,"a":1}')).similarity == 1
    assert compare(said("", ("f", '{"a": 1}'), ("g", "{}")), said("", ("g", "{}"), ("f", '{"a":1}'))).similarity == 1
    assert 0 < compare(said('{"a": 1, "b": 2}'), said('{"a": 1, "b": 3}')).similarity < 1
