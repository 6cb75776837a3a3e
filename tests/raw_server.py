"""A loopback HTTP server that sends exactly the bytes it is told, at the times it is told.

    with RawServer() as server:
        server.play(sse_head(), b'data: {...}\\n\\n', 0.5, b"data: [DONE]\\n\\n")     # bytes and pauses in seconds
        ...; server.requests[-1].json, server.requests[-1].disconnected_after

What is played is used by the next request, and by later ones as long as nothing else is played.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

KEY = "hs-test-key-0123456789"
"""The key that tests send."""
HANG = "hang"
"""A step: say nothing until the client leaves."""
RESET = "reset"
"""A step: cut the connection with a TCP reset."""

Step = bytes | float | Literal["hang", "reset"]


def sse_head(content_type: str = "text/event-stream", *, status: str = "200 OK", headers: str = "") -> bytes:
    """A response head for a body that ends when the connection does."""
    return (f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\n{headers}Connection: close\r\n\r\n").encode()


def chunk(content: str | None = None, *, finish_reason: str | None = None, **delta: Any) -> bytes:
    """One `chat.completion.chunk` event."""
    if content is not None:
        delta["content"] = content
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return event({"object": "chat.completion.chunk", "model": "raw", "choices": [choice]})


def event(payload: Any) -> bytes:
    """One SSE event with a JSON payload."""
    return b"data: " + json.dumps(payload).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


def answer(*texts: str, pause_s: float = 0.0, usage: tuple[int, int] | None = (3, 5)) -> list[Step]:
    """A whole good answer, a delta a text, with a pause before each."""
    steps: list[Step] = [sse_head(), chunk("", role="assistant")]
    for text in texts:
        steps += [pause_s, chunk(text)] if pause_s else [chunk(text)]
    steps.append(chunk(finish_reason="stop"))
    if usage:
        steps.append(event({"choices": [], "usage": {"prompt_tokens": usage[0], "completion_tokens": usage[1]}}))
    return [*steps, DONE]


def call_chunk(index: int, name: str, arguments: Any) -> bytes:
    """A whole call in one chunk. Arguments that are a text go out as they are, cut or wrong."""
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    function = {"name": name, "arguments": text}
    return chunk(tool_calls=[{"index": index, "id": f"id_{name}_{index}", "type": "function", "function": function}])


def calling(*calls: tuple[str, Any], text: str = "") -> list[Step]:
    """An answer that wants calls made, each given as a name and its arguments."""
    steps: list[Step] = [sse_head(), chunk(text, role="assistant")]
    steps += [call_chunk(index, name, arguments) for index, (name, arguments) in enumerate(calls)]
    return [*steps, chunk(finish_reason="tool_calls"), DONE]


def json_answer(body: Any, status: str = "200 OK", headers: str = "") -> list[Step]:
    """A JSON response, as errors are."""
    return [sse_head("application/json", status=status, headers=headers) + json.dumps(body).encode()]


@dataclass
class Received:
    """A request as it came. Times are `time.monotonic()`."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    at: float = field(default_factory=time.monotonic)
    sent_at: list[float] = field(default_factory=list)
    disconnected_at: float | None = None

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class RawServer:
    """Runs in a thread of its own; `base_url` ends in /v1. It speaks TLS if it is given what with."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.requests: list[Received] = []
        self.models: list[str] = ["raw", "raw-large"]
        self._scripts: list[list[Step]] = []
        self._last: list[Step] = []
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, name="raw-server", daemon=True)
        self.port = 0

    @property
    def base_url(self) -> str:
        return f"{'http' if self._tls is None else 'https'}://127.0.0.1:{self.port}/v1"

    @property
    def asked(self) -> list[Received]:
        """The requests for completions, without those for models."""
        return [request for request in self.requests if request.path.endswith("/chat/completions")]

    def play(self, *steps: Step | Iterable[Step]) -> None:
        """What the next request gets."""
        flat: list[Step] = []
        for step in steps:
            flat += [step] if isinstance(step, bytes | float | int | str) else list(step)
        self._scripts.append(flat)

    def wait_for_disconnect(self, request: Received, timeout_s: float = 5.0) -> float:
        """When the client left, `time.monotonic()`. Fails if it does not."""
        deadline = time.monotonic() + timeout_s
        while request.disconnected_at is None:
            assert time.monotonic() < deadline, "the client is still connected"
            time.sleep(0.005)
        return request.disconnected_at

    def wait_for_request(self, count: int = 1, timeout_s: float = 10.0) -> Received:
        """The `count`th request for a completion, once it has come."""
        deadline = time.monotonic() + timeout_s
        while len(self.asked) < count:
            assert time.monotonic() < deadline, f"only {len(self.asked)} requests came"
            time.sleep(0.005)
        return self.asked[count - 1]

    def __enter__(self) -> RawServer:
        self._thread.start()
        assert self._started.wait(10)
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls))
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        self._loop.run_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await self._read(reader)
            if request.method == "GET" and request.path.endswith("/models"):
                body = {"object": "list", "data": [{"id": model, "object": "model"} for model in self.models]}
                steps: Sequence[Step] = json_answer(body)
            else:
                self._last = self._scripts.pop(0) if self._scripts else self._last
                steps = self._last
            gone = asyncio.ensure_future(self._watch(reader, request))
            for step in steps:
                if request.disconnected_at is not None:
                    break
                await self._play(step, request, writer, gone)
            await writer.drain()
            writer.close()
        except (ConnectionError, asyncio.IncompleteReadError):
            writer.close()

    async def _play(
        self, step: Step, request: Received, writer: asyncio.StreamWriter, gone: asyncio.Future[None]
    ) -> None:
        if step == HANG:
            await gone
        elif step == RESET:
            raw: socket.socket = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        elif isinstance(step, bytes):
            request.sent_at.append(time.monotonic())
            writer.write(step)
            await writer.drain()
        else:
            assert not isinstance(step, str)
            await asyncio.wait({gone}, timeout=step)

    async def _watch(self, reader: asyncio.StreamReader, request: Received) -> None:
        try:
            while await reader.read(1024):
                pass
        except ConnectionError:
            pass
        request.disconnected_at = time.monotonic()

    async def _read(self, reader: asyncio.StreamReader) -> Received:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")
        method, path, _ = first.split(" ", 2)
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        request = Received(method, path, headers, body)
        self.requests.append(request)
        return request
