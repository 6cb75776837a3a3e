from __future__ import annotations

import dataclasses
import itertools
import json
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holysheep_nb.errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    ContextWindowError,
    HolySheepError,
    ModelNotFoundError,
    QuotaError,
    RateLimitError,
    ServerError,
)
from holysheep_nb.events import (
    Event,
    PayloadSkipped,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    TurnFinished,
    TurnStarted,
    UsageReported,
)
from holysheep_nb.parts import Part, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from holysheep_nb.wire.blocks import Decoder, follow_up, init_message

HOST = "stream.test"


def block(type: str, **fields: Any) -> str:
    return json.dumps({"type": type, **fields})


def call(name: str | None = None, arguments: Any = None, **fields: Any) -> str:
    """A function_call, of which None leaves a field out."""
    function = {"name": name, "arguments": arguments}
    return block(
        "function_call", function={key: value for key, value in function.items() if value is not None}, **fields
    )


def decode(*payloads: str) -> list[Event]:
    """All events but the first, which says that the turn has started."""
    decoder = Decoder(HOST)
    events = [event for payload in payloads for event in decoder.feed(payload)] + decoder.end()
    return [event for event in events if not isinstance(event, TurnStarted)]


def may_wait(*payloads: str) -> bool:
    decoder = Decoder(HOST)
    for payload in payloads:
        decoder.feed(payload)
    return decoder.may_wait


def error_of(payload: str, *before: str) -> HolySheepError:
    decoder = Decoder(HOST, "m-1")
    for each in before:
        decoder.feed(each)
    with pytest.raises(HolySheepError) as raised:
        decoder.feed(payload)
    return raised.value


# What is sent


def test_an_init_streams_and_leaves_out_what_is_none() -> None:
    messages = [{"role": "user", "content": "q"}]
    assert init_message("m", messages, {"temperature": 0.0, "max_tokens": None, "seed": 1}) == {
        "type": "init",
        "model": "m",
        "messages": messages,
        "stream": True,
        "parameters": {"temperature": 0.0, "seed": 1},
    }
    assert init_message("m", [])["parameters"] == {}


def test_tools_stand_beside_the_parameters_and_only_if_there_are_any() -> None:
    tools = [{"type": "function", "function": {"name": "add"}}]
    message = init_message("m", [], {"tools": tools, "temperature": 1})
    assert (message["tools"], message["parameters"]) == (tools, {"temperature": 1})
    assert "tools" not in init_message("m", [], {"tools": []})


def test_what_was_given_for_an_init_is_left_as_it_was() -> None:
    parameters = {"tools": [{}], "temperature": None}
    init_message("m", [], parameters)
    assert parameters == {"tools": [{}], "temperature": None}


def test_each_result_of_a_round_is_a_message_with_the_name_of_its_call() -> None:
    parts: list[Part] = [
        ReasoningPart("hm", 1.0),
        TextPart("I add."),
        ToolCallPart('{"a": 1}', "call_1", "add", "done"),
        ToolCallPart("{}", "call_2", "now", "done"),
        ToolResultPart("12:00", "call_2"),
        ToolResultPart("3", "call_1", seconds=1.5, details="traceback", shown=[{"text/plain": "x"}]),
    ]
    assert follow_up({"type": "init"}, parts) == [
        {"type": "function_result", "id": "call_2", "name": "now", "result": "12:00"},
        {"type": "function_result", "id": "call_1", "name": "add", "result": "3"},
    ]


@pytest.mark.parametrize("outcome", ["error", "invalid", "denied", "stopped"])
def test_a_result_that_is_none_says_so(outcome: Any) -> None:
    (message,) = follow_up({}, [ToolCallPart("{}", "c", "f"), ToolResultPart("no", "c", outcome)])
    assert message == {"type": "function_result", "id": "c", "name": "f", "result": "no", "is_error": True}


def test_the_model_is_told_the_arguments_that_a_person_changed() -> None:
    edited = ToolCallPart('{"a": 1}', "c", "f", edited='{"a": 2}')
    (message,) = follow_up({}, [edited, ToolResultPart("3", "c")])
    assert message["edited_arguments"] == {"a": 2}


def test_images_stand_beside_the_result() -> None:
    (message,) = follow_up({}, [ToolCallPart("{}", "c", "plot"), ToolResultPart("a figure", "c", images=["data:,x"])])
    assert (message["result"], message["images"]) == ("a figure", ["data:,x"])


def test_a_result_with_half_a_surrogate_pair_can_be_sent() -> None:
    (message,) = follow_up({}, [ToolCallPart("{}", "c", "f"), ToolResultPart("file\udc80", "c")])
    assert message["result"] == "file\ufffd"


def test_a_round_without_results_has_nothing_to_follow_it() -> None:
    assert follow_up({}, [TextPart("a")]) == []


# What a message says


def test_the_first_message_that_speaks_starts_the_turn_and_names_the_model() -> None:
    decoder = Decoder()
    assert decoder.feed(block("usage", prompt_tokens=1)) == [UsageReported(1, 0)]
    assert decoder.feed(block("hello")) == []
    assert decoder.feed(block("start", model="m-2")) == [TurnStarted("m-2")]
    assert decoder.feed(block("start", model="m-3")) == []
    assert decoder.feed(block("content_block", content="a")) == [TextDelta("a")]


@pytest.mark.parametrize(
    ("payload", "event"),
    [
        (block("content_block", content="a"), TextDelta("a")),
        (block("reasoning_block", content="a"), ReasoningDelta("a")),
        (call("f", {}), ToolCallDelta(0, "{}", "", "f")),
        (block("done"), TurnFinished("stop")),
    ],
)
def test_a_turn_may_start_without_a_start(payload: str, event: Event) -> None:
    assert Decoder().feed(payload) == [TurnStarted(""), event]


def test_a_model_that_is_no_text_hides_nothing() -> None:
    assert Decoder().feed(block("content_block", content="a", model=5)) == [TurnStarted(""), TextDelta("a")]


def test_blocks_are_text_and_reasoning() -> None:
    assert decode(
        block("reasoning_block", content="hm"),
        block("content_block", content="a"),
        block("content_block", content=[{"type": "text", "text": "b"}, {"type": "text", "text": "c"}]),
    ) == [ReasoningDelta("hm"), TextDelta("a"), TextDelta("bc")]


@pytest.mark.parametrize("type", ["content_block", "reasoning_block"])
def test_null_missing_and_empty_contents_say_nothing(type: str) -> None:
    assert decode(block(type, content=None), block(type), block(type, content="")) == []


@pytest.mark.parametrize(
    "fields", [{"prompt_tokens": 3, "completion_tokens": 5}, {"usage": {"prompt_tokens": 3, "completion_tokens": 5}}]
)
def test_usage_is_reported_from_either_place(fields: dict[str, Any]) -> None:
    assert decode(block("usage", **fields)) == [UsageReported(3, 5)]


def test_usage_that_counts_nothing_is_zero() -> None:
    assert decode(block("usage", prompt_tokens=None)) == [UsageReported(0, 0)]


@pytest.mark.parametrize("reason", ["stop", "length", "tool_calls", "something_new"])
def test_done_finishes_with_the_word_of_the_server(reason: str) -> None:
    decoder = Decoder()
    assert decoder.feed(block("done", finish_reason=reason)) == [TurnStarted(), TurnFinished(reason)]
    assert (decoder.is_finished, decoder.finish_reason) == (True, reason)


@pytest.mark.parametrize("reason", [None, "", 5, ["stop"], {}])
def test_done_without_a_word_is_a_stop(reason: Any) -> None:
    assert decode(block("done", finish_reason=reason)) == [TurnFinished("stop")]


def test_after_done_nothing_is_heard() -> None:
    assert decode(block("done"), block("content_block", content="a"), block("error", error={}), "{") == [
        TurnFinished("stop")
    ]


def test_only_done_ends_an_answer() -> None:
    decoder = Decoder()
    decoder.feed(block("content_block", content="a"))
    assert (decoder.end(), decoder.is_finished, decoder.finish_reason) == ([], False, None)


def test_a_type_that_is_not_known_is_logged_and_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    assert decode(block("heartbeat"), "{}") == []
    assert "a message of type 'heartbeat' says nothing to us" in caplog.text


# Calls


def test_a_call_without_an_id_has_none_and_is_a_call_of_its_own() -> None:
    assert decode(call("f", {"a": 1}), call("f", {"a": 1}), call("g", "{}")) == [
        ToolCallDelta(0, '{"a": 1}', "", "f"),
        ToolCallDelta(1, '{"a": 1}', "", "f"),
        ToolCallDelta(2, "{}", "", "g"),
    ]


def test_arguments_are_text_or_an_object_or_none() -> None:
    assert decode(call("f", '{"a":1}', id="x"), call("f", {"ü": [1]}, id="y"), call("f", id="z")) == [
        ToolCallDelta(0, '{"a":1}', "x", "f"),
        ToolCallDelta(1, '{"ü": [1]}', "y", "f"),
        ToolCallDelta(2, "", "z", "f"),
    ]


@pytest.mark.parametrize(
    "marks",
    [[{"id": "x"}, {"id": "y"}], [{"index": 3}, {"index": 1}], [{"id": "x", "index": 0}, {"id": "y", "index": 1}]],
    ids=["by id", "by index", "by both"],
)
def test_fragments_go_to_the_call_that_they_name(marks: list[dict[str, Any]]) -> None:
    one, two = marks
    events = decode(
        call("f", '{"a"', **one),
        call("g", "{", **two),
        call(None, ": 1}", **one),
        call(None, "}", **two),
    )
    assert events == [
        ToolCallDelta(0, '{"a"', one.get("id", ""), "f"),
        ToolCallDelta(1, "{", two.get("id", ""), "g"),
        ToolCallDelta(0, ": 1}"),
        ToolCallDelta(1, "}"),
    ]


def test_fragments_that_name_nothing_go_to_the_last_call() -> None:
    assert decode(call("f", "{}", id="x"), call("g", "{", id="y"), call(None, "}")) == [
        ToolCallDelta(0, "{}", "x", "f"),
        ToolCallDelta(1, "{", "y", "g"),
        ToolCallDelta(1, "}"),
    ]


def test_a_fragment_by_index_finds_the_call_that_has_an_id_too() -> None:
    assert decode(call("f", "{", id="x", index=0), call(None, "}", index=0))[1] == ToolCallDelta(0, "}")


def test_an_id_may_come_late() -> None:
    assert decode(call("f", "{", index=0), call(None, "}", id="x", index=0), call(None, "", id="x")) == [
        ToolCallDelta(0, "{", "", "f"),
        ToolCallDelta(0, "}", "x"),
        ToolCallDelta(0),
    ]


def test_another_id_is_another_call_though_the_index_is_the_same() -> None:
    assert decode(call("f", "{", id="x", index=0), call("g", "{", id="y", index=0), call(None, "}", index=0)) == [
        ToolCallDelta(0, "{", "x", "f"),
        ToolCallDelta(1, "{", "y", "g"),
        ToolCallDelta(1, "}"),
    ]


def test_a_fragment_before_any_call_is_a_call_without_a_name() -> None:
    assert decode(call(None, "{}")) == [ToolCallDelta(0, "{}")]


# Whether the server may be waiting


@pytest.mark.parametrize("arguments", [{}, {"a": 1}, None, "{}", '{"a": 1}\n', ' {"a": {}} '])
def test_after_a_whole_call_the_server_may_wait(arguments: Any) -> None:
    assert may_wait(block("content_block", content="a"), call("f", arguments))


@pytest.mark.parametrize("arguments", ["", "{", '{"a": {}', '{"a": "}', "[]", "5", '"{}"', "null", "x}", "[{}"])
def test_while_arguments_are_no_object_the_server_does_not_wait(arguments: str) -> None:
    assert not may_wait(call("f", arguments))


def test_without_a_call_the_server_does_not_wait() -> None:
    assert not may_wait()
    assert not may_wait(block("start"), block("content_block", content="{}"), block("usage"))


def test_the_server_does_not_wait_until_every_call_is_whole() -> None:
    payloads = [call("f", "{", id="x"), call("g", {}, id="y"), call(None, "}", id="x")]
    assert [may_wait(*payloads[:count]) for count in range(4)] == [False, False, False, True]


def test_a_call_without_arguments_is_whole_until_a_fragment_comes() -> None:
    payloads = [call("f", id="x"), call(None, '{"a"', id="x"), call(None, ": 1}", id="x")]
    assert [may_wait(*payloads[:count]) for count in range(4)] == [False, True, False, True]


def test_a_fragment_without_arguments_makes_nothing_whole() -> None:
    assert not may_wait(call("f", "{", id="x"), call(id="x"))


def test_a_whole_call_to_which_more_is_appended_is_not_whole_any_more() -> None:
    assert not may_wait(call("f", "{}", id="x"), call(None, "{}", id="x"))


def test_after_done_the_server_does_not_wait_unsaid() -> None:
    assert not may_wait(call("f", {}), block("done", finish_reason="tool_calls"))


@given(st.dictionaries(st.text(), st.text() | st.integers()), st.data())
def test_arguments_cut_anywhere_are_the_same_and_whole_with_their_last_character(
    arguments: dict[str, Any], data: st.DataObject
) -> None:
    text = json.dumps(arguments, ensure_ascii=data.draw(st.booleans()))
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    cuts = [0, *sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=8))), len(text)]
    decoder = Decoder()
    events: list[Event] = []
    for number, (start, end) in enumerate(itertools.pairwise(cuts)):
        assert not decoder.may_wait or "".join(_argument_texts(events)) == text
        events += decoder.feed(call("f" if not number else None, text[start:end], id="x"))
    assert "".join(_argument_texts(events)) == text
    assert decoder.may_wait


def _argument_texts(events: list[Event]) -> list[str]:
    return [event.arguments for event in events if isinstance(event, ToolCallDelta)]


# Halves of pairs


def test_a_surrogate_pair_that_was_cut_is_joined() -> None:
    halves = [r'{"type": "content_block", "content": "a\ud83d"}', r'{"type": "content_block", "content": "\ude00b"}']
    assert decode(*halves) == [TextDelta("a"), TextDelta("😀b")]


def test_a_surrogate_pair_that_was_cut_in_arguments_is_joined_call_by_call() -> None:
    payloads = [
        r'{"type": "function_call", "id": "x", "function": {"name": "f", "arguments": "{\"a\": \"\ud83d"}}',
        r'{"type": "function_call", "id": "y", "function": {"name": "g", "arguments": {}}}',
        r'{"type": "function_call", "id": "x", "function": {"arguments": "\ude00\"}"}}',
    ]
    assert decode(*payloads) == [
        ToolCallDelta(0, '{"a": "', "x", "f"),
        ToolCallDelta(1, "{}", "y", "g"),
        ToolCallDelta(0, '😀"}'),
    ]
    assert may_wait(*payloads)


@pytest.mark.parametrize(
    ("payload", "event"),
    [
        (r'{"type": "content_block", "content": "a\ude00b"}', TextDelta("a\ufffdb")),
        (r'{"type": "reasoning_block", "content": "a\ud83db"}', ReasoningDelta("a\ufffdb")),
        (
            r'{"type": "function_call", "id": "\ud83d", "function": {"name": "\ude00", "arguments": {"a": "\ud83d"}}}',
            ToolCallDelta(0, '{"a": "\ufffd"}', "\ufffd", "\ufffd"),
        ),
        (r'{"type": "done", "finish_reason": "\ud83d"}', TurnFinished("\ufffd")),
    ],
)
def test_a_half_that_stays_alone_can_be_shown_and_sent(payload: str, event: Event) -> None:
    assert decode(payload) == [event]


# What cannot be read


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ("{", "not JSON (Expecting property name enclosed in double quotes: line 1 column 2 (char 1)): {"),
        ("[1]", "not an object: [1]"),
        ('"done"', 'not an object: "done"'),
        ("null", "not an object: null"),
    ],
)
def test_what_is_no_object_is_skipped_and_said(payload: str, reason: str) -> None:
    assert decode(payload, block("content_block", content="a")) == [PayloadSkipped(reason), TextDelta("a")]


@pytest.mark.parametrize(
    "payload",
    [
        block("content_block", content=5),
        block("content_block", content={"text": "a"}),
        block("content_block", content=["a"]),
        block("reasoning_block", content=True),
        block("function_call", function="f"),
        block("function_call", function=[1]),
        call("f", 5),
        call(["f"], {}),  # type: ignore[arg-type]
        call("f", {}, id=5),
        call("f", {}, index="first"),
        call("f", {}, index=[]),
        block("usage", usage=5),
        block("usage", prompt_tokens="many"),
        '{"type": "usage", "prompt_tokens": Infinity}',
        block([]),  # type: ignore[arg-type]
        block({}),  # type: ignore[arg-type]
    ],
)
def test_a_field_of_another_shape_is_skipped_and_said(payload: str) -> None:
    (skipped, text) = decode(payload, block("content_block", content="a"))
    assert isinstance(skipped, PayloadSkipped)
    assert skipped.reason.startswith("unexpected shape (")
    assert payload[:100] in skipped.reason
    assert text == TextDelta("a")


def test_a_skipped_call_leaves_no_call_behind() -> None:
    assert decode(call("f", 5, id="x"), call("f", {}, index="first"), call("g", {}, id="x"))[2:] == [
        ToolCallDelta(0, "{}", "x", "g")
    ]


def test_nesting_beyond_reason_is_skipped() -> None:
    (skipped,) = decode('{"type": "content_block", "content": ' + "[" * 100_000)
    assert isinstance(skipped, PayloadSkipped)
    assert len(skipped.reason) < 500


def test_blank_messages_are_nothing() -> None:
    assert decode("", " \n") == []


# Errors


@pytest.mark.parametrize(
    ("status", "kind", "sentence"),
    [
        (401, AuthenticationError, "stream.test refused the key (401: no). Set HOLYSHEEP_API_KEY to a valid key."),
        (402, QuotaError, "stream.test says the account has no credit left (402: no)."),
        (
            404,
            BadRequestError,
            "stream.test has no chat completions at this address (404: no): check HOLYSHEEP_WS_URL.",
        ),
        (422, BadRequestError, "stream.test does not take this request (422: no)."),
        (503, ServerError, "stream.test failed (503: no): run the cell again in a moment."),
    ],
)
def test_an_error_before_the_answer_says_what_its_status_would(
    status: int, kind: type[APIError], sentence: str
) -> None:
    error = error_of(block("error", error={"message": "no"}, status=status))
    assert type(error) is kind
    assert (str(error), error.status_code) == (sentence, status)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("invalid_api_key", AuthenticationError),
        ("insufficient_quota", QuotaError),
        ("model_not_found", ModelNotFoundError),
        ("context_length_exceeded", ContextWindowError),
        ("invalid_request_error", BadRequestError),
        ("rate_limit_exceeded", RateLimitError),
        ("server_error", ServerError),
    ],
)
@pytest.mark.parametrize("key", ["code", "type"])
def test_an_error_without_a_status_is_known_by_its_code_or_type(code: str, kind: type[APIError], key: str) -> None:
    assert type(error_of(block("error", error={"message": "no", key: code}))) is kind


def test_an_error_knows_the_model_and_the_names_of_the_settings() -> None:
    decoder = Decoder(HOST, "m-9", "MY_KEY", "MY_URL")
    with pytest.raises(ModelNotFoundError, match=r"^stream\.test has no model 'm-9'\.$"):
        decoder.feed(block("error", error={"code": "model_not_found"}))
    with pytest.raises(AuthenticationError, match="Set MY_KEY to a valid key"):
        decoder.feed(block("error", error={}, status=401))
    with pytest.raises(BadRequestError, match="check MY_URL"):
        decoder.feed(block("error", error={}, status=404))


@pytest.mark.parametrize(("given", "seconds"), [(7, 7.0), ("1.5", 1.5), (None, None), ("soon", None)])
def test_a_rate_limit_says_when_to_come_again(given: Any, seconds: float | None) -> None:
    error = error_of(block("error", error={"message": "slow down"}, status=429, retry_after=given))
    assert isinstance(error, RateLimitError)
    assert error.retry_after_s == seconds


@pytest.mark.parametrize("status", [None, 200, 399, 600, "429", True, [429]])
def test_an_error_without_a_known_status_ends_the_answer_in_the_words_of_the_server(status: Any) -> None:
    payload = block("error", error={"message": "Overheated.", "code": "hot"}, status=status)
    error = error_of(payload)
    assert type(error) is ServerError
    assert str(error) == "The server ended the answer with an error: Overheated."
    assert (error.status_code, error.code, error.details) == (0, "hot", payload)


def test_an_error_in_the_middle_of_an_answer_is_the_end_of_it_whatever_its_status() -> None:
    error = error_of(
        block("error", error={"message": "slow down", "code": "rate_limit_exceeded"}, status=429),
        block("content_block", content="a"),
    )
    assert type(error) is ServerError
    assert str(error) == "The server ended the answer with an error: slow down."


@pytest.mark.parametrize(
    "payload",
    [
        '{"type": "error", "message": "boom"}',
        '{"type": "error", "error": "boom"}',
        '{"error": {"message": "boom"}}',
        '{"error": "boom"}',
    ],
)
def test_an_error_is_one_in_any_form(payload: str) -> None:
    assert str(error_of(payload)) == "The server ended the answer with an error: boom."


def test_an_error_with_half_a_surrogate_pair_can_be_shown() -> None:
    error = error_of('{"type": "error", "error": "a\ud83d"}')
    assert str(error) == "The server ended the answer with an error: a\ufffd."
    assert error.details == '{"type": "error", "error": "a\ufffd"}'


def test_an_error_field_of_a_message_that_says_something_else_is_none() -> None:
    assert decode(
        block("content_block", content="a", error={"message": "boom"}), block("usage", error={}, prompt_tokens=1)
    ) == [
        TextDelta("a"),
        UsageReported(1, 0),
    ]


# Whatever comes


_texts = st.text(st.characters() | st.sampled_from("\ud83d\ude00"))
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _texts,
    lambda inner: st.lists(inner) | st.dictionaries(_texts, inner),
    max_leaves=5,
)
_types = st.sampled_from(
    ["start", "content_block", "reasoning_block", "function_call", "usage", "done", "error", "heartbeat"]
)
_functions = st.fixed_dictionaries({}, optional={"name": _values, "arguments": _values})
_messages = st.fixed_dictionaries(
    {},
    optional={
        "type": _types | _values,
        "content": _values,
        "function": _functions | _values,
        "id": st.sampled_from(["x", "y"]) | _values,
        "index": st.integers(-1, 2) | _values,
        "model": _values,
        "usage": _values,
        "prompt_tokens": _values,
        "finish_reason": _values,
        "error": st.fixed_dictionaries({}, optional={"message": _values, "code": _values, "type": _values}) | _values,
        "status": st.integers(300, 600) | _values,
        "retry_after": _values,
    },
)


def check_what_is_heard(payloads: list[str]) -> None:
    """Each payload gives events, or an error with a sentence of one line, all of which can be sent on as UTF-8."""
    decoder = Decoder(HOST)
    calls = 0
    sentences: list[str] = []
    for payload in payloads:
        events: list[Event] = []
        try:
            events = decoder.feed(payload)
        except HolySheepError as error:
            sentences += [str(error), error.details]
        for event in events:
            json.dumps(dataclasses.asdict(event), ensure_ascii=False).encode()
            if isinstance(event, ToolCallDelta):
                assert 0 <= event.index <= calls
                calls = max(calls, event.index + 1)
        assert decoder.may_wait <= (calls > 0 and not decoder.is_finished)
    "".join(sentences).encode()
    assert not any("\n" in sentence for sentence in sentences[::2])


@given(st.lists(_texts, max_size=5))
def test_any_text_gives_events_or_an_error_of_ours(payloads: list[str]) -> None:
    check_what_is_heard(payloads)


@given(st.lists(_messages, max_size=6), st.booleans())
def test_any_object_gives_events_or_an_error_of_ours(messages: list[dict[str, Any]], is_ascii: bool) -> None:
    check_what_is_heard([json.dumps(message, ensure_ascii=is_ascii) for message in messages])
