"""The widgets of the browser side: the traits of an answer and of a comparison, and the code, which is sent once."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import anywidget
from traitlets import Bool, Dict, List, Unicode

_STATIC = pathlib.Path(__file__).parent.parent / "static"

FRONT_END = _STATIC / "widget.js"


class FrontEnd(anywidget.AnyWidget):
    """Carries the front end's code into the page. Never displayed: a page evaluates it when it opens."""

    _esm = Unicode(FRONT_END.read_text(encoding="utf-8")).tag(sync=True)


_front_end: FrontEnd | None = None


def open_front_end() -> None:
    """Sends the code, unless this kernel has sent it already. Pages that come later find it there."""
    global _front_end
    if _front_end is None or _front_end.comm is None:
        _front_end = FrontEnd()


def close_front_end() -> None:
    """Takes the code back."""
    global _front_end
    if _front_end is not None:
        _front_end.layout.close()
        _front_end.close()
        _front_end = None


class PlacedWidget(anywidget.AnyWidget):
    """What stands in a cell's output. What it brings is a loader; the code came with `FrontEnd`."""

    # The text and not the path: anywidget never lets go of a widget whose code is a file.
    _esm = Unicode((_STATIC / "loader.js").read_text(encoding="utf-8")).tag(sync=True)

    # The static output with the widget's model_id, once the page has not been reached otherwise.
    frozen = Dict().tag(sync=True)
    # How to keep the answer, where the page cannot put the static output into the notebook.
    keep_hint = Unicode("").tag(sync=True)


class AnswerWidget(PlacedWidget):
    """One answer."""

    # Everything up to patch `seq`. The trait holds only the number; `get_state` asks for the rest.
    document = Dict().tag(sync=True)
    # What happened since the patch before.
    patch = Dict().tag(sync=True)
    # Where the run stands.
    status = Dict().tag(sync=True)
    # How fast it goes.
    stats = Dict().tag(sync=True)
    # What was asked.
    prompt = Unicode().tag(sync=True)
    # True while the prompt is to be seen above the answer.
    shows_prompt = Bool(False).tag(sync=True)
    # How the answer is to be read: markdown, text, code or json.
    answer_format = Unicode("markdown").tag(sync=True)
    # True while it is one of several answers side by side, whose heading names the model.
    is_column = Bool(False).tag(sync=True)

    def __init__(self, snapshot: Callable[[], dict[str, Any]], **traits: Any) -> None:
        self._snapshot = snapshot
        super().__init__(**traits)

    def get_state(self, key: Any = None, drop_defaults: bool = False) -> dict[str, Any]:
        """What is sent to a page: on open, when a reloaded page asks, and when a trait changes."""
        state: dict[str, Any] = super().get_state(key, drop_defaults)
        if "document" in state:
            state.update((name, value) for name, value in self._snapshot().items() if name in state)
        return state


class CompareWidget(PlacedWidget):
    """Several answers side by side. It holds no text: each column shows an `AnswerWidget`."""

    # [{"model_id", "name", "state", "can_keep", "is_kept"}, ...]: the answers' widgets, and what is known of them.
    columns: List[Any] = List().tag(sync=True)
    # What later cells go on from.
    note = Unicode("").tag(sync=True)
    # {"columns": [left, right], "pieces": [[side, text], ...], "is_cut"}: the last that was asked for.
    difference = Dict().tag(sync=True)
