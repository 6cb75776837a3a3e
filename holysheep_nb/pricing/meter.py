"""What a run costs while it goes on, and where it has to end."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..conversation import Usage
from ..errors import BudgetError, UsageError
from .cost import Cost, format_usd
from .price import UNKNOWN, Price, find_published
from .spending import spending

# Sums of prices are not exact: so much less than the limit is the limit.
_ROUNDING_USD = 1e-12


class Meter:
    """The prices of a run, and its limits.

    find_price   the price of a model by its name; a run looks each up once
    max_usd      what the run may cost; None for no limit
    budget_usd   gives what all runs of this kernel may cost together; None for no limit
    is_counted   False for a run that costs nothing whatever its model, as a replayed one does
    """

    def __init__(
        self,
        find_price: Callable[[str], Price] = find_published,
        max_usd: float | None = None,
        budget_usd: Callable[[], float | None] = lambda: None,
        *,
        is_counted: bool = True,
    ) -> None:
        self._find_price = find_price
        self._prices: dict[tuple[str, ...], Price] = {}
        self.max_usd = max_usd
        self._budget_usd = budget_usd
        self.is_counted = is_counted

    @property
    def is_limited(self) -> bool:
        """True if the run may have to end because of what it costs."""
        return self.is_counted and (self.max_usd is not None or self._budget_usd() is not None)

    def price(self, *models: str) -> Price:
        """The price of the first of these names of one model that has one."""
        found = self._prices.get(models)
        if found is None:
            prices = map(self._find_price, models)
            found = self._prices[models] = next((price for price in prices if price is not UNKNOWN), UNKNOWN)
        return found

    def cost(self, usage: Usage, *models: str) -> Cost:
        """What so many tokens of a model cost."""
        return self.price(*models).cost(usage) if self.is_counted else Cost(0.0)

    def check_start(self, models: Iterable[str], input_tokens: int) -> None:
        """Raises `UsageError` if nothing may be sent: a limit is reached, or cannot be kept.

        models         those that may answer, the one that is asked first
        input_tokens   about how many are going to be sent
        """
        asked = list(models)
        prices = [self.price(model) for model in asked]
        if not self.is_limited or all(_is_free(price) for price in prices):
            return
        for model, price in zip(asked, prices, strict=True):
            if price.missing:
                raise UsageError(_unknown_price(model, price))
        usd = prices[0].known_usd(input_tokens, 0)
        sentence = self._limit_reached(usd, usd)
        if sentence:
            raise UsageError(f"{sentence[0]}: nothing was sent. {sentence[1]}")

    def check_resumed(self, usd: float, *models: str) -> None:
        """Raises `UsageError` if a run that has ended, and has cost so much, must not go on."""
        price = self.price(*models)
        if not self.is_limited or _is_free(price):
            return
        if price.missing:
            raise UsageError(_unknown_price(models[0], price))
        sentence = self._limit_reached(usd, 0.0)
        if sentence:
            raise UsageError(f"{sentence[0]}: nothing was sent. {sentence[1]}")

    def check(self, usd: float) -> None:
        """Raises `BudgetError` if a run that goes on has cost so much, which `spending` knows, and may not."""
        sentence = self._limit_reached(usd, 0.0) if usd else None
        if sentence:
            raise BudgetError(f"{sentence[0]}.", advice=sentence[1])

    def _limit_reached(self, run_usd: float, more_usd: float) -> tuple[str, str] | None:
        """What is used up and what to do, or None. `more_usd` is what `spending` does not know of yet."""
        if self.max_usd is not None and run_usd >= self.max_usd - _ROUNDING_USD:
            limit = format_usd(self.max_usd)
            if more_usd:
                return f"The prompt alone costs about {format_usd(run_usd)}, and the limit is {limit}", _RAISE_LIMIT
            return f"This run has reached its limit of {limit}", _RESUME
        budget_usd = self._budget_usd()
        if budget_usd is None:
            return None
        spent_usd = spending.usd
        if spent_usd + more_usd < budget_usd - _ROUNDING_USD:
            return None
        return f"The notebook's budget of {format_usd(budget_usd)} is used up ({format_usd(spent_usd)} spent)", _RAISE


_RAISE_LIMIT = "--max-cost USD sets another."
_RESUME = "`run.resume(max_cost=USD)` goes on with a higher one."
_RAISE = "`%config HolySheepMagics.budget = USD` sets another."


def _is_free(price: Price) -> bool:
    return price.input_usd == 0 == price.output_usd


def _unknown_price(model: str, price: Price) -> str:
    known = {"input": price.input_usd, "output": price.output_usd}
    words = " ".join(name.upper() if usd is None else f"{usd:g}" for name, usd in known.items())
    missing = "price" if len(price.missing) == 2 else f"{price.missing[0]} price"
    return (
        f"The {missing} of {model} is unknown, so that no limit can be kept: set it with "
        f"`%holysheep prices {model} {words}`, in USD per million tokens."
    )
