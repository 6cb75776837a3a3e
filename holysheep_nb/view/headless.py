"""Runs that stream unseen: into a variable, or in a notebook that a program runs."""

from __future__ import annotations

from IPython.core.interactiveshell import InteractiveShell

from ..conversation import Op
from ..run import Run
from .frozen import frozen_bundle
from .output import Output, show_images


class HiddenView:
    """Shows nothing until the run is evaluated: then its frozen output."""

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell
        self._born_in = -1

    def begin(self, run: Run) -> None:
        """Nothing to show yet."""

    def update(self, run: Run, ops: list[Op]) -> None:
        """Nothing to show yet."""

    def change_status(self, run: Run) -> None:
        """Nothing to show yet."""

    @property
    def can_ask(self) -> bool:
        """False: nobody sees a question."""
        return False

    def conclude(self, run: Run) -> None:
        """Nothing to show yet."""

    def leave(self, run: Run) -> None:
        """What is shown stays."""

    def end(self, run: Run) -> None:
        """Nothing to show yet."""

    def show(self, run: Run) -> None:
        """The frozen output, unless the cell that made the run shows it already."""
        if self._shell.execution_count != self._born_in:
            Output(self._shell).show(*frozen_bundle(run))


class HeadlessView(HiddenView):
    """For notebooks run by a program: the frozen output when the run has ended, and no widget."""

    def __init__(self, shell: InteractiveShell, *, shows_error: bool = True) -> None:
        super().__init__(shell)
        self._shows_error = shows_error
        self._output = Output(shell)

    def begin(self, run: Run) -> None:
        """Takes the place where the output will be."""
        self._born_in = self._shell.execution_count
        self._output.show({"text/plain": f"({run.request.model} …)"})

    def conclude(self, run: Run) -> None:
        """The images of tools, which markdown cannot hold."""
        show_images(self._shell, run)

    def end(self, run: Run) -> None:
        """Shows the frozen output, now and at the end of the cell that is then running.

        nbclient takes a message only while the cell is running that it belongs to: an answer in the
        background would be lost with the cell that asked long gone.
        """
        bundle = frozen_bundle(run, shows_error=self._shows_error)
        self._output.show(*bundle)

        def show_again(_result: object = None) -> None:
            self._shell.events.unregister("post_run_cell", show_again)
            self._output.show(*bundle)

        self._shell.events.register("post_run_cell", show_again)
