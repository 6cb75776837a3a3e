"""What a stream says: one frozen dataclass per fact. Whatever moved the text, these come out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

ToolOutcome: TypeAlias = Literal["ok", "error", "invalid", "denied", "stopped"]


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
    """A fragment of a tool call. `index` tells the calls of a run apart; id and name come once."""

    index: int
    arguments: str = ""
    call_id: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class ApprovalRequested:
    """The call waits for a person. `schema` is the JSON schema of its arguments, `description` what the tool says.

    `problem` is the sentence about `arguments` that the person gave and the tool does not take; both "" at first.
    """

    index: int
    schema: dict[str, Any]
    description: str = ""
    problem: str = ""
    arguments: str = ""


@dataclass(frozen=True, slots=True)
class CallQueued:
    """The call is approved, and waits for those before it. `edited` is as in `ToolStarted`."""

    index: int
    edited: str = ""


@dataclass(frozen=True, slots=True)
class ToolStarted:
    """The call is being made. `edited` is the JSON text of the arguments if the person changed them, else ""."""

    index: int
    edited: str = ""


@dataclass(frozen=True, slots=True)
class ToolFinished:
    """The call has a result, whatever its outcome.

    text      what the model is told
    outcome   "ok"; "error": it raised; "invalid": the arguments do not fit, it did not run; "denied"; "stopped"
    details   what only the person sees, e.g. a traceback
    images    data URLs, for models that take images
    shown     what it printed and displayed: MIME bundles
    """

    index: int
    text: str
    outcome: ToolOutcome = "ok"
    seconds: float = 0.0
    details: str = ""
    images: tuple[str, ...] = ()
    shown: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class UsageReported:
    """What the server counted, in tokens, for the whole run so far."""

    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class RetryScheduled:
    """The request failed before anything came, and is made again in `seconds`.

    problem    what happened, in a word or two: "429", "no connection"
    attempt    which one comes next: 2 is the first retry
    attempts   how many there are at most
    """

    problem: str
    seconds: float
    attempt: int
    attempts: int


@dataclass(frozen=True, slots=True)
class RouteChanged:
    """The way to the model failed before anything came, and another is taken.

    to       in words: "over SSE", "answered by gpt-4.1-mini"
    reason   the sentence that says why
    model    the model that is asked from now on, "" if it is the same
    """

    to: str
    reason: str
    model: str = ""


@dataclass(frozen=True, slots=True)
class TurnResumed:
    """A turn that was cut off goes on. `reason` is the sentence that says what had ended it."""

    reason: str


@dataclass(frozen=True, slots=True)
class PayloadSkipped:
    """A payload that could not be read was left out; the rest goes on."""

    reason: str


@dataclass(frozen=True, slots=True)
class TurnFinished:
    """The model has ended its turn: "stop", "length", "tool_calls", "content_filter" or the server's word."""

    reason: str


Event: TypeAlias = (
    TurnStarted
    | TextDelta
    | ReasoningDelta
    | ToolCallDelta
    | ApprovalRequested
    | CallQueued
    | ToolStarted
    | ToolFinished
    | UsageReported
    | RetryScheduled
    | RouteChanged
    | TurnResumed
    | PayloadSkipped
    | TurnFinished
)
