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
import contextvars
import signal
import sys
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import AbstractContextManager
from types import FrameType
from typing import Any, TypeVar

from IPython.core.getipython import get_ipython
from IPython.core.interactiveshell import InteractiveShell

T = TypeVar("T")

_TICK_S = 0.05
_JOIN_TIMEOUT_S = 2.0
# From an interrupt to a cell that has stopped its run, a loop turns three times, and twice more for each task between.
_TURNS = 10


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


class InterruptedCallError(Exception):
    """A person interrupted the kernel while it made a call."""


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
                _interrupt_main_thread()


def _interrupt_main_thread() -> None:
    if hasattr(signal, "pthread_kill"):
        # Unlike `_thread.interrupt_main`, this also ends a sleep.
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
    else:
        import _thread

        _thread.interrupt_main()


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


def name_code(file_name: str) -> str:
    """What a traceback calls the code of a file: "Cell In[3]" for that of a cell, else the name in quotes."""
    shell = get_ipython()
    named = shell.compile.format_code_name(file_name) if shell is not None else None
    return " ".join(named) if named else f'"{file_name}"'


@contextlib.contextmanager
def let_interrupt() -> Iterator[None]:
    """Inside, the interrupt signal raises `KeyboardInterrupt`: in a cell that may await, a kernel only cancels it."""
    if not main_thread.is_current:
        yield
        return
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


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


async def wait_ticking(future: concurrent.futures.Future[T]) -> T:
    """Awaits a future of another thread on this loop. Cancelling the wait leaves the future alone.

    The loop is woken every 50 ms, because a kernel interrupt is only noticed when it wakes.
    """
    wrapped = asyncio.wrap_future(future)
    while not wrapped.done():
        await asyncio.wait({wrapped}, timeout=_TICK_S)
    return wrapped.result()


class _Nesting:
    """Has asyncio patched for as long as a loop turns within itself, and not longer.

    What somebody else has patched stays patched.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._depth = 0
        self._changes: list[tuple[Any, str, Any, Any]] = []

    @contextlib.contextmanager
    def patch(self, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        """While it is entered, `loop` can turn although it is running."""
        # The turn under way goes on to take as many callbacks as there are now, and fails where it finds fewer.
        owed = len(getattr(loop, "_ready", ()))
        self._enter(loop)
        try:
            yield
        finally:
            self._leave()
            for _ in range(owed):
                loop.call_soon(_do_nothing)

    def _enter(self, loop: asyncio.AbstractEventLoop) -> None:
        import nest_asyncio2

        with self._lock:
            owners = _patched_owners(loop)
            before = [dict(vars(owner)) for owner in owners]
            nest_asyncio2.apply(loop)
            self._depth += 1
            for owner, was in zip(owners, before, strict=True):
                self._changes += [
                    (owner, name, was.get(name, _ABSENT), now)
                    for name, now in vars(owner).items()
                    # Tornado's list of what a future is must go on to name those made meanwhile.
                    if was.get(name, _ABSENT) is not now and name != "FUTURES"
                ]

    def _leave(self) -> None:
        with self._lock:
            self._depth -= 1
            if self._depth:
                return
            changes, self._changes = self._changes, []
            for owner, name, was, now in changes:
                if vars(owner).get(name, _ABSENT) is not now:
                    continue
                if was is not _ABSENT:
                    setattr(owner, name, was)
                    continue
                delattr(owner, name)
                if not hasattr(owner, name) and name not in _MARKS:
                    # The loop of another thread may be within a patched method, which needs it to its end.
                    setattr(owner, name, now)


_MARKS = ("_nest_patched", "_nest_asyncio2")
_ABSENT = object()
_nesting = _Nesting()


def _do_nothing() -> None:
    pass


def _patched_owners(loop: asyncio.AbstractEventLoop) -> list[Any]:
    """The modules and classes that nest_asyncio2 changes."""
    owners: list[Any] = [asyncio, asyncio.events, asyncio.tasks, asyncio.futures, type(loop)]
    if sys.version_info < (3, 14):
        owners.append(type(asyncio.get_event_loop_policy()))
    if "tornado.concurrent" in sys.modules:
        owners.append(sys.modules["tornado.concurrent"])
    return owners


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
            with _nesting.patch(loop):
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
