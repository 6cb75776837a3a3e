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

from holysheep_nb import Chat, Run
from holysheep_nb.config import Settings
from holysheep_nb.errors import (
    AuthenticationError,
    DisconnectedError,
    HolySheepError,
    RateLimitError,
    ServerError,
    StalledError,
)

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
    run = Chat(settings=Settings(idle_timeout_s=idle_timeout_s)).ask("Hi")
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
    assert str(error) == f"{mock.host} says too many requests (429: Slow down): wait, then run the cell again."
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


def test_llmock_finds_no_fault_with_the_client(mock: Mock) -> None:
    # It takes every fault that is not tried again for an answer that was believed, so there is none here.
    Chat().ask("One").result()
    mock.play(type="slow_first_token", seconds=0.1)
    Chat().ask("Two").result()
    with urllib.request.urlopen(f"{mock.root}/_llmock/verdict", timeout=5) as response:
        verdict = json.load(response)
    assert (verdict["passed"], verdict["calls"], verdict["attempts"]) == (True, 2, 2)
    assert verdict["findings"] == []
