from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holysheep_nb.conversation import (
    Conversation,
    Exchange,
    Op,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    Turn,
    Usage,
)
from holysheep_nb.events import (
    Event,
    PayloadSkipped,
    ReasoningDelta,
    RetryScheduled,
    RouteChanged,
    TextDelta,
    ToolCallDelta,
    TurnFinished,
    TurnResumed,
    TurnStarted,
    UsageReported,
)

fragments = st.text(max_size=4)
deltas = st.one_of(
    st.builds(TextDelta, fragments),
    st.builds(ReasoningDelta, fragments),
    st.builds(ToolCallDelta, st.integers(0, 2), fragments, st.sampled_from(["", "c"]), st.sampled_from(["", "f"])),
)
facts = st.one_of(
    st.builds(TurnStarted, st.sampled_from(["", "m", "n"])),
    st.builds(UsageReported, st.integers(0, 9), st.integers(0, 9)),
    st.builds(PayloadSkipped, fragments),
    st.builds(RetryScheduled, fragments, st.floats(0, 9), st.integers(2, 5), st.just(5)),
    st.builds(RouteChanged, fragments, fragments, st.sampled_from(["", "m"])),
    st.builds(TurnResumed, fragments),
    st.builds(TurnFinished, st.sampled_from(["stop", "length"])),
)
dialogues = st.lists(st.one_of(deltas, deltas, facts), max_size=20)


def applied(events: list[Event]) -> tuple[Turn, list[Op]]:
    turn = Turn("assistant")
    ops = [op for event in events for op in turn.apply(event)]
    return turn, ops


def merged(events: list[Event]) -> list[Event]:
    """The same events, with deltas that follow each other and belong together as one."""
    whole: list[Event] = []
    for event in events:
        last = whole[-1] if whole else None
        if isinstance(event, TextDelta) and isinstance(last, TextDelta):
            whole[-1] = TextDelta(last.text + event.text)
        elif isinstance(event, ReasoningDelta) and isinstance(last, ReasoningDelta):
            whole[-1] = ReasoningDelta(last.text + event.text)
        elif isinstance(event, ToolCallDelta) and isinstance(last, ToolCallDelta) and event.index == last.index:
            whole[-1] = ToolCallDelta(
                event.index,
                last.arguments + event.arguments,
                event.call_id or last.call_id,
                event.name or last.name,
            )
        else:
            whole.append(event)
    return whole


def replayed(ops: list[Op]) -> list[dict[str, Any]]:
    """What a page makes of the ops, starting from nothing."""
    parts: list[dict[str, Any]] = []
    for kind, index, what in ops:
        if kind == "append":
            growing = "arguments" if parts[index]["type"] == "tool_call" else "text"
            parts[index][growing] += what
        elif index == len(parts):
            parts.append(dict(what))
        else:
            parts[index].update(what)
    return parts


def without_seconds(data: Any) -> Any:
    """Two foldings take different time, which is not what the law is about."""
    data = copy.deepcopy(data)
    for part in data["parts"]:
        part.pop("seconds", None)
    return data


@given(dialogues)
def test_events_applied_one_by_one_equal_events_applied_merged(events: list[Event]) -> None:
    one_by_one, _ = applied(events)
    at_once, _ = applied(merged(events))
    assert without_seconds(one_by_one.to_dict()) == without_seconds(at_once.to_dict())


@given(dialogues)
def test_the_ops_replayed_on_an_empty_document_give_the_parts(events: list[Event]) -> None:
    turn, ops = applied(events)
    assert replayed(json.loads(json.dumps(ops))) == [part.to_dict() for part in turn.parts]


@given(dialogues)
def test_a_turn_survives_json(events: list[Event]) -> None:
    turn, _ = applied(events)
    assert Turn.from_dict(json.loads(json.dumps(turn.to_dict()))) == turn


@given(st.lists(st.tuples(st.sampled_from([None, "1", "2", "3"]), dialogues, st.booleans()), max_size=5))
def test_a_conversation_survives_json(cells: list[tuple[str | None, list[Event], bool]]) -> None:
    conversation = Conversation()
    for key, events, afresh in cells:
        conversation.begin(key, [Turn.user("q"), applied(events)[0]], afresh=afresh)
    assert Conversation.from_dict(json.loads(json.dumps(conversation.to_dict()))) == conversation


def test_text_deltas_grow_one_part() -> None:
    turn, ops = applied([TextDelta("a"), TextDelta("b")])
    assert turn.parts == [TextPart("ab")]
    assert ops == [["part", 0, {"type": "text", "text": "a"}], ["append", 0, "b"]]


def test_reasoning_is_closed_when_the_text_begins() -> None:
    turn, ops = applied([ReasoningDelta("hm"), TextDelta("a")])
    assert isinstance(turn.parts[0], ReasoningPart)
    assert isinstance(turn.parts[0].seconds, float)
    assert ops == [
        ["part", 0, {"type": "reasoning", "seconds": None, "text": "hm"}],
        ["part", 0, {"seconds": turn.parts[0].seconds}],
        ["part", 1, {"type": "text", "text": "a"}],
    ]


def test_reasoning_is_closed_when_the_turn_ends_and_only_once() -> None:
    turn, ops = applied([ReasoningDelta("hm"), TurnFinished("stop")])
    assert isinstance(turn.parts[0], ReasoningPart)
    assert isinstance(turn.parts[0].seconds, float)
    assert ops[1:] == [["part", 0, {"seconds": turn.parts[0].seconds}]]
    assert turn.close() == []


def test_reasoning_after_text_is_a_part_of_its_own() -> None:
    turn, _ = applied([ReasoningDelta("a"), TextDelta("b"), ReasoningDelta("c"), TextDelta("d")])
    assert [part.type for part in turn.parts] == ["reasoning", "text", "reasoning", "text"]
    assert turn.text == "bd"


def test_fragments_of_tool_calls_are_told_apart_by_index() -> None:
    turn, ops = applied(
        [
            ToolCallDelta(0, "", "call_1", "add"),
            ToolCallDelta(1, "{", "call_2", "now"),
            ToolCallDelta(0, '{"a": 1}'),
            ToolCallDelta(1, "}"),
        ]
    )
    assert turn.parts == [ToolCallPart('{"a": 1}', "call_1", "add"), ToolCallPart("{}", "call_2", "now")]
    assert ops[2:] == [["append", 0, '{"a": 1}'], ["append", 1, "}"]]


def test_a_tool_call_whose_name_comes_later_gets_it() -> None:
    turn, ops = applied([ToolCallDelta(0, "{"), ToolCallDelta(0, "}", "call_1", "add")])
    assert turn.parts == [ToolCallPart("{}", "call_1", "add")]
    assert ops[1:] == [["part", 0, turn.parts[0].metadata()], ["append", 0, "}"]]
    assert (ops[1][2]["call_id"], ops[1][2]["name"]) == ("call_1", "add")


def test_facts_change_the_turn_and_no_part() -> None:
    turn, ops = applied(
        [TurnStarted("m"), TurnStarted(""), UsageReported(3, 5), PayloadSkipped("not JSON"), TurnFinished("length")]
    )
    assert (turn.model, turn.usage, turn.skipped) == ("m", Usage(3, 5), ["not JSON"])
    assert (turn.finish_reason, turn.parts, ops) == ("length", [], [])


def test_parts_with_equal_content_are_equal_however_they_grew() -> None:
    grown = TextPart("a")
    grown.append("b")
    assert grown == TextPart("ab")
    assert grown != ReasoningPart("ab")
    assert repr(grown) == "TextPart({'type': 'text', 'text': 'ab'})"


def test_a_part_of_an_unknown_type_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"^There is no part of type 'video'\.$"):
        Turn.from_dict({"role": "user", "parts": [{"type": "video"}]})


def answered(text: str) -> list[Turn]:
    return [Turn.user(f"{text}?"), Turn("assistant", [TextPart(text)], finish_reason="stop")]


def context_keys(conversation: Conversation, exchange: Exchange) -> list[str]:
    return [earlier.key for earlier in conversation.context(exchange)]


def test_a_cell_is_sent_with_the_cells_above_it_in_order_of_their_first_run() -> None:
    conversation = Conversation()
    first = conversation.begin("b", answered("1"))
    second = conversation.begin("a", answered("2"))
    third = conversation.begin(None, answered("3"))
    assert context_keys(conversation, third) == ["b", "a"]
    assert context_keys(conversation, second) == ["b"]
    assert context_keys(conversation, first) == []


def test_a_cell_run_again_keeps_its_place_and_its_earlier_version_as_a_branch() -> None:
    conversation = Conversation()
    before = answered("old")
    conversation.begin("a", before)
    conversation.begin("b", answered("2"))
    again = conversation.begin("a", answered("new"))
    assert [exchange.key for exchange in conversation.exchanges] == ["a", "b"]
    assert again.branches == [before]
    assert context_keys(conversation, again) == []


def test_exchanges_without_an_answer_are_not_sent() -> None:
    conversation = Conversation()
    conversation.begin("streaming", [Turn.user("?"), Turn("assistant", [TextPart("so far")])])
    conversation.begin("failed", [Turn.user("?"), Turn("assistant", finish_reason="failed")])
    conversation.begin("stopped", [Turn.user("?"), Turn("assistant", [TextPart("half")], finish_reason="stopped")])
    last = conversation.begin(None, answered("1"))
    assert context_keys(conversation, last) == ["stopped"]


def test_afresh_cuts_the_context_for_itself_and_those_below_until_it_is_run_without() -> None:
    conversation = Conversation()
    conversation.begin("a", answered("1"))
    fresh = conversation.begin("b", answered("2"), afresh=True)
    below = conversation.begin("c", answered("3"))
    assert context_keys(conversation, fresh) == []
    assert context_keys(conversation, below) == ["b"]
    conversation.begin("b", answered("2"))
    assert context_keys(conversation, below) == ["a", "b"]


def test_exchanges_without_a_cell_get_keys_that_no_other_has_also_after_json() -> None:
    conversation = Conversation()
    conversation.begin(None, answered("1"))
    conversation.begin(None, answered("2"))
    again = Conversation.from_dict(conversation.to_dict())
    again.begin(None, answered("3"))
    assert [exchange.key for exchange in again.exchanges] == ["#1", "#2", "#3"]


def test_a_conversation_that_was_reset_sends_nothing() -> None:
    conversation = Conversation()
    conversation.begin("a", answered("1"))
    conversation.reset()
    assert context_keys(conversation, conversation.begin("b", answered("2"))) == []
