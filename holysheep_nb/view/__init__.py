"""What a notebook or terminal shows of a run."""

from __future__ import annotations

from collections.abc import Callable

from IPython.core.getipython import get_ipython
from IPython.core.interactiveshell import InteractiveShell

from ..run import Run, View
from .frozen import HeadlessView, HiddenView, Output, frozen_bundle
from .terminal import TerminalView

__all__ = ["open_view", "show_run", "show_text"]


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
    kernel = getattr(shell, "kernel", None)
    if kernel is None:
        return TerminalView(shows_error=shows_error)
    # Programs that run notebooks cannot answer a question, and say so; people's front ends can.
    if not getattr(kernel, "_allow_stdin", True):
        return HeadlessView(shell, shows_error=shows_error)
    from .widget import WidgetView

    return WidgetView(shell, live=live, shows_error=shows_error)


def show_run(shell: InteractiveShell, run: Run) -> None:
    """Puts a run's static output, as it is now, into the cell that is running."""
    Output(shell).show(*frozen_bundle(run))


def show_text(shell: InteractiveShell, text: str) -> Callable[[str], None]:
    """Shows plain text in the cell that is running. Gives a function that replaces it, from any thread."""
    output = Output(shell)
    output.show({"text/plain": text})
    return lambda replacement: output.show({"text/plain": replacement})
