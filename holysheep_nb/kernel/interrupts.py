"""What happens to the interrupt signal of the main thread."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType


class HeldInterrupts:
    """Whether an interrupt came while it was held back."""

    has_come = False

    def note(self, _signal: int, _frame: FrameType | None) -> None:
        """Handles the signal."""
        self.has_come = True


@contextlib.contextmanager
def hold_interrupts() -> Iterator[HeldInterrupts]:
    """While it is entered, an interrupt of the main thread is noted; it is passed on at the end.

    Else it is raised wherever it finds that thread: between two lines that belong together, or in the callback
    of another that the loop makes meanwhile.
    """
    held = HeldInterrupts()
    previous = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(previous):
        yield held
        return
    signal.signal(signal.SIGINT, held.note)
    try:
        yield held
    finally:
        signal.signal(signal.SIGINT, previous)
        if held.has_come:
            signal.raise_signal(signal.SIGINT)


@contextlib.contextmanager
def let_interrupt() -> Iterator[None]:
    """Inside, the interrupt signal raises `KeyboardInterrupt`: in a cell that may await, a kernel only cancels it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def interrupt_main_thread() -> None:
    """As the interrupt button does."""
    if hasattr(signal, "pthread_kill"):
        # Unlike `_thread.interrupt_main`, this also ends a sleep.
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        import _thread

        _thread.interrupt_main()
