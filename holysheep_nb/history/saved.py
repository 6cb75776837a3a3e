"""The turns in an output's metadata, which whoever wrote the notebook may have made up: checked, then read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..conversation import Turn
from ..masks import mask_all

METADATA_VERSION = 1
MAX_CHARACTERS = 1_000_000
MAX_PARTS = 10_000
MOST_VERSIONS = 20
MAX_LABEL_CHARACTERS = 200

_Check = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class SavedAnswer:
    """An answer as an output holds it.

    cell       the id of the cell that asked, as its kernel knew it
    turns      prompt and answer; images are gone, and only their places are left
    branches   the same for other runs of the cell, oldest first
    position   how many branches are older than `turns`
    chosen_at  when a person chose this version in place of another, as ISO time in UTC, or ""
    asked_at   when the run began, likewise
    """

    cell: str
    turns: list[Turn]
    branches: list[list[Turn]]
    position: int
    starts_afresh: bool
    label: str
    asked_at: str
    chosen_at: str


def read_answer(data: Any, metadata: Any) -> SavedAnswer | None:
    """The answer of an output, None if it holds none. Raises `ValueError` for what this package did not write so."""
    if not isinstance(metadata, dict) or "holysheep" not in metadata:
        return None
    found = _mapping(metadata["holysheep"])
    if found.get("version") != METADATA_VERSION:
        raise ValueError(f"its version is {str(found.get('version'))[:20]!r}")
    turns = _read_turns(found.get("turns"), data if isinstance(data, dict) else {})
    branches = [_read_turns(each, {}) for each in _list(found.get("branches", []))[-MOST_VERSIONS:]]
    # A comparison's other columns are versions too.
    columns = [_mapping(each).get("turns") for each in _list(found.get("columns", []))[:MOST_VERSIONS]]
    branches += [_read_turns(each, {}) for each in columns if each]
    position = found.get("position", len(branches))
    if not _is_count(position) or position > len(branches):
        raise ValueError("its position is none")
    return SavedAnswer(
        cell=_text(found.get("cell", "")),
        turns=turns,
        branches=branches,
        position=position,
        starts_afresh=found.get("afresh") is True,
        label=_text(found.get("label", ""))[:MAX_LABEL_CHARACTERS],
        asked_at=_text(found.get("asked_at", "")),
        chosen_at=_text(found.get("chosen_at", "")),
    )


def _read_turns(value: Any, data: Mapping[str, Any]) -> list[Turn]:
    """A prompt and its answer."""
    turns = [_mapping(each) for each in _list(value)]
    if [turn.get("role") for turn in turns] != ["user", "assistant"]:
        raise ValueError("it holds no prompt and answer")
    return [_read_turn(turn, data) for turn in turns]


def _read_turn(turn: dict[str, Any], data: Mapping[str, Any]) -> Turn:
    parts = _list(turn.get("parts"))
    if len(parts) > MAX_PARTS:
        raise ValueError("it has too many parts")
    kept = [_read_part(_mapping(part), data) for part in parts]
    if sum(len(value) for part in kept for value in part.values() if isinstance(value, str)) > MAX_CHARACTERS:
        raise ValueError("it is too long")
    reason = turn.get("finish_reason")
    read: dict[str, Any] = {
        "role": turn["role"],
        "parts": kept,
        "model": _text(turn.get("model", "")),
        "finish_reason": None if reason is None else _text(reason),
        "usage": _read_usage(turn.get("usage")),
        "route_changed": _text(turn.get("route_changed", "")),
    }
    # Half a surrogate pair cannot be sent: this raises `ValueError`.
    json.dumps(read, ensure_ascii=False).encode()
    return Turn.from_dict(mask_all(read))


# What a part may hold besides its type: each field with what it is where there is none, and its check.
_FIELDS: dict[str, dict[str, tuple[Any, _Check]]] = {
    "text": {"text": (None, lambda value: isinstance(value, str))},
    "seam": {"text": (None, lambda value: isinstance(value, str))},
    "reasoning": {
        "text": (None, lambda value: isinstance(value, str)),
        "seconds": (None, lambda value: value is None or _is_seconds(value)),
    },
    "image": {},
    "tool_call": {
        "arguments": (None, lambda value: isinstance(value, str)),
        "call_id": ("", lambda value: isinstance(value, str)),
        "name": ("", lambda value: isinstance(value, str)),
        "edited": ("", lambda value: isinstance(value, str)),
    },
    "tool_result": {
        "text": (None, lambda value: isinstance(value, str)),
        "call_id": ("", lambda value: isinstance(value, str)),
        "outcome": ("ok", lambda value: value in ("ok", "error", "invalid", "denied", "stopped")),
        "seconds": (0.0, lambda value: _is_seconds(value)),
        "details": ("", lambda value: isinstance(value, str)),
    },
}


def _read_part(part: dict[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are known. No address of an image is read: it would be sent to a model, or loaded."""
    kind = _text(part.get("type"))
    if kind not in _FIELDS:
        raise ValueError(f"it has a part of type {kind[:20]!r}")
    if kind == "text" and "text_from" in part:
        text = data.get(_text(part["text_from"]))
        # In a file a long text may be a list of its lines.
        part = {"text": "".join(map(_text, text)) if isinstance(text, list) else text}
    read: dict[str, Any] = {"type": kind}
    for name, (missing, is_right) in _FIELDS[kind].items():
        read[name] = part.get(name, missing)
        if not is_right(read[name]):
            raise ValueError(f"the {name} of a part is none")
    return {**read, "url": ""} if kind == "image" else read


def _read_usage(value: Any) -> dict[str, Any] | None:
    if value is None:
        return None
    usage = _mapping(value)
    counts = {name: usage.get(name) for name in ("input_tokens", "output_tokens")}
    if not all(map(_is_count, counts.values())):
        raise ValueError("its usage is none")
    return {**counts, "is_estimate": usage.get("is_estimate") is True}


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("a part of it is no object")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("a part of it is no list")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a part of it is no text")
    return value


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**53


def _is_seconds(value: Any) -> bool:
    return type(value) in (int, float) and 0 <= value < 1e9
