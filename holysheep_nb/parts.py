"""What a turn is made of: parts, which only grow."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias

from .events import ToolOutcome

ToolCallState: TypeAlias = Literal["writing", "waiting", "queued", "running", "done", "stopped"]


class _GrowingPart:
    """A part with one text field that only grows. Fragments are joined when somebody reads them."""

    type: ClassVar[str]
    growing_field: ClassVar[str] = "text"
    __slots__ = ("_fragments",)

    def __init__(self, text: str = "") -> None:
        self._fragments = [text] if text else []

    def append(self, text: str) -> None:
        self._fragments.append(text)

    def read(self) -> str:
        if len(self._fragments) > 1:
            self._fragments = ["".join(self._fragments)]
        return self._fragments[0] if self._fragments else ""

    def metadata(self) -> dict[str, Any]:
        return {}

    def to_dict(self) -> dict[str, Any]:
        return {"type": self.type, **self.metadata(), self.growing_field: self.read()}

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.to_dict() == self.to_dict()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.to_dict()!r})"

    __hash__ = None  # type: ignore[assignment]


class TextPart(_GrowingPart):
    """Text of a speaker."""

    type = "text"
    __slots__ = ()

    @property
    def text(self) -> str:
        """All of it so far."""
        return self.read()


class ReasoningPart(_GrowingPart):
    """What the model thought before it answered. `seconds` is how long, None while it thinks."""

    type = "reasoning"
    __slots__ = ("_started", "seconds")

    def __init__(self, text: str = "", seconds: float | None = None) -> None:
        super().__init__(text)
        self.seconds = seconds
        self._started = time.monotonic()

    @property
    def text(self) -> str:
        """All of it so far."""
        return self.read()

    def metadata(self) -> dict[str, Any]:
        return {"seconds": self.seconds}

    def close(self) -> bool:
        """Notes how long it took. True if it was still open."""
        if self.seconds is not None:
            return False
        self.seconds = round(time.monotonic() - self._started, 1)
        return True


class ToolCallPart(_GrowingPart):
    """A call the model wants made. `arguments` is the JSON text as the model wrote it.

    state      "writing" while the arguments come, "waiting" for a person, "queued" for the calls before it,
               "running", "done"; "stopped" if the run ended while it was running
    edited     the JSON text of the arguments as the person changed them, or ""
    question   while it waits: what the person is asked, {"schema", "description", "problem", "arguments"},
               the last two being about arguments that were refused
    """

    type = "tool_call"
    growing_field = "arguments"
    __slots__ = ("call_id", "edited", "name", "question", "state")

    def __init__(
        self,
        arguments: str = "",
        call_id: str = "",
        name: str = "",
        state: ToolCallState = "writing",
        edited: str = "",
    ) -> None:
        super().__init__(arguments)
        self.call_id = call_id
        self.name = name
        self.state: ToolCallState = state
        self.edited = edited
        self.question: dict[str, Any] | None = None

    @property
    def arguments(self) -> str:
        """The JSON text so far."""
        return self.read()

    def metadata(self) -> dict[str, Any]:
        return {
            "call_id": self.call_id,
            "name": self.name,
            "state": self.state,
            "edited": self.edited,
            "question": self.question,
        }


class ToolResultPart(_GrowingPart):
    """What came of a call. `text` is what the model is told; the rest is for the person. See `events.ToolFinished`."""

    type = "tool_result"
    __slots__ = ("call_id", "details", "images", "outcome", "seconds", "shown")

    def __init__(
        self,
        text: str = "",
        call_id: str = "",
        outcome: ToolOutcome = "ok",
        seconds: float = 0.0,
        details: str = "",
        images: Sequence[str] = (),
        shown: Sequence[dict[str, Any]] = (),
    ) -> None:
        super().__init__(text)
        self.call_id = call_id
        self.outcome: ToolOutcome = outcome
        self.seconds = seconds
        self.details = details
        self.images = list(images)
        self.shown = list(shown)

    @property
    def text(self) -> str:
        """What the model is told."""
        return self.read()

    def metadata(self) -> dict[str, Any]:
        return {
            "call_id": self.call_id,
            "outcome": self.outcome,
            "seconds": self.seconds,
            "details": self.details,
            "images": self.images,
            "shown": self.shown,
        }


class SeamPart(_GrowingPart):
    """Where an answer was cut off and resumed. `text` says what had ended it."""

    type = "seam"
    __slots__ = ()

    @property
    def text(self) -> str:
        """The sentence."""
        return self.read()


@dataclass(frozen=True, slots=True)
class ImagePart:
    """An image that a person shows. `url` is a data URL, or "" where only the image's place was kept."""

    type: ClassVar[str] = "image"
    url: str

    def metadata(self) -> dict[str, Any]:
        """What does not grow, which is all of it."""
        return {"url": self.url}

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {"type": self.type, "url": self.url}


Part: TypeAlias = TextPart | ReasoningPart | ToolCallPart | ToolResultPart | SeamPart | ImagePart
UserPart: TypeAlias = TextPart | ImagePart


def part_from_dict(data: dict[str, Any]) -> Part:
    """What `to_dict` gave. Raises `ValueError` for a type there is not."""
    match data["type"]:
        case "text":
            return TextPart(data["text"])
        case "seam":
            return SeamPart(data["text"])
        case "image":
            return ImagePart(data["url"])
        case "reasoning":
            return ReasoningPart(data["text"], data.get("seconds"))
        case "tool_call":
            return ToolCallPart(
                data["arguments"],
                data.get("call_id", ""),
                data.get("name", ""),
                data.get("state", "done"),
                data.get("edited", ""),
            )
        case "tool_result":
            return ToolResultPart(
                data["text"],
                data["call_id"],
                data["outcome"],
                data.get("seconds", 0.0),
                data.get("details", ""),
                data.get("images", ()),
                data.get("shown", ()),
            )
        case other:
            raise ValueError(f"There is no part of type {other!r}.")
