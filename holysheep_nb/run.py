"""The handle on one request: wait for it, stop it, read what it gave."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
from collections.abc import AsyncGenerator, Callable, Generator
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeAlias

from .approvals import Approvals, Decision
from .conversation import Op, Turn, Usage
from .errors import (
    AnswerFormatError,
    AnswerTooLongError,
    APIError,
    BudgetError,
    HolySheepError,
    ProtocolError,
    TransportError,
    UsageError,
    forget_frames,
    show_briefly,
)
from .events import (
    ApprovalRequested,
    CallQueued,
    Event,
    ReasoningDelta,
    RetryScheduled,
    RouteChanged,
    TextDelta,
    ToolCallDelta,
    ToolFinished,
    ToolStarted,
    TurnFinished,
    TurnResumed,
    UsageReported,
)
from .kernel import hold_interrupts, stream_thread, wait_blocking, wait_ticking
from .masks import open_log
from .parts import ToolCallPart
from .pricing import Cost, Meter
from .tally import Tally
from .timing import Timing

_log = open_log(__name__)

State: TypeAlias = Literal[
    "connecting", "retrying", "streaming", "waiting", "complete", "stopped", "truncated", "failed", "budget"
]
TERMINAL_STATES: frozenset[State] = frozenset({"complete", "stopped", "truncated", "failed", "budget"})
MAX_ANSWER_CHARACTERS = 64 * 1024 * 1024
# Each costs memory, and most of them a message to the page, however little text is in it.
MAX_PARTS = 10_000
_STOP_AGAIN_S = 0.3


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked, and how. `body` is the JSON sent; it holds no key.

    `replayed_from` is the name of the cassette that answered in place of `host`, or "".

    earlier_source   where some of the earlier cells were read from, or "", and `earlier_read` how many of them
    remark           what else there is to say about the context, or ""
    branches         what other runs of the cell have given, oldest first
    version          which this one is among them, counted from 1
    asked_at         when it was made, as ISO time in UTC
    chosen_at        when a person put it in the place of another version, likewise, or ""
    """

    prompt: str
    model: str
    body: dict[str, Any]
    host: str
    earlier_cells: int = 0
    answer_format: str = "markdown"
    label: str = ""
    cell: str = ""
    transport: str = "sse"
    replayed_from: str = ""
    starts_afresh: bool = False
    earlier_source: str = ""
    earlier_read: int = 0
    remark: str = ""
    branches: tuple[list[Turn], ...] = ()
    version: int = 1
    asked_at: str = ""
    chosen_at: str = ""


class View(Protocol):
    """What shows a run. `begin`, `conclude` and `show` are called on the asker's thread, the rest on the stream's."""

    @property
    def can_ask(self) -> bool:
        """True if a person can be asked to approve a call: the part that waits is the question."""
        ...

    def begin(self, run: Run) -> None:
        """The run is about to start."""

    def update(self, run: Run, ops: list[Op]) -> None:
        """The turn changed by `ops`."""

    def change_status(self, run: Run) -> None:
        """`run.status` changed, not to a terminal state."""

    def end(self, run: Run) -> None:
        """The run has reached a terminal state."""

    def conclude(self, run: Run) -> None:
        """The cell that waited for the run goes on: what only fits below it can be shown now."""

    def leave(self, run: Run) -> None:
        """The run, which has ended, is about to go on in another view."""

    def show(self, run: Run) -> None:
        """The run is evaluated by a cell."""


class Run:
    """One request with all its rounds.

    Await it, or call `result()` in synchronous code; `stop()` ends it and keeps what came.
    `turn` is the answer, `turns` prompt and answer. `value` is the answer as the asked format reads it.
    `error` is what ended it, or None. `ended` is a future that is done when the status is final.
    `retries` are the requests that were made again. `resume()` goes on with an answer that was cut off.

    `answer` gives the events that follow on a turn, which is empty unless the run is resumed; it calls
    `note_request` before each request. `meter` knows prices, and what the run may cost.
    """

    def __init__(
        self,
        request: Request,
        turns: list[Turn],
        answer: Callable[[Turn], AsyncGenerator[Event, None]],
        read_value: Callable[[str], Any] = str,
        approvals: Approvals | None = None,
        meter: Meter | None = None,
    ) -> None:
        self.request = request
        self.turns = turns
        self.status: State = "connecting"
        self.error: HolySheepError | None = None
        self.timing = Timing()
        self.value: Any = None
        self.retries: list[RetryScheduled] = []
        self.next_attempt_s: float | None = None
        self._answer = answer
        self._read_value = read_value
        self.approvals = approvals or Approvals()
        self._views: list[View] = []
        self._listeners: list[Callable[[Event | None], None]] = []
        self.ended: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._task: asyncio.Task[None] | None = None
        self._cancel_again: asyncio.TimerHandle | None = None
        self._stop_reason = ""
        self._resumed_after = ""
        self._tally = Tally(self.turn, self.timing, meter or Meter(), request.model)

    # What it gave

    @property
    def turn(self) -> Turn:
        """The answer, growing while it streams."""
        return self.turns[-1]

    @property
    def text(self) -> str:
        """The text of the answer so far, without reasoning."""
        return self.turn.text

    @property
    def model(self) -> str:
        """The model that answers, as the server names it, or as it was asked for."""
        return self.turn.model or self.request.model

    @property
    def tool_calls(self) -> list[ToolCallPart]:
        """The calls the model wanted made, in order."""
        return [part for part in self.turn.parts if isinstance(part, ToolCallPart)]

    @property
    def usage(self) -> Usage | None:
        """Tokens as the server counted them; None until it says. What it did not count is estimated at the end."""
        return self.turn.usage

    @property
    def usage_so_far(self) -> Usage | None:
        """The same at any time: what was not counted yet is estimated. None if there are no tokens."""
        return self._tally.usage

    @property
    def cost(self) -> Cost | None:
        """What it costs, or has cost so far, as far as prices are known; None if there are no tokens."""
        return self._tally.cost

    @property
    def is_finished(self) -> bool:
        """True once the status will not change any more."""
        return self.status in TERMINAL_STATES

    @property
    def complete(self) -> bool:
        """True if the server said that the answer is whole."""
        return self.status == "complete"

    @property
    def can_ask(self) -> bool:
        """True if a person can be asked to approve a call."""
        return any(view.can_ask for view in self._views)

    @property
    def what_is_kept(self) -> str:
        """The sentence for an interrupt."""
        if not self.turn.parts:
            return "Interrupted before anything came."
        return f"Interrupted; what came is kept ({len(self.text):,} characters)."

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<Run {self.model} {self.status}, {len(self.text)} characters>"

    def _ipython_display_(self) -> None:
        if self._views:
            self._views[0].show(self)
        else:
            print(repr(self))

    # Waiting and stopping

    def start(self, *views: View) -> Run:
        """Begins, on the stream thread. Returns itself."""
        self._views += views
        self._tally.begin()
        try:
            with hold_interrupts():
                self._begin_and_launch(views)
        except KeyboardInterrupt:
            self.stop()
            raise
        return self

    def _begin_and_launch(self, views: tuple[View, ...]) -> None:
        try:
            for view in views:
                view.begin(self)
        except BaseException:
            # A run that is not launched would be waited for without end.
            self._stop_reason = "stopped"
            raise
        finally:
            stream_thread.call(self._launch)

    def resume(self, *views: View, max_cost: float | None = None) -> Run:
        """Goes on with an answer that was cut off or stopped, from what there is. Returns itself.

        It is shown by `views`, or where it was before. `max_cost` is a new limit for all of it, in US dollars. Raises
        `UsageError` if there is nothing to resume, or it has cost as much as it may.
        """
        if not self.is_finished:
            raise UsageError("The answer still streams: there is nothing to resume.")
        if self.complete:
            raise UsageError("The answer is complete: there is nothing to resume.")
        self._tally.check_resumed(max_cost)
        if views:
            self._leave_views()
        self._resumed_after = str(self.error) if self.error is not None else f"The answer was {self.status}."
        self._tally.begin()
        self.error, self._stop_reason, self._task = None, "", None
        self.ended = concurrent.futures.Future()
        self.timing.go_on()
        self.status = "connecting"
        if views:
            self._views = list(views)
            for view in views:
                view.begin(self)
        else:
            stream_thread.call(self._tell_views, "change_status")
        stream_thread.call(self._launch)
        return self

    def _leave_views(self) -> None:
        """Lets the views show the run as it is for good, before it changes."""
        if stream_thread.is_current:
            return self._tell_views("leave")

        async def leave() -> None:
            self._tell_views("leave")

        stream_thread.submit(leave()).result()

    def stop(self) -> None:
        """Ends the run as "stopped", from any thread; what came is kept. Later calls do nothing."""
        # An iterator that was left open calls this while Python shuts down, when no thread can start any more.
        if not self.is_finished:
            stream_thread.call(self._cancel, "stopped")

    def approve(self, call_id: str, arguments: str | None = None, *, always: bool = False) -> None:
        """Lets a call be made that waits for it, from any thread; does nothing if it does not wait.

        arguments   JSON text in place of what the model wrote; checked before the call is made
        always      approves later calls of this tool too
        """
        self._decide(call_id, Decision(True, arguments, always))

    def deny(self, call_id: str, reason: str = "") -> None:
        """Denies a call that waits, from any thread. The model is told `reason`."""
        self._decide(call_id, Decision(False, reason=reason))

    def _decide(self, call_id: str, decision: Decision) -> None:
        if not self.is_finished:
            stream_thread.call(self.approvals.answer, call_id, decision)

    def result(self) -> Run:
        """Waits until the run has ended, in synchronous code. Raises `error`, if there is one."""
        try:
            wait_blocking(self.ended)
        except (KeyboardInterrupt, asyncio.CancelledError) as interrupt:
            self.stop()
            wait_blocking(self.ended)
            show_briefly(interrupt, f"KeyboardInterrupt: {self.what_is_kept}")
            raise
        finally:
            self.conclude()
        return self.raise_error()

    def __await__(self) -> Generator[Any, None, Run]:
        return self._wait().__await__()

    async def _wait(self) -> Run:
        await self.wait()
        return self.raise_error()

    async def wait(self) -> None:
        """Waits until the run has ended, whatever its end. Cancelling the wait stops the run first."""
        try:
            await wait_ticking(self.ended)
        except asyncio.CancelledError as interrupt:
            self.stop()
            await wait_ticking(self.ended)
            show_briefly(interrupt, f"KeyboardInterrupt: {self.what_is_kept}")
            raise
        finally:
            self.conclude()

    def conclude(self) -> None:
        """Whoever waited for the run goes on. Called on the waiter's thread, after the end."""
        self._tell_views("conclude")

    def raise_error(self) -> Run:
        """Raises what ended the run; returns the run if nothing did."""
        if self.error is not None:
            raise self.error
        return self

    def subscribe(self, listener: Callable[[Event | None], None]) -> Callable[[], None]:
        """Calls `listener` on the stream thread with each event from now on, and with None at the end.

        Gives the function that ends the subscription.
        """
        self._listeners.append(listener)
        if self.is_finished:
            listener(None)
        return lambda: self._listeners.remove(listener)

    # On the stream thread

    def _launch(self) -> None:
        if self._stop_reason:
            self._finish("stopped")
            return
        self._task = asyncio.get_running_loop().create_task(self._drive())
        self._task.add_done_callback(self._finish_undriven)

    def _finish_undriven(self, task: asyncio.Task[None]) -> None:
        """A task that is cancelled before its first step never comes to its own end."""
        if task is self._task and not self.is_finished:
            self._finish("stopped")

    def _cancel(self, reason: str) -> None:
        if self.is_finished:
            return
        self._stop_reason = self._stop_reason or reason
        if self._task is not None:
            self._cancel_until_done(self._task)

    def _cancel_until_done(self, task: asyncio.Task[None]) -> None:
        """Before Python 3.12 `asyncio.wait_for` swallows a cancellation that comes together with its result."""
        if not task.done():
            task.cancel()
            loop = asyncio.get_running_loop()
            self._cancel_again = loop.call_later(_STOP_AGAIN_S, self._cancel_until_done, task)

    def note_request(self) -> None:
        """A request of this run is about to be made. Raises `BudgetError` if it must not be."""
        self._tally.note_request(self.request.body)

    async def _drive(self) -> None:
        try:
            async with contextlib.aclosing(self._answer(self.turn)) as events:
                if self._resumed_after:
                    self._take(TurnResumed(self._resumed_after))
                async for event in events:
                    self._take(event)
                    if self._stop_reason:
                        raise asyncio.CancelledError
            self.value = self._read_value(self.text)
            self._finish("truncated" if self.turn.finish_reason == "max_rounds" else "complete")
        except AnswerFormatError as error:
            self.error = error
            self._finish("complete")
        except asyncio.CancelledError:
            self._finish("stopped")
        except HolySheepError as error:
            self._fail(error)
        except Exception as error:
            _log.exception("a run failed in an unforeseen way")
            failure = HolySheepError(
                f"Something unforeseen went wrong ({type(error).__name__}): the log has the details.",
                details=repr(error),
            )
            failure.__cause__ = error
            self._fail(failure)

    def _take(self, event: Event) -> None:
        match event:
            case TextDelta(text) | ReasoningDelta(text) | ToolCallDelta(_, text):
                self._take_delta(text)
            case UsageReported():
                event = self._tally.take_count(event)
            case RetryScheduled():
                self.retries.append(event)
                self.next_attempt_s = self.timing.seconds + event.seconds
                self._change_status("retrying")
            case RouteChanged(_, _, model):
                self._tally.note_model(model)
                self._change_status("connecting")
        ops = self.turn.apply(event)
        if isinstance(event, UsageReported):
            self._tally.note_counted()
        if ops:
            self._tell_views("update", ops)
        if len(self.turn.parts) + len(self.turn.skipped) > MAX_PARTS:
            raise AnswerTooLongError(f"The answer has more than {MAX_PARTS:,} parts and unreadable payloads.")
        if isinstance(event, ApprovalRequested | CallQueued | ToolStarted | ToolFinished):
            is_waiting = any(call.state == "waiting" for call in self.tool_calls)
            self._change_status("waiting" if is_waiting else "streaming")
        for listener in tuple(self._listeners):
            listener(event)
        if isinstance(event, TextDelta | ReasoningDelta | ToolCallDelta):
            self._tally.check()

    def _take_delta(self, text: str) -> None:
        self.timing.note_delta(len(text))
        if self.timing.characters > MAX_ANSWER_CHARACTERS:
            limit = MAX_ANSWER_CHARACTERS // 2**20
            raise AnswerTooLongError(f"The answer is longer than {limit} million characters.")
        if self.status in ("connecting", "retrying"):
            self._change_status("streaming")

    def _change_status(self, state: State) -> None:
        # Each retry has a line of its own.
        if self.status != state or state == "retrying":
            self.status = state
            self._tell_views("change_status")

    def _fail(self, error: HolySheepError) -> None:
        _log.debug("a run has failed", exc_info=error)
        forget_frames(error)
        self.error = error
        if isinstance(error, BudgetError):
            return self._fail_for_budget(error)
        if not self.turn.parts:
            return self._finish("failed")
        is_refused = isinstance(error, APIError) and error.status_code != 0
        if is_refused or not isinstance(error, TransportError | ProtocolError | APIError | AnswerTooLongError):
            return self._finish("failed")
        kept = f"what came is kept ({len(self.text):,} characters)"
        error.args = (f"{str(error).rstrip('.')}: the answer is cut off, and {kept}.",)
        return self._finish("truncated")

    def _fail_for_budget(self, error: BudgetError) -> None:
        kept = f"the answer is cut off, and what came is kept ({len(self.text):,} characters)"
        outcome = kept if self.turn.parts else "nothing was sent"
        error.args = (f"{str(error).rstrip('.')}: {outcome}. {error.advice}".rstrip(),)
        self._finish("budget")

    def _finish(self, state: State) -> None:
        self.timing.end()
        self._tally.end()
        if self.turn.finish_reason is None and (ops := self.turn.apply(TurnFinished(state))):
            self._tell_views("update", ops)
        self.status = state
        self._task = None
        if self._cancel_again is not None:
            self._cancel_again.cancel()
            self._cancel_again = None
        self._tell_views("end")
        for listener in tuple(self._listeners):
            listener(None)
        self.ended.set_result(None)

    def _tell_views(self, method: str, *arguments: Any) -> None:
        for view in tuple(self._views):
            try:
                getattr(view, method)(self, *arguments)
            except Exception:
                _log.exception("a view failed and is left out; the run goes on")
                self._views.remove(view)
