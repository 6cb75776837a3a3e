"""Waiting for what another thread does, without keeping this one from its own work."""

from __future__ import annotations

import asyncio
import concurrent.futures
from typing import Any, TypeVar

from .calls import main_thread
from .interrupts import HeldInterrupts, hold_interrupts
from .nesting import nesting
from .stream import stream_thread

T = TypeVar("T")

_TICK_S = 0.05


async def wait_ticking(future: concurrent.futures.Future[T]) -> T:
    """Awaits a future of another thread on this loop. Cancelling the wait leaves the future alone.

    The loop is woken every 50 ms, because a kernel interrupt is only noticed when it wakes.
    """
    wrapped = asyncio.wrap_future(future)
    while not wrapped.done():
        await asyncio.wait({wrapped}, timeout=_TICK_S)
    return wrapped.result()


def wait_blocking(future: concurrent.futures.Future[T]) -> T:
    """Waits in synchronous code, on any thread but the stream thread.

    Where a loop is running on this thread, as in a notebook cell, it goes on turning meanwhile. An interrupt ends
    the wait with `KeyboardInterrupt`, or with `CancelledError` where somebody else handles the signal; it leaves
    the future alone.
    """
    if stream_thread.is_current:
        raise RuntimeError("A run cannot be waited for on the thread that streams it: await it instead.")
    with hold_interrupts() as interrupts:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            _serve_until_done(future, interrupts)
        else:
            with nesting.patch(loop):
                loop.run_until_complete(_tick_until_done(future, interrupts))
    if interrupts.has_come:
        raise asyncio.CancelledError
    return future.result()


async def _tick_until_done(future: concurrent.futures.Future[Any], interrupts: HeldInterrupts) -> None:
    wrapped = asyncio.wrap_future(future)
    wrapped.add_done_callback(_note_seen)
    while not (wrapped.done() or interrupts.has_come):
        await asyncio.wait({wrapped}, timeout=_TICK_S)


def _note_seen(future: asyncio.Future[Any]) -> None:
    """The exception, if there is one, is raised by whoever asks for the result."""
    if not future.cancelled():
        future.exception()


def _serve_until_done(future: concurrent.futures.Future[Any], interrupts: HeldInterrupts) -> None:
    if not main_thread.is_current:
        concurrent.futures.wait([future])
        return
    future.add_done_callback(main_thread.wake)
    while not (future.done() or interrupts.has_come):
        main_thread.wait_for_call(_TICK_S)
        main_thread.serve()
