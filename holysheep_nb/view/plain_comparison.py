"""Comparisons without a page: in a variable, in a notebook that a program runs, and in a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from IPython.core.interactiveshell import InteractiveShell

from ..comparison import Comparison
from ..conversation import Op
from ..parts import ToolCallPart
from ..run import Run, View
from .frozen import footer, frozen_text
from .frozen_comparison import choice_note, comparison_text, frozen_comparison
from .headless import HiddenView
from .output import Output, show_images
from .terminal import TerminalView


class HiddenComparison:
    """Shows nothing until the comparison is evaluated: then its frozen output."""

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell
        self._born_in = -1

    def open_columns(self, count: int) -> Sequence[View]:
        """A view for each run."""
        return [HiddenView(self._shell) for _ in range(count)]

    def begin(self, comparison: Comparison) -> None:
        """Nothing to show yet."""

    def update(self, comparison: Comparison) -> None:
        """Nothing to show yet."""

    def conclude(self, comparison: Comparison) -> None:
        """Nothing to show yet."""

    def show(self, comparison: Comparison) -> None:
        """The frozen output, unless the cell that made the comparison shows it already."""
        if self._shell.execution_count != self._born_in:
            Output(self._shell).show(*frozen_comparison(comparison))


class HeadlessComparison(HiddenComparison):
    """For notebooks run by a program: the frozen output when all have ended, and no widget."""

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self._output = Output(shell)
        self._is_told = False

    def begin(self, comparison: Comparison) -> None:
        """Takes the place where the output will be."""
        self._born_in = self._shell.execution_count
        self._output.show({"text/plain": "(several models …)"})

    def update(self, comparison: Comparison) -> None:
        """Shows the frozen output, now and at the end of the cell that is then running, as for a run."""
        if not comparison.is_finished:
            return
        self._output.show(*frozen_comparison(comparison))
        if self._is_told:
            return
        self._is_told = True

        def show_again(_result: object = None) -> None:
            self._shell.events.unregister("post_run_cell", show_again)
            self._output.show(*frozen_comparison(comparison))

        self._shell.events.register("post_run_cell", show_again)

    def conclude(self, comparison: Comparison) -> None:
        """The images of tools, which markdown cannot hold."""
        for run in comparison.runs:
            show_images(self._shell, run)


class TerminalColumn(TerminalView):
    """Asks about calls at once, and prints the answer as a whole when it has come, under its model's name."""

    def update(self, run: Run, ops: list[Op]) -> None:
        """Asks what a call waits for."""
        super().update(run, [op for op in ops if isinstance(run.turn.parts[op[1]], ToolCallPart)])

    def change_status(self, run: Run) -> None:
        """The footer says it."""

    def end(self, run: Run) -> None:
        """Prints it all."""
        print(f"\n## {run.request.model}\n\n{frozen_text(run)}\n{self._dim(footer(run))}", flush=True)


class TerminalComparison:
    """One answer below the other, as they are complete."""

    def __init__(self) -> None:
        self._is_printed = False

    def open_columns(self, count: int) -> Sequence[View]:
        """A view for each run."""
        return [TerminalColumn() for _ in range(count)]

    def begin(self, comparison: Comparison) -> None:
        """Nothing to print yet."""

    def update(self, comparison: Comparison) -> None:
        """At the end, and when one is kept, prints what later prompts go on from."""
        if comparison.is_finished and (note := choice_note(comparison, is_live=False)):
            print(f"\n{note}", flush=True)

    def conclude(self, comparison: Comparison) -> None:
        """A terminal shows no images."""

    def show(self, comparison: Comparison) -> None:
        """Evaluating it later prints the answers once more; the line that made it has done so."""
        if self._is_printed:
            print(comparison_text(comparison))
        self._is_printed = True
