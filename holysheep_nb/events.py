"""What a stream says: one frozen dataclass per fact. Whatever moved the text, these come out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class TurnStarted:
    """The model has begun to answer. `model` is the name the server gives, "" if it gives none."""

    model: str = ""


@dataclass(frozen=True, slots=True)
class TextDelta:
    """A fragment of the answer, to append."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """A fragment of the model's reasoning, to append."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolCallDelta:
    """A fragment of a tool call. `index` tells calls of one turn apart; id and name come once."""

    index: int
    arguments: str = ""
    call_id: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class UsageReported:
    """What the server counted, in tokens."""

    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class PayloadSkipped:
    """A payload that could not be read was left out; the rest goes on."""

    reason: str


@dataclass(frozen=True, slots=True)
class TurnFinished:
    """The model has ended its turn: "stop", "length", "tool_calls", "content_filter" or the server's word."""

    reason: str


Event: TypeAlias = (
    TurnStarted | TextDelta | ReasoningDelta | ToolCallDelta | UsageReported | PayloadSkipped | TurnFinished
)
