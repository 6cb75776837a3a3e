"""Where two texts differ, word by word."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

MOST_WORDS = 4000

Side: TypeAlias = Literal["same", "left", "right"]


@dataclass(frozen=True, slots=True)
class Difference:
    """Pieces in reading order: what both texts have ("same"), the left one alone, or the right one alone.

    `is_cut` is True where a text is so long that only its beginning was compared.
    """

    pieces: tuple[tuple[Side, str], ...]
    is_cut: bool = False


def find_difference(left: str, right: str, most_words: int = MOST_WORDS) -> Difference:
    """The difference of two texts, of which the first `most_words` words are compared.

    The space before a word goes with it and makes no difference. It takes about a second for very long texts.
    """
    sides = _words(left), _words(right)
    ours, theirs = (words[:most_words] for words in sides)
    matcher = difflib.SequenceMatcher(None, [w.strip() for w in ours], [w.strip() for w in theirs])
    pieces: list[tuple[Side, str]] = []
    for kind, from_left, to_left, from_right, to_right in matcher.get_opcodes():
        if kind == "equal":
            pieces.append(("same", "".join(theirs[from_right:to_right])))
            continue
        if to_left > from_left:
            pieces.append(("left", "".join(ours[from_left:to_left])))
        if to_right > from_right:
            pieces.append(("right", "".join(theirs[from_right:to_right])))
    return Difference(tuple(pieces), is_cut=any(len(words) > most_words for words in sides))


def _words(text: str) -> list[str]:
    return re.findall(r"\s*\S+", text)
