"""What the runs of this kernel have cost, those that go on included."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..conversation import Usage
from .cost import Cost


@dataclass(frozen=True, slots=True)
class Total:
    """Some runs together. `cost` is None if there are none."""

    runs: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost: Cost | None = None

    def plus(self, usage: Usage, cost: Cost) -> Total:
        """The same with one more run."""
        return Total(
            self.runs + 1,
            self.input_tokens + usage.input_tokens,
            self.output_tokens + usage.output_tokens,
            cost if self.cost is None else self.cost + cost,
        )


class Spending:
    """A sum that runs are added to when they end. Changed on the stream thread alone, read on any."""

    def __init__(self) -> None:
        self._settled = Total()
        self._open: dict[object, Callable[[], tuple[Usage, Cost] | None]] = {}

    def begin(self, run: object, spent: Callable[[], tuple[Usage, Cost] | None]) -> None:
        """A run goes on. `spent` gives what it has cost by now."""
        self._open[run] = spent

    def settle(self, run: object, spent: tuple[Usage, Cost] | None) -> None:
        """A run has ended, at so much; None if it cost nothing."""
        self._open.pop(run, None)
        if spent is not None:
            self._settled = self._settled.plus(*spent)

    @property
    def total(self) -> Total:
        """All runs of this kernel."""
        total = self._settled
        for spent in tuple(self._open.values()):
            now = spent()
            if now is not None:
                total = total.plus(*now)
        return total

    @property
    def usd(self) -> float:
        """What is known of it, in US dollars."""
        cost = self.total.cost
        return 0.0 if cost is None or cost.usd is None else cost.usd


spending = Spending()
