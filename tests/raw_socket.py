"""A loopback WebSocket server that plays exactly what it is told, on the loop of the test.

    async with RawSocket(READ, '{"type": ...}', 0.5, close(1001, "deploy")) as server:
        ...; server.ws_url, server.received, server.requests, await server.left(), server.hung

Each connection gets the steps from their beginning; those after the first get `later`, if it is given. It is the
server of the websockets library; where a step breaks the protocol, it goes around it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from dataclasses import dataclass
from typing import Any, Literal

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request

READ = "read"
"""A step: wait for a message of the client."""
HANG = "hang"
"""A step: say nothing until the client leaves."""
EOF = "eof"
"""A step: close the TCP connection without a close frame."""
RESET = "reset"
"""A step: cut the connection with a TCP reset."""
DEAF = "deaf"
"""A step: read nothing any more, not even pings."""


@dataclass(frozen=True)
class Message:
    """A step: a message, text or binary; a list is sent in fragments, with a pause before each but the first."""

    content: str | bytes | list[str]
    pause_s: float = 0.0


@dataclass(frozen=True)
class Raw:
    """A step: bytes that are written as they are."""

    data: bytes


@dataclass(frozen=True)
class Close:
    """A step: a close frame, and the end."""

    code: int
    reason: str = ""


Step = Message | Raw | Close | float | Literal["read", "hang", "eof", "reset", "deaf"]


def say(**message: Any) -> Message:
    """A text message of JSON."""
    return Message(json.dumps(message))


def texts(*contents: str) -> list[Message]:
    """Text messages."""
    return [Message(content) for content in contents]


def reset(transport: asyncio.WriteTransport) -> None:
    """Cuts a connection with a TCP reset."""
    raw: socket.socket = transport.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


class RawSocket:
    """Serves while it is entered; `ws_url` ends in /v1. Options go to `websockets.asyncio.server.serve`."""

    def __init__(self, *steps: Step | list[Message], later: list[Step] | None = None, **options: Any) -> None:
        self.received: list[Any] = []
        self.requests: list[Request] = []
        self.close_codes: list[int | None] = []
        self._steps: list[Step] = []
        for step in steps:
            self._steps += step if isinstance(step, list) else [step]
        self._later = later
        # A server that is told nothing else must not end a test by a timeout of its own.
        self._options = {"ping_interval": None, "close_timeout": 0.2, "max_size": None, **options}
        self.hung: asyncio.Event
        self._left: asyncio.Event
        self._server: Server

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    @property
    def ws_url(self) -> str:
        return f"ws://{self.host}/v1"

    async def left(self, timeout_s: float = 5.0) -> None:
        """Waits until a connection has ended. Fails if none does."""
        await asyncio.wait_for(self._left.wait(), timeout_s)

    async def __aenter__(self) -> RawSocket:
        self.hung = asyncio.Event()
        self._left = asyncio.Event()
        self._server = await serve(self._play, "127.0.0.1", 0, **self._options)
        return self

    async def __aexit__(self, *exc: object) -> None:
        for connection in list(self._server.connections):
            connection.transport.abort()
        self._server.close()
        await self._server.wait_closed()

    async def _play(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        self.requests.append(connection.request)
        is_first = len(self.requests) == 1
        try:
            for step in self._steps if is_first or self._later is None else self._later:
                await self._step(step, connection)
            await connection.close()
        except ConnectionClosed:
            pass
        finally:
            self.close_codes.append(connection.close_code)
            self._left.set()

    async def _step(self, step: Step, connection: ServerConnection) -> None:
        match step:
            case Message(content=list(fragments), pause_s=pause_s):
                await connection.send(_in_time(fragments, pause_s))
            case Message(content=content):
                await connection.send(content)
            case Raw(data):
                connection.transport.write(data)
            case Close(code, reason):
                await connection.close(code, reason)
            case "read":
                self.received.append(json.loads(await connection.recv()))
            case "hang":
                self.hung.set()
                await connection.wait_closed()
            case "eof":
                connection.transport.close()
            case "reset":
                reset(connection.transport)
            case "deaf":
                connection.transport.pause_reading()
            case _:
                assert isinstance(step, float | int)
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(connection.wait_closed(), step)


async def _in_time(fragments: list[str], pause_s: float) -> Any:
    for number, fragment in enumerate(fragments):
        if number:
            await asyncio.sleep(pause_s)
        yield fragment
