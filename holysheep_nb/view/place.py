"""Where a widget stands in the output of a cell, until static output takes its place."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from .front_end import FRONT_END, PlacedWidget
from .output import Output

HELLO_TIMEOUT_S = 10.0
REPLACE_TIMEOUT_S = 1.0
KEEP_HINT = "%holysheep show puts this answer into the notebook"


class Place:
    """One widget in one output. All of it happens on the stream thread, but for `show`.

    The widget may be closed only when its last view has said `bye`, or when no page has shown it: `close` is called
    then, once. `keep_hint` says how to keep what it shows where the page cannot put static output in its place.
    """

    def __init__(self, shell: InteractiveShell, close: Callable[[], None], keep_hint: str = KEEP_HINT) -> None:
        self._keep_hint = keep_hint
        self._output = Output(shell)
        self._close = close
        self._widget: PlacedWidget | None = None
        self._page_views: set[str] = set()
        self.has_met_page = False
        self.is_frozen = False

    def hold(self, widget: PlacedWidget) -> None:
        """Takes a widget that is shown elsewhere, as inside another."""
        self._widget = widget

    def hello_left_s(self, age_s: float) -> float:
        """How much longer a page may take to say hello to what was shown `age_s` ago; 0.0 if it is too late."""
        return max(0.0, HELLO_TIMEOUT_S - age_s)

    def show(self, widget: PlacedWidget, text: str) -> None:
        """Shows the widget; `text` is for those who cannot."""
        self.hold(widget)
        self._output.show(widget_bundle(widget, text))

    def obey(self, content: dict[str, Any]) -> bool:
        """Does what a page says about its views; False if it is about something else."""
        match content.get("command"):
            case "hello":
                self.has_met_page = True
                self._page_views.add(str(content.get("view")))
            case "bye":
                self._page_views.discard(str(content.get("view")))
                self._close_if_replaced()
            case "load":
                if self._widget is not None:
                    self._widget.send({"front_end": FRONT_END.read_text(encoding="utf-8")})
            case _:
                return False
        return True

    def freeze(self, data: dict[str, Any], metadata: dict[str, Any]) -> None:
        """Puts static output in the widget's place, or in that of the static output that is there."""
        self._output.show(data, metadata)
        if self.is_frozen:
            return
        self.is_frozen = True
        loop = asyncio.get_running_loop()
        loop.call_later(REPLACE_TIMEOUT_S, self._offer, data, metadata)
        loop.call_later(HELLO_TIMEOUT_S, self._close_if_unseen)
        self._close_if_replaced()

    def settle(self, data: dict[str, Any], metadata: dict[str, Any]) -> None:
        """Does what the timers were to do: the thread ends, and they with it."""
        self._offer(data, metadata)
        self._close_if_unseen()

    def _offer(self, data: dict[str, Any], metadata: dict[str, Any]) -> None:
        """A page that was reloaded does not know the display: it has to put the static output in itself."""
        if self._widget is not None:
            with self._widget.hold_sync():
                self._widget.frozen = {"model_id": self._widget.model_id, "data": data, "metadata": metadata}
                self._widget.keep_hint = self._keep_hint

    def _close_if_replaced(self) -> None:
        """Closes once the frozen output has replaced every view that said hello."""
        if self.is_frozen and self.has_met_page and not self._page_views:
            self.close()

    def _close_if_unseen(self) -> None:
        """Closes what no page ever showed."""
        if not self.has_met_page:
            self.close()

    def close(self) -> None:
        """Closes the widget."""
        if self._widget is not None:
            self._widget.layout.close()
            self._widget.close()
            self._widget = None
            self._close()


def widget_bundle(widget: PlacedWidget, text: str) -> dict[str, Any]:
    """The MIME bundle that shows a widget."""
    view = {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}
    return {"text/plain": text, "application/vnd.jupyter.widget-view+json": view}
