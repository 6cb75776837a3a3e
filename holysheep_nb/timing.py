"""How long a run takes, how fast its answer comes, and how much of it nobody has counted."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

# What a token is in most languages, where a delta holds more than one.
_CHARACTERS_PER_TOKEN = 4
# About what models count for an image, whose data URL says nothing about that.
_TOKENS_PER_IMAGE = 1000


@dataclass(slots=True)
class Timing:
    """Seconds since the run began, on a monotonic clock. A pause before it was resumed does not count."""

    started: float = field(default_factory=time.monotonic)
    first_delta_s: float | None = None
    last_delta_s: float | None = None
    total_s: float | None = None
    deltas: int = 0
    characters: int = 0
    _counted: tuple[int, int] = (0, 0)

    @property
    def seconds(self) -> float:
        """How long it took, or has taken so far."""
        return self.total_s if self.total_s is not None else time.monotonic() - self.started

    @property
    def deltas_per_s(self) -> float | None:
        """Fragments a second while they came; most servers send one token in each."""
        if self.first_delta_s is None or self.last_delta_s is None or self.deltas < 2:
            return None
        streaming_s = self.last_delta_s - self.first_delta_s
        return (self.deltas - 1) / streaming_s if streaming_s > 0 else None

    @property
    def uncounted_tokens(self) -> int:
        """About how many tokens have come since the server last said how many: a delta is at least one."""
        deltas, characters = self._counted
        return max(self.deltas - deltas, estimate_tokens(self.characters - characters))

    def note_delta(self, characters: int) -> None:
        """One more fragment has come."""
        now = time.monotonic() - self.started
        if self.first_delta_s is None:
            self.first_delta_s = now
        self.last_delta_s = now
        self.deltas += 1
        self.characters += characters

    def note_count(self) -> None:
        """The server has said how many tokens there were so far."""
        self._counted = (self.deltas, self.characters)

    def end(self) -> None:
        """The run has ended."""
        self.total_s = time.monotonic() - self.started

    def go_on(self) -> None:
        """The run is resumed."""
        self.started = time.monotonic() - self.seconds
        self.total_s = None


def iso_now() -> str:
    """The time of day as ISO text in UTC, which sorts."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def estimate_tokens(characters: int) -> int:
    """About how many tokens a text of so many characters is."""
    return -(-characters // _CHARACTERS_PER_TOKEN)


def estimate_request_tokens(body: Mapping[str, Any]) -> int:
    """About how many tokens a request sends, in messages, images and tools. `body` is its JSON."""
    images = 0

    def without_data(value: Any) -> Any:
        nonlocal images
        if isinstance(value, dict):
            if value.get("type") == "image_url":
                images += 1
                return ""
            return {name: without_data(each) for name, each in value.items()}
        return [without_data(each) for each in value] if isinstance(value, list) else value

    texts = [without_data(body[name]) for name in ("messages", "tools") if name in body]
    return sum(estimate_tokens(len(json.dumps(text))) for text in texts) + images * _TOKENS_PER_IMAGE
