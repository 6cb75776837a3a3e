"""What a run has used and cost so far: as the server counted it, and about what nobody has counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .conversation import Turn, Usage
from .errors import UsageError
from .events import UsageReported
from .parts import ToolResultPart
from .pricing import Cost, Meter, spending
from .pricing.ledger import record
from .timing import Timing, estimate_request_tokens, estimate_tokens


class Tally:
    """The sums of one run, over all its requests.

    turn    the answer, where the counted usage is
    model   the one that was asked; the server may name another, which is no reason to know no price
    """

    def __init__(self, turn: Turn, timing: Timing, meter: Meter, model: str) -> None:
        self._turn = turn
        self._timing = timing
        self._meter = meter
        self._asked_model = model
        self._before = Usage(0, 0)
        self._uncounted_input_tokens = 0

    @property
    def usage(self) -> Usage | None:
        """Tokens so far, None if there are none. What was not counted is estimated."""
        counted, input_tokens = self._turn.usage, self._uncounted_input_tokens
        output_tokens = self._timing.uncounted_tokens
        if not input_tokens and not output_tokens:
            return counted
        counted = counted or Usage(0, 0)
        return Usage(counted.input_tokens + input_tokens, counted.output_tokens + output_tokens, is_estimate=True)

    @property
    def cost(self) -> Cost | None:
        """What they cost, None if there are none."""
        usage = self.usage
        return None if usage is None else self._cost_of(usage)

    def _cost_of(self, usage: Usage) -> Cost:
        return self._meter.cost(usage, self._turn.model or self._asked_model, self._asked_model)

    def begin(self) -> None:
        """The run begins, or goes on after it has ended: what was counted so far stands."""
        self._before = self._turn.usage or Usage(0, 0)
        if self._meter.is_counted:
            spending.begin(self, self._spent)

    def check_resumed(self, max_usd: float | None) -> None:
        """Raises `UsageError` if the run must not go on. `max_usd` is another limit for it, None for the same."""
        before, self._meter.max_usd = self._meter.max_usd, self._meter.max_usd if max_usd is None else max_usd
        try:
            self._meter.check_resumed(self.cost, self._turn.model or self._asked_model, self._asked_model)
        except UsageError:
            self._meter.max_usd = before
            raise

    def note_request(self, body: Mapping[str, Any]) -> None:
        """A request is about to be made, whose first form was `body`. Raises `BudgetError` if it must not be."""
        results = sum(len(part.text) for part in self._turn.parts if isinstance(part, ToolResultPart))
        self._uncounted_input_tokens += estimate_request_tokens(body) + estimate_tokens(
            self._timing.characters + results
        )
        self.check()

    def note_model(self, model: str) -> None:
        """Another model is asked from now on; "" for the same."""
        self._asked_model = model or self._asked_model

    def take_count(self, event: UsageReported) -> UsageReported:
        """What the server has counted, with what was before the run was resumed."""
        self._timing.note_count()
        self._uncounted_input_tokens = 0
        before = self._before
        return UsageReported(before.input_tokens + event.input_tokens, before.output_tokens + event.output_tokens)

    def note_counted(self) -> None:
        """The turn has taken that count, which is an estimate if what was before is one."""
        if self._before.is_estimate and self._turn.usage is not None:
            self._turn.usage = replace(self._turn.usage, is_estimate=True)

    def check(self) -> None:
        """Raises `BudgetError` if the run has cost as much as it may."""
        if self._meter.is_limited and (cost := self.cost) is not None:
            self._meter.check(cost)

    def end(self) -> None:
        """The run has ended. What came and nobody counted, as of an answer that was cut off, costs all the same."""
        if self._timing.uncounted_tokens:
            self._turn.usage = self.usage
            self._timing.note_count()
        self._uncounted_input_tokens = 0
        if self._meter.is_counted:
            spent = self._spent()
            spending.settle(self, spent)
            if spent is not None:
                record(self._turn.model or self._asked_model, *spent)

    def _spent(self) -> tuple[Usage, Cost] | None:
        """What it has cost since it began, or was resumed."""
        usage, before = self.usage, self._before
        if usage is None or usage == before:
            return None
        spent = Usage(
            usage.input_tokens - before.input_tokens, usage.output_tokens - before.output_tokens, usage.is_estimate
        )
        return spent, self._cost_of(spent)
