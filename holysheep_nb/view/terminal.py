"""A run in terminal IPython: the text as it arrives, and one line when it is done."""

from __future__ import annotations

import sys

from ..conversation import Op
from ..parts import ReasoningPart
from ..run import Run
from .frozen import footer, frozen_text

_DIM, _RESET = "\x1b[2m", "\x1b[0m"


class TerminalView:
    """Prints what comes, reasoning dimmed."""

    def __init__(self, *, shows_error: bool = True) -> None:
        self._shows_error = shows_error
        self._is_colourful = sys.stdout.isatty()
        self._part = -1

    def begin(self, run: Run) -> None:
        """Nothing to print yet."""

    def update(self, run: Run, ops: list[Op]) -> None:
        """Prints what was appended."""
        for kind, index, what in ops:
            text = what if kind == "append" else what.get("text", "")
            if not text:
                continue
            if self._part not in (-1, index):
                print("\n")
            self._part = index
            print(self._dim(text) if isinstance(run.turn.parts[index], ReasoningPart) else text, end="")
        sys.stdout.flush()

    def change_status(self, run: Run) -> None:
        """The text speaks for itself."""

    def end(self, run: Run) -> None:
        """Prints the footer, and the error's sentence unless the prompt is going to."""
        if run.turn.parts:
            print()
        if self._shows_error and run.error is not None:
            print(run.error)
        print(self._dim(footer(run)), flush=True)

    def show(self, run: Run) -> None:
        """Evaluating a finished run prints its text once more; the line that made it has done so."""
        if run.is_finished and self._part == -1:
            print(frozen_text(run))
        self._part = -1

    def _dim(self, text: str) -> str:
        return f"{_DIM}{text}{_RESET}" if self._is_colourful else text
