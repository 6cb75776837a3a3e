"""One output of a cell."""

from __future__ import annotations

import uuid
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from ..run import Run
from .frozen import result_images


class Output:
    """One output of a cell, which can be replaced from any thread, also after its cell has ended."""

    def __init__(self, shell: InteractiveShell) -> None:
        # Taken now: `%%capture` and its like swap the publisher for the time of another cell.
        self._publisher = shell.display_pub
        self._display_id = uuid.uuid4().hex
        self._is_shown = False

    def show(self, data: dict[str, Any], metadata: dict[str, Any] | None = None) -> None:
        """Shows a MIME bundle, in place of the one before."""
        self._publisher.publish(
            data=data,
            metadata=metadata or {},
            transient={"display_id": self._display_id},
            update=self._is_shown,
        )
        self._is_shown = True


def show_images(shell: InteractiveShell, run: Run) -> None:
    """Puts the images that the run's tools returned or displayed into the cell that is running, each as an output."""
    for kind, data in result_images(run.turn):
        Output(shell).show({kind: data, "text/plain": "(an image of a tool)"})
