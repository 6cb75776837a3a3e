"""The live view of a comparison: one `AnswerWidget` a column, and a `CompareWidget` that lays them out.

The answers stream as they always do, each with its own patches, commands and approvals. What the `CompareWidget` adds:

    columns      [{"model_id", "name", "state", "can_keep", "is_kept"}, ...], sent when a run ends or one is kept
    note         what later cells go on from
    difference   {"columns": [left, right], "pieces": [[side, text], ...], "is_cut"}, when it was asked for

Commands: `hello`, `bye` and `load` as for an answer; `keep` with the place of a `column`; `compare` with the places of
two `columns`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any, ClassVar

from IPython.core.interactiveshell import InteractiveShell

from ..comparison import Comparison
from ..difference import find_difference
from ..errors import UsageError
from ..kernel import run_in_own_thread, stream_thread
from ..masks import open_log
from ..run import Run, View
from .front_end import AnswerWidget, CompareWidget
from .frozen_comparison import choice_note, frozen_comparison
from .output import Output, show_images
from .place import Place, widget_bundle
from .widget import WidgetView

_log = open_log(__name__)

# How long all answers stay side by side with their buttons, unless one is kept or a cell is run before.
KEEP_OFFER_S = 60.0
KEEP_HINT = "To put these answers into the notebook, show the cell's value in a new cell."


class ColumnView(WidgetView):
    """An answer whose place is in a comparison: that shows it, freezes it and closes it."""

    _is_column: ClassVar[bool] = True

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell, live=True)

    @property
    def model_id(self) -> str:
        """The widget's; "" if there is none."""
        return "" if self._widget is None else str(self._widget.model_id)

    def close(self) -> None:
        """Closes the widget."""
        self._close()

    def _show_widget(self, run: Run, widget: AnswerWidget) -> None:
        self._place.hold(widget)

    def _offers_resume(self, run: Run) -> bool:
        return False


class CompareView:
    """Shows a comparison side by side, and freezes it into markdown when the choice is made, unless `live`."""

    _open: ClassVar[set[CompareView]] = set()  # those whose widget is not closed

    def __init__(self, shell: InteractiveShell, *, live: bool = False) -> None:
        self._shell = shell
        self._is_live = live
        self._place = Place(shell, self._forget_widget, KEEP_HINT)
        self._columns: list[ColumnView] = []
        self._widget: CompareWidget | None = None
        self._comparison: Comparison | None = None
        self._born_in = -1
        self._freezing: asyncio.TimerHandle | None = None
        self._contrasting: set[asyncio.Task[None]] = set()

    # What the comparison calls

    def open_columns(self, count: int) -> Sequence[View]:
        """A column for each run."""
        self._columns = [ColumnView(self._shell) for _ in range(count)]
        return self._columns

    def begin(self, comparison: Comparison) -> None:
        """Shows the widget."""
        self._comparison = comparison
        self._born_in = self._shell.execution_count
        CompareView._open.add(self)
        stream_thread.at_exit(_settle_comparisons)
        self._widget = CompareWidget(**self._state(comparison))
        self._widget.on_msg(self._receive)
        self._place.show(self._widget, self._text)

    def update(self, comparison: Comparison) -> None:
        """Says what has ended and what is kept. When all have ended, a person has a while to keep one."""
        self._tell_page(comparison)
        if not comparison.is_finished or self._is_live:
            return
        is_choice_open = comparison.kept is None and comparison.answer is not None and self._has_met_page
        if self._place.is_frozen or not is_choice_open:
            self._freeze()
        elif self._freezing is None:
            self._freezing = asyncio.get_running_loop().call_later(KEEP_OFFER_S, self._freeze)
            self._shell.events.register("pre_run_cell", self._freeze_soon)

    def conclude(self, comparison: Comparison) -> None:
        """The images of tools, which the frozen markdown cannot hold."""
        if not self._is_live:
            for run in comparison.runs:
                show_images(self._shell, run)

    def show(self, comparison: Comparison) -> None:
        """A second view of what still streams; the frozen output of what has ended."""
        if self._shell.execution_count == self._born_in:
            return
        if comparison.is_finished or self._widget is None:
            Output(self._shell).show(*frozen_comparison(comparison))
        else:
            Output(self._shell).show(widget_bundle(self._widget, self._text))

    # What the page says

    def _receive(self, _widget: CompareWidget, content: Any, _buffers: Any) -> None:
        if stream_thread.is_running:
            stream_thread.call(self._obey, content)
        else:
            self._obey(content)

    def _obey(self, content: Any) -> None:
        if not isinstance(content, dict) or self._place.obey(content):
            return
        match content:
            case {"command": "keep", "column": int(column)}:
                self._keep(column)
            case {"command": "compare", "columns": [int(left), int(right)]}:
                task = asyncio.ensure_future(self._contrast(left, right))
                self._contrasting.add(task)
                task.add_done_callback(self._contrasting.discard)
            case _:
                _log.warning("a command from the page that is not known: %r", content.get("command"))

    def _keep(self, column: int) -> None:
        if self._comparison is None or self._place.is_frozen:
            return
        try:
            self._comparison.keep(column)
        except UsageError as refusal:
            if self._widget is not None:
                self._widget.note = str(refusal)

    async def _contrast(self, left: int, right: int) -> None:
        """Tells the page where two answers, as they are now, differ."""
        assert self._comparison is not None
        runs = self._comparison.runs
        if not (0 <= left < len(runs) and 0 <= right < len(runs)):
            return
        texts = runs[left].text, runs[right].text
        found = await run_in_own_thread(lambda: find_difference(*texts))
        if self._widget is not None:
            pieces = [list(piece) for piece in found.pieces]
            self._widget.difference = {"columns": [left, right], "pieces": pieces, "is_cut": found.is_cut}

    # On the stream thread

    @property
    def _has_met_page(self) -> bool:
        return self._place.has_met_page

    @property
    def _text(self) -> str:
        return "(several models …)"

    def _tell_page(self, comparison: Comparison) -> None:
        if self._widget is None:
            return
        state = self._state(comparison)
        with self._widget.hold_sync():
            self._widget.columns, self._widget.note = state["columns"], state["note"]

    def _state(self, comparison: Comparison) -> dict[str, Any]:
        columns = [
            {
                "model_id": column.model_id,
                "name": name,
                "state": run.status if run.is_finished else "streaming",
                "can_keep": run.is_finished and bool(run.text),
                "is_kept": run is comparison.kept,
            }
            for column, name, run in zip(self._columns, comparison.names, comparison.runs, strict=True)
        ]
        return {"columns": columns, "note": choice_note(comparison, is_live=True)}

    def _freeze(self) -> None:
        """Puts the static output in the widget's place, or in that of the one before."""
        self._end_offer()
        if self._comparison is not None and self._comparison.is_finished:
            self._place.freeze(*frozen_comparison(self._comparison))

    def _freeze_soon(self, _info: object = None) -> None:
        stream_thread.call(self._freeze)

    def _end_offer(self) -> None:
        if self._freezing is not None:
            self._freezing.cancel()
            self._freezing = None
            with contextlib.suppress(ValueError):
                self._shell.events.unregister("pre_run_cell", self._freeze_soon)

    def _settle(self) -> None:
        """Does what the timers were to do: the thread ends, and they with it."""
        if self._is_live or self._comparison is None:
            return
        if not self._place.is_frozen:
            self._freeze()
        self._place.settle(*frozen_comparison(self._comparison))

    def _forget_widget(self) -> None:
        CompareView._open.discard(self)
        self._widget = None
        for column in self._columns:
            column.close()


async def _settle_comparisons() -> None:
    """Leaves nothing to timers, before the stream thread ends."""
    for view in tuple(CompareView._open):
        view._settle()
