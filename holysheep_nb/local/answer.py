"""One answer on its way to one client: the engine's events as chunks, and the end when the client leaves."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from collections.abc import AsyncGenerator, Coroutine, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from typing import Any

from pydantic import JsonValue
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from holysheep_nb.local.engine import Cut, Delta, Engine, EngineEvent, Finished, Recorded, Waiting
from holysheep_nb.local.request import ChatRequest, RefusedRequestError

KEEP_ALIVE = b": waiting\n\n"
DONE = b"data: [DONE]\n\n"


@dataclass
class Counters:
    """How many answers there were since the start, for `/health`; each round is one, over either protocol."""

    active: int = 0
    """Underway; an answer whose client has left counts until its generation has stopped."""
    waiting: int = 0
    """WebSockets on which nothing is underway, because the results of calls are waited for."""
    finished: int = 0
    stopped: int = 0
    """The client left before the end, or instead of sending results that were waited for."""
    refused: int = 0
    last_stop_at_s: float | None = None
    """When the last client left early (seconds since the epoch)."""

    def to_json(self) -> dict[str, JsonValue]:
        """The counters as they stand in `/health`."""
        return dict(vars(self))

    @contextmanager
    def wait_for_results(self) -> Iterator[None]:
        """Within it, an answer that was underway waits."""
        self.active -= 1
        self.waiting += 1
        try:
            yield
        finally:
            self.waiting -= 1
            self.active += 1


@dataclass
class Answer:
    """An ASGI app for one request: runs the engine, streams or collects, and stops when the client leaves."""

    engine: Engine
    request: ChatRequest
    counters: Counters
    _has_started: bool = field(default=False, init=False)  # True once the status line is sent
    _head: Mapping[str, JsonValue] = field(init=False)

    def __post_init__(self) -> None:
        self._head = {
            "id": f"chatcmpl-{secrets.token_hex(12)}",
            "created": int(time.time()),
            "model": self.request.model,
            "system_fingerprint": self.engine.fingerprint,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers; returns once the generation has stopped, for whatever reason."""
        play = self._stream if self.request.stream else self._collect
        await run_until_disconnect(play(scope, receive, send), receive, "http.disconnect", self.counters)

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with aclosing(self.engine.answer(self.request)) as events:
                async for event in events:
                    if isinstance(event, Cut):
                        return  # without the last body message the server closes the connection
                    await self._send(send, self._encode(event))
        except RefusedRequestError as refusal:
            self.counters.refused += 1
            if not self._has_started:
                await self._refuse(refusal, scope, receive, send)
                return
            await self._send(send, sse_event(refusal.to_json()))
        else:
            self.counters.finished += 1
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _collect(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            events = await _gather(self.engine.answer(self.request))
        except RefusedRequestError as refusal:
            self.counters.refused += 1
            await self._refuse(refusal, scope, receive, send)
            return
        if events and isinstance(events[-1], Cut):
            return
        response = JSONResponse(completion_json(self._head, events), headers=self._label)
        await response(scope, receive, send)
        self.counters.finished += 1

    async def _send(self, send: Send, data: bytes) -> None:
        if not self._has_started:
            headers = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
            headers.update(self._label)
            raw = [(name.encode(), value.encode()) for name, value in headers.items()]
            await send({"type": "http.response.start", "status": 200, "headers": raw})
            self._has_started = True
        if data:
            await send({"type": "http.response.body", "body": data, "more_body": True})

    @property
    def _label(self) -> dict[str, str]:
        return {"x-holysheep-engine": self.engine.name}

    def _encode(self, event: EngineEvent) -> bytes:
        if isinstance(event, Delta):
            return self._chunk(event.fields, None)
        if isinstance(event, Finished):
            return self._chunk({}, event.reason) + self._usage_chunk(event) + DONE
        if isinstance(event, Recorded):
            return event.data
        return KEEP_ALIVE if isinstance(event, Waiting) else b""

    def _chunk(self, delta: Mapping[str, JsonValue], reason: str | None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return sse_event({**self._head, "object": "chat.completion.chunk", "choices": [choice]})

    def _usage_chunk(self, event: Finished) -> bytes:
        if event.usage is None or not self.request.includes_usage:
            return b""
        return sse_event({**self._head, "object": "chat.completion.chunk", "choices": [], "usage": event.usage})

    async def _refuse(self, refusal: RefusedRequestError, scope: Scope, receive: Receive, send: Send) -> None:
        response = refusal_response(refusal)
        response.headers.update(self._label)
        await response(scope, receive, send)


def completion_json(head: Mapping[str, JsonValue], events: Sequence[EngineEvent]) -> dict[str, Any]:
    """The `chat.completion` object that the events of one answer add up to."""
    end = next((event for event in events if isinstance(event, Finished)), Finished("stop", None))
    choice = {"index": 0, "message": message_json(events), "finish_reason": end.reason}
    return {**head, "object": "chat.completion", "choices": [choice], "usage": end.usage}


def message_json(events: Sequence[EngineEvent]) -> dict[str, Any]:
    """The assistant's message that the deltas among `events` add up to. With calls and no text its content is null."""
    texts: dict[str, list[str]] = {"content": [], "reasoning_content": []}
    calls: dict[int, dict[str, Any]] = {}
    arguments: dict[int, list[str]] = {}
    for event in events:
        if not isinstance(event, Delta):
            continue
        for key, fragments in texts.items():
            fragments.append(str(event.fields.get(key) or ""))
        for call in event.calls:
            index = call["index"]
            calls.setdefault(index, {key: value for key, value in call.items() if key != "index"})
            arguments.setdefault(index, []).append(call["function"]["arguments"])
    message: dict[str, Any] = {"role": "assistant", "content": "".join(texts["content"])}
    if reasoning := "".join(texts["reasoning_content"]):
        message["reasoning_content"] = reasoning
    if calls:
        message["content"] = message["content"] or None
        message["tool_calls"] = [
            {**call, "function": {**call["function"], "arguments": "".join(arguments[index])}}
            for index, call in calls.items()
        ]
    return message


def refusal_response(refusal: RefusedRequestError) -> Response:
    """The HTTP response a refusal becomes; a scripted body that is a string is sent as HTML."""
    body = refusal.to_json()
    if isinstance(body, str):
        return Response(body, refusal.status_code, refusal.headers, media_type="text/html")
    return JSONResponse(body, refusal.status_code, refusal.headers)


def sse_event(payload: JsonValue | Mapping[str, Any]) -> bytes:
    """One server-sent event that carries `payload` as JSON."""
    return b"data: " + json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n"


async def _gather(events: AsyncGenerator[EngineEvent, None]) -> list[EngineEvent]:
    async with aclosing(events):
        return [event async for event in events]


async def run_until_disconnect(
    play: Coroutine[Any, Any, None], receive: Receive, disconnect: str, counters: Counters
) -> None:
    """Plays an answer to its end, or until the client sends `disconnect`, and counts it."""
    counters.active += 1
    playing = asyncio.ensure_future(play)
    leaving = asyncio.ensure_future(_wait_for_disconnect(receive, disconnect))
    try:
        await asyncio.wait({playing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        # A WebSocket's `send` says by OSError what `receive` says next: the client has left.
        if not playing.done() or isinstance(playing.exception(), OSError):
            counters.stopped += 1
            counters.last_stop_at_s = time.time()
    finally:
        leaving.cancel()
        playing.cancel()
        await asyncio.wait({playing, leaving})
        counters.active -= 1
    if not playing.cancelled() and not isinstance(playing.exception(), OSError):
        playing.result()


async def _wait_for_disconnect(receive: Receive, disconnect: str) -> None:
    while (await receive())["type"] != disconnect:
        pass
