"""What a tool prints and displays, for its card."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterator
from typing import Any

from IPython.core.getipython import get_ipython
from IPython.utils.capture import capture_output

from ..content.figures import open_figures

_TEXT_CHARACTERS = 20_000
_BUNDLES = 20


@contextlib.contextmanager
def captured_output(shown: list[dict[str, Any]]) -> Iterator[None]:
    """While it is entered, what is printed and displayed goes to `shown`, as MIME bundles, and nowhere else.

    It is for the thread that calls tools; what other threads print meanwhile is gathered too.
    """
    if get_ipython() is None:
        text = io.StringIO()
        try:
            with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
                yield
        finally:
            _add_text(shown, text.getvalue())
        return
    captured = None
    before = open_figures()
    try:
        with capture_output() as captured:
            yield
            if open_figures() - before:
                _show_figures()
    finally:
        if captured is not None:
            _add_text(shown, captured.stdout + captured.stderr)
            shown.extend(dict(output.data) for output in captured.outputs[:_BUNDLES])


def _add_text(shown: list[dict[str, Any]], text: str) -> None:
    if text.strip():
        cut = f"{text[:_TEXT_CHARACTERS]}\n(cut: {len(text):,} characters)" if len(text) > _TEXT_CHARACTERS else text
        shown.append({"text/plain": cut})


def _show_figures() -> None:
    """Shows the figures of pyplot now, if its backend would at the end of the cell: they belong to the call."""
    backend = sys.modules.get("matplotlib_inline.backend_inline")
    matplotlib = sys.modules.get("matplotlib")
    if backend is not None and matplotlib is not None and "inline" in matplotlib.get_backend().lower():
        backend.flush_figures()
