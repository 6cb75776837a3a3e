"""One dialogue, whatever moves it: the transcript is the same."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from dialogue import ARGUMENTS, RESULTS, TRANSCRIPT, USAGE, ask, transcript
from raw_server import DONE, RawServer, chunk, event, sse_head
from raw_socket import READ, Close, RawSocket, Step, say

from holysheep_nb import Chat, Run

Way: TypeAlias = Callable[..., Awaitable[Run]]


def play_sse(server: RawServer) -> None:
    calls = [
        {"index": i, "id": f"id_{i}", "type": "function", "function": {"name": "find", "arguments": ""}}
        for i in range(2)
    ]
    fragments = [
        chunk(tool_calls=[{"index": i, "function": {"arguments": piece}}])
        for i, arguments in enumerate(ARGUMENTS)
        for piece in (json.dumps(arguments)[:7], json.dumps(arguments)[7:])
    ]
    first = [chunk(reasoning_content="Two cities."), chunk("I look "), chunk("them up."), chunk(tool_calls=calls)]
    server.play(sse_head(), first, fragments, chunk(finish_reason="tool_calls"), usage(0), DONE)
    server.play(sse_head(), chunk("Only Paris "), chunk("is."), chunk(finish_reason="stop"), usage(1), DONE)


def usage(number: int) -> bytes:
    prompt, completion = USAGE[number]
    return event({"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": completion}})


def blocks(*, says_done: bool, in_fragments: bool) -> list[Step]:
    steps: list[Step] = [READ, say(type="start", model="raw")]
    steps += [say(type="reasoning_block", content="Two cities.")]
    steps += [say(type="content_block", content="I look "), say(type="content_block", content="them up.")]
    for i, arguments in enumerate(ARGUMENTS):
        text = json.dumps(arguments)
        pieces: list[Any] = [text[:7], text[7:]] if in_fragments else [arguments if i else text]
        steps += [say(type="function_call", id=f"id_{i}", function={"name": "find", "arguments": p}) for p in pieces]
    if says_done:
        steps += [say(type="usage", prompt_tokens=10, completion_tokens=20)]
        steps += [say(type="done", finish_reason="tool_calls")]
    steps += [READ, READ]
    steps += [say(type="content_block", content="Only Paris "), say(type="content_block", content="is.")]
    prompt, completion = USAGE[1] if says_done else (50, 25)
    steps += [say(type="usage", prompt_tokens=prompt, completion_tokens=completion)]
    return [*steps, say(type="done", finish_reason="stop"), Close(1000)]


async def over_sse(server: RawServer, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Run:
    play_sse(server)
    run = await ask(transport="sse", **options)
    sent = server.asked[1].json["messages"]
    assert [m["role"] for m in sent] == ["user", "assistant", "tool", "tool"]
    assert [m["content"] for m in sent[2:]] == RESULTS
    return run


def over_ws(**kind: bool) -> Way:
    async def ask_over_ws(server: RawServer, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Run:
        async with RawSocket(*blocks(**kind)) as socket:
            monkeypatch.setenv("HOLYSHEEP_WS_URL", socket.ws_url)
            run = await ask(transport="ws", **options)
        assert len(socket.requests) == 1
        init, *results = socket.received
        assert (init["type"], init["tools"][0]["function"]["name"]) == ("init", "find")
        assert [(r["type"], r["id"], r["name"]) for r in results] == [
            ("function_result", "id_0", "find"),
            ("function_result", "id_1", "find"),
        ]
        assert [r["result"] for r in results] == RESULTS
        assert [r.get("is_error", False) for r in results] == [False, True]
        return run

    return ask_over_ws


def replayed(way: Way, protocol: str) -> Way:
    async def ask_replayed(server: RawServer, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Run:
        with tempfile.TemporaryDirectory() as folder:
            cassette = Path(folder) / "cassette.json"
            recorded = await way(server, monkeypatch, record=cassette, **options)
            asked = len(server.requests)
            monkeypatch.delenv("HOLYSHEEP_API_KEY")
            monkeypatch.setenv("HOLYSHEEP_BASE_URL", "http://127.0.0.1:1/v1")
            run = await ask(replay=cassette, **options)
        assert len(server.requests) == asked
        assert (run.request.transport, run.request.host) == (protocol, recorded.request.host)
        assert transcript(run) == transcript(recorded)
        assert (run.status, run.text, run.usage) == (recorded.status, recorded.text, recorded.usage)
        return run

    return ask_replayed


WAYS: dict[str, Way] = {
    "sse": over_sse,
    "ws": over_ws(says_done=True, in_fragments=False),
    "ws in fragments": over_ws(says_done=True, in_fragments=True),
    "ws that just waits": over_ws(says_done=False, in_fragments=False),
    "ws that just waits, in fragments": over_ws(says_done=False, in_fragments=True),
}
WAYS |= {f"{name}, replayed": replayed(way, name.split()[0]) for name, way in WAYS.items()}


@pytest.mark.parametrize("way", WAYS)
def test_the_transcript_is_the_same_whatever_moves_it(
    at_server: RawServer, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    run = asyncio.run(WAYS[way](at_server, monkeypatch))  # type: ignore[arg-type]
    assert (run.status, run.text) == ("complete", "I look them up.\n\nOnly Paris is.")
    assert run.usage is not None
    assert (run.usage.input_tokens, run.usage.output_tokens) == (50, 25)
    assert transcript(run) == TRANSCRIPT


def test_auto_takes_sse_where_the_websocket_cannot_be_opened_and_says_so(
    at_server: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    play_sse(at_server)
    monkeypatch.setenv("HOLYSHEEP_WS_URL", "ws://127.0.0.1:1/v1")
    run = asyncio.run(ask())
    assert (run.status, run.request.transport) == ("complete", "ws")
    assert run.turn.route_changed.startswith("over SSE: 127.0.0.1:1 could not be reached")


def test_auto_is_sse_without_tools(at_server: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    at_server.play(sse_head(), chunk("Hi"), chunk(finish_reason="stop"), DONE)
    monkeypatch.setenv("HOLYSHEEP_WS_URL", "ws://127.0.0.1:1/v1")
    run = Chat(model="m").ask("Hi").result()
    assert (run.text, run.request.transport, run.turn.route_changed) == ("Hi", "sse", "")
