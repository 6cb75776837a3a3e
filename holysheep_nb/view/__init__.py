"""What a notebook or terminal shows of a run."""

from __future__ import annotations

import sys
from collections.abc import Callable

from IPython.core.getipython import get_ipython
from IPython.core.interactiveshell import InteractiveShell

from ..comparison import ComparisonView
from ..run import Run, View
from .capture import captured_output
from .frozen import frozen_bundle
from .headless import HeadlessView, HiddenView
from .output import Output
from .page import Page
from .plain_comparison import HeadlessComparison, HiddenComparison, TerminalComparison
from .terminal import TerminalView

__all__ = [
    "Page",
    "captured_output",
    "clean_up",
    "has_front_end",
    "open_comparison",
    "open_view",
    "prepare",
    "show_run",
    "show_text",
]


def open_view(*, live: bool = False, hidden: bool = False, shows_error: bool = True) -> View | None:
    """The view that fits where this runs, or None in a plain Python process.

    A notebook with a person before it gets the widget, which freezes into markdown unless `live`;
    a notebook run by a program (nbclient, papermill) gets the markdown alone; a terminal gets text.
    `hidden` shows nothing until the run is evaluated. `shows_error` False leaves the sentence of an
    error to the cell, which is going to raise it.
    """
    shell = get_ipython()
    if shell is None:
        return None
    if hidden:
        return HiddenView(shell)
    if getattr(shell, "kernel", None) is None:
        return TerminalView(shows_error=shows_error)
    if not has_front_end(shell):
        return HeadlessView(shell, shows_error=shows_error)
    from .widget import WidgetView

    return WidgetView(shell, live=live, shows_error=shows_error)


def open_comparison(*, live: bool = False, hidden: bool = False) -> ComparisonView | None:
    """The same for a comparison."""
    shell = get_ipython()
    if shell is None:
        return None
    if hidden:
        return HiddenComparison(shell)
    if getattr(shell, "kernel", None) is None:
        return TerminalComparison()
    if not has_front_end(shell):
        return HeadlessComparison(shell)
    from .compare import CompareView

    return CompareView(shell, live=live)


def has_front_end(shell: InteractiveShell) -> bool:
    """True if a person sits before this kernel: programs that run notebooks cannot answer, and say so."""
    kernel = getattr(shell, "kernel", None)
    return kernel is not None and bool(getattr(kernel, "_allow_stdin", True))


def prepare(shell: InteractiveShell) -> None:
    """Sends the front end's code ahead, so that the first answer need not wait for it."""
    if has_front_end(shell):
        from .front_end import open_front_end

        open_front_end()


def clean_up() -> None:
    """Takes back what `prepare` sent."""
    front_end = sys.modules.get(f"{__name__}.front_end")
    if front_end is not None:
        front_end.close_front_end()


def show_run(shell: InteractiveShell, run: Run) -> None:
    """Puts a run's static output, as it is now, into the cell that is running."""
    Output(shell).show(*frozen_bundle(run))


def show_text(shell: InteractiveShell, text: str) -> Callable[[str], None]:
    """Shows plain text in the cell that is running. Gives a function that replaces it, from any thread."""
    output = Output(shell)
    output.show({"text/plain": text})
    return lambda replacement: output.show({"text/plain": replacement})
