"""Calls of what is the user's: on the main thread, in the context of its cell, or in a thread of their own."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import signal
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from types import FrameType
from typing import Any, TypeVar

from .interrupts import interrupt_main_thread

T = TypeVar("T")

# From an interrupt to a cell that has stopped its run, a loop turns three times, and twice more for each task between.
_TURNS = 10


class InterruptedCallError(Exception):
    """A person interrupted the kernel while it made a call."""


class _MainCall:
    """A function that the main thread is to call, in the context of the cell that asked for it."""

    def __init__(
        self,
        function: Callable[[], Any],
        context: contextvars.Context,
        surroundings: AbstractContextManager[object],
    ) -> None:
        self.future: concurrent.futures.Future[Any] = concurrent.futures.Future()
        self._function = function
        self._context = context
        self._surroundings = surroundings
        self._lock = threading.Lock()
        self._is_running = False
        self._is_abandoned = False

    def make(self) -> None:
        """Calls the function, interruptibly, whatever handler the kernel has for the signal meanwhile."""
        with self._lock:
            if self._is_abandoned or not self.future.set_running_or_notify_cancel():
                return
            self._is_running = True
        is_calling = is_interrupted = False

        def interrupt(_signal: int, _frame: FrameType | None) -> None:
            # Raised outside of the function, it would leave this handler behind, or end the kernel's loop.
            nonlocal is_interrupted
            if is_calling:
                raise KeyboardInterrupt
            is_interrupted = True

        def call() -> Any:
            nonlocal is_calling
            with self._surroundings:
                try:
                    is_calling = True
                    if is_interrupted:
                        raise KeyboardInterrupt
                    return self._function()
                finally:
                    is_calling = False

        outcome: Callable[[], object] = lambda: self.future.set_exception(InterruptedCallError())  # noqa: E731
        previous = signal.signal(signal.SIGINT, interrupt)
        try:
            value = self._context.copy().run(call)
            outcome = lambda: self.future.set_result(value)  # noqa: E731
        except Exception as error:
            failure = error
            outcome = lambda: self.future.set_exception(failure)  # noqa: E731
        except KeyboardInterrupt:
            is_interrupted = True
        finally:
            with self._lock:
                self._is_running = False
            outcome()
            signal.signal(signal.SIGINT, previous)
        if is_interrupted and not self._is_abandoned and callable(previous):
            # Whoever awaits the run is to learn of the interrupt too, the way it would have without the call.
            signal.raise_signal(signal.SIGINT)

    def abandon(self) -> None:
        """Nobody waits for the result any more: interrupts the function, if it runs."""
        with self._lock:
            self._is_abandoned = True
            if self._is_running:
                interrupt_main_thread()


class MainThread:
    """What is the user's is called here: on the main thread, while its loop turns or while it waits for a run."""

    def __init__(self) -> None:
        self._calls: deque[_MainCall] = deque()
        self._has_calls = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._context = contextvars.copy_context()

    @property
    def is_current(self) -> bool:
        """True on the main thread."""
        return threading.current_thread() is threading.main_thread()

    def remember(self) -> None:
        """Notes the loop and the context of the cell that runs now, if this is the main thread."""
        if not self.is_current:
            return
        self._context = contextvars.copy_context()
        with contextlib.suppress(RuntimeError):
            self._loop = asyncio.get_running_loop()

    async def run(self, function: Callable[[], T], surroundings: AbstractContextManager[object] | None = None) -> T:
        """Calls a function there, as soon as the main thread is free.

        The surroundings are entered there before the call and left after it, neither of which an interrupt cuts in
        half. Cancelling the wait interrupts the function. Raises `InterruptedCallError` if a person did.
        """
        call = _MainCall(function, self._context, surroundings or contextlib.nullcontext())
        self._calls.append(call)
        self._wake()
        try:
            result: T = await asyncio.wrap_future(call.future)
            return result
        except asyncio.CancelledError:
            call.abandon()
            raise

    async def run_async(self, function: Callable[[], Awaitable[T]]) -> T:
        """Awaits a coroutine function on the main loop. Cancelling the wait cancels it."""

        async def work() -> T:
            return await function()

        def begin() -> concurrent.futures.Future[T]:
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:
                # A script without a loop: the coroutine gets one of its own.
                future: concurrent.futures.Future[T] = concurrent.futures.Future()
                future.set_result(asyncio.run(work()))
                return future
            return asyncio.run_coroutine_threadsafe(work(), loop)

        future = await self.run(begin)
        return await asyncio.wrap_future(future)

    def serve(self) -> None:
        """Makes the calls that wait. Does nothing on another thread."""
        if not self.is_current:
            return
        self._has_calls.clear()
        while self._calls:
            self._calls.popleft().make()

    def wait_for_call(self, timeout_s: float) -> None:
        """Waits until there is a call to make, or until `wake`."""
        self._has_calls.wait(timeout_s)

    def wake(self, _: object = None) -> None:
        """Ends a `wait_for_call`."""
        self._has_calls.set()

    def _wake(self) -> None:
        self._has_calls.set()
        if self._loop is not None:
            # A loop that is closed belongs to a cell that is over: the next wait makes the call.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._serve_in_turn, self._loop, _TURNS)

    def _serve_in_turn(self, loop: asyncio.AbstractEventLoop, turns: int) -> None:
        """Serves when the loop has turned a few times: what an interrupt that came before cancels, it cancels first."""
        if turns:
            loop.call_soon(self._serve_in_turn, loop, turns - 1)
        else:
            self.serve()


main_thread = MainThread()


async def run_in_own_thread(function: Callable[[], T]) -> T:
    """Calls a function in a thread of its own, in this context. Cancelling the wait leaves the thread alone."""
    future: concurrent.futures.Future[T] = concurrent.futures.Future()
    context = contextvars.copy_context()

    def work() -> None:
        future.set_running_or_notify_cancel()
        try:
            future.set_result(context.run(function))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=work, name="holysheep-tool", daemon=True).start()
    return await asyncio.wrap_future(future)
