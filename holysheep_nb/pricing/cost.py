"""What something costs, as far as it is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Cost:
    """US dollars, and what they do not hold.

    usd           what is known of it; None where nothing is
    missing       the prices that are unknown, of "input" and "output": `usd` is a lower bound then
    is_estimate   True where nobody has counted the tokens
    """

    usd: float | None
    missing: tuple[str, ...] = ()
    is_estimate: bool = False

    @property
    def is_lower_bound(self) -> bool:
        """True if it costs more than `usd`, and nobody knows how much."""
        return self.usd is not None and bool(self.missing)

    def __add__(self, other: Cost) -> Cost:
        known = [cost.usd for cost in (self, other) if cost.usd is not None]
        missing = tuple(name for name in ("input", "output") if name in self.missing or name in other.missing)
        return Cost(sum(known) if known else None, missing, self.is_estimate or other.is_estimate)

    def __str__(self) -> str:
        if self.usd is None:
            return "cost unknown"
        if not self.missing:
            return "free" if self.usd == 0 else f"{'≈ ' if self.is_estimate else ''}{format_usd(self.usd)}"
        usd = format_usd(self.usd)
        bound = f"≈ {usd} or more" if self.is_estimate else f"≥ {usd}"
        return f"{bound}, {self.missing[0]} price unknown" if len(self.missing) == 1 else f"{bound}, prices unknown"

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {"usd": self.usd, "missing": list(self.missing), "is_estimate": self.is_estimate}


def format_usd(usd: float) -> str:
    """0.00168 → "$0.0017", 0.05 → "$0.05", 1234.5 → "$1,234.50"."""
    if usd >= 1 or usd == 0:
        return f"${usd:,.2f}" if usd else "$0"
    text = f"{usd:.3f}" if usd >= 0.1 else f"{usd:.{_decimals(usd)}f}"
    whole, _, decimals = text.partition(".")
    return f"${whole}.{decimals.rstrip('0'):0<2}"


def _decimals(usd: float) -> int:
    """How many show two digits that are not the zeros in front."""
    exponent = int(f"{usd:e}".partition("e")[2])
    return 1 - exponent
