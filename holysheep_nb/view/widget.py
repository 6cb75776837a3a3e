"""The live view: an anywidget fed with patches.

Everything here happens on the stream thread, but for `begin`, `conclude` and `show`, which the asker calls. State
goes down as traits; what comes up are commands, which may arrive on any thread (the main one or that
of a subshell) and are handed to the stream thread at once.

    document   {"seq": n, "parts": [...]}   everything up to patch n; made when it is asked for
    patch      {"seq": n, "ops": [...]}     what happened since patch n-1, at most 30 a second
    status     {"seq", "state", "message", "model", "context", "retry", "can_resume", "seconds_since_start"}, where
               `retry` is {"problem", "at_s", "attempt", "attempts"} while a request is about to be made again, else
               null: `at_s` is when, in seconds since the start
    stats      {"first_delta_s", "deltas_per_s", "seconds", "usage", "cost"}, at most 4 a second

Commands: `hello` and `bye` with a view's id, `stop`, `resume`, `resync`, `load`; `approve` with `call_id`, `arguments`
(JSON text, or null if they stay as they are) and `always`; `deny` with `call_id` and `reason`.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, ClassVar

from IPython.core.interactiveshell import InteractiveShell

from ..approvals import NOBODY_THERE
from ..conversation import Op
from ..errors import UsageError
from ..kernel import stream_thread
from ..masks import open_log
from ..run import Run
from .front_end import AnswerWidget, open_front_end
from .frozen import context_note, cost_note, ending_note, frozen_bundle, retry_note
from .headless import HiddenView
from .output import Output, show_images
from .place import Place, widget_bundle

_log = open_log(__name__)

PATCHES_PER_S = 30.0
# All streams of a kernel together: Jupyter's relay manages about 600 messages a second.
PATCHES_PER_S_IN_ALL = 100.0
STATS_INTERVAL_S = 0.25
SNAPSHOT_TIMEOUT_S = 2.0
# How long a cut answer keeps its button before it is frozen, unless a cell is run before.
RESUME_OFFER_S = 30.0


class WidgetView(HiddenView):
    """Streams a run into an `AnswerWidget`, and freezes it into markdown at the end unless `live`."""

    _streaming: ClassVar[set[WidgetView]] = set()  # those of this kernel whose run goes on
    _open: ClassVar[set[WidgetView]] = set()  # those whose widget is not closed
    _is_column: ClassVar[bool] = False  # True for those whose output is that of a comparison

    def __init__(self, shell: InteractiveShell, *, live: bool = False, shows_error: bool = True) -> None:
        super().__init__(shell)
        self._is_live = live
        self._shows_error = shows_error
        self._place = Place(shell, self._forget_widget)
        self._widget: AnswerWidget | None = None
        self._run: Run | None = None
        self._seq = 0
        self._pending: list[Op] = []
        self._last_flush = 0.0
        self._last_stats = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._has_begun = False
        self._freezing: asyncio.TimerHandle | None = None

    # What the run calls

    def begin(self, run: Run) -> None:
        """Shows the widget."""
        self._run = run
        self._born_in = self._shell.execution_count
        WidgetView._streaming.add(self)
        WidgetView._open.add(self)
        stream_thread.at_exit(_settle_views)
        open_front_end()
        self._widget = AnswerWidget(
            self._snapshot,
            document={"seq": self._seq},
            status=self._status(run),
            prompt=run.request.prompt,
            answer_format=run.request.answer_format,
            is_column=self._is_column,
        )
        self._widget.on_msg(self._receive)
        self._show_widget(run, self._widget)
        self._has_begun = True

    def update(self, run: Run, ops: list[Op]) -> None:
        """Gathers what changed; the first at once, the rest at the agreed rate."""
        for op in ops:
            last = self._pending[-1] if self._pending else None
            if last is not None and op[0] == "append" == last[0] and op[1] == last[1]:
                last[2].append(op[2])
            else:
                self._pending.append(["append", op[1], [op[2]]] if op[0] == "append" else op)
        if self._timer is not None:
            return
        loop = asyncio.get_running_loop()
        interval = max(1 / PATCHES_PER_S, len(WidgetView._streaming) / PATCHES_PER_S_IN_ALL)
        due = self._last_flush + interval
        if loop.time() >= due:
            self._flush()
        else:
            self._timer = loop.call_at(due, self._flush)

    def change_status(self, run: Run) -> None:
        """Tells the page where the run stands."""
        if self._widget is not None:
            self._widget.status = self._status(run)
        if run.status == "waiting" and not self._place.has_met_page:
            left_s = self._place.hello_left_s(run.timing.seconds)
            asyncio.get_running_loop().call_later(left_s, self._deny_unseen)

    @property
    def can_ask(self) -> bool:
        """True if a page shows the widget, or still may."""
        return self._place.has_met_page or self._run is None or self._place.hello_left_s(self._run.timing.seconds) > 0

    def conclude(self, run: Run) -> None:
        """The images of tools, which the frozen markdown cannot hold."""
        if not self._is_live:
            show_images(self._shell, run)

    def end(self, run: Run) -> None:
        """Sends the last state whole, then freezes it."""
        WidgetView._streaming.discard(self)
        self._flush()
        if self._widget is None:
            self._close()
            return
        with self._widget.hold_sync():
            self._widget.stats = self._stats(run)
            self._widget.status = self._status(run)
            self._widget.document = {"seq": self._seq, "is_final": True}
        if self._offers_resume(run):
            self._freezing = asyncio.get_running_loop().call_later(RESUME_OFFER_S, self._freeze)
            self._shell.events.register("pre_run_cell", self._freeze_soon)
        elif not self._is_live:
            self._freeze()

    def leave(self, run: Run) -> None:
        """Freezes what the cut left."""
        if not self._is_live:
            self._freeze()

    def show(self, run: Run) -> None:
        """A second view of what still streams; the frozen output of what has ended."""
        if self._shell.execution_count == self._born_in:
            return
        if run.is_finished or self._widget is None:
            Output(self._shell).show(*frozen_bundle(run))
        else:
            Output(self._shell).show(widget_bundle(self._widget, _widget_text(run)))

    def _show_widget(self, run: Run, widget: AnswerWidget) -> None:
        self._place.show(widget, _widget_text(run))

    def _offers_resume(self, run: Run) -> bool:
        """True while a person sees an answer that was cut off: for a moment, since a saved notebook holds no widget."""
        return run.status == "truncated" and self._place.has_met_page and not self._place.is_frozen

    # What the page says

    def _receive(self, _widget: AnswerWidget, content: Any, _buffers: Any) -> None:
        if stream_thread.is_running:
            stream_thread.call(self._obey, content)
        else:
            # The extension is unloaded: nothing streams, and no page is to start that thread again.
            self._obey(content)

    def _obey(self, content: Any) -> None:
        if isinstance(content, dict) and self._place.obey(content):
            return
        command = content.get("command") if isinstance(content, dict) else None
        match command:
            case "stop":
                if self._run is not None:
                    self._run.stop()
            case "resume":
                self._resume()
            case "approve" | "deny":
                self._decide(command, content)
            case "resync":
                if self._widget is not None:
                    self._widget.send_state("document")
            case _:
                _log.warning("a command from the page that is not known: %r", command)

    def _decide(self, command: str, content: dict[str, Any]) -> None:
        if self._run is None:
            return
        call_id, arguments = str(content.get("call_id")), content.get("arguments")
        if command == "deny":
            self._run.deny(call_id, str(content.get("reason") or ""))
        else:
            edited = arguments if isinstance(arguments, str) else None
            self._run.approve(call_id, edited, always=content.get("always") is True)

    def _resume(self) -> None:
        if self._run is None or not self._offers_resume(self._run):
            return
        try:
            self._run.resume()
        except UsageError as refusal:
            if self._widget is not None:
                self._widget.status = {**self._status(self._run), "message": str(refusal)}
            return
        self._end_offer()
        WidgetView._streaming.add(self)

    # On the stream thread

    def _freeze(self) -> None:
        """Puts the static output in the widget's place."""
        self._end_offer()
        if self._place.is_frozen or self._run is None or not self._run.is_finished:
            return
        self._place.freeze(*frozen_bundle(self._run, shows_error=self._shows_error))

    def _freeze_soon(self, _info: object = None) -> None:
        stream_thread.call(self._freeze)

    def _settle(self) -> None:
        """Does what the timers were to do: the thread ends, and they with it."""
        if self._is_live or self._run is None:
            return
        self._freeze()
        self._place.settle(*frozen_bundle(self._run, shows_error=self._shows_error))

    def _end_offer(self) -> None:
        if self._freezing is not None:
            self._freezing.cancel()
            self._freezing = None
            with contextlib.suppress(ValueError):
                self._shell.events.unregister("pre_run_cell", self._freeze_soon)

    def _deny_unseen(self) -> None:
        if not self._place.has_met_page and self._run is not None:
            self._run.approvals.deny_all(NOBODY_THERE)

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._pending or self._widget is None or self._run is None:
            return
        ops = [["append", op[1], "".join(op[2])] if op[0] == "append" else op for op in self._pending]
        self._pending = []
        self._seq += 1
        now = self._last_flush = asyncio.get_running_loop().time()
        with self._widget.hold_sync():
            self._widget.patch = {"seq": self._seq, "ops": ops}
            if now - self._last_stats >= STATS_INTERVAL_S:
                self._last_stats = now
                self._widget.stats = self._stats(self._run)

    def _snapshot(self) -> dict[str, Any]:
        """The traits as they are now. Safe from any thread: made on the stream thread, where the turn grows."""
        if not self._has_begun or stream_thread.is_current or not stream_thread.is_running:
            return self._make_snapshot()

        async def make() -> dict[str, Any]:
            return self._make_snapshot()

        return stream_thread.submit(make()).result(SNAPSHOT_TIMEOUT_S)

    def _make_snapshot(self) -> dict[str, Any]:
        assert self._run is not None
        self._flush()
        parts = [part.to_dict() for part in self._run.turn.parts]
        return {
            "document": {"seq": self._seq, "parts": parts},
            "status": self._status(self._run),
            "stats": self._stats(self._run),
        }

    def _status(self, run: Run) -> dict[str, Any]:
        return {
            "seq": self._seq,
            "state": run.status,
            "message": str(run.error) if run.error else ending_note(run),
            "model": run.model,
            "context": context_note(run),
            "retry": retry_note(run),
            "can_resume": self._offers_resume(run),
            "seconds_since_start": round(run.timing.seconds, 3),
        }

    def _stats(self, run: Run) -> dict[str, Any]:
        first, rate = run.timing.first_delta_s, run.timing.deltas_per_s
        return {
            "first_delta_s": None if first is None else round(first, 3),
            "deltas_per_s": None if rate is None else round(rate, 1),
            "seconds": round(run.timing.seconds, 2),
            "usage": run.usage.to_dict() if run.usage else None,
            "cost": cost_note(run) or None,
        }

    def _close(self) -> None:
        self._place.close()
        self._forget_widget()

    def _forget_widget(self) -> None:
        WidgetView._open.discard(self)
        self._widget = None


def _widget_text(run: Run) -> str:
    return f"({run.request.model} …)"


async def _settle_views() -> None:
    """Leaves nothing to timers, before the stream thread ends."""
    for view in tuple(WidgetView._open):
        view._settle()
