"""Prices of models: those of this package, and those a person has set, found by the names that servers use."""

from __future__ import annotations

import functools
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from ..conversation import Usage
from .cost import Cost

_TOKENS = 1_000_000
# What a server adds to a name: "-2025-04-14", "-20250929", "-0414", "@20250929", "-latest".
_SUFFIX = re.compile(r"(?:[-@](?:\d{4}-\d{2}-\d{2}|\d{8}|\d{4}))?(?:[-:]latest)?")
_LOCAL_MODEL = re.compile(r"smollm2-135m-instruct|script(?:-.+)?")


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars per million tokens, None where unknown; where that is from, and of which day ("" if unknown)."""

    model: str
    input_usd: float | None
    output_usd: float | None
    source: str = ""
    date: str = ""

    @property
    def missing(self) -> tuple[str, ...]:
        """What is unknown, of "input" and "output"."""
        known = {"input": self.input_usd, "output": self.output_usd}
        return tuple(name for name, usd in known.items() if usd is None)

    def cost(self, usage: Usage) -> Cost:
        """What so many tokens cost."""
        counts = {"input": (usage.input_tokens, self.input_usd), "output": (usage.output_tokens, self.output_usd)}
        missing = tuple(name for name, (tokens, usd) in counts.items() if tokens and usd is None)
        usd = self.known_usd(usage.input_tokens, usage.output_tokens)
        is_known = any(tokens and usd is not None for tokens, usd in counts.values())
        return Cost(None if missing and not is_known else usd, missing, usage.is_estimate)

    def known_usd(self, input_tokens: int, output_tokens: int) -> float:
        """The part of it that is known."""
        return (input_tokens * (self.input_usd or 0.0) + output_tokens * (self.output_usd or 0.0)) / _TOKENS


UNKNOWN = Price("", None, None)
FREE = Price("", 0.0, 0.0, "runs on this machine")


class Prices:
    """Where prices are looked up: first among those that were set, then among those of the package.

    `given` maps a model to `(input, output)`, or to a mapping with "input", "output", "source" and "date"; None is an
    unknown price. Raises `ValueError` with what is wrong with it.
    """

    def __init__(self, given: Mapping[str, Any] | None = None) -> None:
        self._given = {_key(model): _read(model, price) for model, price in (given or {}).items()}

    def find(self, model: str, *, is_local: bool = False) -> Price:
        """The price of a model by the name a server gives it, `UNKNOWN` if there is none.

        `is_local` says that it is on this machine, where the models of this package are free.
        """
        name = _key(model)
        if (found := _find(self._given, name)) is not None:
            return found
        if is_local and _LOCAL_MODEL.fullmatch(model):
            return FREE
        return find_published(model)

    def all(self) -> list[Price]:
        """Every price there is, those that were set first."""
        return [*self._given.values(), *(price for name, price in _published().items() if name not in self._given)]


def find_published(model: str) -> Price:
    """The price that this package has of a model, `UNKNOWN` if it has none."""
    return _find(_published(), _key(model)) or UNKNOWN


def _find(prices: Mapping[str, Price], name: str) -> Price | None:
    if name in prices:
        return prices[name]
    fitting = [known for known in prices if name.startswith(known) and _SUFFIX.fullmatch(name, len(known))]
    return prices[max(fitting, key=len)] if fitting else None


def _key(model: str) -> str:
    """The name without what differs from server to server: the maker before a slash, and how the parts are joined."""
    return re.sub(r"[\s._]+", "-", model.rpartition("/")[2].strip().lower())


@functools.cache
def _published() -> dict[str, Price]:
    text = resources.files(__package__).joinpath("prices.json").read_text("utf-8")
    return {_key(price["model"]): _read(price["model"], price) for price in json.loads(text)["prices"]}


def _read(model: str, price: Any) -> Price:
    if not isinstance(model, str) or not model.strip():
        raise ValueError("a price needs the name of its model")
    if isinstance(price, Mapping):
        unknown = sorted(set(price) - {"model", "input", "output", "source", "date"})
        if unknown:
            raise ValueError(f"the price of {model} has a field {unknown[0]!r}: it has input, output, source and date")
        values = (price.get("input"), price.get("output"))
    elif isinstance(price, list | tuple) and len(price) == 2:
        values, price = (price[0], price[1]), {}
    else:
        raise ValueError(f"the price of {model} is no pair of input and output: write ({model!r}: (2.0, 8.0))")
    input_usd, output_usd = (None if usd is None else _number(model, usd) for usd in values)
    return Price(model, input_usd, output_usd, str(price.get("source") or "set here"), str(price.get("date") or ""))


def _number(model: str, usd: Any) -> float:
    if isinstance(usd, bool) or not isinstance(usd, int | float) or not math.isfinite(usd) or usd < 0:
        raise ValueError(f"the price of {model} is no number of US dollars per million tokens: {usd!r}")
    return float(usd)
