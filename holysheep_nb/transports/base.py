"""What every transport can do."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, Protocol


class Transport(Protocol):
    """Moves the text of one request there, and the text of its answer back."""

    host: str
    """Whom it speaks with, as sentences name it."""
    key_name: str
    """The variable that holds the key, as sentences name it."""
    url_name: str
    """The variable that holds the address, as sentences name it."""
    is_reusable: bool
    """True if a connection that was read to its end serves the next request."""

    def stream(self, body: dict[str, Any]) -> AsyncGenerator[str, None]:
        """The payloads of the answer to `body`, as they come, without meaning.

        The iterator must be closed; closing it ends the request at once. Raises `TransportError`
        and `ProtocolError`.
        """
        ...

    async def list_models(self) -> str:
        """The body of the endpoint's list of models. Raises `TransportError`."""
        ...
