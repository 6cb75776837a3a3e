"""The figures of a comparison, from its pairs."""

from __future__ import annotations

import functools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from ..pricing import Cost
from .answers import Answer, Pair, percentile
from .likeness import Likeness, compare
from .prompts import ShadowPrompt
from .shadow import Shadow


@dataclass(frozen=True)
class Row:
    """A prompt, what both sides gave, what that cost, and how alike it is if both answered."""

    prompt: ShadowPrompt
    pair: Pair
    old_cost: Cost
    new_cost: Cost
    likeness: Likeness | None


@dataclass(frozen=True)
class SideFigures:
    """What one side gave in sum, over the prompts that both answered; times in seconds, None where nothing came.

    failures   prompts it did not answer, of all that were sent
    """

    failures: int
    first_delta_s: float | None
    first_delta_p95_s: float | None
    gap_p95_s: float | None
    total_s: float | None
    total_p95_s: float | None
    all_s: float
    input_tokens: int | None
    output_tokens: int | None
    is_estimate: bool
    cost: Cost | None


@dataclass(frozen=True)
class Figures:
    """What a decision needs, and the rows it comes from."""

    rows: list[Row]
    old: SideFigures
    new: SideFigures

    @property
    def answered(self) -> list[Row]:
        """The rows of the prompts that both sides answered."""
        return [row for row in self.rows if row.likeness is not None]

    @property
    def agreeing(self) -> int:
        """How many of them agree."""
        return sum(row.likeness is not None and row.likeness.agrees for row in self.rows)

    @property
    def similarity(self) -> float | None:
        """The mean likeness of their texts, 0 to 1."""
        found = [row.likeness.similarity for row in self.rows if row.likeness is not None]
        return statistics.fmean(found) if found else None


def figures_of(shadow: Shadow, agree_at: float) -> Figures:
    """The figures of what has come so far."""
    rows = [_row(shadow, prompt, agree_at) for prompt in shadow.prompts if prompt.key in shadow.results]
    whole = [row for row in rows if row.pair.is_whole]
    old = _side_figures([r.pair.old for r in rows], [r.pair.old for r in whole], [r.old_cost for r in whole])
    new = _side_figures([r.pair.new for r in rows], [r.pair.new for r in whole], [r.new_cost for r in whole])
    return Figures(rows, old, new)


def _row(shadow: Shadow, prompt: ShadowPrompt, agree_at: float) -> Row:
    pair = shadow.results[prompt.key]
    return Row(
        prompt,
        pair,
        shadow.old.cost(prompt, pair.old),
        shadow.new.cost(prompt, pair.new),
        compare(pair.old, pair.new, agree_at) if pair.is_whole else None,
    )


def _side_figures(sent: Sequence[Answer], whole: Sequence[Answer], costs: Sequence[Cost]) -> SideFigures:
    first = [answer.first_delta_s for answer in whole if answer.first_delta_s is not None]
    totals = [answer.total_s for answer in whole]
    return SideFigures(
        failures=sum(not answer.is_whole for answer in sent),
        first_delta_s=_median(first),
        first_delta_p95_s=percentile(first, 0.95),
        gap_p95_s=percentile([gap for answer in whole for gap in answer.gaps_s], 0.95),
        total_s=_median(totals),
        total_p95_s=percentile(totals, 0.95),
        all_s=sum(totals),
        input_tokens=_sum([answer.input_tokens for answer in whole]),
        output_tokens=_sum([answer.output_tokens for answer in whole]),
        is_estimate=any(answer.is_estimate for answer in whole),
        cost=functools.reduce(Cost.__add__, costs) if costs else None,
    )


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def _sum(values: Sequence[int | None]) -> int | None:
    """None if one of them is unknown: a part is not the whole."""
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None
