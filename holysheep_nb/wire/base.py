"""What every wire can do."""

from __future__ import annotations

from typing import Protocol

from ..events import Event


class Decoder(Protocol):
    """Turns the payloads of one stream into events, in order."""

    finish_reason: str | None
    """Why the model ended, once the server has said it."""

    @property
    def is_finished(self) -> bool:
        """True once `TurnFinished` was given."""
        ...

    def feed(self, payload: str) -> list[Event]:
        """The events of one payload. A malformed one gives `PayloadSkipped`. Raises `HolySheepError`."""
        ...

    def end(self) -> list[Event]:
        """The stream is over: what is still to be said. Nothing, if it ended before the answer did."""
        ...
