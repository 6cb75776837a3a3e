"""What one side gave to one prompt, measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..conversation import Usage


@dataclass(frozen=True)
class Answer:
    """An answer and its figures, as the person who asked would have seen them; times in seconds since it was asked.

    model           the one that answered, as the server names it
    calls           what it wanted called: `{"name": ..., "arguments": "JSON text"}`
    problem         the sentence of what went wrong, or "" for a whole answer
    first_delta_s   until the first piece of text, reasoning or a call; None if none came
    gaps_s          from each piece to the next
    is_estimate     True where the server did not count the tokens, or not all
    retries         how often the request was made again before anything came
    """

    model: str
    text: str
    calls: list[dict[str, str]]
    problem: str
    first_delta_s: float | None
    gaps_s: list[float]
    total_s: float
    input_tokens: int | None
    output_tokens: int | None
    is_estimate: bool = False
    retries: int = 0

    @property
    def is_whole(self) -> bool:
        """True if the server said that the answer is complete."""
        return not self.problem

    @property
    def usage(self) -> Usage | None:
        """Its tokens; None if nothing is known of them."""
        if self.input_tokens is None or self.output_tokens is None:
            return None
        return Usage(self.input_tokens, self.output_tokens, self.is_estimate)

    @property
    def gap_p95_s(self) -> float | None:
        """The gap that 95 % of the gaps do not exceed."""
        return percentile(self.gaps_s, 0.95)

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, given: dict[str, Any]) -> Answer:
        """The answer that `to_dict` wrote. Raises `TypeError` for anything else."""
        return cls(**given)


@dataclass(frozen=True)
class Pair:
    """What both sides gave to one prompt."""

    old: Answer
    new: Answer

    @property
    def is_whole(self) -> bool:
        """True if both answered."""
        return self.old.is_whole and self.new.is_whole


def percentile(values: Sequence[float], share: float) -> float | None:
    """The smallest of the values that `share` of them do not exceed; None if there are none."""
    if not values:
        return None
    return sorted(values)[max(math.ceil(share * len(values)), 1) - 1]
