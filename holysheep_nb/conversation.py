"""Turns, what they are made of, and the conversation of a notebook's cells.

`Turn.apply` is the only place where events become state. It answers with the *ops* that say what
changed, which is what a view forwards:

    ["part", index, {...}]       a part was opened, or its metadata changed
    ["append", index, text]      text was appended to the growing field of a part
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from .events import (
    ApprovalRequested,
    CallQueued,
    Event,
    PayloadSkipped,
    ReasoningDelta,
    RouteChanged,
    TextDelta,
    ToolCallDelta,
    ToolFinished,
    ToolStarted,
    TurnFinished,
    TurnResumed,
    TurnStarted,
    UsageReported,
)
from .parts import Part, ReasoningPart, SeamPart, TextPart, ToolCallPart, ToolResultPart, UserPart, part_from_dict

Op: TypeAlias = list[Any]
Role: TypeAlias = Literal["user", "assistant"]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the server counted them. `is_estimate` is True where it said nothing, or not all."""

    input_tokens: int
    output_tokens: int
    is_estimate: bool = False

    def __str__(self) -> str:
        return f"{'≈ ' if self.is_estimate else ''}{self.input_tokens:,} + {self.output_tokens:,} tokens"

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        counted = {"input_tokens": self.input_tokens, "output_tokens": self.output_tokens}
        return {**counted, "is_estimate": True} if self.is_estimate else counted


@dataclass(slots=True)
class Turn:
    """One speaker's contribution: a list of parts that only grow."""

    role: Role
    parts: list[Part] = field(default_factory=list)
    model: str = ""
    finish_reason: str | None = None
    usage: Usage | None = None
    skipped: list[str] = field(default_factory=list)
    route_changed: str = ""
    _calls: dict[int, int] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def user(cls, said: str | Iterable[UserPart]) -> Turn:
        """What a person said: text, or texts with images among them."""
        return cls("user", [TextPart(said)] if isinstance(said, str) else list(said))

    @property
    def text(self) -> str:
        """The text of all text parts, in order, without reasoning. What stood between calls is a paragraph."""
        text, is_after_call = "", False
        for part in self.parts:
            if isinstance(part, TextPart):
                text += f"\n\n{part.text}" if is_after_call and text else part.text
                is_after_call = False
            elif isinstance(part, ToolResultPart):
                is_after_call = True
        return text

    @property
    def calls(self) -> dict[int, ToolCallPart]:
        """The calls, by the index that its events give them."""
        return {index: self._call(index)[1] for index in self._calls}

    @property
    def next_call_index(self) -> int:
        """What the events of a call that is new may give as its index."""
        return max(self._calls, default=-1) + 1

    def apply(self, event: Event) -> list[Op]:
        """Folds one event in, and says what changed."""
        match event:
            case TextDelta(text):
                return self._append(TextPart, text)
            case ReasoningDelta(text):
                return self._append(ReasoningPart, text)
            case ToolCallDelta():
                return self._append_call(event)
            case ApprovalRequested() | CallQueued() | ToolStarted():
                return self._change_call(event)
            case ToolFinished():
                return self._finish_call(event)
            case UsageReported(input_tokens, output_tokens):
                self.usage = Usage(input_tokens, output_tokens)
            case TurnStarted(model):
                self.model = model or self.model
            case TurnFinished(reason):
                self.finish_reason = reason
                return self.close()
            case TurnResumed(reason):
                self.finish_reason = None
                return self._open(SeamPart(reason)) if self.parts else []
            case RouteChanged(to, reason, model):
                self.route_changed = f"{to}: {reason}"
                self.model = model or self.model
            case PayloadSkipped(reason):
                self.skipped.append(reason)
        return []

    def close(self) -> list[Op]:
        """Ends what is still open, as when the stream is cut, and says what changed."""
        ops = self._close_last()
        for position in self._calls.values():
            call = self.parts[position]
            if isinstance(call, ToolCallPart) and call.state not in ("done", "stopped"):
                call.state, call.question = "stopped" if call.state == "running" else "done", None
                ops.append(["part", position, call.metadata()])
        return ops

    def _close_last(self) -> list[Op]:
        last = self.parts[-1] if self.parts else None
        if isinstance(last, ReasoningPart) and last.close():
            return [["part", len(self.parts) - 1, last.metadata()]]
        return []

    def _append(self, kind: type[TextPart] | type[ReasoningPart], text: str) -> list[Op]:
        last = self.parts[-1] if self.parts else None
        if type(last) is kind:
            last.append(text)
            return [["append", len(self.parts) - 1, text]]
        return self._open(kind(text))

    def _open(self, part: Part) -> list[Op]:
        ops = self._close_last()
        self.parts.append(part)
        ops.append(["part", len(self.parts) - 1, part.to_dict()])
        return ops

    def _append_call(self, event: ToolCallDelta) -> list[Op]:
        position = self._calls.get(event.index)
        if position is None:
            self._calls[event.index] = len(self.parts)
            return self._open(ToolCallPart(event.arguments, event.call_id, event.name))
        _, part = self._call(event.index)
        ops: list[Op] = []
        if (event.name and event.name != part.name) or (event.call_id and event.call_id != part.call_id):
            part.name = event.name or part.name
            part.call_id = event.call_id or part.call_id
            ops.append(["part", position, part.metadata()])
        if event.arguments:
            part.append(event.arguments)
            ops.append(["append", position, event.arguments])
        return ops

    def _change_call(self, event: ApprovalRequested | CallQueued | ToolStarted) -> list[Op]:
        position, call = self._call(event.index)
        if isinstance(event, ApprovalRequested):
            call.state = "waiting"
            call.question = {
                "schema": event.schema,
                "description": event.description,
                "problem": event.problem,
                "arguments": event.arguments,
            }
        else:
            call.state = "queued" if isinstance(event, CallQueued) else "running"
            call.question, call.edited = None, event.edited
        return [["part", position, call.metadata()]]

    def _finish_call(self, event: ToolFinished) -> list[Op]:
        position, call = self._call(event.index)
        call.state, call.question = "done", None
        ops: list[Op] = [["part", position, call.metadata()]]
        return ops + self._open(
            ToolResultPart(
                event.text, call.call_id, event.outcome, event.seconds, event.details, event.images, event.shown
            )
        )

    def _call(self, index: int) -> tuple[int, ToolCallPart]:
        position = self._calls[index]
        part = self.parts[position]
        assert isinstance(part, ToolCallPart)
        return position, part

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "role": self.role,
            "parts": [part.to_dict() for part in self.parts],
            "model": self.model,
            "finish_reason": self.finish_reason,
            "usage": self.usage.to_dict() if self.usage else None,
            "skipped": list(self.skipped),
            "route_changed": self.route_changed,
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Turn:
        """What `to_dict` gave."""
        usage = data.get("usage")
        return cls(
            data["role"],
            [part_from_dict(part) for part in data["parts"]],
            data.get("model", ""),
            data.get("finish_reason"),
            Usage(**usage) if usage else None,
            list(data.get("skipped", ())),
            data.get("route_changed", ""),
        )


@dataclass(slots=True)
class Exchange:
    """A prompt and its answer, as one cell made them. `branches` are what other runs of the cell gave, oldest first.

    turns      what is sent; empty where the cell is known, but nothing it said
    position   how many branches are older than `turns`; None if all are
    label      what a person calls the cell, or ""
    source     where it was read from, or "" if it was asked in this kernel
    """

    key: str
    turns: list[Turn]
    starts_afresh: bool = False
    branches: list[list[Turn]] = field(default_factory=list)
    position: int | None = None
    label: str = ""
    source: str = ""

    @property
    def versions(self) -> list[list[Turn]]:
        """What each run of the cell gave, oldest first."""
        current = [self.turns] if self.turns else []
        return [*self.branches[: self.number - 1], *current, *self.branches[self.number - 1 :]]

    @property
    def number(self) -> int:
        """Which of the versions is sent, counted from 1."""
        return 1 + (len(self.branches) if self.position is None else self.position)

    def check_out(self, number: int) -> None:
        """Sends another version from now on, counted from 1. Their order stays. Raises `IndexError`."""
        versions = self.versions
        if not 1 <= number <= len(versions):
            raise IndexError(number)
        self.turns = versions.pop(number - 1)
        self.branches, self.position = versions, number - 1

    def add_version(self, turns: list[Turn]) -> None:
        """What a new run of the cell gives. A run that has ended without anything is no version."""
        is_void = bool(self.turns) and not self.turns[-1].parts and self.turns[-1].finish_reason is not None
        self.branches = self.branches if is_void else self.versions
        self.turns, self.position, self.source = turns, None, ""

    @property
    def is_answered(self) -> bool:
        """True once there is an answer with text that later prompts can build on."""
        return len(self.turns) > 1 and self.turns[-1].finish_reason is not None and bool(self.turns[-1].text)


@dataclass(slots=True)
class Conversation:
    """Exchanges in the order in which their cells first ran, addressed by cell."""

    exchanges: list[Exchange] = field(default_factory=list)
    _unkeyed: int = 0

    def begin(self, key: str | None, turns: list[Turn], *, afresh: bool = False, label: str = "") -> Exchange:
        """The exchange of cell `key`, now with `turns`. What the cell had before becomes a branch.

        With `key` None it is a new exchange at the end. With `afresh` what stands above is not sent,
        neither for this exchange nor for those below it.
        """
        if key is None:
            self._unkeyed += 1
            key = f"#{self._unkeyed}"
        exchange = next((e for e in self.exchanges if e.key == key), None)
        if exchange is None:
            exchange = Exchange(key, turns, afresh)
            self.exchanges.append(exchange)
        else:
            exchange.add_version(turns)
            exchange.starts_afresh = afresh
        exchange.label = label or exchange.label
        return exchange

    def turns_of(self, key: str) -> list[Turn] | None:
        """What cell `key` has now; None if nothing."""
        return next((e.turns for e in self.exchanges if e.key == key), None)

    def choose(self, key: str, turns: list[Turn]) -> None:
        """Sends `turns` from now on, which cell `key` has, or had before; what it has now becomes a branch.

        Does nothing where the cell has no such turns any more.
        """
        exchange = next((e for e in self.exchanges if e.key == key), None)
        if exchange is None:
            return
        for number, version in enumerate(exchange.versions, 1):
            if version is turns:
                exchange.check_out(number)
                return

    def context(self, exchange: Exchange) -> list[Exchange]:
        """The answered exchanges above `exchange` that are sent with it, oldest first."""
        return self.context_of(exchange.key, afresh=exchange.starts_afresh)

    def context_of(self, key: str | None, *, afresh: bool = False) -> list[Exchange]:
        """The same for the exchange that cell `key` has, or would have, without beginning it."""
        above: list[Exchange] = []
        for earlier in self.exchanges:
            if earlier.key == key:
                break
            if earlier.starts_afresh:
                above = []
            above.append(earlier)
        return [] if afresh else [e for e in above if e.is_answered]

    def reset(self) -> None:
        """Forgets everything."""
        self.exchanges.clear()

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "exchanges": [
                {
                    "key": e.key,
                    "starts_afresh": e.starts_afresh,
                    "turns": _turns_to_list(e.turns),
                    "branches": [_turns_to_list(branch) for branch in e.branches],
                    "position": e.position,
                    "label": e.label,
                    "source": e.source,
                }
                for e in self.exchanges
            ]
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Conversation:
        """What `to_dict` gave."""
        exchanges = [
            Exchange(
                e["key"],
                _turns_from_list(e["turns"]),
                e["starts_afresh"],
                [_turns_from_list(branch) for branch in e["branches"]],
                e.get("position"),
                e.get("label", ""),
                e.get("source", ""),
            )
            for e in data["exchanges"]
        ]
        return cls(exchanges, sum(e.key.startswith("#") for e in exchanges))


def _turns_to_list(turns: Iterable[Turn]) -> list[dict[str, Any]]:
    return [turn.to_dict() for turn in turns]


def _turns_from_list(turns: Iterable[dict[str, Any]]) -> list[Turn]:
    return [Turn.from_dict(turn) for turn in turns]
