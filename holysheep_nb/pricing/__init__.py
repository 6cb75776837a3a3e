"""What answers cost: prices as data, the cost of a run while it goes on, limits, and what was spent."""

from __future__ import annotations

from .cost import Cost, format_usd
from .meter import Meter
from .price import FREE, UNKNOWN, Price, Prices
from .spending import spending

__all__ = ["FREE", "UNKNOWN", "Cost", "Meter", "Price", "Prices", "format_usd", "spending"]
