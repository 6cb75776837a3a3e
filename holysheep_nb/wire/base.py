"""What every wire can do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

from ..events import Event
from ..parts import Part


class Decoder(Protocol):
    """Turns the payloads of one stream into events, in order."""

    @property
    def finish_reason(self) -> str | None:
        """Why the model ended, once the server has said it."""
        ...

    @property
    def is_finished(self) -> bool:
        """True once `TurnFinished` was given."""
        ...

    @property
    def may_wait(self) -> bool:
        """True when the server may be waiting for the results of its calls without having said so."""
        ...

    def feed(self, payload: str) -> list[Event]:
        """The events of one payload. A malformed one gives `PayloadSkipped`. Raises `HolySheepError`."""
        ...

    def end(self) -> list[Event]:
        """The stream is over: what is still to be said. Nothing, if it ended before the answer did."""
        ...


FollowUp: TypeAlias = Callable[[dict[str, Any], Sequence[Part]], list[dict[str, Any]]]
"""The messages that carry the results of a round, made of what was sent last and the parts of the round."""
