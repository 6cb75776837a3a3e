from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from IPython.core.inputtransformer2 import TransformerManager
from IPython.core.interactiveshell import InteractiveShell

from holysheep_nb.kernel import (
    InterruptedCallError,
    MagicAwaiter,
    StreamThread,
    hold_interrupts,
    main_thread,
    stream_thread,
    wait_blocking,
    wait_ticking,
)

# Which calls a cell awaits


@pytest.fixture
def shell() -> Any:
    return SimpleNamespace(autoawait=True)


@pytest.fixture
def transformed(shell: Any) -> Any:
    """A cell as a person types it, and as it is compiled."""
    manager = TransformerManager()
    awaiter = MagicAwaiter(shell, "holysheep", "MAGICS")

    def transform(cell: str) -> str:
        return "".join(awaiter(manager.transform_cell(cell).splitlines(keepends=True)))

    return transform


@pytest.mark.filterwarnings("ignore:.make_tokens_by_line")
@pytest.mark.parametrize(
    ("cell", "source"),
    [
        (
            "%%holysheep -t 0\nWhy?\n",
            "(await MAGICS.run_cell_awaited('holysheep', '-t 0', 'Why?\\n'))\n",
        ),
        ("%holysheep models", "(await MAGICS.run_line_awaited('holysheep', 'models'))\n"),
        ("x = %holysheep models", "x = (await MAGICS.run_line_awaited('holysheep', 'models'))\n"),
        (
            "a = 1\n%holysheep stop\nb = 2",
            "a = 1\n(await MAGICS.run_line_awaited('holysheep', 'stop'))\nb = 2\n",
        ),
        (
            "for i in range(3):\n    %holysheep wait 1",
            "for i in range(3):\n    (await MAGICS.run_line_awaited('holysheep', 'wait 1'))\n",
        ),
        (
            "if True:\n    %holysheep wait\nelse:\n    %holysheep stop",
            "if True:\n    (await MAGICS.run_line_awaited('holysheep', 'wait'))\n"
            "else:\n    (await MAGICS.run_line_awaited('holysheep', 'stop'))\n",
        ),
        (
            "with open('x') as f:\n    y = %holysheep models",
            "with open('x') as f:\n    y = (await MAGICS.run_line_awaited('holysheep', 'models'))\n",
        ),
        (
            "try:\n    %holysheep wait\nfinally:\n    pass",
            "try:\n    (await MAGICS.run_line_awaited('holysheep', 'wait'))\nfinally:\n    pass\n",
        ),
        (
            "s = 'ä€😀'; get_ipython().run_line_magic('holysheep', 'wait'); t = 1",
            "s = 'ä€😀'; (await MAGICS.run_line_awaited('holysheep', 'wait')); t = 1\n",
        ),
        (
            "f(get_ipython().run_line_magic('holysheep', 'a'), get_ipython().run_line_magic('holysheep', 'b'))",
            "f((await MAGICS.run_line_awaited('holysheep', 'a')), (await MAGICS.run_line_awaited('holysheep', 'b')))\n",
        ),
        (
            "get_ipython().run_cell_magic('holysheep',\n  '', 'q')[0]",
            "(await MAGICS.run_cell_awaited('holysheep',\n  '', 'q'))[0]\n",
        ),
        (
            "s = 'a\u2028b\u0085c\x0cd'\n%holysheep models",
            "s = 'a\u2028b\u0085c\x0cd'\n(await MAGICS.run_line_awaited('holysheep', 'models'))\n",
        ),
    ],
)
def test_a_call_where_a_cell_may_await_is_awaited(transformed: Any, cell: str, source: str) -> None:
    assert transformed(cell) == source
    compile(source, "<cell>", "exec", flags=0x2000)  # ast.PyCF_ALLOW_TOP_LEVEL_AWAIT


@pytest.mark.parametrize(
    "cell",
    [
        "def f():\n    %holysheep models\n",
        "async def f():\n    %holysheep models\n",
        "class A:\n    x = get_ipython().run_line_magic('holysheep', 'models')\n",
        "f = lambda: get_ipython().run_line_magic('holysheep', 'models')\n",
        "[get_ipython().run_line_magic('holysheep', 'wait') for _ in x]\n",
        "{1: get_ipython().run_line_magic('holysheep', 'wait') for _ in x}\n",
        "any(get_ipython().run_line_magic('holysheep', 'wait') for _ in x)\n",
        "%time 1 + 1  # holysheep\n",
        "%%time\n%holysheep models\n",
        "%%capture holysheep\nx\n",
        "get_ipython().run_line_magic(name, 'holysheep')\n",
        "shell.run_line_magic('holysheep', 'models')\n",
        "print('get_ipython().run_line_magic(\"holysheep\")')\n",
        "x = (\n%holysheep models\n",
    ],
)
def test_any_other_call_is_left_as_it_is(transformed: Any, cell: str) -> None:
    assert transformed(cell) == TransformerManager().transform_cell(cell)


def test_without_autoawait_nothing_is_rewritten(transformed: Any, shell: Any) -> None:
    shell.autoawait = False
    assert transformed("%holysheep models") == "get_ipython().run_line_magic('holysheep', 'models')\n"


def test_a_cell_run_by_the_code_of_a_cell_is_not_rewritten() -> None:
    seen: list[list[str]] = []

    class Shell(InteractiveShell):
        def run_inner(self) -> None:
            seen.append(awaiter(["get_ipython().run_line_magic('holysheep', 'x')\n"]))

    running = Shell()
    awaiter = MagicAwaiter(running, "holysheep", "MAGICS")
    try:
        running.user_ns["run_inner"] = running.run_inner
        running.run_cell("run_inner()")
        running.run_inner()
    finally:
        running.history_manager.end_session()
    assert seen == [
        ["get_ipython().run_line_magic('holysheep', 'x')\n"],
        ["(await MAGICS.run_line_awaited('holysheep', 'x'))\n"],
    ]


# Waiting


def later(seconds: float, value: Any) -> concurrent.futures.Future[Any]:
    future: concurrent.futures.Future[Any] = concurrent.futures.Future()
    threading.Timer(seconds, future.set_result, [value]).start()
    return future


def test_waiting_without_a_loop_gives_the_result() -> None:
    assert wait_blocking(later(0.02, "a")) == "a"


def test_waiting_without_a_loop_raises_what_the_future_holds() -> None:
    future: concurrent.futures.Future[None] = concurrent.futures.Future()
    future.set_exception(ValueError("boom"))
    with pytest.raises(ValueError, match="boom"):
        wait_blocking(future)


def test_waiting_inside_a_running_loop_lets_the_loop_turn() -> None:
    async def cell() -> tuple[str, list[str]]:
        said: list[str] = []
        asyncio.get_running_loop().call_later(0.02, said.append, "the loop turned")
        result = wait_blocking(later(0.15, "a"))
        return result, list(said)

    assert asyncio.run(cell()) == ("a", ["the loop turned"])


def test_the_stream_thread_cannot_wait_for_itself() -> None:
    async def wait() -> None:
        wait_blocking(concurrent.futures.Future())

    message = r"^A run cannot be waited for on the thread that streams it: await it instead\.$"
    with pytest.raises(RuntimeError, match=message):
        stream_thread.submit(wait()).result(5)


def test_cancelling_a_wait_leaves_the_future_alone() -> None:
    async def cell() -> bool:
        future: concurrent.futures.Future[None] = concurrent.futures.Future()
        wait = asyncio.ensure_future(wait_ticking(future))
        await asyncio.sleep(0.01)
        wait.cancel()
        with pytest.raises(asyncio.CancelledError):
            await wait
        return future.cancelled()

    assert asyncio.run(cell()) is False


def test_the_loop_wakes_at_least_every_50_ms_while_it_waits() -> None:
    async def cell() -> int:
        wakes = 0

        def count() -> None:
            nonlocal wakes
            wakes += 1

        selector = asyncio.get_running_loop()._selector  # type: ignore[attr-defined]
        select = selector.select
        selector.select = lambda timeout=None: (count(), select(timeout))[1]
        await wait_ticking(later(0.5, None))
        return wakes

    assert asyncio.run(cell()) >= 8


# The stream thread


@pytest.fixture
def thread() -> Iterator[StreamThread]:
    own = StreamThread()
    yield own
    own.stop()


async def name_of_thread() -> str:
    return threading.current_thread().name


def stream_threads() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "holysheep-stream"]


def test_the_stream_thread_starts_when_it_is_needed_and_is_a_daemon(thread: StreamThread) -> None:
    before = len(stream_threads())
    assert thread.submit(name_of_thread()).result(5) == "holysheep-stream"
    assert len(stream_threads()) == before + 1
    assert all(each.daemon for each in stream_threads())


def test_calls_run_on_the_stream_thread(thread: StreamThread) -> None:
    called = threading.Event()
    places: list[bool] = []
    thread.call(lambda: (places.append(thread.is_current), called.set()))
    assert called.wait(5)
    assert (places, thread.is_current) == ([True], False)


def test_stopping_cancels_what_runs_cleans_up_and_ends_the_thread(thread: StreamThread) -> None:
    order: list[str] = []

    async def forever() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            order.append("cancelled")

    async def clean_up() -> None:
        order.append("cleaned up")

    async def fail() -> None:
        raise RuntimeError("a clean-up that fails stops no other")

    before = len(stream_threads())
    thread.submit(forever())
    thread.at_exit(fail)
    thread.at_exit(clean_up)
    thread.submit(name_of_thread()).result(5)
    thread.stop()
    assert order == ["cancelled", "cleaned up"]
    assert len(stream_threads()) == before


def test_a_stopped_thread_starts_anew(thread: StreamThread) -> None:
    first = thread.loop
    thread.stop()
    thread.stop()
    assert first.is_closed()
    assert thread.submit(name_of_thread()).result(5) == "holysheep-stream"
    assert thread.loop is not first


def test_a_clean_up_runs_once(thread: StreamThread) -> None:
    count: list[int] = []

    async def clean_up() -> None:
        count.append(1)

    thread.at_exit(clean_up)
    for _ in range(2):
        thread.submit(name_of_thread()).result(5)
        thread.stop()
    assert count == [1]


def test_a_task_that_will_not_end_does_not_hold_the_stop_for_long(thread: StreamThread) -> None:
    started = threading.Event()

    async def stubborn() -> None:
        started.set()
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                if time.monotonic() - began > 3:
                    raise

    began = time.monotonic()
    thread.submit(stubborn())
    assert started.wait(5)
    thread.stop()
    assert time.monotonic() - began < 2.5


# Nesting


def test_a_synchronous_wait_leaves_the_callbacks_of_the_turn_under_way_to_the_loop() -> None:
    async def cell() -> str:
        async def wait() -> str:
            wait_blocking(later(0.05, None))
            await asyncio.sleep(0.01)
            return "waited"

        async def end() -> None:
            pass

        first, _ = (asyncio.ensure_future(each) for each in (wait(), end()))
        return await first

    assert asyncio.run(cell()) == "waited"


def test_asyncio_is_patched_only_during_a_synchronous_wait() -> None:
    names = ("run_forever", "run_until_complete", "_run_once", "_check_running")

    def patched() -> list[Any]:
        loop_class = type(asyncio.get_event_loop_policy().new_event_loop())
        return [hasattr(asyncio, "_nest_patched"), asyncio.Task, asyncio.run, *(getattr(loop_class, n) for n in names)]

    async def cell() -> tuple[list[bool], list[Any]]:
        seen: list[bool] = []
        asyncio.get_running_loop().call_later(0.02, lambda: seen.append(hasattr(asyncio, "_nest_patched")))
        wait_blocking(later(0.1, None))
        return seen, patched()

    before = patched()
    assert asyncio.run(cell()) == ([True], before)
    assert before[0] is False


def test_a_loop_that_ran_on_another_thread_during_a_synchronous_wait_ends_as_it_would_have() -> None:
    errors: list[BaseException] = []
    is_patched = threading.Event()

    def run_another_loop() -> None:
        is_patched.wait(5)
        try:
            asyncio.run(asyncio.sleep(0.3))
            asyncio.new_event_loop().run_until_complete(asyncio.sleep(0.3))
        except BaseException as error:
            errors.append(error)

    async def cell() -> None:
        asyncio.get_running_loop().call_later(0.02, is_patched.set)
        wait_blocking(later(0.1, None))

    other = threading.Thread(target=run_another_loop)
    other.start()
    asyncio.run(cell())
    other.join(5)
    assert errors == []


# Interrupts


def test_an_interrupt_between_two_lines_that_belong_together_is_raised_after_them() -> None:
    done: list[str] = []

    def do_both() -> None:
        with hold_interrupts() as interrupts:
            signal.raise_signal(signal.SIGINT)
            done.append(f"the second line, {interrupts.has_come}")

    with pytest.raises(KeyboardInterrupt):
        do_both()
    assert done == ["the second line, True"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_ends_a_synchronous_wait_and_leaves_the_future_alone() -> None:
    future: concurrent.futures.Future[None] = concurrent.futures.Future()

    async def cell() -> None:
        asyncio.get_running_loop().call_later(0.05, signal.raise_signal, signal.SIGINT)
        wait_blocking(future)

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(cell())
    assert not future.done()
    assert not hasattr(asyncio, "_nest_patched")


def test_an_interrupt_before_the_call_is_made_ends_it_and_what_surrounds_it_is_left() -> None:
    order: list[str] = []

    @contextlib.contextmanager
    def surroundings() -> Iterator[None]:
        order.append("entered")
        signal.raise_signal(signal.SIGINT)
        try:
            yield
        finally:
            order.append("left")

    call = stream_thread.submit(main_thread.run(lambda: order.append("called"), surroundings()))
    with pytest.raises(KeyboardInterrupt):
        wait_blocking(call)
    with pytest.raises(InterruptedCallError):
        call.result(5)
    assert order == ["entered", "left"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
