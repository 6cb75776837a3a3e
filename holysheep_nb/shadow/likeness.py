"""How alike two answers are, and whether they agree.

Calls agree if the same functions get equal arguments, in whatever order; JSON if its values are equal. Texts are
compared word by word with difflib: that needs no other package, is quick for answers of some thousand words, and says
nothing about meaning. Two good answers in other words do not agree here.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from typing import Any, Literal

from ..view.markdown import strip_fence
from .answers import Answer

DEFAULT_AGREE_AT = 0.8
_NOT_JSON = object()


@dataclass(frozen=True)
class Likeness:
    """What was compared, how alike its text is (0 to 1), and whether it agrees."""

    kind: Literal["text", "json", "calls"]
    similarity: float
    agrees: bool


def compare(old: Answer, new: Answer, agree_at: float = DEFAULT_AGREE_AT) -> Likeness:
    """The likeness of two whole answers; texts agree from a similarity of `agree_at` on."""
    if old.calls or new.calls:
        similarity = _similarity(_written(old), _written(new))
        return Likeness("calls", similarity, _calls(old) == _calls(new))
    similarity = _similarity(old.text, new.text)
    values = _json(old.text), _json(new.text)
    if values != (_NOT_JSON, _NOT_JSON):
        return Likeness("json", similarity, _same(*values))
    return Likeness("text", similarity, similarity >= agree_at)


def _similarity(old: str, new: str) -> float:
    return difflib.SequenceMatcher(None, old.split(), new.split(), autojunk=False).ratio()


def _written(answer: Answer) -> str:
    return " ".join([answer.text, *(f"{call['name']} {call['arguments']}" for call in answer.calls)])


def _calls(answer: Answer) -> list[str]:
    """Each call with its arguments in one form; what is no JSON stays as it is."""
    return sorted(f"{call['name']} {_one_form(call['arguments'])}" for call in answer.calls)


def _one_form(arguments: str) -> str:
    try:
        return json.dumps(json.loads(arguments), sort_keys=True)
    except (ValueError, RecursionError):
        return arguments


def _json(text: str) -> Any:
    """The object or list that the text is, in a fence or bare; `_NOT_JSON` for anything else."""
    text = strip_fence(text).strip()
    try:
        value = json.loads(text) if text[:1] in ("{", "[") else _NOT_JSON
    except (ValueError, RecursionError):
        return _NOT_JSON
    return value


def _same(old: Any, new: Any) -> bool:
    """True for equal JSON; unlike in Python, true is not 1."""
    if _NOT_JSON in (old, new):
        return False
    return json.dumps(old, sort_keys=True) == json.dumps(new, sort_keys=True)
