"""Threads, loops, signals and nest_asyncio: everything that knows who runs where, and nothing else does.

The stream thread runs one asyncio loop for the whole process: network, agent, folding, flushing.
The main thread runs what is the user's: cells and tools.
"""

from __future__ import annotations

import ast
import asyncio
import atexit
import concurrent.futures
import contextlib
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from types import FrameType
from typing import Any, TypeVar

from IPython.core.interactiveshell import InteractiveShell

T = TypeVar("T")

_TICK_S = 0.05
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
        """A coroutine function to be run there before the thread ends."""
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

    Where a loop is running on this thread, as in a notebook cell, it goes on turning meanwhile.
    """
    if stream_thread.is_current:
        raise RuntimeError("A run cannot be waited for on the thread that streams it: await it instead.")
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return _wait_interruptibly(future)
    import nest_asyncio2

    nest_asyncio2.apply(loop)
    return loop.run_until_complete(wait_ticking(future))


def _wait_interruptibly(future: concurrent.futures.Future[T]) -> T:
    while not future.done():
        concurrent.futures.wait([future], timeout=_TICK_S)
    return future.result()


class MagicAwaiter:
    """An input transformer that makes a cell await the magic `name`, so that the main loop stays free.

    `get_ipython().run_cell_magic('NAME', line, cell)` and `run_line_magic('NAME', line)`, wherever a cell
    may await, become `(await TARGET.run_cell_awaited(...))` and `(await TARGET.run_line_awaited(...))`.
    Left as they are: calls inside functions, and cells run by other code (`%%time`, `%%capture`), which
    cannot await.
    """

    has_side_effects = False

    def __init__(self, shell: InteractiveShell, name: str, target: str) -> None:
        self._shell = shell
        self._name = name
        self._target = target

    def __call__(self, lines: list[str]) -> list[str]:
        """The transformed lines of a cell."""
        if not any("get_ipython().run_" in line and self._name in line for line in lines):
            return lines
        if not self._shell.autoawait or _is_inside_cell():
            return lines
        source = "".join(lines)
        try:
            tree = ast.parse(source)
        except SyntaxError:
            return lines
        # Of bytes, only CR and LF end a line, as in Python's own grammar.
        encoded = source.encode().splitlines(keepends=True)
        for call in sorted(self._calls(tree), key=lambda c: (c.lineno, c.col_offset), reverse=True):
            self._rewrite(encoded, call)
        return b"".join(encoded).decode().splitlines(keepends=True)

    def _calls(self, node: ast.AST) -> Iterator[ast.Call]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, _CANNOT_AWAIT):
                continue
            if isinstance(child, ast.Call) and self._is_magic(child):
                yield child
            else:
                yield from self._calls(child)

    def _is_magic(self, call: ast.Call) -> bool:
        return (
            isinstance(call.func, ast.Attribute)
            and call.func.attr in ("run_cell_magic", "run_line_magic")
            and ast.unparse(call.func.value) == "get_ipython()"
            and bool(call.args)
            and isinstance(call.args[0], ast.Constant)
            and call.args[0].value == self._name
        )

    def _rewrite(self, lines: list[bytes], call: ast.Call) -> None:
        assert isinstance(call.func, ast.Attribute)
        if call.func.end_lineno != call.lineno:
            return
        last, end = (call.end_lineno or call.lineno) - 1, call.end_col_offset or 0
        lines[last] = lines[last][:end] + b")" + lines[last][end:]
        first, start = call.lineno - 1, call.col_offset
        func_end = call.func.end_col_offset or 0
        awaited = call.func.attr.replace("_magic", "_awaited")
        new = f"(await {self._target}.{awaited}".encode()
        lines[first] = lines[first][:start] + new + lines[first][func_end:]


_CANNOT_AWAIT = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Lambda,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
)


def _is_inside_cell() -> bool:
    """True while the code of a cell is on this thread's stack."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code is InteractiveShell.run_code.__code__:
            return True
        frame = frame.f_back
    return False
