"""The two plots of a report, drawn without a window and without touching the notebook's own pyplot."""

from __future__ import annotations

import io
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ..errors import ConfigurationError
from .figures import Figures, SideFigures

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_OLD, _NEW = "#8a8f98", "#2a6fdb"
_SIZE_INCHES = (7.0, 3.0)
_DOTS_PER_INCH = 110


def require_extra() -> None:
    """ConfigurationError, with the command to type, if matplotlib is not installed."""
    if find_spec("matplotlib") is None:
        raise ConfigurationError('The plots need one more package: pip install "holysheep_nb[shadow]".')


def draw_latency(figures: Figures) -> bytes:
    """A PNG: the share of prompts whose first token, and whose end, had come after so many seconds."""
    figure = _new_figure()
    both: list[tuple[str, str]] = [("first token", "first_delta_s"), ("whole answer", "total_s")]
    for axes, (title, name) in zip(figure.subplots(1, 2, sharey=True), both, strict=True):
        for side, label, colour in (("old", "old", _OLD), ("new", "HolySheep", _NEW)):
            values = [getattr(getattr(row.pair, side), name) for row in figures.answered]
            seconds = sorted(value for value in values if value is not None)
            shares = [100 * (index + 1) / len(seconds) for index in range(len(seconds))]
            axes.step([0, *seconds], [0, *shares], where="post", label=label, color=colour)
        axes.set_xlabel(f"seconds to the {title}")
        axes.set_xlim(left=0)
        axes.set_ylim(0, 102)
        _calm(axes)
    figure.axes[0].set_ylabel("% of the prompts")
    figure.axes[0].legend(frameon=False, loc="lower right")
    return _png(figure)


def draw_spending(figures: Figures) -> bytes:
    """A PNG: the tokens of each side, and beside them their cost, where both costs are known."""
    sides = [("old", figures.old), ("HolySheep", figures.new)]
    has_costs = all(side.cost is not None and side.cost.usd is not None and not side.cost.missing for _, side in sides)
    figure = _new_figure()
    every = figure.subplots(1, 2 if has_costs else 1, squeeze=False)[0]
    names = [name for name, _ in sides]
    given = [side.input_tokens or 0 for _, side in sides]
    made = [side.output_tokens or 0 for _, side in sides]
    every[0].barh(names, given, color=[_OLD, _NEW], alpha=0.45, label="in")
    every[0].barh(names, made, left=given, color=[_OLD, _NEW], label="out")
    every[0].set_xlabel("tokens, in (pale) and out")
    if has_costs:
        every[1].barh(names, [_usd(side) for _, side in sides], color=[_OLD, _NEW])
        every[1].set_xlabel("US dollars")
        every[1].set_yticklabels([])
        every[1].locator_params(axis="x", nbins=4)
    for axes in every:
        axes.invert_yaxis()
        _calm(axes)
    return _png(figure)


def _usd(side: SideFigures) -> float:
    return side.cost.usd or 0.0 if side.cost is not None else 0.0


def _new_figure() -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=_SIZE_INCHES, dpi=_DOTS_PER_INCH, layout="constrained")


def _calm(axes: Any) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)


def _png(figure: Figure) -> bytes:
    image = io.BytesIO()
    figure.savefig(image, format="png", facecolor="white", metadata={"Software": None})
    return image.getvalue()
