"""`%holysheep prices` and `%holysheep cost`: the line read, the table written."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..errors import HolySheepError, UsageError
from .ledger import read_today
from .price import Price, Prices
from .spending import Total, spending

if TYPE_CHECKING:
    from ..run import Run

_FORMS = "[MODEL INPUT OUTPUT] or --remove MODEL"
_UNKNOWN_WORDS = ("-", "–", "?")


def changed_prices(words: list[str], given: Mapping[str, Any]) -> dict[str, Any] | None:
    """The prices that were set, as the line changes them; None if it only asks for the table. Raises `UsageError`."""
    match words:
        case []:
            return None
        case ["--remove", model]:
            if model not in given:
                raise UsageError(f"No price was set for {model!r}.")
            return {name: price for name, price in given.items() if name != model}
        case [model, input_usd, output_usd] if not model.startswith("-"):
            price = {"input": _usd(input_usd), "output": _usd(output_usd)}
            return {**given, model: {**price, "source": "%holysheep prices", "date": date.today().isoformat()}}
    raise UsageError(f"%holysheep prices takes {_FORMS}, in USD per million tokens; - is an unknown price.")


def prices_table(prices: Prices) -> str:
    """Every price, with where it is from."""
    rows = [(price.model, *_shown(price), _origin(price)) for price in prices.all()]
    table = _align([("", "input", "output", ""), *rows])
    return f"{table}\n\nUSD per million tokens; – is unknown. %holysheep prices MODEL INPUT OUTPUT sets one."


def models_table(
    models: Sequence[str], find_price: Callable[[str], Price], chosen: str, aliases: Mapping[str, str]
) -> str:
    """The models, each with its price and with the short names it has."""
    rows = []
    for model in models:
        notes = [f"alias {name}" for name, of in sorted(aliases.items()) if of == model]
        notes += ["the one that answers"] if model == chosen else []
        rows.append((model, *_shown(find_price(model)), ", ".join(notes)))
    return f"{_align([('', 'input', 'output', ''), *rows])}\n\nUSD per million tokens; – is unknown."


def cell_total(runs: Sequence[Run]) -> Total:
    """The runs of the cell that asked last."""
    total = Total()
    for run in runs:
        usage, cost = run.usage_so_far, run.cost
        if run.request.cell == runs[-1].request.cell and usage is not None and cost is not None:
            total = total.plus(usage, cost)
    return total


def cost_table(cell: Total) -> str:
    """What was spent: by the last cell that asked, in this kernel, today in all kernels. Raises `HolySheepError`."""
    try:
        today = read_today()
    except OSError as error:
        raise HolySheepError(
            f"The file of today's costs cannot be read ({error.strerror}).", details=repr(error)
        ) from None
    rows = [("last cell", cell), ("this notebook", spending.total), ("today", today)]
    return _align([("", "runs", "tokens", "cost"), *(_total_row(name, total) for name, total in rows)])


def _total_row(name: str, total: Total) -> tuple[str, ...]:
    if total.cost is None:
        return name, "0", "–", "–"
    return name, f"{total.runs:,}", f"{total.input_tokens:,} + {total.output_tokens:,}", str(total.cost)


def _align(rows: Sequence[Sequence[str]]) -> str:
    """The rows as columns of plain text, the last one ragged."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    lines = ["".join(f"{cell:<{width + 3}}" for cell, width in zip(row, [*widths, 0], strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def _shown(price: Price) -> list[str]:
    """Input and output, "–" where unknown."""
    prices = (price.input_usd, price.output_usd)
    return ["–" if usd is None else f"{usd:,.2f}" if usd == round(usd, 2) else f"{usd:,g}" for usd in prices]


def _origin(price: Price) -> str:
    place = urlsplit(price.source).netloc or price.source
    return f"{place}, {price.date}" if price.date else place


def _usd(word: str) -> float | None:
    if word in _UNKNOWN_WORDS:
        return None
    try:
        usd = float(word)
    except ValueError:
        usd = math.nan
    if not math.isfinite(usd) or usd < 0:
        raise UsageError(f"A price is a number of US dollars per million tokens, and {word!r} is none.")
    return usd
