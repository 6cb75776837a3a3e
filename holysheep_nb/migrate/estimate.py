"""What a month costs at the old endpoint and at HolySheep. A price that nobody has given stays unknown."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from holysheep_nb.config import Settings
from holysheep_nb.conversation import Usage
from holysheep_nb.errors import UsageError
from holysheep_nb.pricing import Cost, Price, format_usd
from holysheep_nb.shadow.report import change, describe_price, in_words
from holysheep_nb.view.markdown import plain


@dataclass(frozen=True)
class Estimate:
    """A month of so many tokens at two prices."""

    usage: Usage
    old: Price
    new: Price

    def to_markdown(self) -> str:
        """Both costs, with the prices, their sources and dates, and what is saved as far as it is known."""
        old, new = self.old.cost(self.usage), self.new.cost(self.usage)
        return "\n".join(
            [
                f"A month of {self.usage.input_tokens:,} tokens in and {self.usage.output_tokens:,} out:",
                "",
                "| | model | a month | price |",
                "|---|---|---:|---|",
                f"| old | {plain(self.old.model)} | {_usd(old)} | {describe_price(self.old)} |",
                f"| HolySheep | {plain(self.new.model)} | {_usd(new)} | {describe_price(self.new)} |",
                "",
                self._conclusion(old, new),
                "",
            ]
        )

    def _conclusion(self, old: Cost, new: Cost) -> str:
        unknown = [
            f"the {' and '.join(cost.missing)} price of {price.model} with {option} IN,OUT"
            for cost, price, option in ((old, self.old, "--old-price"), (new, self.new, "--price"))
            if cost.missing
        ]
        if unknown or old.usd is None or new.usd is None:
            return f"What is saved is unknown: give {', and '.join(unknown)}."
        saved = old.usd - new.usd
        what = "Saved" if saved >= 0 else "Dearer by"
        return in_words(
            f"{what}: {format_usd(abs(saved))} a month, {format_usd(12 * abs(saved))} a year "
            f"({change(old.usd, new.usd)}), if the answers stay as long as they are; holysheep-nb shadow measures that."
        )


def estimate(given: argparse.Namespace, settings: Settings) -> Estimate:
    """The estimate that `options` describe. Raises `UsageError`."""
    if given.monthly_tokens is None:
        raise UsageError("--roi needs the tokens of a month: --monthly-tokens IN,OUT, as in 30M,5M.")
    model = given.model or settings.resolved_model()
    known = settings.price(model, urlsplit(settings.own_endpoint().base_url).netloc)
    new = _given(model, given.price, "--price") or replace(known, model=model)
    old_model = given.old_model or "the old model"
    old = _given(old_model, given.old_price, "--old-price") or Price(old_model, None, None)
    return Estimate(Usage(*given.monthly_tokens), old, new)


def _given(model: str, pair: tuple[float, float] | None, option: str) -> Price | None:
    return None if pair is None else Price(model, pair[0], pair[1], f"given with {option}")


def _usd(cost: Cost) -> str:
    return "unknown" if cost.usd is None else in_words(str(cost))
