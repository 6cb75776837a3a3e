"""What every transport can do."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, Protocol


class Transport(Protocol):
    """Moves text there and back: what is sent, and the payloads that answer it."""

    protocol: str
    """What it speaks: "sse" or "ws"."""
    host: str
    """Whom it speaks with, as sentences name it."""
    key_name: str
    """The variable that holds the key, as sentences name it."""
    url_name: str
    """The variable that holds the address, as sentences name it."""
    is_reusable: bool
    """True if a connection that was read to its end serves the next request."""

    def stream(self, *messages: dict[str, Any]) -> AsyncGenerator[str, None]:
        """Sends the messages; the payloads that answer them, as they come, without meaning.

        SSE takes one message, the body of the request, and closing the iterator ends the request at once.
        A WebSocket is connected by the first call; later calls send and go on reading where the last one
        stopped, and closing the iterator leaves the connection open and loses nothing.
        The iterator must be closed. Raises `TransportError` and `ProtocolError`.
        """
        ...

    async def hang_up(self) -> None:
        """The run is over: closes what was kept open for it. May be called again."""
        ...

    async def list_models(self) -> str:
        """The body of the endpoint's list of models. Raises `TransportError`."""
        ...
