"""What every transport can do."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, Protocol


class Transport(Protocol):
    """Moves the text of one request there, and the text of its answer back."""

    host: str

    def stream(self, body: dict[str, Any]) -> AsyncGenerator[str, None]:
        """The payloads of the answer to `body`, as they come, without meaning.

        The iterator must be closed; closing it ends the request at once. Raises `TransportError`
        and `ProtocolError`.
        """
        ...

    async def list_models(self) -> str:
        """The body of the endpoint's list of models. Raises `TransportError`."""
        ...
