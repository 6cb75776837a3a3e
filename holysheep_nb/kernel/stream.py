"""The thread that streams: one asyncio loop for the whole process."""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_JOIN_TIMEOUT_S = 2.0


class StreamThread:
    """A daemon thread with one asyncio loop, started when first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._at_exit: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self._here = threading.local()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop, running."""
        with self._lock:
            if self._loop is None or self._thread is None or not self._thread.is_alive():
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._run, args=(self._loop,), name="holysheep-stream", daemon=True
                )
                self._thread.start()
            return self._loop

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        self._here.is_stream_thread = True
        asyncio.set_event_loop(loop)
        loop.run_forever()

    @property
    def is_running(self) -> bool:
        """True while there is a thread: what is asked of it now does not start one."""
        with self._lock:
            return self._thread is not None and self._thread.is_alive()

    @property
    def is_current(self) -> bool:
        """True on the stream thread itself, also while it winds down."""
        return bool(getattr(self._here, "is_stream_thread", False))

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Runs a coroutine there. The future can be waited for anywhere."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def call(self, function: Callable[..., object], *arguments: Any) -> None:
        """Calls a function there, soon. Safe from any thread."""
        self.loop.call_soon_threadsafe(function, *arguments)

    def at_exit(self, cleanup: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """A coroutine function to be run there before the thread ends: once, however often it is given."""
        if cleanup not in self._at_exit:
            self._at_exit.append(cleanup)

    def stop(self) -> None:
        """Ends the thread: cancels what runs, cleans up, and waits for it. It starts anew when needed."""
        with self._lock:
            loop, thread, self._loop, self._thread = self._loop, self._thread, None, None
        if loop is None or thread is None or not thread.is_alive():
            return
        asyncio.run_coroutine_threadsafe(self._wind_down(), loop)
        thread.join(_JOIN_TIMEOUT_S)
        if not thread.is_alive():
            loop.close()

    async def _wind_down(self) -> None:
        loop = asyncio.get_running_loop()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_JOIN_TIMEOUT_S / 2)
        for cleanup in self._at_exit:
            with contextlib.suppress(Exception):
                await cleanup()
        self._at_exit.clear()
        loop.call_soon(loop.stop)


stream_thread = StreamThread()
atexit.register(stream_thread.stop)
