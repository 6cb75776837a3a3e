"""The built-in model: SmolLM2-135M-Instruct (Apache-2.0), run on this machine's processor by llama.cpp.

How so small a model calls tools is in `holysheep_nb.local.small_model_calls`.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import tempfile
import threading
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from holysheep_nb.errors import LocalModelError
from holysheep_nb.local.engine import ROLE_DELTA, Delta, EngineEvent, Finished, Waiting, context_error
from holysheep_nb.local.request import ChatRequest, RefusedRequestError, Tool
from holysheep_nb.local.small_model_calls import (
    CallReader,
    call_format,
    choose_tools,
    explain_schema,
    prompt_messages,
)

MODEL_ID = "smollm2-135m-instruct"
CONTEXT_TOKENS = 4096
DEFAULT_ANSWER_TOKENS = 1024
"""The longest answer when the client sets no limit: so small a model may never come to an end."""
BATCH_TOKENS = 128
"""Prompt tokens read at a time; between two batches the reading can be stopped (about 0.5 s on two cores)."""
WAITING_S = 10.0
"""How often a client in the queue hears that it is still there."""
SOCKET_NAME_BYTES = 100
"""A Unix socket's name must be shorter than about 104 bytes."""
DEFAULT_TEMPERATURE = 0.2
DEFAULT_TOP_P = 0.9

Chunk = dict[str, Any]


class SmolLM2Engine:
    """SmolLM2 as an engine: one generation at a time, the others wait in order of arrival.

    Loading takes about 0.5 s and 250 MB. Raises LocalModelError if llama.cpp cannot load the weights.
    """

    name = "smollm2"
    fingerprint = "smollm2-135m-instruct-q4_1"
    owned_by = "HuggingFaceTB"

    def __init__(self, weights: Path) -> None:
        self._server = _load(weights)
        self._turn = asyncio.Lock()
        self._stop = threading.Event()
        self._threads: set[threading.Thread] = set()

    @property
    def models(self) -> Sequence[str]:
        """The one model."""
        return [MODEL_ID]

    async def answer(self, request: ChatRequest) -> AsyncGenerator[EngineEvent, None]:
        """Generates a text or a call; refused (400) for images, schemas it cannot keep to, and too many tokens."""
        tools = choose_tools(request)
        body = request_body(request, tools)
        reader = CallReader(f"call_{secrets.token_hex(12)}") if tools else None
        turn = asyncio.ensure_future(self._turn.acquire())
        try:
            while not (await asyncio.wait({turn}, timeout=WAITING_S))[0]:
                yield Waiting()
            async with aclosing(self._generate(request, body, reader)) as events:
                async for event in events:
                    yield event
        finally:
            if turn.done() and not turn.cancelled():
                self._turn.release()
            turn.cancel()

    def close(self) -> None:
        """Stops the generation, waits for its thread, and frees the model."""
        self._stop.set()
        for thread in list(self._threads):
            thread.join()
        self._server = None

    async def _generate(
        self, request: ChatRequest, body: Chunk, reader: CallReader | None
    ) -> AsyncGenerator[EngineEvent, None]:
        chunks: asyncio.Queue[Chunk | None] = asyncio.Queue()
        stop, ended = threading.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()

        def post(act: Callable[..., None], *arguments: object) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(act, *arguments)

        def run() -> None:
            def on_chunk(chunk: Chunk) -> bool:
                post(chunks.put_nowait, chunk)
                return stop.is_set() or self._stop.is_set()

            try:
                self._server.handle_chat_completions(body, on_chunk)
            except Exception as error:  # llama.cpp refuses some requests by ValueError or RuntimeError
                post(chunks.put_nowait, {"error": {"message": str(error)}})
            finally:
                post(chunks.put_nowait, None)
                post(ended.set)
                self._threads.discard(threading.current_thread())

        # Not a daemon: a daemon thread that still generates when Python exits crashes the process.
        thread = threading.Thread(target=run, name="smollm2", daemon=False)
        self._threads.add(thread)
        thread.start()
        try:
            async for event in _read_chunks(chunks, request, reader):
                yield event
        finally:
            stop.set()
            await ended.wait()


async def _read_chunks(
    chunks: asyncio.Queue[Chunk | None], request: ChatRequest, reader: CallReader | None
) -> AsyncGenerator[EngineEvent, None]:
    """The events of llama.cpp's chunks. With a `reader` what is generated is a call."""
    reason, usage, has_begun = "stop", None, False
    while (chunk := await chunks.get()) is not None:
        if "error" in chunk:
            raise _refusal(chunk["error"], request)
        progress = chunk.get("prompt_progress")
        if progress is not None:
            _check_length(progress["total"], request)
            if has_begun:
                yield Waiting()
        if not has_begun:
            has_begun = True
            yield ROLE_DELTA
        usage = chunk.get("usage") or usage
        for choice in chunk["choices"]:
            if content := choice["delta"].get("content"):
                for event in [Delta({"content": content})] if reader is None else reader.feed(content):
                    yield event
            reason = choice["finish_reason"] or reason
    if reader is not None and reason == "stop":
        reason = "tool_calls"
    yield Finished(reason, _plain_usage(usage))


def request_body(request: ChatRequest, tools: Sequence[Tool] = ()) -> Chunk:
    """What llama.cpp is asked: a text, or a call of one of `tools`.

    Raises RefusedRequestError (400) for what this model cannot do.
    """
    if not all(message.has_only_text for message in request.messages):
        raise RefusedRequestError(f"{MODEL_ID} reads text only.", code="image_not_supported", param="messages")
    body: Chunk = {
        "messages": prompt_messages(request, tools),
        "stream": True,
        "stream_options": {"include_usage": True},
        "return_progress": True,
        "max_tokens": request.answer_tokens or DEFAULT_ANSWER_TOKENS,
        "temperature": DEFAULT_TEMPERATURE if request.temperature is None else request.temperature,
        "top_p": DEFAULT_TOP_P if request.top_p is None else request.top_p,
    }
    if request.seed is not None:
        body["seed"] = request.seed % 2**32
    if request.stop_strings and not tools:
        body["stop"] = request.stop_strings
    if tools:
        body["response_format"] = call_format(tools)
    elif request.response_format is not None:
        body["response_format"] = request.response_format
    return body


def _check_length(prompt_tokens: int, request: ChatRequest) -> None:
    answer_tokens = request.answer_tokens or 1
    if prompt_tokens + answer_tokens > CONTEXT_TOKENS:
        raise context_error(prompt_tokens, answer_tokens, CONTEXT_TOKENS)


def _refusal(error: Mapping[str, Any], request: ChatRequest) -> RefusedRequestError:
    if error.get("type") == "exceed_context_size_error":
        return context_error(error["n_prompt_tokens"], request.answer_tokens or 1, CONTEXT_TOKENS)
    if (wrong_schema := explain_schema(str(error.get("message")), request)) is not None:
        return wrong_schema
    status = error.get("code")
    is_ours = isinstance(status, int) and status >= 500
    return RefusedRequestError(
        f"llama.cpp: {error.get('message', 'it gave no reason')}.", status_code=500 if is_ours else 400
    )


def _plain_usage(usage: Mapping[str, Any] | None) -> dict[str, JsonValue] | None:
    if usage is None:
        return None
    return {key: usage[key] for key in ("prompt_tokens", "completion_tokens", "total_tokens")}


def _load(weights: Path) -> Any:
    # Busy-waiting OpenMP threads make generation many times slower on a machine with other work to do.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    try:
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = str(weights)
        params.n_ctx = CONTEXT_TOKENS
        params.n_parallel = 1
        params.n_batch = params.n_ubatch = BATCH_TOKENS
        params.cache_ram_mib = 0
        params.verbosity = -1
        # llama.cpp opens an HTTP server of its own, unasked: nobody but us shall talk to it.
        params.api_keys = [secrets.token_urlsafe()]
        params.ui = False
        with tempfile.TemporaryDirectory(prefix="hs-") as folder:
            name = os.path.join(folder, "llama.sock")
            if os.name == "posix" and len(name) < SOCKET_NAME_BYTES:
                # The name is gone once it has loaded: then nobody can connect at all.
                params.hostnames = [name]
            return xllamacpp.Server(params)
    except Exception as error:
        raise LocalModelError(
            f"The built-in model cannot be loaded: {error}. Without it: holysheep-nb serve --script.",
            details=repr(error),
        ) from error
