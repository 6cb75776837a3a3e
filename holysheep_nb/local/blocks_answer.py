"""One answer on its way to one client over a WebSocket: the engine's events as blocks (`holysheep_nb.wire.blocks`)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import aclosing
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError
from starlette.types import Receive, Scope, Send

from holysheep_nb.local.answer import Counters, run_until_disconnect
from holysheep_nb.local.engine import (
    ChatRequest,
    Cut,
    Delta,
    Engine,
    EngineEvent,
    Finished,
    Recorded,
    RefusedRequestError,
    Waiting,
    check_model,
    explain_invalid,
    parse_request,
)

INIT_TIMEOUT_S = 30.0
NORMAL, POLICY_VIOLATION, INTERNAL_ERROR = 1000, 1008, 1011

Block: TypeAlias = dict[str, JsonValue]


class _Init(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    type: Literal["init"]
    model: JsonValue = None
    messages: JsonValue = None
    tools: JsonValue = None
    parameters: dict[str, JsonValue] = {}


def parse_init(text: str | bytes) -> ChatRequest:
    """The checked request in the first message; RefusedRequestError (400) names the first wrong key."""
    try:
        init = _Init.model_validate_json(text)
    except ValidationError as error:
        raise explain_invalid(error, "The first message") from None
    body = {
        **init.parameters,
        "model": init.model,
        "messages": init.messages,
        "tools": init.tools,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    return parse_request(json.dumps({name: value for name, value in body.items() if value is not None}).encode())


class BlocksAnswer:
    """An ASGI app for WebSockets whose handshake may be accepted: reads the init message, and answers it.

    It stops when the client leaves. What the client says after the init message is left unread.
    """

    def __init__(self, engine: Engine, counters: Counters) -> None:
        self._engine = engine
        self._counters = counters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers; returns once the generation has stopped, for whatever reason."""
        await send({"type": "websocket.accept", "headers": [(b"x-holysheep-engine", self._engine.name.encode())]})
        try:
            text = await asyncio.wait_for(_receive_message(receive), INIT_TIMEOUT_S)
            if text is None:
                return
            request = parse_init(text)
            check_model(self._engine, request.model)
        except asyncio.TimeoutError:
            what = f"No init message came within {INIT_TIMEOUT_S:g} s."
            await self._refuse(RefusedRequestError(what, code="no_init"), send)
        except RefusedRequestError as refusal:
            await self._refuse(refusal, send)
        else:
            await run_until_disconnect(self._play(request, send), receive, "websocket.disconnect", self._counters)

    async def _play(self, request: ChatRequest, send: Send) -> None:
        try:
            async with aclosing(self._engine.answer(request)) as events:
                async for event in events:
                    if isinstance(event, Cut):
                        return  # without a close frame the server closes the connection
                    for block in _blocks(event, request):
                        await _send_block(send, block)
        except RefusedRequestError as refusal:
            await self._refuse(refusal, send)
        else:
            self._counters.finished += 1
            await send({"type": "websocket.close", "code": NORMAL})

    async def _refuse(self, refusal: RefusedRequestError, send: Send) -> None:
        self._counters.refused += 1
        await _send_block(send, error_block(refusal))
        code = INTERNAL_ERROR if refusal.status_code >= 500 else POLICY_VIOLATION
        await send({"type": "websocket.close", "code": code})


def error_block(refusal: RefusedRequestError) -> Block:
    """The message a refusal becomes; a scripted body that is no OpenAI error is quoted in one."""
    body = refusal.to_json()
    error = body.get("error") if isinstance(body, dict) else None
    block: Block = {"type": "error", "status": refusal.status_code, "error": error or {"message": str(body)}}
    retry_after = next((value for name, value in refusal.headers.items() if name.lower() == "retry-after"), None)
    return block if retry_after is None else {**block, "retry_after": retry_after}


def _blocks(event: EngineEvent, request: ChatRequest) -> Iterator[Block]:
    if isinstance(event, Delta):
        if "role" in event.fields:
            yield {"type": "start", "model": request.model}
        for key, kind in (("reasoning_content", "reasoning_block"), ("content", "content_block")):
            if text := event.fields.get(key):
                yield {"type": kind, "content": text}
    elif isinstance(event, Finished):
        if event.usage is not None:
            yield {"type": "usage", **event.usage}
        yield {"type": "done", "finish_reason": event.reason}
    elif isinstance(event, Waiting):
        yield {"type": "waiting"}
    elif isinstance(event, Recorded):
        what = "A recorded stream is played over SSE only."
        raise RefusedRequestError(what, code="recorded_over_websocket", param="model")


async def _send_block(send: Send, block: Block) -> None:
    text = json.dumps(block, ensure_ascii=False, separators=(",", ":"))
    await send({"type": "websocket.send", "text": text})


async def _receive_message(receive: Receive) -> str | bytes | None:
    """The first message; None if the client leaves before it."""
    while (event := await receive())["type"] != "websocket.disconnect":
        if event["type"] == "websocket.receive":
            text, data = event.get("text"), event.get("bytes")
            return data or b"" if text is None else str(text)
    return None
