"""What a notebook does to itself: storms of interrupts, many cells at once, reloads, restarts, long sessions."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from live_kernel import WIDGET_VIEW, LiveKernel
from raw_server import HANG, RawServer, Step, answer, chunk, sse_head
from test_cell_tools import calling

import holysheep_nb

KEY = "hs-test-key-0123456789"

STATE = """
def state():
    import asyncio, comm, gc, signal, threading
    from ipywidgets.widgets.widget import _instances
    from holysheep_nb.kernel import stream_thread
    shell = get_ipython()
    gc.collect()
    return {
        "threads": sorted(t.name for t in threading.enumerate() if t.name.startswith("holysheep")),
        "stream tasks": len(asyncio.all_tasks(stream_thread.loop)) if stream_thread.is_running else 0,
        "widgets": sorted(type(each).__name__ for each in _instances.values()),
        "comms": len(comm.get_comm_manager().comms),
        "live widgets": sum(type(each).__name__ == "AnswerWidget" for each in gc.get_objects()),
        "run coroutines": sum(
            type(each).__name__ == "coroutine" and each.__qualname__ == "Run._drive" for each in gc.get_objects()
        ),
        "going": len([r for r in getattr(shell.magics_manager.registry.get("HolySheepMagics"), "chat").going()])
        if "HolySheepMagics" in shell.magics_manager.registry else 0,
        "SIGINT": getattr(signal.getsignal(signal.SIGINT), "__qualname__", ""),
        "callbacks": {name: len(callbacks) for name, callbacks in shell.events.callbacks.items()},
        "transformers": [type(each).__name__ for each in shell.input_transformers_post],
        "nested": hasattr(asyncio, "_nest_patched"),
        "Task": asyncio.Task.__module__,
        "loop": {
            name: getattr(type(asyncio.get_event_loop()), name).__module__
            for name in ("run_forever", "run_until_complete", "_run_once", "_check_running")
        },
    }
"""


def state(kernel: LiveKernel) -> Any:
    """What may leak, counted in the kernel."""
    kernel.run(STATE)
    return kernel.evaluate("state()")


def leave(kernel: LiveKernel) -> None:
    """The page has shown every answer, and has put the frozen output in its place."""
    for widget in kernel.widgets:
        if widget.closed_at is None:
            widget.say("hello")
            widget.say("bye")
    kernel.wait_for(
        lambda: all(widget.closed_at is not None for widget in kernel.widgets), 10, "a widget is still open"
    )


# Interrupts

STREAMING = [sse_head(), *[step for n in range(1000) for step in (0.02, chunk(f"w{n} "))]]
TOOLS = """
import time, asyncio
from holysheep_nb.kernel import stream_thread
stream_thread.loop
from holysheep_nb import Chat, tool

@tool(safe=True)
def nap() -> str:
    time.sleep(30)

@tool(safe=True)
async def doze() -> str:
    await asyncio.sleep(30)

@tool(safe=True)
def blink() -> int:
    return 1

def ask() -> str:
    return "yes"
"""
STORMY: dict[str, list[Step]] = {
    "streams": STREAMING,
    "is silent": [sse_head(), chunk("so far"), HANG],
    "does not answer": [HANG],
    "calls a tool": calling(("nap", {})),
    "calls an asynchronous tool": calling(("doze", {})),
    "calls quick tools without end": calling(("blink", {}), ("blink", {})),
    "waits for approval": calling(("ask", {})),
}
WAYS = (
    "%%holysheep -T nap -T doze -T blink -T ask --max-rounds 1000 --api-base {url}"
    " --api-key-name HOLYSHEEP_API_KEY\nHi",
    "Chat(base_url={url!r}, api_key_name='HOLYSHEEP_API_KEY', tools=[nap, doze, blink, ask], max_rounds=1000)"
    ".ask('Hi').result()",
    "await Chat(base_url={url!r}, api_key_name='HOLYSHEEP_API_KEY', tools=[nap, doze, blink, ask], max_rounds=1000)"
    ".ask('Hi')",
)


@pytest.fixture
def storm() -> Iterator[list[RawServer]]:
    """Servers whose answers do not end, each for as many requests as come."""
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(RawServer()) for _ in STORMY]
        for server, steps in zip(servers, STORMY.values(), strict=True):
            server.play(steps)
        yield servers


def test_after_50_interrupts_at_random_moments_the_kernel_works_and_nothing_leaks(
    kernel: LiveKernel, storm: list[RawServer]
) -> None:
    kernel.run(TOOLS)
    chance = random.Random(5)
    before = state(kernel)
    for number in range(50):
        server = storm[number % len(storm)]
        begun = len(kernel.widgets)
        cell = kernel.begin(WAYS[number % len(WAYS)].format(url=server.base_url))
        if chance.random() < 0.3:
            # Before anything is to be seen it may come too early to be an interrupt of this cell.
            time.sleep(chance.random() * 0.05)
            kernel.interrupt()
        kernel.wait_for(lambda: len(kernel.widgets) > begun or cell.is_idle)  # noqa: B023
        time.sleep(chance.random() * 0.3)
        pressed_at = time.monotonic()
        for _ in range(chance.choice((1, 1, 2, 4))):
            kernel.interrupt()
        kernel.wait_for(lambda: cell.is_idle)  # noqa: B023
        what = f"number {number}, {list(STORMY)[number % len(storm)]}, {cell.traceback}"
        assert time.monotonic() - pressed_at < 1.0, what
        # ipykernel sends no reply where an interrupt finds it between its own lines, with whatever cell.
        assert not cell.reply or cell.status == "error", what
        assert kernel.run("40 + 2").text == "42", what
    leave(kernel)
    kernel.wait_for(lambda: all(each.disconnected_at for server in storm for each in server.asked), 5)
    kernel.run("_ = __ = ___ = None; get_ipython().displayhook.flush(); Out.clear()")
    assert state(kernel) == before


# Many at once


def test_30_cells_queued_at_once_answer_in_order_each_with_the_cells_above_it(
    kernel: LiveKernel, server: RawServer
) -> None:
    for number in range(30):
        server.play(answer(f"answer {number}"))
    cells = [kernel.begin(f"%%holysheep\nprompt {number}", cell_id=f"c{number}") for number in range(30)]
    for number, cell in enumerate(cells):
        cell.wait(60)
        # What the stream thread says may overtake what the main thread says, and be overtaken.
        kernel.wait_for(lambda: "text/markdown" in cell.outputs[0].data)  # noqa: B023
        assert cell.markdown.startswith(f"answer {number}\n\n<sub>")
    for number, request in enumerate(server.asked):
        above = [text for n in range(number) for text in (f"prompt {n}", f"answer {n}")]
        assert [m["content"] for m in request.json["messages"]] == [*above, f"prompt {number}"]
    server.play(answer("answer 10, again"))
    assert kernel.run("%%holysheep\nprompt 10", cell_id="c10").markdown.startswith("answer 10, again")
    assert len(server.asked[-1].json["messages"]) == 21


def test_20_background_runs_share_the_rate_and_all_complete(kernel: LiveKernel, server: RawServer) -> None:
    words = [f"w{n} " for n in range(60)]
    server.play(answer(*words, pause_s=0.05))
    runs = kernel.begin("runs = [get_ipython().run_cell_magic('holysheep', '--bg --new', 'Hi') for _ in range(20)]")
    assert runs.wait().status == "ok"
    kernel.run("%holysheep wait", timeout_s=30)
    assert kernel.evaluate("[[run.status, run.text] for run in runs]") == [["complete", "".join(words)]] * 20
    assert [widget.text for widget in kernel.widgets] == ["".join(words)] * 20
    times = sorted(at for widget in kernel.widgets for at, _ in widget.patches)
    rate = len(times) / (times[-1] - times[0])
    # The first and the last patch of each run are sent at once.
    assert rate < 120 + 2 * 20 / (times[-1] - times[0])


# Reloads of the extension

ONCE = """
shell = get_ipython()
magics = [each for each in shell.configurables if type(each).__name__ == "HolySheepMagics"]
"""


def test_loading_twice_leaves_one_of_everything(kernel: LiveKernel, server: RawServer) -> None:
    before = state(kernel)
    kernel.run("from holysheep_nb import load_ipython_extension\nload_ipython_extension(get_ipython())")
    kernel.run("%load_ext holysheep_nb\n%reload_ext holysheep_nb")
    server.play(answer("whole"))
    assert kernel.run("%%holysheep\nHi").markdown.startswith("whole")
    assert len(server.asked) == 1
    leave(kernel)
    kernel.run(ONCE)
    assert kernel.evaluate("len(magics)") == 1
    after = state(kernel)
    assert (after["transformers"], after["callbacks"], after["widgets"]) == (
        before["transformers"],
        before["callbacks"],
        before["widgets"],
    )
    assert after["threads"] == ["holysheep-stream"]


def test_unloading_leaves_nothing_and_loading_again_works(kernel: LiveKernel, server: RawServer) -> None:
    kernel.run("%unload_ext holysheep_nb")
    before = state(kernel)
    kernel.run("%load_ext holysheep_nb")
    server.play([sse_head(), chunk("so "), chunk("far"), HANG])
    server.play(answer("nested"))
    streaming = kernel.run("%%holysheep --bg\nHi")
    widget = streaming.widget()
    kernel.wait_for(lambda: widget.text == "so far")
    kernel.run("run = get_ipython().run_cell_magic('holysheep', '', 'Hi')\nrun.result()")
    kernel.run("%unload_ext holysheep_nb")
    assert streaming.markdown.startswith("so far\n\n<sub>raw · stopped · ")
    # The page says so only now; it may ask, too.
    widget.send({"method": "request_state"})
    assert widget.ask_document()["parts"][0]["text"] == "so far"
    widget.say("approve", call_id="none", arguments=None, always=False)
    widget.say("stop")
    leave(kernel)
    kernel.run("del run; Out.clear(); _ = __ = ___ = None")
    assert state(kernel) == before
    server.play(answer("whole"))
    kernel.run("%load_ext holysheep_nb")
    assert kernel.run("%%holysheep\nHi").markdown.startswith("whole")


def test_unloading_freezes_a_cut_answer_that_is_still_offered_for_resumption(
    kernel: LiveKernel, server: RawServer
) -> None:
    server.play([sse_head(), chunk("so "), chunk("far")])
    unload = "import time; time.sleep(1); get_ipython().extension_manager.unload_extension('holysheep_nb')"
    cell = kernel.begin(f"get_ipython().run_cell_magic('holysheep', '--bg', 'Hi')\n{unload}")
    widget = cell.widget()
    kernel.wait_for(lambda: widget.state["status"]["state"] == "truncated" or cell.is_idle)
    cell.wait()
    assert cell.markdown.startswith("so far\n\n> ")
    assert state(kernel)["callbacks"]["pre_run_cell"] == 0
    leave(kernel)


@pytest.mark.parametrize("times", [1, 2])
def test_asyncio_is_patched_only_while_synchronous_code_waits(
    kernel: LiveKernel, server: RawServer, times: int
) -> None:
    before = state(kernel)
    server.play(answer("a ", "b", pause_s=0.2))
    code = (
        "import asyncio\nfrom holysheep_nb import Chat\n"
        "run = Chat().ask('Hi', show=False)\n"
        "seen = []\n"
        "asyncio.get_event_loop().call_later(0.1, lambda: seen.append(hasattr(asyncio, '_nest_patched')))\n"
        "run.result()"
    )
    for _ in range(times):
        assert kernel.run(code).status == "ok"
        assert kernel.evaluate("[seen, run.text]") == [[True], "a b"]
    kernel.run("del run; Out.clear(); _ = __ = ___ = None")
    after = state(kernel)
    assert {name: after[name] for name in ("nested", "Task", "loop")} == {
        name: before[name] for name in ("nested", "Task", "loop")
    }
    assert before["nested"] is False


def test_a_synchronous_wait_in_a_task_leaves_the_other_callbacks_of_that_turn_to_the_loop(
    kernel: LiveKernel, server: RawServer
) -> None:
    server.play(answer("a ", "b", pause_s=0.1))
    code = """
import asyncio
from holysheep_nb import Chat

async def wait():
    run = Chat().ask("Hi", show=False).result()
    await asyncio.sleep(0.1)
    return run.text

async def nothing():
    pass

first, *others = [asyncio.ensure_future(each) for each in (wait(), nothing(), nothing())]
print(await first)
"""
    assert kernel.run(code).stream == "a b\n"
    assert kernel.run("40 + 2").text == "42"


# Reloads of modules


def test_autoreload_and_a_reloaded_package_leave_cells_working(kernel: LiveKernel, server: RawServer) -> None:
    server.play(answer("whole"))
    assert kernel.run("%load_ext autoreload\n%autoreload 2").status == "ok"
    try:
        for code in (
            "import holysheep_nb",
            "import importlib; importlib.reload(holysheep_nb)",
            "%reload_ext holysheep_nb",
        ):
            assert kernel.run(code).status == "ok"
            cell = kernel.run("%%holysheep\nHi")
            assert (cell.status, cell.stream) == ("ok", "")
            assert cell.markdown.startswith("whole")
    finally:
        kernel.run("%autoreload 0")


def own_kernel(folder: Path, server: RawServer, **env: str) -> LiveKernel:
    names = {"HOLYSHEEP_API_KEY": KEY, "HOLYSHEEP_BASE_URL": server.base_url, "HOLYSHEEP_MODEL": "raw"}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HOLYSHEEP_")}
    return LiveKernel(folder, {**inherited, **names, **env})


@pytest.mark.parametrize("module", ["view/frozen.py", "view/widget.py", "run.py", "chat.py", "kernel/stream.py"])
def test_a_module_edited_under_autoreload_leaves_cells_working(tmp_path: Path, server: RawServer, module: str) -> None:
    source = Path(holysheep_nb.__file__).parent
    copy = tmp_path / "copy" / "holysheep_nb"
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
    server.play(answer("whole"))
    kernel = own_kernel(tmp_path, server, PYTHONPATH=str(copy.parent))
    try:
        kernel.run("%load_ext holysheep_nb\n%load_ext autoreload\n%autoreload 2", timeout_s=60)
        assert kernel.evaluate("__import__('holysheep_nb').__file__").startswith(str(copy))
        assert kernel.run("%%holysheep\nHi").markdown.startswith("whole")
        edited = copy / module
        edited.write_text(edited.read_text("utf-8") + "\n\nEDITED = True\n", "utf-8")
        later = time.time() + 5
        os.utime(edited, (later, later))
        for _ in range(2):
            cell = kernel.run("%%holysheep\nHi")
            assert (cell.status, cell.stream, cell.traceback) == ("ok", "", [])
            assert cell.markdown.startswith("whole")
        name = f"holysheep_nb.{module.removesuffix('.py').replace('/', '.')}"
        assert kernel.evaluate(f"__import__('sys').modules[{name!r}].EDITED") is True
        kernel.run("%unload_ext holysheep_nb")
        names = "[t.name for t in __import__('threading').enumerate() if t.name.startswith('holysheep')]"
        assert kernel.evaluate(names) == []
    finally:
        kernel.shut_down()


# The kernel ends


@pytest.mark.parametrize("line", ["", "--bg"], ids=["foreground", "background"])
def test_restarting_the_kernel_in_mid_stream_leaves_the_text_and_no_widget(
    tmp_path: Path, server: RawServer, line: str
) -> None:
    server.play(answer("finished"))
    server.play([sse_head(), chunk("so "), chunk("far"), HANG])
    kernel = own_kernel(tmp_path, server)
    try:
        kernel.run("%load_ext holysheep_nb", timeout_s=60)
        finished = kernel.run("%%holysheep\nHi")
        cut = kernel.begin(f"%%holysheep {line}\nHi")
        widget = cut.widget()
        kernel.wait_for(lambda: widget.text == "so far")
        kernel.restart()
        kernel.wait_for(lambda: all(WIDGET_VIEW not in output.data for output in cut.outputs), 10)
        assert finished.markdown.startswith("finished\n\n<sub>")
        assert cut.markdown.startswith("so far\n\n<sub>raw · stopped · ")
        server.wait_for_disconnect(server.asked[-1])
        server.play(answer("after"))
        kernel.run("%load_ext holysheep_nb", timeout_s=60)
        assert kernel.run("%%holysheep\nHi").markdown.startswith("after")
    finally:
        kernel.shut_down()


# A long session


def test_500_runs_leave_only_their_texts(kernel: LiveKernel, server: RawServer) -> None:
    server.play(answer("some ", "text"))
    kernel.run("from holysheep_nb import Chat\nchat = Chat()\nawait chat.ask('Hi', afresh=True)")
    leave(kernel)
    before = state(kernel)
    for _ in range(5):
        cell = kernel.run("for _ in range(100): run = await chat.ask('Hi', afresh=True)", timeout_s=60)
        assert cell.status == "ok"
        leave(kernel)
    kernel.run("Out.clear(); _ = __ = ___ = None")
    assert kernel.evaluate("[len(chat.runs), {run.text for run in chat.runs} == {'some text'}]") == [501, True]
    assert state(kernel) == before
