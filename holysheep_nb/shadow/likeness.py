"""How alike two answers are, and whether they agree.

Calls agree if the same functions get equal arguments, in whatever order; JSON if its values are equal. Texts are
compared word by word with difflib: that needs no other package, is quick for answers of some thousand words, and says
nothing about meaning. Two good answers in other words do not agree here.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from typing import Literal

from ..view.markdown import strip_fence
from .answers import Answer

DEFAULT_AGREE_AT = 0.8


@dataclass(frozen=True)
class Likeness:
    """What was compared, how alike its text is (0 to 1), and whether it agrees."""

    kind: Literal["text", "json", "calls"]
    similarity: float
    agrees: bool


def compare(old: Answer, new: Answer, agree_at: float = DEFAULT_AGREE_AT) -> Likeness:
    """The likeness of two whole answers; texts agree from a similarity of `agree_at` on."""
    if old.calls or new.calls:
        calls = _calls(old), _calls(new)
        return Likeness("calls", _similarity(*("\n".join(each) for each in calls)), calls[0] == calls[1])
    written = _one_form(old.text), _one_form(new.text)
    if all(each is None for each in written):
        similarity = _similarity(old.text, new.text)
        return Likeness("text", similarity, similarity >= agree_at)
    similarity = _similarity(written[0] or old.text, written[1] or new.text)
    return Likeness("json", similarity, written[0] == written[1])


def _similarity(old: str, new: str) -> float:
    return difflib.SequenceMatcher(None, old.split(), new.split(), autojunk=False).ratio()


def _calls(answer: Answer) -> list[str]:
    """Each call with its arguments in one form; what is no JSON stays as it is."""
    return sorted(f"{call['name']}\n{_one_form(call['arguments']) or call['arguments']}" for call in answer.calls)


def _one_form(text: str) -> str | None:
    """The object or list that the text is, bare or in a fence, the same however it was written; None if it is none."""
    text = strip_fence(text).strip()
    if text[:1] not in ("{", "["):
        return None
    try:
        return json.dumps(json.loads(text), sort_keys=True, indent=0)
    except (ValueError, RecursionError):
        return None
