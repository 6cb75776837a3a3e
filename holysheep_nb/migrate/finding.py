"""What was found at a place, how it would change, and how sure that is."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

Certainty = Literal["exact", "review", "manual"]


@dataclass(frozen=True, slots=True, order=True)
class Edit:
    """The characters from `start` to `end` of a text become `text`."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One use of a model, or one key, in one file.

    path        the file
    cell        the number of the notebook's cell, from 1; None in a script
    line        the line in the cell or script, from 1
    kind        what it is, as in "openai client"
    certainty   exact: is rewritten and does what it did; review: a person must look, at what `reason` says;
                manual: is left alone, for `reason`
    before      the code as it is, its keys taken out
    after       the code as it would be; None where it is left alone
    reason      a sentence, or "" where there is nothing to add
    """

    path: Path
    cell: int | None
    line: int
    kind: str
    certainty: Certainty
    before: str
    after: str | None = None
    reason: str = ""

    @property
    def place(self) -> str:
        """`file.py:3`, or `file.ipynb, cell 2, line 3`."""
        if self.cell is None:
            return f"{self.path}:{self.line}"
        return f"{self.path}, cell {self.cell}, line {self.line}"

    def to_dict(self) -> dict[str, Any]:
        """The finding as JSON takes it."""
        return {**asdict(self), "path": str(self.path)}


def apply_edits(text: str, edits: list[Edit]) -> str:
    """The text with every edit made. Raises ValueError where two overlap."""
    pieces = []
    position = 0
    for edit in sorted(set(edits)):
        if edit.start < position:
            raise ValueError("two edits overlap")
        pieces += [text[position : edit.start], edit.text]
        position = edit.end
    return "".join([*pieces, text[position:]])
