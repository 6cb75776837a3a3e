"""The cell that is running, for verbs that show more than one line."""

from __future__ import annotations

import base64
import html
from collections.abc import Callable

from IPython.core.interactiveshell import InteractiveShell

from ..masks import mask
from ..run import Run
from .frozen import frozen_bundle
from .output import Output


class Page:
    """Shows one thing below the other. No key is in what it shows."""

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell

    def show_line(self, text: str) -> Callable[[str], None]:
        """Shows plain text. Gives a function that replaces it, from any thread."""
        output = Output(self._shell)
        output.show({"text/plain": mask(text)})
        return lambda replacement: output.show({"text/plain": mask(replacement)})

    def show_markdown(self, text: str, plain: str | None = None) -> None:
        """Shows markdown; a terminal shows `plain`, or the source with every sign as it is meant."""
        text_plain = html.unescape(text) if plain is None else plain
        Output(self._shell).show({"text/markdown": mask(text), "text/plain": mask(text_plain)})

    def show_answer(self, run: Run) -> None:
        """Shows a run as it is now, for good."""
        Output(self._shell).show(*frozen_bundle(run))

    def show_image(self, png: bytes, described: str) -> None:
        """Shows an image."""
        Output(self._shell).show({"image/png": base64.b64encode(png).decode("ascii"), "text/plain": f"({described})"})
