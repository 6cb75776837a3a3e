"""What a server sends, without the keys that it was sent."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeAlias

from ..events import Event, ReasoningDelta, TextDelta, ToolCallDelta
from ..keys import known_keys
from ..masks import StreamMask, mask_plainly
from .base import Decoder

_Kind: TypeAlias = "tuple[type[Event], int]"


def without_keys(decoder: Decoder) -> Decoder:
    """A decoder whose events and errors hold no known key, also where one is cut between payloads."""
    return _MaskedDecoder(decoder) if known_keys() else decoder


class _MaskedDecoder:
    """Masks payloads before they are read, and what grows from one to the next once more."""

    def __init__(self, inner: Decoder) -> None:
        self._inner = inner
        self._keys = known_keys()
        self._growing: dict[_Kind, StreamMask] = {}
        self._last: Event | None = None
        self._last_kind: _Kind | None = None

    @property
    def finish_reason(self) -> str | None:
        """As the decoder below."""
        return self._inner.finish_reason

    @property
    def is_finished(self) -> bool:
        """As the decoder below."""
        return self._inner.is_finished

    @property
    def may_wait(self) -> bool:
        """As the decoder below."""
        return self._inner.may_wait

    def feed(self, payload: str) -> list[Event]:
        """The events of one payload."""
        return self._masked(self._inner.feed(mask_plainly(payload)))

    def end(self) -> list[Event]:
        """What is held back, and what the decoder below still has to say."""
        return [*self._rest(), *self._masked(self._inner.end())]

    def _masked(self, events: Iterable[Event]) -> list[Event]:
        masked: list[Event] = []
        for event in events:
            kind = _kind(event)
            if self._last_kind is not None and kind != self._last_kind:
                masked += self._rest()
            if kind is None:
                masked.append(event)
                continue
            self._last, self._last_kind = event, kind
            if kind not in self._growing:
                self._growing[kind] = StreamMask(self._keys)
            text = self._growing[kind].feed(_text(event))
            # A delta that is held back whole is none, but one of a call may bring its name.
            if text or kind[0] is ToolCallDelta:
                masked.append(_with_text(event, text))
        return masked

    def _rest(self) -> list[Event]:
        """What is held back of the text that grew last."""
        (last, kind), (self._last, self._last_kind) = (self._last, self._last_kind), (None, None)
        text = "" if kind is None else self._growing.pop(kind).rest()
        if last is None or not text:
            return []
        return [ToolCallDelta(last.index, text) if isinstance(last, ToolCallDelta) else _with_text(last, text)]


def _kind(event: Event) -> _Kind | None:
    """Which text an event appends to, if any."""
    kind = type(event)
    if kind is TextDelta or kind is ReasoningDelta:
        return kind, 0
    return (ToolCallDelta, event.index) if isinstance(event, ToolCallDelta) else None


def _text(event: Event) -> str:
    if isinstance(event, ToolCallDelta):
        return event.arguments
    return event.text if isinstance(event, TextDelta | ReasoningDelta) else ""


def _with_text(event: Event, text: str) -> Event:
    if isinstance(event, ToolCallDelta):
        return event if event.arguments == text else replace(event, arguments=text)
    assert isinstance(event, TextDelta | ReasoningDelta)
    return event if event.text == text else replace(event, text=text)
