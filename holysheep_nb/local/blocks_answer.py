"""One answer on its way to one client over a WebSocket: the engine's events as blocks (`holysheep_nb.wire.blocks`)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import aclosing
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError
from starlette.types import Message, Receive, Scope, Send

from holysheep_nb.local.answer import Counters, message_json, run_until_disconnect
from holysheep_nb.local.call_results import CallResults
from holysheep_nb.local.engine import (
    Delta,
    Engine,
    EngineEvent,
    Finished,
    Recorded,
    Waiting,
    check_model,
)
from holysheep_nb.local.request import ChatRequest, RefusedRequestError, explain_invalid, parse_request

INIT_TIMEOUT_S = 30.0
RESULTS_TIMEOUT_S = 900.0
"""How long the next result of a call may take: a person may have to approve the call first."""
MAX_UNREAD_MESSAGES = 256
"""What a client may send ahead; the rest is read once these are."""
CALLS_ENDED = frozenset({"tool_calls", "stop"})
"""The ends of a round after which its calls are made, and their results waited for."""
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

    After a round with calls it reads their results from the same socket, in any order, and plays the next round,
    until there is one without calls. It stops when the client leaves.
    """

    def __init__(self, engine: Engine, counters: Counters) -> None:
        self._engine = engine
        self._counters = counters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers; returns once the generation has stopped, for whatever reason."""
        await send({"type": "websocket.accept", "headers": [(b"x-holysheep-engine", self._engine.name.encode())]})
        inbox: asyncio.Queue[str | bytes] = asyncio.Queue(MAX_UNREAD_MESSAGES)

        async def listen() -> Message:
            event = await receive()
            if event["type"] == "websocket.receive":
                await inbox.put(_text_of(event))
            return event

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
            play = self._play(request, inbox, send)
            await run_until_disconnect(play, listen, "websocket.disconnect", self._counters)

    async def _play(self, request: ChatRequest, inbox: asyncio.Queue[str | bytes], send: Send) -> None:
        try:
            while (results := await self._play_round(request, send)) is not None:
                if results.is_complete:
                    await send({"type": "websocket.close", "code": NORMAL})
                    return
                with self._counters.wait_for_results():
                    await _collect(results, inbox)
                request = results.extend(request)
        except RefusedRequestError as refusal:
            await self._refuse(refusal, send)

    async def _play_round(self, request: ChatRequest, send: Send) -> CallResults | None:
        """The results that are to be waited for, none of them there yet; None after a cut.

        Without a close frame the server then closes the connection.
        """
        played: list[EngineEvent] = []
        held: list[Block] = []
        try:
            async with aclosing(self._engine.answer(request)) as events:
                async for event in events:
                    played.append(event)
                    for block in _blocks(event, request):
                        held.append(block)
                        # A client may take whole calls for the end of the round: the end of one goes with what follows.
                        if not _may_end_call(block):
                            await _send_blocks(held, send)
        except RefusedRequestError:
            await _send_blocks(held, send)
            raise
        await _send_blocks(held, send)
        end = played[-1] if played else None
        if not isinstance(end, Finished):
            return None
        self._counters.finished += 1
        message = message_json(played)
        if end.reason not in CALLS_ENDED:
            message.pop("tool_calls", None)
        return CallResults(message)

    async def _refuse(self, refusal: RefusedRequestError, send: Send) -> None:
        self._counters.refused += 1
        await _send_blocks([error_block(refusal)], send)
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
        for call in event.calls:
            fragment = {key: value for key, value in call.items() if key != "type"}
            yield {"type": "function_call", **fragment}
    elif isinstance(event, Finished):
        if event.usage is not None:
            yield {"type": "usage", **event.usage}
        yield {"type": "done", "finish_reason": event.reason}
    elif isinstance(event, Waiting):
        yield {"type": "waiting"}
    elif isinstance(event, Recorded):
        what = "A recorded stream is played over SSE only."
        raise RefusedRequestError(what, code="recorded_over_websocket", param="model")


def _may_end_call(block: Block) -> bool:
    function = block.get("function")
    return isinstance(function, dict) and str(function["arguments"]).rstrip().endswith("}")


async def _send_blocks(blocks: list[Block], send: Send) -> None:
    """Sends the blocks and forgets them."""
    for block in blocks:
        text = json.dumps(block, ensure_ascii=False, separators=(",", ":"))
        await send({"type": "websocket.send", "text": text})
    blocks.clear()


async def _collect(results: CallResults, inbox: asyncio.Queue[str | bytes]) -> None:
    """Reads from the client until all results are there; RefusedRequestError if they are wrong or do not come."""
    while not results.is_complete:
        try:
            results.add(await asyncio.wait_for(inbox.get(), RESULTS_TIMEOUT_S))
        except asyncio.TimeoutError:
            missing = ", ".join(results.missing)
            raise RefusedRequestError(
                f"No result came within {RESULTS_TIMEOUT_S:g} s for the calls: {missing}.",
                status_code=408,
                code="no_results",
            ) from None


async def _receive_message(receive: Receive) -> str | bytes | None:
    """The first message; None if the client leaves before it."""
    while (event := await receive())["type"] != "websocket.disconnect":
        if event["type"] == "websocket.receive":
            return _text_of(event)
    return None


def _text_of(event: Message) -> str | bytes:
    text, data = event.get("text"), event.get("bytes")
    return data or b"" if text is None else str(text)
