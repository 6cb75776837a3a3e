"""pyplot's open figures, where pyplot is in use at all."""

from __future__ import annotations

import sys
from typing import Any


def open_figures() -> frozenset[int]:
    """The numbers of the figures that are open now."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    return frozenset(pyplot.get_fignums()) if pyplot is not None else frozenset()


def close_new(value: Any, before: frozenset[int]) -> None:
    """Closes `value` if it is a figure that was not open `before`: it has been drawn, and would be shown once more."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    figure = getattr(value, "figure", value)
    number = getattr(figure, "number", None)
    if pyplot is not None and isinstance(number, int) and number in open_figures() - before:
        pyplot.close(figure)
