"""Our client against a server nobody here wrote: llmock, and what it does wrong on purpose."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dialogue import ARGUMENTS, PARTS, RESULTS, TRANSCRIPT, ask, transcript

from holysheep_nb import Chat, Run, tool
from holysheep_nb.config import Settings
from holysheep_nb.errors import (
    AuthenticationError,
    DisconnectedError,
    HolySheepError,
    RateLimitError,
    ServerError,
    StalledError,
)
from holysheep_nb.parts import ToolResultPart
from holysheep_nb.view.frozen import footer

LLMOCK = Path(sys.executable).with_name("llmock")


class Mock:
    """A running llmock."""

    def __init__(self, port: int) -> None:
        self.root = f"http://127.0.0.1:{port}"
        self.host = f"127.0.0.1:{port}"

    def post(self, path: str, body: Any) -> None:
        request = urllib.request.Request(f"{self.root}{path}", json.dumps(body).encode(), method="POST")
        urllib.request.urlopen(request, timeout=5).close()

    def play(self, **behavior: Any) -> None:
        """What the next request gets."""
        self.post("/_llmock/scenario", {"behaviors": [behavior]})

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(f"{self.root}/_llmock/{path}", timeout=5) as response:
            return json.load(response)

    def is_up(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.root}/_llmock/scenario", timeout=5).close()
        except OSError:
            return False
        return True


@pytest.fixture(scope="module")
def running() -> Iterator[Mock]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [LLMOCK, "serve", "--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    mock = Mock(port)
    deadline = time.monotonic() + 30
    while not mock.is_up():
        assert process.poll() is None, "llmock ended"
        assert time.monotonic() < deadline, "llmock does not answer"
        time.sleep(0.05)
    yield mock
    process.terminate()
    process.wait(10)


@pytest.fixture
def mock(running: Mock, monkeypatch: pytest.MonkeyPatch) -> Mock:
    monkeypatch.setenv("HOLYSHEEP_API_KEY", "mock-key")
    monkeypatch.setenv("HOLYSHEEP_BASE_URL", f"{running.root}/v1")
    monkeypatch.setenv("HOLYSHEEP_MODEL", "gpt-4o")
    running.post("/_llmock/reset", {})
    return running


def fail(idle_timeout_s: float = 10.0) -> tuple[Run, HolySheepError]:
    """A run that must not end well, and why."""
    run = Chat(settings=Settings(idle_timeout_s=idle_timeout_s, max_attempts=1)).ask("Hi")
    with pytest.raises(HolySheepError) as raised:
        run.result()
    return run, raised.value


def test_a_good_stream_is_complete_with_usage(mock: Mock) -> None:
    mock.play(type="reply", text="A reply of several words.")
    run = Chat().ask("Hi").result()
    assert (run.text, run.status, run.turn.finish_reason) == ("A reply of several words.", "complete", "stop")
    assert run.timing.deltas > 1
    assert run.usage is not None
    assert run.usage.output_tokens > 0
    assert run.turn.skipped == []


def test_its_models_are_listed(mock: Mock) -> None:
    async def models() -> list[str]:
        return await Chat().list_models()

    assert "gpt-4o" in asyncio.run(models())


def test_a_rate_limit_is_a_sentence_with_the_seconds_to_wait(mock: Mock) -> None:
    mock.play(type="fail", status=429, retry_after=2, message="Slow down")
    run, error = fail()
    assert isinstance(error, RateLimitError)
    assert str(error) == f"{mock.host} says too many requests (429: Slow down): wait 2 s, then run the cell again."
    assert (error.retry_after_s, run.status) == (2.0, "failed")
    assert Chat().ask("Hi").result().complete, "the next request is answered"


@pytest.mark.parametrize(
    ("status", "kind", "sentence"),
    [
        (401, AuthenticationError, "refused the key (401: No). Set HOLYSHEEP_API_KEY to a valid key."),
        (503, ServerError, "failed (503: No): run the cell again in a moment."),
    ],
)
def test_a_status_is_a_sentence(mock: Mock, status: int, kind: type[HolySheepError], sentence: str) -> None:
    mock.play(type="fail", status=status, message="No")
    _, error = fail()
    assert (type(error), str(error)) == (kind, f"{mock.host} {sentence}")


def test_a_dropped_connection_is_a_cut_and_the_text_is_kept(mock: Mock) -> None:
    mock.play(type="reply", text="one two three four five six")
    mock.play(type="stream_fault", kind="disconnect", after_chunks=3)
    run, error = fail()
    assert type(error) is DisconnectedError
    assert str(error) == (
        f"The connection to {mock.host} was closed: the answer is cut off, and "
        f"what came is kept ({len(run.text)} characters)."
    )
    assert run.status == "truncated"
    assert run.text
    assert "one two three four five six".startswith(run.text)


def test_a_stream_that_ends_early_and_cleanly_is_a_cut_as_well(mock: Mock) -> None:
    mock.play(type="reply", text="one two three four five six")
    mock.play(type="stream_fault", kind="truncate", after_chunks=3)
    run, error = fail()
    assert type(error) is DisconnectedError
    assert str(error) == (
        f"{mock.host} ended the stream before the answer was complete: "
        f"the answer is cut off, and what came is kept ({len(run.text)} characters)."
    )
    assert (run.status, run.complete) == ("truncated", False)


def test_a_malformed_chunk_is_left_out_and_the_rest_goes_on(mock: Mock) -> None:
    mock.play(type="reply", text="one two three four five six")
    mock.play(type="stream_fault", kind="malformed", after_chunks=3)
    run = Chat().ask("Hi").result()
    assert run.status == "complete"
    assert len(run.turn.skipped) == 1
    assert run.turn.skipped[0].startswith("not JSON (")
    assert run.text.endswith("six")


def test_a_stall_is_given_up_after_the_idle_timeout(mock: Mock) -> None:
    mock.play(type="reply", text="one two three four five six")
    mock.play(type="stream_fault", kind="stall", after_chunks=3, stall_seconds=2)
    began = time.monotonic()
    run, error = fail(idle_timeout_s=0.4)
    assert time.monotonic() - began < 1.9
    assert type(error) is StalledError
    assert str(error) == (
        f"No data from {mock.host} for 0.4 s: the answer is cut off, and "
        f"what came is kept ({len(run.text)} characters)."
    )
    assert run.status == "truncated"


def test_a_stall_shorter_than_the_idle_timeout_is_waited_out(mock: Mock) -> None:
    mock.play(type="reply", text="one two three four five six")
    mock.play(type="stream_fault", kind="stall", after_chunks=3, stall_seconds=0.5)
    assert Chat().ask("Hi").result().text == "one two three four five six"


def test_a_slow_first_token_is_waited_for_and_timed(mock: Mock) -> None:
    mock.play(type="slow_first_token", seconds=0.5)
    run = Chat().ask("Hi").result()
    assert run.complete
    assert run.timing.first_delta_s is not None
    assert run.timing.first_delta_s >= 0.5


# Tools


def results_of(run: Run) -> list[ToolResultPart]:
    return [part for part in run.turn.parts if isinstance(part, ToolResultPart)]


CALLS = [{"name": "find", "arguments": arguments} for arguments in ARGUMENTS]


def test_the_dialogue_of_the_contract_gives_its_transcript(mock: Mock) -> None:
    # llmock sends no reasoning, makes the ids up, and counts tokens itself.
    mock.play(type="reply", text="I look them up.", tool_calls=CALLS)
    mock.play(type="reply", text="Only Paris is.")
    run = asyncio.run(ask("gpt-4o", transport="sse"))
    assert (run.status, run.text) == ("complete", "I look them up.\n\nOnly Paris is.")
    found = transcript(run)
    assert found["usage"]["input_tokens"] > 0
    assert found["usage"]["output_tokens"] > 0
    ids = [call.call_id for call in run.tool_calls]
    assert len(set(ids)) == 2
    for part in found["parts"]:
        if "call_id" in part:
            part["call_id"] = f"id_{ids.index(part['call_id'])}"
    assert found == {**TRANSCRIPT, "model": "gpt-4o", "usage": found["usage"], "parts": PARTS[1:]}


def test_the_results_go_back_with_the_ids_of_their_calls(mock: Mock) -> None:
    mock.play(type="reply", text="I look them up.", tool_calls=CALLS)
    mock.play(type="reply", text="Only Paris is.")
    run = asyncio.run(ask("gpt-4o", transport="sse"))
    first, second = (request["body"]["messages"] for request in mock.get("requests")["requests"])
    ids = [call.call_id for call in run.tool_calls]
    assert second[: len(first)] == first
    asked, *results = second[len(first) :]
    assert [call["id"] for call in asked["tool_calls"]] == ids
    assert [(each["role"], each["tool_call_id"], each["content"]) for each in results] == [
        ("tool", ids[0], RESULTS[0]),
        ("tool", ids[1], RESULTS[1]),
    ]
    assert mock.get("verdict")["findings"] == []


def test_a_call_llmock_makes_up_from_the_schema_fits_the_tool(mock: Mock) -> None:
    made: list[tuple[int, str, bool]] = []

    @tool(safe=True)
    def book(seats: int, city: str, is_return: bool) -> str:
        """Books a flight."""
        made.append((seats, city, is_return))
        return "booked"

    run = Chat(tools=[book]).ask("Book a flight with the book tool.", transport="sse").result()
    assert run.status == "complete"
    assert [(call.name, call.state) for call in run.tool_calls] == [("book", "done")] * len(made)
    assert len(made) == 1


def test_broken_arguments_never_reach_the_function_and_the_model_is_told(mock: Mock) -> None:
    mock.play(type="reply", tool_calls=CALLS[:1])
    mock.play(type="tool_fault", kind="malformed_arguments")
    mock.play(type="reply", text="I give up.")
    run = asyncio.run(ask("gpt-4o", transport="sse"))
    (call,), (result,) = run.tool_calls, results_of(run)
    with pytest.raises(ValueError):
        json.loads(call.arguments)
    assert (result.outcome, run.status, run.text) == ("invalid", "complete", "I give up.")
    told = mock.get("requests")["requests"][1]["body"]["messages"][-1]
    assert (told["role"], told["content"]) == ("tool", result.text)


def test_a_tool_that_was_never_offered_is_not_called_and_the_model_is_told(mock: Mock) -> None:
    mock.play(type="reply", tool_calls=CALLS[:1])
    mock.play(type="tool_fault", kind="unknown_tool")
    mock.play(type="reply", text="I give up.")
    run = asyncio.run(ask("gpt-4o", transport="sse"))
    (call,), (result,) = run.tool_calls, results_of(run)
    assert (result.outcome, result.text) == ("invalid", f"There is no tool {call.name!r}; there are: find.")
    assert (run.status, run.text) == ("complete", "I give up.")


@pytest.mark.parametrize("kind", ["disconnect", "truncate"])
def test_a_call_that_was_cut_off_is_never_made(mock: Mock, kind: str) -> None:
    made: list[str] = []

    @tool(safe=True)
    def look_up(city: str) -> str:
        """Looks a city up."""
        made.append(city)
        return "found"

    calls = [{"name": "look_up", "arguments": {"city": city}} for city in ("Paris", "Clermont-Ferrand")]
    mock.play(type="reply", text="One moment.", tool_calls=calls)
    # One chunk for the role, two for the text, three for the first call, two for the beginning of the second one.
    mock.play(type="stream_fault", kind=kind, after_chunks=8)
    run = Chat(tools=[look_up]).ask("Where?", transport="sse")
    with pytest.raises(DisconnectedError):
        run.result()
    assert (run.status, run.text, made) == ("truncated", "One moment.", [])
    assert [call.state for call in run.tool_calls] == ["done", "done"]
    assert [call.arguments for call in run.tool_calls] == ['{"city": "Paris"}', '{"city": "Cl']


# What llmock thinks of the client

PASS = "PASS  the client handled every injected fault correctly."


def verdict(mock: Mock) -> str:
    with urllib.request.urlopen(f"{mock.root}/_llmock/verdict?format=text", timeout=5) as response:
        text: str = response.read().decode()
    return text


def attempts(mock: Mock) -> int:
    found: int = mock.get("verdict")["attempts"]
    return found


@pytest.mark.parametrize(
    ("behavior", "requests"),
    [
        ({"type": "fail", "status": 429, "retry_after": 0.5, "times": 2}, 3),
        ({"type": "fail", "status": 503, "retry_after": 1}, 2),
        *[({"type": "fail", "status": status}, 2) for status in (408, 409, 500, 502, 504, 529)],
        ({"type": "fail", "status": 500, "times": 3}, 4),
        ({"type": "delay", "seconds": 0.2}, 1),
        ({"type": "slow_first_token", "seconds": 0.2}, 1),
        ({"type": "stream_fault", "kind": "disconnect", "after_chunks": 0}, 2),
        ({"type": "stream_fault", "kind": "truncate", "after_chunks": 0}, 2),
        ({"type": "stream_fault", "kind": "stall", "after_chunks": 3, "stall_seconds": 0.4}, 1),
    ],
    ids=lambda value: " ".join(str(each) for each in value.values()) if isinstance(value, dict) else str(value),
)
def test_llmock_passes_the_client_that_comes_through_a_fault(
    mock: Mock, behavior: dict[str, Any], requests: int
) -> None:
    mock.play(type="reply", text="one two three four five six", times=2)
    mock.play(**behavior)
    run = Chat().ask("Hi").result()
    assert (run.status, run.text, len(run.retries)) == ("complete", "one two three four five six", requests - 1)
    assert PASS in verdict(mock)
    assert attempts(mock) == requests


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_llmock_passes_the_client_that_does_not_repeat_what_cannot_be_right(mock: Mock, status: int) -> None:
    mock.play(type="fail", status=status, times=None)
    run = Chat().ask("Hi")
    with pytest.raises(HolySheepError):
        run.result()
    assert (run.status, run.retries) == ("failed", [])
    assert PASS in verdict(mock)
    assert attempts(mock) == 1


def test_llmock_passes_the_client_that_gives_up_after_five_attempts(mock: Mock) -> None:
    mock.play(type="fail", status=503, retry_after=0.1, times=None)
    with pytest.raises(ServerError):
        Chat().ask("Hi").result()
    assert PASS in verdict(mock)
    assert attempts(mock) == 5


def test_llmock_passes_the_client_that_leaves_a_stalled_stream(mock: Mock) -> None:
    mock.play(type="stream_fault", kind="stall", after_chunks=3, stall_seconds=5)
    run, _ = fail(idle_timeout_s=0.4)
    assert run.status == "truncated"
    assert PASS in verdict(mock)


@pytest.mark.parametrize("kind", ["disconnect", "truncate"])
def test_llmock_passes_a_cut_answer_whose_cell_is_run_again(mock: Mock, kind: str) -> None:
    # Nobody makes the request again once text has come but the person, who is told that it is cut off.
    mock.play(type="stream_fault", kind=kind, after_chunks=3)
    chat = Chat()
    run = chat.ask("Hi", cell="1")
    with pytest.raises(DisconnectedError, match="the answer is cut off, and what came is kept"):
        run.result()
    assert (run.status, run.complete, run.retries) == ("truncated", False, [])
    assert PASS not in verdict(mock)
    assert chat.ask("Hi", cell="1").result().complete
    assert PASS in verdict(mock)
    assert attempts(mock) == 2


def test_llmock_passes_the_client_that_leaves_a_malformed_chunk_out_with_a_warning(mock: Mock) -> None:
    # It warns whoever goes on reading that text may be missing. Here it is, and the footer says so.
    mock.play(type="reply", text="one two three four five six")
    mock.play(type="stream_fault", kind="malformed", after_chunks=3)
    run = Chat().ask("Hi").result()
    assert (run.status, run.text, len(run.turn.skipped)) == ("complete", "one two four five six", 1)
    assert "1 unreadable payload(s) left out" in footer(run)
    found = mock.get("verdict")
    assert (found["passed"], [each["code"] for each in found["findings"]]) == (True, ["malformed_chunk_ignored"])


@pytest.mark.parametrize("kind", ["malformed_arguments", "unknown_tool"])
def test_llmock_passes_the_client_that_tells_the_model_what_is_wrong_with_a_call(mock: Mock, kind: str) -> None:
    mock.play(type="reply", tool_calls=CALLS[:1])
    mock.play(type="tool_fault", kind=kind)
    mock.play(type="reply", text="I give up.")
    assert asyncio.run(ask("gpt-4o", transport="sse")).text == "I give up."
    assert PASS in verdict(mock)
    assert attempts(mock) == 2
