from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holysheep_nb.conversation import ReasoningPart, TextPart, Turn
from holysheep_nb.errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    ContextWindowError,
    HolySheepError,
    ModelNotFoundError,
    ProtocolError,
    QuotaError,
    RateLimitError,
    ServerError,
    StatusError,
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
from holysheep_nb.wire.chat_completions import (
    Decoder,
    error_from_status,
    messages_from_turns,
    models_from_body,
    request_body,
)

HOST = "api.test"


def decode(*payloads: str) -> list[Event]:
    """All events but the first, which says that the turn has started."""
    decoder = Decoder()
    events = [event for payload in payloads for event in decoder.feed(payload)] + decoder.end()
    return [event for event in events if not isinstance(event, TurnStarted)]


# What is sent


def test_messages_are_the_system_prompt_and_the_turns_that_have_text() -> None:
    turns = [Turn.user("q"), Turn("assistant", [ReasoningPart("hm", 1.0), TextPart("a")]), Turn("assistant")]
    assert messages_from_turns(turns, "Be brief.") == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "a"},
    ]
    assert messages_from_turns(turns[:1]) == [{"role": "user", "content": "q"}]


def test_a_request_streams_asks_for_usage_and_leaves_out_what_is_none() -> None:
    assert request_body("m", [], {"temperature": 0.0, "max_tokens": None, "seed": 1}) == {
        "model": "m",
        "messages": [],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.0,
        "seed": 1,
    }


# What is tolerated


def test_the_first_payload_with_choices_starts_the_turn_and_names_the_model() -> None:
    decoder = Decoder()
    assert decoder.feed('{"model": "m-2", "choices": []}') == [TurnStarted("m-2")]
    assert decoder.feed('{"model": "m-2", "choices": []}') == []


def test_no_choices_with_usage_reports_the_usage() -> None:
    assert decode('{"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 5}}') == [UsageReported(3, 5)]


def test_usage_in_the_finish_chunk_is_reported_before_the_end() -> None:
    payload = '{"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 3}}'
    assert decode(payload) == [UsageReported(3, 0), TurnFinished("stop")]


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_under_either_name_is_reasoning(name: str) -> None:
    assert decode(json.dumps({"choices": [{"delta": {name: "hm", "content": None}}]})) == [ReasoningDelta("hm")]


def test_null_and_empty_contents_say_nothing() -> None:
    assert decode('{"choices": [{"delta": {"content": null}}]}', '{"choices": [{"delta": {"content": ""}}]}') == []


def test_a_null_delta_says_nothing() -> None:
    assert decode('{"choices": [{"delta": null, "finish_reason": null}]}') == []


def test_a_content_in_typed_pieces_is_joined() -> None:
    content = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert decode(json.dumps({"choices": [{"delta": {"content": content}}]})) == [TextDelta("ab")]


def test_a_whole_message_instead_of_a_delta_is_its_text() -> None:
    assert decode('{"choices": [{"message": {"content": "a"}}]}') == [TextDelta("a")]


def test_tool_call_arguments_come_in_fragments_by_index() -> None:
    first = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "add", "arguments": ""}}
    later = {"index": 0, "function": {"arguments": '{"a"'}}
    payloads = [json.dumps({"choices": [{"delta": {"tool_calls": [call]}}]}) for call in (first, later)]
    assert decode(*payloads) == [ToolCallDelta(0, "", "call_1", "add"), ToolCallDelta(0, '{"a"')]


def test_finish_reason_null_and_then_done_is_complete() -> None:
    assert decode('{"choices": [{"delta": {"content": "a"}, "finish_reason": null}]}', "[DONE]") == [
        TextDelta("a"),
        TurnFinished("stop"),
    ]


def test_a_finish_reason_without_done_is_complete() -> None:
    assert decode('{"choices": [{"delta": {}, "finish_reason": "length"}]}') == [TurnFinished("length")]


def test_a_stream_with_neither_is_not_finished() -> None:
    decoder = Decoder()
    decoder.feed('{"choices": [{"delta": {"content": "a"}}]}')
    assert (decoder.end(), decoder.is_finished) == ([], False)


def test_the_end_is_said_once_and_what_follows_it_is_ignored() -> None:
    decoder = Decoder()
    assert decoder.feed(" [DONE]\n") == [TurnFinished("stop")]
    assert decoder.feed('{"choices": [{"delta": {"content": "a"}}]}') == []
    assert (decoder.feed("[DONE]"), decoder.end()) == ([], [])


@pytest.mark.parametrize("payload", ["", " ", "\n"])
def test_blank_payloads_say_nothing(payload: str) -> None:
    assert decode(payload) == []


def test_of_two_choices_the_first_is_read() -> None:
    choices = [{"index": 1, "delta": {"content": "B"}}, {"index": 0, "delta": {"content": "A"}}]
    assert decode(json.dumps({"choices": choices})) == [TextDelta("A")]


def test_a_malformed_payload_is_reported_and_the_rest_goes_on() -> None:
    events = decode('{"choices": [', '{"choices": [{"delta": {"content": "a"}}]}')
    assert events == [
        PayloadSkipped('not JSON (Expecting value: line 1 column 14 (char 13)): {"choices": ['),
        TextDelta("a"),
    ]


def test_what_stands_before_a_misshapen_field_is_kept() -> None:
    assert decode('{"choices": [{"delta": {"content": "a"}}], "usage": 7}') == [
        TextDelta("a"),
        PayloadSkipped(
            "unexpected shape ('int' object has no attribute 'get'): "
            '{"choices": [{"delta": {"content": "a"}}], "usage": 7}'
        ),
    ]


def test_a_number_beyond_all_numbers_is_skipped() -> None:
    payload = '{"choices": [], "usage": {"prompt_tokens": 1e999}}'
    assert decode(payload) == [
        PayloadSkipped(f"unexpected shape (cannot convert float infinity to integer): {payload}")
    ]


@pytest.mark.parametrize(
    "payload",
    [
        "[" * 100_000,
        '{"choices": [{"delta": {"content": ' + '[{"text": ' * 400 + '"a"' + "}]" * 400 + "}}]}",
    ],
)
def test_a_payload_nested_too_deep_is_skipped(payload: str) -> None:
    (event,) = decode(payload)
    assert isinstance(event, PayloadSkipped)
    assert len(event.reason) < 400


def test_a_skipped_payload_is_quoted_up_to_200_characters() -> None:
    assert decode("x" * 201) == [
        PayloadSkipped("not JSON (Expecting value: line 1 column 1 (char 0)): " + "x" * 200 + "…")
    ]


def test_lone_surrogates_become_replacement_characters_and_pairs_stay() -> None:
    assert decode(r'{"choices": [{"delta": {"content": "\ud83d\ude00 \ud83d!"}}]}') == [TextDelta("😀 \ufffd!")]
    with pytest.raises(ServerError, match=r"^The server ended the answer with an error: \ufffd\.$"):
        decode(r'{"error": {"message": "\ud800"}}')


def test_a_surrogate_pair_cut_between_two_chunks_is_one_character() -> None:
    decoder = Decoder()
    events = decoder.feed(r'{"choices": [{"delta": {"content": "a\ud83d"}}]}')
    events += decoder.feed(r'{"choices": [{"delta": {"content": "\ude00b"}}]}')
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["a", "😀b"]


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        ({"message": "Overloaded.", "code": "busy"}, "The server ended the answer with an error: Overloaded."),
        ({"type": "server_error"}, "The server ended the answer with an error: server_error."),
        ("no\nroom", "The server ended the answer with an error: no room."),
        ({"param": None}, "The server ended the answer with an error: no reason given."),
    ],
)
def test_an_error_object_in_mid_stream_is_raised_with_what_it_says(error: Any, sentence: str) -> None:
    payload = json.dumps({"error": error})
    with pytest.raises(ServerError) as raised:
        decode(payload)
    assert (str(raised.value), raised.value.status_code, raised.value.details) == (sentence, 0, payload)


def test_a_null_error_is_no_error() -> None:
    assert decode('{"error": null, "choices": [{"delta": {"content": "a"}}]}') == [TextDelta("a")]


NAMES = """model choices index delta message content text reasoning tool_calls function arguments id name
    finish_reason usage prompt_tokens completion_tokens error code type detail data"""
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(re.findall(r"\w+", NAMES)), inner, max_size=5)
    ),
    max_leaves=25,
)


def is_sendable(text: str) -> bool:
    return text == text.encode("utf-8", "replace").decode("utf-8")


@given(json_values)
def test_any_json_value_gives_events_or_an_error_of_ours(value: Any) -> None:
    turn, said = Turn("assistant"), ""
    try:
        for event in decode(json.dumps(value), json.dumps({"choices": [{"delta": value}], "usage": value})):
            turn.apply(event)
    except HolySheepError as error:
        said = str(error)
    assert is_sendable(turn.text + said)


@given(st.sampled_from([302, 400, 401, 404, 413, 429, 500]), json_values)
def test_any_error_body_gives_one_sentence(status: int, value: Any) -> None:
    for body in (json.dumps(value), json.dumps({"error": value})):
        sentence = str(error_from_status(StatusError(status, body, {}), HOST, "m"))
        assert is_sendable(sentence)
        assert "\n" not in sentence
        assert len(sentence) < 400


@given(json_values)
def test_any_list_of_models_gives_names_or_an_error_of_ours(value: Any) -> None:
    for body in (json.dumps(value), json.dumps({"data": [{"id": value}]}), "[" * 50_000):
        try:
            said = models_from_body(body)
        except ProtocolError as error:
            said = [str(error)]
        assert all(is_sendable(text) for text in said)


# What an HTTP status means


def explain(status: int, body: Any, **headers: str) -> APIError | ProtocolError:
    text = body if isinstance(body, str) else json.dumps(body)
    return error_from_status(StatusError(status, text, headers), HOST, "gpt-9")


def openai_error(message: str, code: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "code": code, "param": None}}


@pytest.mark.parametrize(
    ("status", "body", "kind", "sentence"),
    [
        (
            400,
            openai_error("temperature must be at most 2."),
            BadRequestError,
            "api.test does not take this request (400: temperature must be at most 2).",
        ),
        (
            401,
            openai_error("Incorrect API key"),
            AuthenticationError,
            "api.test refused the key (401: Incorrect API key). Set HOLYSHEEP_API_KEY to a valid key.",
        ),
        (
            402,
            openai_error("Insufficient balance"),
            QuotaError,
            "api.test says the account has no credit left (402: Insufficient balance).",
        ),
        (
            403,
            openai_error("Not in your plan"),
            AuthenticationError,
            "api.test refused the key (403: Not in your plan). Set HOLYSHEEP_API_KEY to a valid key.",
        ),
        (
            404,
            openai_error("gone", "model_not_found"),
            ModelNotFoundError,
            "api.test has no model 'gpt-9'.",
        ),
        (404, openai_error("The model does not exist"), ModelNotFoundError, "api.test has no model 'gpt-9'."),
        (
            404,
            {"detail": "Not Found"},
            BadRequestError,
            "api.test has no chat completions at this address (404: Not Found): check HOLYSHEEP_BASE_URL.",
        ),
        (
            404,
            "<html><body>nginx</body></html>",
            BadRequestError,
            "api.test has no chat completions at this address (404): check HOLYSHEEP_BASE_URL.",
        ),
        (413, "", BadRequestError, "api.test does not take this request (413)."),
        (
            422,
            {"error": "unknown field"},
            BadRequestError,
            "api.test does not take this request (422: unknown field).",
        ),
        (
            429,
            openai_error("Rate limit reached"),
            RateLimitError,
            "api.test says too many requests (429: Rate limit reached): wait, then run the cell again.",
        ),
        (
            500,
            openai_error("boom"),
            ServerError,
            "api.test failed (500: boom): run the cell again in a moment.",
        ),
        (
            502,
            "<html><h1>Bad Gateway</h1></html>",
            ServerError,
            "api.test failed (502): run the cell again in a moment.",
        ),
        (
            503,
            {"error": None, "message": "line one\nline two"},
            ServerError,
            "api.test failed (503: line one line two): run the cell again in a moment.",
        ),
        (
            400,
            openai_error("Please reduce the length.", "context_length_exceeded"),
            ContextWindowError,
            "The conversation is longer than gpt-9 takes: Please reduce the length: shorten the prompt, "
            "or start afresh with --new.",
        ),
        (
            400,
            openai_error("This model's maximum context length is 4096 tokens"),
            ContextWindowError,
            "The conversation is longer than gpt-9 takes: This model's maximum context length is 4096 tokens: "
            "shorten the prompt, or start afresh with --new.",
        ),
        (
            302,
            "",
            ProtocolError,
            "api.test sends this request on to another address (HTTP 302), which is not followed with your key: "
            "set HOLYSHEEP_BASE_URL to the final address.",
        ),
        (
            204,
            "",
            ProtocolError,
            "api.test answered with HTTP 204, which is no stream of events: check HOLYSHEEP_BASE_URL.",
        ),
    ],
)
def test_a_status_is_one_sentence(status: int, body: Any, kind: type[HolySheepError], sentence: str) -> None:
    error = explain(status, body)
    assert (type(error), str(error)) == (kind, sentence)
    if isinstance(error, APIError):
        assert error.status_code == status


def test_what_the_server_said_is_in_the_details_and_the_code_beside_it() -> None:
    error = explain(400, openai_error("no", "bad_thing"))
    assert isinstance(error, APIError)
    assert error.code == "bad_thing"
    assert json.loads(error.details) == openai_error("no", "bad_thing")


def test_where_a_redirect_leads_is_in_the_details() -> None:
    assert explain(307, "", location="https://other.test/").details == "https://other.test/"


def test_a_long_reason_is_cut() -> None:
    assert str(explain(400, openai_error("x" * 300))) == f"api.test does not take this request (400: {'x' * 200}…)."


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("2", 2.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("Wed, 99 Oct 2026", None),
    ],
)
def test_retry_after_in_seconds_is_kept(value: str, seconds: float | None) -> None:
    error = explain(503, "", **{"retry-after": value})
    assert isinstance(error, ServerError)
    assert error.retry_after_s == seconds


def test_retry_after_may_be_a_date() -> None:
    soon = datetime.now(timezone.utc) + timedelta(seconds=30)
    error = explain(429, "", **{"retry-after": format_datetime(soon, usegmt=True)})
    assert isinstance(error, RateLimitError)
    assert error.retry_after_s == pytest.approx(30, abs=1.5)
    assert "wait 3" in str(error) or "wait 2" in str(error)


def test_a_limit_without_retry_after_asks_for_no_time() -> None:
    error = explain(429, "")
    assert isinstance(error, RateLimitError)
    assert error.retry_after_s is None


def test_the_list_of_models_is_in_the_servers_order() -> None:
    assert models_from_body('{"object": "list", "data": [{"id": "b"}, {"id": "a"}]}') == ["b", "a"]


@pytest.mark.parametrize("body", ["<html>", "[]", '{"data": null}', '{"data": [{"name": "a"}]}', ""])
def test_a_list_of_models_that_is_none_is_refused(body: str) -> None:
    with pytest.raises(ProtocolError, match=r"^The endpoint's list of models could not be read\.$") as raised:
        models_from_body(body)
    assert raised.value.details == body
