"""What the runs of this kernel have cost, those that go on included."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

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


class Account(Protocol):
    """What a run that goes on has cost by now."""

    @property
    def spent(self) -> tuple[Usage, Cost] | None:
        """Tokens and cost, None if there are none."""
        ...

    @property
    def spent_usd(self) -> float:
        """What is known of the cost: fast, it is asked for with each delta of a run that has a budget."""
        ...


class Spending:
    """A sum that runs are added to when they end, on the stream thread. They begin, and it is read, on any."""

    def __init__(self) -> None:
        self._settled = Total()
        self._open: dict[Account, None] = {}

    def begin(self, account: Account) -> None:
        """A run goes on."""
        self._open[account] = None

    def settle(self, account: Account) -> None:
        """A run has ended."""
        spent = account.spent
        if spent is not None:
            self._settled = self._settled.plus(*spent)
        # After the sum: who reads it in between sees too much rather than too little.
        self._open.pop(account, None)

    @property
    def total(self) -> Total:
        """All runs of this kernel."""
        total = self._settled
        for account in tuple(self._open):
            spent = account.spent
            if spent is not None:
                total = total.plus(*spent)
        return total

    @property
    def usd(self) -> float:
        """What is known of it, in US dollars."""
        settled = self._settled.cost.usd if self._settled.cost is not None else None
        return (settled or 0.0) + sum(account.spent_usd for account in tuple(self._open))


spending = Spending()
