"""What a run has used and cost so far: as the server counted it, and about what nobody has counted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .conversation import Turn, Usage
from .errors import UsageError
from .events import UsageReported
from .parts import ToolResultPart
from .pricing import Cost, Meter, Price, spending
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
        if not self._uncounted_input_tokens and not self._timing.uncounted_tokens:
            return self._turn.usage
        return Usage(*self._counts, is_estimate=True)

    @property
    def _counts(self) -> tuple[int, int]:
        """The same as two numbers."""
        counted = self._turn.usage
        input_tokens, output_tokens = (counted.input_tokens, counted.output_tokens) if counted is not None else (0, 0)
        return input_tokens + self._uncounted_input_tokens, output_tokens + self._timing.uncounted_tokens

    @property
    def cost(self) -> Cost | None:
        """What they cost, None if there are none."""
        usage = self.usage
        return None if usage is None else self._cost_of(usage)

    def _cost_of(self, usage: Usage) -> Cost:
        return self._meter.cost(usage, *self._models)

    @property
    def _models(self) -> tuple[str, str]:
        """What the model is called: by the server that answers, and by who asked."""
        return self._turn.model or self._asked_model, self._asked_model

    @property
    def _price(self) -> Price:
        return self._meter.price(*self._models)

    def begin(self) -> None:
        """The run begins, or goes on after it has ended: what was counted so far stands."""
        self._before = self._turn.usage or Usage(0, 0)
        if self._meter.is_counted:
            spending.begin(self)

    def check_resumed(self, max_usd: float | None) -> None:
        """Raises `UsageError` if the run must not go on. `max_usd` is another limit for it, None for the same."""
        before, self._meter.max_usd = self._meter.max_usd, self._meter.max_usd if max_usd is None else max_usd
        try:
            self._meter.check_resumed(self._price.known_usd(*self._counts), *self._models)
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
        if self._meter.is_limited:
            self._meter.check(self._price.known_usd(*self._counts))

    def end(self) -> None:
        """The run has ended. What came and nobody counted, as of an answer that was cut off, costs all the same."""
        if self._timing.uncounted_tokens:
            self._turn.usage = self.usage
            self._timing.note_count()
        self._uncounted_input_tokens = 0
        if self._meter.is_counted:
            spending.settle(self)
            if self.spent is not None:
                record(self._models[0], *self.spent)

    @property
    def spent_usd(self) -> float:
        """What is known of what it has cost since it began, or was resumed."""
        (input_tokens, output_tokens), before = self._counts, self._before
        return self._price.known_usd(input_tokens - before.input_tokens, output_tokens - before.output_tokens)

    @property
    def spent(self) -> tuple[Usage, Cost] | None:
        """Tokens and cost of that, None if there are none."""
        usage, before = self.usage, self._before
        if usage is None or usage == before:
            return None
        spent = Usage(
            usage.input_tokens - before.input_tokens, usage.output_tokens - before.output_tokens, usage.is_estimate
        )
        return spent, self._cost_of(spent)
