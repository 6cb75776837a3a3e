"""A request that fails before anything came is made again, or another model is asked."""

from __future__ import annotations

import time
from typing import Any

import pytest
from raw_server import DONE, RESET, RawServer, Step, answer, chunk, json_answer, sse_head

from holysheep_nb import Chat, Run
from holysheep_nb.config import Settings
from holysheep_nb.errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ConnectionFailedError,
    DisconnectedError,
    HolySheepError,
    RateLimitError,
    ServerError,
    StalledError,
)
from holysheep_nb.events import Event, RetryScheduled
from holysheep_nb.retries import Retries
from holysheep_nb.view.frozen import footer


def refusal(status: str, headers: str = "") -> list[Step]:
    return json_answer({"error": {"message": "Not now"}}, status, headers)


def api_error(status: int, retry_after_s: float | None = None) -> APIError:
    error = ServerError("x", status_code=status)
    error.retry_after_s = retry_after_s
    return error


def quick(**settings: Any) -> Chat:
    return Chat(settings=Settings(**{"max_retry_wait_s": 0.02, **settings}))


# The rule


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504, 529])
def test_what_may_pass_is_tried_again(status: int) -> None:
    assert Retries().after(api_error(status), 1) is not None


@pytest.mark.parametrize("status", [0, 400, 401, 402, 403, 404, 413, 422, 501])
def test_what_will_not_pass_is_not_tried_again(status: int) -> None:
    assert Retries().after(api_error(status), 1) is None


def test_a_lost_connection_is_tried_again_and_a_stall_is_not() -> None:
    assert Retries().after(ConnectionFailedError("x"), 1) is not None
    assert Retries().after(DisconnectedError("x"), 1) is not None
    assert Retries().after(StalledError("x"), 1) is None


def test_the_wait_doubles_and_is_shortened_by_up_to_a_half() -> None:
    longest = [Retries(attempts=9, jitter=lambda: 0.0).after(api_error(500), n) for n in range(1, 9)]
    shortest = [Retries(attempts=9, jitter=lambda: 1.0).after(api_error(500), n) for n in range(1, 9)]
    assert [each.seconds for each in longest if each] == [0.5, 1, 2, 4, 8, 16, 32, 60]
    assert [each.seconds for each in shortest if each] == [0.25, 0.5, 1, 2, 4, 8, 16, 30]


def test_the_server_says_how_long_and_more_than_the_longest_wait_is_the_end() -> None:
    assert Retries().after(api_error(429, 7.0), 1) == RetryScheduled("429", 7.0, 2, 5)
    assert Retries().after(api_error(429, 0.0), 4) == RetryScheduled("429", 0.0, 5, 5)
    assert Retries().after(api_error(429, 61.0), 1) is None


def test_the_last_attempt_is_the_last() -> None:
    assert Retries(attempts=5).after(api_error(500), 4) is not None
    assert Retries(attempts=5).after(api_error(500), 5) is None


# Runs


@pytest.mark.parametrize(
    "trouble",
    [
        refusal("429 Too Many Requests"),
        refusal("503 Service Unavailable", "Retry-After: 0\r\n"),
        [RESET],
        [sse_head()],
        [sse_head(), b": waiting\n\n"],
    ],
    ids=["429", "503 with a date to come", "reset", "an empty stream", "a stream of comments"],
)
def test_trouble_before_anything_came_passes_unseen_but_noted(at_server: RawServer, trouble: list[Step]) -> None:
    at_server.play(trouble)
    at_server.play(trouble)
    at_server.play(answer("Hi"))
    run = quick().ask("Hi").result()
    assert (run.text, run.status, run.error, len(at_server.asked)) == ("Hi", "complete", None, 3)
    assert [(each.attempt, each.attempts) for each in run.retries] == [(2, 5), (3, 5)]
    assert at_server.asked[0].json == at_server.asked[2].json
    assert "after 2 retries (" in footer(run)


def test_at_most_five_requests_are_made(at_server: RawServer) -> None:
    at_server.play(refusal("500 Internal Server Error"))
    run = quick().ask("Hi")
    with pytest.raises(ServerError, match="failed"):
        run.result()
    assert (run.status, len(at_server.asked), len(run.retries)) == ("failed", 5, 4)


def test_nothing_is_tried_again_once_something_came(at_server: RawServer) -> None:
    at_server.play(sse_head(), chunk("So far"), RESET)
    run = quick().ask("Hi")
    with pytest.raises(HolySheepError):
        run.result()
    assert (run.status, run.text, len(at_server.asked)) == ("truncated", "So far", 1)


@pytest.mark.parametrize(
    ("status", "kind"), [("400 Bad Request", BadRequestError), ("401 Unauthorized", AuthenticationError)]
)
def test_a_refusal_for_good_is_told_at_once(at_server: RawServer, status: str, kind: type[Exception]) -> None:
    at_server.play(refusal(status))
    with pytest.raises(kind):
        quick().ask("Hi").result()
    assert len(at_server.asked) == 1


def test_a_server_that_asks_for_too_long_a_wait_is_told_at_once_with_the_seconds(at_server: RawServer) -> None:
    at_server.play(refusal("429 Too Many Requests", "Retry-After: 3600\r\n"))
    with pytest.raises(RateLimitError, match="wait 3,600 s"):
        Chat().ask("Hi").result()
    assert len(at_server.asked) == 1


def test_the_wait_the_server_asks_for_is_kept(at_server: RawServer) -> None:
    at_server.play(refusal("429 Too Many Requests", "Retry-After: 0.4\r\n"))
    at_server.play(answer("Hi"))
    Chat().ask("Hi").result()
    first, second = at_server.asked
    assert 0.4 <= second.at - first.at < 1.4


def test_stop_ends_a_wait_at_once(at_server: RawServer) -> None:
    at_server.play(refusal("429 Too Many Requests", "Retry-After: 30\r\n"))
    seen: list[Event | None] = []
    run = Chat().ask("Hi", listener=seen.append)
    deadline = time.monotonic() + 5
    while run.status != "retrying" and time.monotonic() < deadline:
        time.sleep(0.01)
    assert run.next_attempt_s is not None
    assert run.next_attempt_s > 29
    began = time.monotonic()
    run.stop()
    run.result()
    assert time.monotonic() - began < 5
    assert (run.status, len(at_server.asked)) == ("stopped", 1)
    assert RetryScheduled("429", 30.0, 2, 5) in seen


def test_a_later_round_is_tried_again_without_calling_its_tools_again(at_server: RawServer) -> None:
    called = []

    def note(n: int) -> str:
        called.append(n)
        return "noted"

    call = {"index": 0, "id": "c", "type": "function", "function": {"name": "note", "arguments": '{"n": 1}'}}
    at_server.play(sse_head(), chunk(tool_calls=[call]), chunk(finish_reason="tool_calls"), DONE)
    at_server.play(refusal("503 Service Unavailable"))
    at_server.play(answer("Done."))
    run = quick().ask("Hi", tools=[note], approve="auto").result()
    assert (run.text, called, len(at_server.asked), len(run.retries)) == ("Done.", [1], 3, 1)


# Another model


def fallen_back(at_server: RawServer, **options: Any) -> Run:
    at_server.play(refusal("503 Service Unavailable"))
    at_server.play(sse_head(), event_without_model("Hi"), chunk_end(), DONE)
    return quick(max_attempts=1, **options).ask("Hi", fallback="small").result()


def event_without_model(text: str) -> bytes:
    return b'data: {"choices": [{"index": 0, "delta": {"content": "%s"}}]}\n\n' % text.encode()


def chunk_end() -> bytes:
    return b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\n'


def test_the_fallback_answers_where_the_model_cannot_and_is_named(at_server: RawServer) -> None:
    run = fallen_back(at_server)
    assert [request.json["model"] for request in at_server.asked] == ["raw", "small"]
    assert (run.text, run.status, run.model) == ("Hi", "complete", "small")
    assert run.turn.route_changed.startswith("answered by small: 127.0.0.1:")
    assert "answered by small" in footer(run)


def test_the_fallback_is_tried_after_the_retries(at_server: RawServer) -> None:
    at_server.play(refusal("503 Service Unavailable"))
    run = quick(max_attempts=2, fallback_model="small").ask("Hi")
    with pytest.raises(ServerError):
        run.result()
    assert [request.json["model"] for request in at_server.asked] == ["raw", "raw", "small", "small"]


def test_a_request_that_is_wrong_is_not_sent_to_the_fallback(at_server: RawServer) -> None:
    at_server.play(refusal("400 Bad Request"))
    with pytest.raises(BadRequestError):
        quick(fallback_model="small").ask("Hi").result()
    assert len(at_server.asked) == 1


def test_a_second_endpoint_answers_with_a_key_of_its_own(at_server: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECOND_KEY", "second-secret")
    with RawServer() as second:
        second.play(answer("From there"))
        at_server.play(refusal("401 Unauthorized"))
        run = quick(fallback_base_url=second.base_url, fallback_api_key_name="SECOND_KEY").ask("Hi").result()
        (asked,) = second.asked
    assert (run.text, asked.json["model"]) == ("From there", "raw")
    assert asked.headers["authorization"] == "Bearer second-secret"
    assert "second-secret" not in str(at_server.asked[0].headers)


def test_a_second_endpoint_without_a_key_is_one_sentence_and_nothing_is_sent(at_server: RawServer) -> None:
    with pytest.raises(ConfigurationError, match="set fallback_api_key_name"):
        quick(fallback_base_url="https://second.test/v1").ask("Hi")
    assert at_server.asked == []
