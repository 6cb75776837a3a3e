"""Threads, loops, signals and nest_asyncio: everything that knows who runs where, and nothing else does.

The stream thread runs one asyncio loop for the whole process: network, agent, folding, flushing.
The main thread runs what is the user's: cells and tools.
"""

from .calls import InterruptedCallError, MainThread, main_thread, run_in_own_thread
from .cells import MagicAwaiter, name_code
from .interrupts import HeldInterrupts, hold_interrupts, let_interrupt
from .stream import StreamThread, stream_thread
from .waiting import wait_blocking, wait_ticking

__all__ = [
    "HeldInterrupts",
    "InterruptedCallError",
    "MagicAwaiter",
    "MainThread",
    "StreamThread",
    "hold_interrupts",
    "let_interrupt",
    "main_thread",
    "name_code",
    "run_in_own_thread",
    "stream_thread",
    "wait_blocking",
    "wait_ticking",
]
