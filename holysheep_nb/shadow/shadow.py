"""The comparison itself: every prompt to both sides at once, a few prompts at a time, within a budget."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from ..errors import UsageError
from ..masks import find_name
from .answers import Pair
from .prompts import ShadowPrompt
from .results import Results
from .sides import Side

T = TypeVar("T")

DEFAULT_CONCURRENCY = 4


class Shadow:
    """A comparison that can be interrupted, and gone on with from its results.

    concurrency   how many prompts are underway at a time, each on both sides
    budget_usd    no prompt is sent that would make the whole comparison dearer, as far as can be said: those underway
                  are counted as the dearest so far. None: no limit
    sends_failed_again   True if prompts that failed on a side before are sent again

    Raises `UsageError` and `ConfigurationError`; nothing is sent then.
    """

    def __init__(
        self,
        prompts: Sequence[ShadowPrompt],
        old: Side,
        new: Side,
        results: Results,
        *,
        concurrency: int = DEFAULT_CONCURRENCY,
        budget_usd: float | None = None,
        sends_failed_again: bool = False,
    ) -> None:
        self.prompts = prompts
        self.old = old
        self.new = new
        self.results = results
        self.budget_usd = budget_usd
        self.is_used_up = False
        """True once prompts were left out because of the budget."""
        self._concurrency = concurrency
        self._waiting = deque(
            each
            for each in prompts
            if each.key not in results or (sends_failed_again and not results[each.key].is_whole)
        )
        self._underway = 0
        self._spent_usd = self._dearest_usd = 0.0
        self._check()
        for prompt in prompts:
            if prompt.key in results:
                self._count_cost(prompt, results[prompt.key])

    @property
    def done(self) -> int:
        """How many prompts have their answers."""
        return sum(prompt.key in self.results for prompt in self.prompts)

    async def run(self, on_progress: Callable[[], None] = lambda: None) -> None:
        """Sends what has not been sent. For the stream thread; cancelling it stops the requests that are underway.

        `on_progress` is called there after each prompt. Raises `HolySheepError` if the results cannot be written; an
        answer that fails is a result.
        """
        if self._waiting:
            await _together(self.old.connect(), self.new.connect())
        workers = min(self._concurrency, len(self._waiting))
        await _together(*(self._work(on_progress) for _ in range(workers)))
        self.is_used_up = bool(self._waiting)

    async def _work(self, on_progress: Callable[[], None]) -> None:
        while self._waiting:
            if not self._can_afford_another():
                return
            prompt = self._waiting.popleft()
            self._underway += 1
            try:
                old, new = await _together(self.old.ask(prompt), self.new.ask(prompt))
            finally:
                self._underway -= 1
            pair = Pair(old, new)
            self.results.add(prompt.key, pair)
            self._count_cost(prompt, pair)
            on_progress()

    def _can_afford_another(self) -> bool:
        if self.budget_usd is None:
            return True
        return self._spent_usd + self._dearest_usd * (self._underway + 1) <= self.budget_usd

    def _count_cost(self, prompt: ShadowPrompt, pair: Pair) -> None:
        """Counts what a prompt has cost on both sides; an answer without tokens, as of a refusal, cost nothing."""
        costs = self.old.cost(prompt, pair.old), self.new.cost(prompt, pair.new)
        usd = sum(cost.usd or 0.0 for cost in costs)
        self._spent_usd += usd
        self._dearest_usd = max(self._dearest_usd, usd)

    def _check(self) -> None:
        if self._concurrency < 1:
            raise UsageError("--concurrency needs a number above 0.")
        for side in (self.old, self.new):
            side.endpoint.read_key()
        for prompt in self.prompts:
            name = find_name(json.dumps([prompt.messages, prompt.parameters], ensure_ascii=False))
            if name:
                raise UsageError(f"A prompt contains the value of {name}: take it out.")
            for side in (self.old, self.new):
                if side.price_for(prompt).missing and self.budget_usd is not None:
                    raise UsageError(
                        f"A budget needs prices, and {side.model_for(prompt)} at {side.host} has none that is known: "
                        "give it with --old-price or --price, as IN,OUT in USD per million tokens."
                    )


async def _together(*works: Coroutine[Any, Any, T]) -> list[T]:
    """What each gives. If one fails, or the wait is cancelled, all have ended before this goes on."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
