"""Our client against another server nobody here wrote: aimock, which npm brings with the front end's tools."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dialogue import ARGUMENTS, PROMPT, RESULTS, TRANSCRIPT, USAGE, ask, transcript

from holysheep_nb import Chat, Run, tool
from holysheep_nb.errors import (
    AuthenticationError,
    DisconnectedError,
    HolySheepError,
    ModelNotFoundError,
    ProtocolError,
    StalledError,
)

AIMOCK = Path(__file__).parent.parent / "js" / "node_modules" / "@copilotkit" / "aimock" / "dist" / "cli.js"
NODE = shutil.which("node")

pytestmark = pytest.mark.skipif(NODE is None or not AIMOCK.exists(), reason="needs Node and `npm ci` in js/")


class Mock:
    """A running aimock."""

    def __init__(self, port: int) -> None:
        self.host = f"127.0.0.1:{port}"

    def request(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://{self.host}/__aimock/{path}", data, method=method)
        with urllib.request.urlopen(request, timeout=5) as response:
            return json.load(response)

    def play(self, response: dict[str, Any], *, match: dict[str, Any] | None = None, **options: Any) -> None:
        """What a prompt gets from now on, if no earlier `match` fits it."""
        fixture = {"match": {"endpoint": "chat", **(match or {})}, "response": response, **options}
        self.request("POST", "fixtures", {"fixtures": [fixture]})

    def asked(self) -> list[Any]:
        """The bodies of the requests for completions so far."""
        return [entry["body"] for entry in self.request("GET", "journal?path=/v1/chat/completions")]

    def is_up(self) -> bool:
        try:
            return bool(self.request("GET", "health"))
        except OSError:
            return False


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mock]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    fixtures = tmp_path_factory.mktemp("aimock") / "fixtures.json"
    # It does not start without a fixture.
    fixtures.write_text(json.dumps({"fixtures": [{"match": {"userMessage": "-"}, "response": {"content": "-"}}]}))
    process = subprocess.Popen(
        [NODE or "node", AIMOCK, "--host", "127.0.0.1", "--port", str(port), "--fixtures", fixtures, "--strict"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    mock = Mock(port)
    deadline = time.monotonic() + 30
    try:
        while not mock.is_up():
            assert process.poll() is None, "aimock ended"
            assert time.monotonic() < deadline, "aimock does not answer"
            time.sleep(0.05)
        yield mock
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture
def mock(running: Mock, monkeypatch: pytest.MonkeyPatch) -> Mock:
    monkeypatch.setenv("HOLYSHEEP_API_KEY", "mock-key")
    monkeypatch.setenv("HOLYSHEEP_BASE_URL", f"http://{running.host}/v1")
    monkeypatch.setenv("HOLYSHEEP_MODEL", "gpt-4o")
    running.request("POST", "reset")
    return running


def fail(run: Run) -> HolySheepError:
    """Why a run that must not end well did not."""
    with pytest.raises(HolySheepError) as raised:
        run.result()
    return raised.value


def play_dialogue(mock: Mock) -> None:
    calls = [
        {"id": f"id_{number}", "name": "find", "arguments": arguments} for number, arguments in enumerate(ARGUMENTS)
    ]
    usages = [{"prompt_tokens": prompt, "completion_tokens": completion} for prompt, completion in USAGE]
    mock.play(
        {"reasoning": "Two cities.", "content": "I look them up.", "toolCalls": calls, "usage": usages[0]},
        match={"userMessage": PROMPT, "hasToolResult": False},
        chunkSize=7,
    )
    mock.play(
        {"content": "Only Paris is.", "usage": usages[1]},
        match={"userMessage": PROMPT, "hasToolResult": True},
        chunkSize=7,
    )


# The dialogue


def test_the_dialogue_of_the_contract_gives_its_transcript(mock: Mock) -> None:
    play_dialogue(mock)
    run = asyncio.run(ask("raw", transport="sse"))
    assert (run.status, transcript(run)) == ("complete", TRANSCRIPT)
    assert run.timing.deltas > 8
    asked, *results = mock.asked()[1]["messages"][1:]
    assert [call["id"] for call in asked["tool_calls"]] == ["id_0", "id_1"]
    assert [(each["role"], each["tool_call_id"], each["content"]) for each in results] == [
        ("tool", "id_0", RESULTS[0]),
        ("tool", "id_1", RESULTS[1]),
    ]


def test_the_dialogue_is_recorded_and_replayed(mock: Mock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    play_dialogue(mock)
    asyncio.run(ask("raw", transport="sse", record=tmp_path / "f.json"))
    monkeypatch.delenv("HOLYSHEEP_API_KEY")
    run = asyncio.run(ask("raw", replay=tmp_path / "f.json"))
    assert (run.status, transcript(run)) == ("complete", TRANSCRIPT)
    assert len(mock.asked()) == 2


def test_its_websockets_are_of_other_protocols_so_auto_takes_sse(mock: Mock, monkeypatch: pytest.MonkeyPatch) -> None:
    play_dialogue(mock)
    monkeypatch.setenv("HOLYSHEEP_WS_URL", f"ws://{mock.host}/v1")
    run = asyncio.run(ask("raw"))
    assert run.status == "complete"
    assert transcript(run) == {**TRANSCRIPT, "route_changed": run.turn.route_changed}
    assert run.turn.route_changed


# Text and reasoning


def test_reasoning_content_is_reasoning_and_no_text(mock: Mock) -> None:
    mock.play({"reasoning": "The sky scatters light.", "content": "Because of scattering."}, chunkSize=5)
    # It gives reasoning to models alone that it does not know as ones without.
    run = Chat(model="raw").ask("Why?", transport="sse").result()
    assert (run.status, run.text) == ("complete", "Because of scattering.")
    assert [(part.type, part.read()) for part in run.turn.parts] == [
        ("reasoning", "The sky scatters light."),
        ("text", "Because of scattering."),
    ]
    assert run.usage is not None
    assert run.usage.output_tokens > 0


def test_text_in_every_script_survives_being_cut_into_pieces(mock: Mock) -> None:
    text = "größer 🐑👩‍👩‍👧 \u2028 羊は 日本語 العربية\n```python\nprint('x')\n```"
    mock.play({"content": text}, chunkSize=1)
    run = Chat().ask("Hi").result()
    assert (run.status, run.turn.skipped, run.text) == ("complete", [], text)


def test_calls_that_come_before_the_text_keep_their_place(mock: Mock) -> None:
    made: list[str] = []

    @tool(safe=True)
    def look_up(city: str) -> str:
        """Looks a city up."""
        made.append(city)
        return "found"

    blocks = [
        {"type": "toolCall", "name": "look_up", "arguments": {"city": "Paris"}},
        {"type": "text", "text": "I look it up."},
    ]
    mock.play({"blocks": blocks}, match={"hasToolResult": False})
    mock.play({"content": "There."}, match={"hasToolResult": True})
    run = Chat(tools=[look_up]).ask("Where?", transport="sse").result()
    assert (run.status, made) == ("complete", ["Paris"])
    assert [part.type for part in run.turn.parts] == ["tool_call", "text", "tool_result", "text"]


def test_an_answer_that_reached_the_token_limit_is_complete_and_says_so(mock: Mock) -> None:
    mock.play({"content": "one two three", "finishReason": "length"})
    run = Chat().ask("Count.").result()
    assert (run.status, run.text, run.turn.finish_reason) == ("complete", "one two three", "length")


# What goes wrong


def test_a_cut_socket_is_a_truncated_answer_and_the_text_is_kept(mock: Mock) -> None:
    mock.play({"content": "one two three four five six"}, chunkSize=4, latency=20, truncateAfterChunks=4)
    run = Chat().ask("Count.")
    error = fail(run)
    assert type(error) is DisconnectedError
    assert str(error) == (
        f"The connection to {mock.host} was closed: the answer is cut off, and "
        f"what came is kept ({len(run.text)} characters)."
    )
    assert (run.status, run.complete) == ("truncated", False)
    assert run.text
    assert "one two three four five six".startswith(run.text)


def test_a_socket_that_is_cut_in_a_pause_is_a_truncated_answer_too(mock: Mock) -> None:
    mock.play({"content": "one two three four five six"}, chunkSize=4, latency=150, disconnectAfterMs=400)
    run = Chat().ask("Count.")
    assert type(fail(run)) is DisconnectedError
    assert run.status == "truncated"
    assert run.text
    assert "one two three four five six".startswith(run.text)


def test_a_pause_longer_than_the_idle_timeout_is_given_up(mock: Mock) -> None:
    mock.play({"content": "one two three four five six"}, chunkSize=4, latency=1500)
    chat = Chat()
    chat.settings.idle_timeout_s = 0.3
    run = chat.ask("Count.")
    assert type(fail(run)) is StalledError
    assert (run.status, run.text) == ("failed", "")


def test_a_call_whose_arguments_were_cut_off_is_never_made(mock: Mock) -> None:
    made: list[str] = []

    @tool(safe=True)
    def look_up(city: str) -> str:
        """Looks a city up."""
        made.append(city)
        return "found"

    calls = [{"name": "look_up", "arguments": {"city": "Clermont-Ferrand"}}]
    mock.play({"content": "One.", "toolCalls": calls}, chunkSize=6, latency=20, truncateAfterChunks=6)
    run = Chat(tools=[look_up]).ask("Where?", transport="sse")
    assert type(fail(run)) is DisconnectedError
    (call,) = run.tool_calls
    assert (run.status, run.text, made) == ("truncated", "One.", [])
    assert '{"city":"Clermont-Ferrand"}'.startswith(call.arguments)
    assert len(call.arguments) < len('{"city":"Clermont-Ferrand"}')


def test_a_call_in_an_answer_that_reached_the_token_limit_is_not_made(mock: Mock) -> None:
    made: list[str] = []

    @tool(safe=True)
    def look_up(city: str) -> str:
        """Looks a city up."""
        made.append(city)
        return "found"

    mock.play({"toolCalls": [{"name": "look_up", "arguments": {"city": "Paris"}}], "finishReason": "length"})
    run = Chat(tools=[look_up]).ask("Where?", transport="sse").result()
    assert (run.status, run.turn.finish_reason, made) == ("complete", "length", [])


def test_a_body_that_is_no_stream_is_one_sentence(mock: Mock) -> None:
    mock.play({"content": "one"}, chaos={"malformedRate": 1})
    run = Chat().ask("Hi")
    error = fail(run)
    assert type(error) is ProtocolError
    assert str(error) == (
        f"{mock.host} answered with application/json instead of a stream of events: check HOLYSHEEP_BASE_URL."
    )
    assert run.status == "failed"


def test_a_refused_key_is_one_sentence(mock: Mock) -> None:
    mock.play({"error": {"message": "No such key", "type": "invalid_request_error"}, "status": 401})
    error = fail(Chat().ask("Hi"))
    assert type(error) is AuthenticationError
    assert str(error) == (f"{mock.host} refused the key (401: No such key). Set HOLYSHEEP_API_KEY to a valid key.")


def test_an_unknown_model_is_told_which_may_have_been_meant(mock: Mock) -> None:
    mock.play({"error": {"message": "The model does not exist", "code": "model_not_found"}, "status": 404})
    error = fail(Chat(model="gpt-4oo").ask("Hi"))
    assert type(error) is ModelNotFoundError
    assert str(error).startswith(f"{mock.host} has no model 'gpt-4oo'. Did you mean 'gpt-4o'? ")
