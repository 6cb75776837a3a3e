"""One dialogue, whatever moves it: the transcript is the same."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from raw_server import DONE, RawServer, chunk, event, sse_head
from raw_socket import READ, Close, RawSocket, Step, say

from holysheep_nb import Chat, Run, tool

ARGUMENTS = [{"city": "Paris"}, {"city": "Atlantis"}]
USAGE = [(10, 20), (40, 5)]


@tool(safe=True)
def find(city: str) -> dict[str, Any]:
    """Where a city is."""
    if city != "Paris":
        raise LookupError(f"there is no {city}")
    return {"lat": 48.9}


async def ask(**options: Any) -> Run:
    return await Chat(model="m", tools=[find]).ask("Where are they?", show=False, **options)


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


async def over_sse(server: RawServer, monkeypatch: pytest.MonkeyPatch) -> Run:
    play_sse(server)
    run = await ask(transport="sse")
    sent = server.asked[1].json["messages"]
    assert [m["role"] for m in sent] == ["user", "assistant", "tool", "tool"]
    assert [m["content"] for m in sent[2:]] == ['{"lat": 48.9}', "LookupError: there is no Atlantis"]
    return run


def over_ws(**kind: bool) -> Callable[[RawServer, pytest.MonkeyPatch], Awaitable[Run]]:
    async def ask_over_ws(server: RawServer, monkeypatch: pytest.MonkeyPatch) -> Run:
        async with RawSocket(*blocks(**kind)) as socket:
            monkeypatch.setenv("HOLYSHEEP_WS_URL", socket.ws_url)
            run = await ask(transport="ws")
        assert len(socket.requests) == 1
        init, *results = socket.received
        assert (init["type"], init["tools"][0]["function"]["name"]) == ("init", "find")
        assert [(r["type"], r["id"], r["name"]) for r in results] == [
            ("function_result", "id_0", "find"),
            ("function_result", "id_1", "find"),
        ]
        assert [r["result"] for r in results] == ['{"lat": 48.9}', "LookupError: there is no Atlantis"]
        assert [r.get("is_error", False) for r in results] == [False, True]
        return run

    return ask_over_ws


WAYS = {
    "sse": over_sse,
    "ws": over_ws(says_done=True, in_fragments=False),
    "ws in fragments": over_ws(says_done=True, in_fragments=True),
    "ws that just waits": over_ws(says_done=False, in_fragments=False),
    "ws that just waits, in fragments": over_ws(says_done=False, in_fragments=True),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_transcript_is_the_same_whatever_moves_it(
    at_server: RawServer, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    run = asyncio.run(WAYS[way](at_server, monkeypatch))  # type: ignore[arg-type]
    assert (run.status, run.text) == ("complete", "I look them up.\n\nOnly Paris is.")
    assert run.usage is not None
    assert (run.usage.input_tokens, run.usage.output_tokens) == (50, 25)
    transcript = run.turn.to_dict()
    for part in transcript["parts"]:
        part.pop("seconds", None)
        part.pop("details", None)
        if part["type"] == "tool_call":
            part["arguments"] = json.loads(part["arguments"])
    call = {"type": "tool_call", "name": "find", "state": "done", "edited": "", "question": None}
    result = {"type": "tool_result", "images": [], "shown": []}
    assert transcript == {
        "role": "assistant",
        "model": "raw",
        "finish_reason": "stop",
        "usage": {"input_tokens": 50, "output_tokens": 25},
        "skipped": [],
        "route_changed": "",
        "parts": [
            {"type": "reasoning", "text": "Two cities."},
            {"type": "text", "text": "I look them up."},
            {**call, "call_id": "id_0", "arguments": ARGUMENTS[0]},
            {**call, "call_id": "id_1", "arguments": ARGUMENTS[1]},
            {**result, "call_id": "id_0", "outcome": "ok", "text": '{"lat": 48.9}'},
            {**result, "call_id": "id_1", "outcome": "error", "text": "LookupError: there is no Atlantis"},
            {"type": "text", "text": "Only Paris is."},
        ],
    }


def test_auto_takes_sse_where_the_websocket_cannot_be_opened_and_says_so(
    at_server: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    play_sse(at_server)
    monkeypatch.setenv("HOLYSHEEP_WS_URL", "ws://127.0.0.1:1/v1")
    run = asyncio.run(ask())
    assert (run.status, run.request.transport) == ("complete", "ws")
    assert run.turn.route_changed.startswith("127.0.0.1:1 could not be reached")


def test_auto_is_sse_without_tools(at_server: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    at_server.play(sse_head(), chunk("Hi"), chunk(finish_reason="stop"), DONE)
    monkeypatch.setenv("HOLYSHEEP_WS_URL", "ws://127.0.0.1:1/v1")
    run = Chat(model="m").ask("Hi").result()
    assert (run.text, run.request.transport, run.turn.route_changed) == ("Hi", "sse", "")
