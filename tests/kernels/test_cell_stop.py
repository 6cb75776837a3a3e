"""Stop and the interrupt button end a cell at once, and what came stays."""

from __future__ import annotations

import time

import pytest
from live_kernel import LiveKernel
from raw_server import HANG, RawServer, answer, chunk, sse_head

CUT = [sse_head(), chunk("so "), chunk("far"), HANG]


def kept_everywhere(kernel: LiveKernel, server: RawServer) -> None:
    """The text so far is in `_`, in --out and in what the next cell sends; the next cell works."""
    assert kernel.evaluate("[_.text, _.status, kept.text, kept is _]") == ["so far", "stopped", "so far", True]
    cell = kernel.run("%%holysheep\nGo on", cell_id="next")
    assert cell.status == "ok"
    assert cell.markdown.startswith("whole\n\n<sub>")
    assert [m["content"] for m in server.asked[-1].json["messages"]] == ["Hi", "so far", "Go on"]


@pytest.mark.parametrize("way", ["main shell", "subshell"])
@pytest.mark.usefixtures("clicks_in_mid_cell")
def test_stop_ends_the_cell_and_keeps_the_text_everywhere(kernel: LiveKernel, server: RawServer, way: str) -> None:
    server.play(CUT)
    server.play(answer("whole"))
    cell = kernel.begin("%%holysheep --out kept\nHi", cell_id="first")
    widget = cell.widget()
    kernel.wait_for(lambda: widget.text == "so far")
    subshell_id = kernel.create_subshell() if way == "subshell" else None
    clicked_at = time.monotonic()
    widget.say("stop", subshell_id=subshell_id)
    assert server.wait_for_disconnect(server.asked[0]) - clicked_at < 0.3
    cell.wait()
    assert cell.ended_at - clicked_at < 1.0
    assert (cell.status, cell.error) == ("ok", None)
    assert [sorted(output.data) for output in cell.outputs] == [["text/markdown", "text/plain"]]
    assert cell.markdown.startswith("so far\n\n<sub>raw · stopped · ")
    assert (cell.run_metadata["status"], widget.state["status"]["state"]) == ("stopped", "stopped")
    kept_everywhere(kernel, server)


@pytest.mark.usefixtures("clicks_in_mid_cell")
def test_a_second_stop_does_nothing(kernel: LiveKernel, server: RawServer) -> None:
    server.play(CUT)
    server.play(answer("whole"))
    cell = kernel.begin("%%holysheep --out kept\nHi", cell_id="first")
    widget = cell.widget()
    kernel.wait_for(lambda: widget.text == "so far")
    widget.say("stop")
    widget.say("stop")
    cell.wait()
    before = (cell.markdown, dict(widget.state))
    widget.say("stop")
    kept_everywhere(kernel, server)
    assert (cell.markdown, widget.state) == (before[0], before[1] | {"keep_hint": widget.state["keep_hint"]})
    assert (cell.outputs[0].updates, cell.status, cell.error) == (1, "ok", None)


@pytest.mark.usefixtures("clicks_in_mid_cell")
def test_stop_before_the_first_delta_ends_the_cell(kernel: LiveKernel, server: RawServer) -> None:
    server.play([HANG])
    cell = kernel.begin("%%holysheep\nHi")
    widget = cell.widget()
    request = server.wait_for_request()
    clicked_at = time.monotonic()
    widget.say("stop")
    assert server.wait_for_disconnect(request) - clicked_at < 0.3
    assert (cell.wait().status, cell.run_metadata["status"]) == ("ok", "stopped")


def test_stop_ends_one_of_two_background_runs_alone(kernel: LiveKernel, server: RawServer) -> None:
    server.play(CUT)
    server.play(answer(*"abcdefghij", pause_s=0.1))
    cell = kernel.run("%%holysheep --bg --out one\nHi")
    first = cell.widget()
    kernel.wait_for(lambda: first.text == "so far")
    kernel.run("%%holysheep --bg --out two\nHi")
    first.say("stop")
    kernel.run("%holysheep wait")
    assert kernel.evaluate("[one.status, one.text, two.status, two.text]") == [
        "stopped",
        "so far",
        "complete",
        "abcdefghij",
    ]


STREAMING = [sse_head(), chunk("so "), chunk("far"), *[step for _ in range(100) for step in (0.05, chunk(""))]]


@pytest.mark.parametrize("steps", [STREAMING, CUT], ids=["while deltas come", "while the server is silent"])
def test_interrupt_ends_the_cell_within_a_second_in_one_line(
    kernel: LiveKernel, server: RawServer, steps: list[bytes | float]
) -> None:
    server.play(steps)
    server.play(answer("whole"))
    cell = kernel.begin("%%holysheep --out kept\nHi", cell_id="first")
    widget = cell.widget()
    kernel.wait_for(lambda: widget.text == "so far")
    pressed_at = time.monotonic()
    kernel.interrupt()
    assert server.wait_for_disconnect(server.asked[0]) - pressed_at < 1.0
    cell.wait()
    assert cell.ended_at - pressed_at < 1.0
    assert cell.status == "error"
    (line,) = cell.traceback
    assert line.startswith("KeyboardInterrupt: Interrupted; what came is kept (")
    assert cell.markdown.startswith("so far\n\n<sub>raw · stopped · ")
    kept_everywhere(kernel, server)


def test_interrupt_before_the_server_has_answered_ends_the_cell(kernel: LiveKernel, server: RawServer) -> None:
    server.play([HANG])
    server.play(answer("whole"))
    cell = kernel.begin("%%holysheep\nHi")
    request = server.wait_for_request()
    pressed_at = time.monotonic()
    kernel.interrupt()
    assert server.wait_for_disconnect(request) - pressed_at < 1.0
    assert cell.wait().traceback == ["KeyboardInterrupt: Interrupted before anything came."]
    assert kernel.run("%%holysheep\nAgain").markdown.startswith("whole")


NESTED = """
def ask():
    return get_ipython().run_cell_magic("holysheep", "--out kept", "Hi")

ask()
"""


def test_interrupt_ends_a_magic_that_a_function_called(kernel: LiveKernel, server: RawServer) -> None:
    server.play(CUT)
    server.play(answer("whole"))
    cell = kernel.begin(NESTED, cell_id="first")
    widget = cell.widget()
    kernel.wait_for(lambda: widget.text == "so far")
    pressed_at = time.monotonic()
    kernel.interrupt()
    cell.wait()
    assert cell.ended_at - pressed_at < 1.0
    assert cell.status == "error"
    assert cell.traceback == ["KeyboardInterrupt: Interrupted; what came is kept (6 characters)."]
    assert cell.markdown.startswith("so far\n\n<sub>raw · stopped · ")
    server.wait_for_disconnect(server.asked[0])
    kept_everywhere(kernel, server)


def test_interrupt_ends_result_in_a_cell(kernel: LiveKernel, server: RawServer) -> None:
    server.play(CUT)
    cell = kernel.begin('from holysheep_nb import Chat\nrun = Chat().ask("Hi")\nrun.result()')
    widget = cell.widget()
    kernel.wait_for(lambda: widget.text == "so far")
    pressed_at = time.monotonic()
    kernel.interrupt()
    cell.wait()
    assert cell.ended_at - pressed_at < 1.0
    assert cell.status == "error"
    assert kernel.evaluate("[run.status, run.text]") == ["stopped", "so far"]
    assert kernel.run("1 + 1").text == "2"


def test_interrupt_ends_an_awaited_run(kernel: LiveKernel, server: RawServer) -> None:
    server.play(CUT)
    cell = kernel.begin('from holysheep_nb import Chat\nrun = Chat().ask("Hi")\nawait run')
    widget = cell.widget()
    kernel.wait_for(lambda: widget.text == "so far")
    pressed_at = time.monotonic()
    kernel.interrupt()
    cell.wait()
    assert cell.ended_at - pressed_at < 1.0
    assert cell.status == "error"
    assert kernel.evaluate("[run.status, run.text]") == ["stopped", "so far"]


@pytest.mark.parametrize("wait", ["%holysheep wait", "for _ in (1,):\n    %holysheep wait", "%time %holysheep wait"])
def test_interrupting_wait_leaves_the_run_alone(kernel: LiveKernel, server: RawServer, wait: str) -> None:
    server.play([sse_head(), chunk("so "), 1.0, chunk("far"), chunk(finish_reason="stop"), b"data: [DONE]\n\n"])
    cell = kernel.run("%%holysheep --bg --out kept\nHi")
    widget = cell.widget()
    kernel.wait_for(lambda: widget.text == "so ")
    cell = kernel.begin(wait)
    time.sleep(0.2)  # nothing is to be seen of its waiting; interrupted earlier, it ends all the same
    pressed_at = time.monotonic()
    kernel.interrupt()
    cell.wait()
    assert cell.ended_at - pressed_at < 0.7
    assert cell.status == "error"
    assert cell.traceback[-1].startswith("KeyboardInterrupt")
    kernel.run("%holysheep wait")
    assert kernel.evaluate("[kept.status, kept.text]") == ["complete", "so far"]


@pytest.mark.parametrize("wait", ["await chat.ask('Hi')", "chat.ask('Hi').result()"])
def test_interrupting_the_python_face_shows_one_line(kernel: LiveKernel, server: RawServer, wait: str) -> None:
    server.play(CUT)
    cell = kernel.begin(f"from holysheep_nb import Chat\nchat = Chat()\n{wait}")
    widget = cell.widget()
    kernel.wait_for(lambda: widget.text == "so far")
    kernel.interrupt()
    assert cell.wait().traceback == ["KeyboardInterrupt: Interrupted; what came is kept (6 characters)."]
    server.wait_for_disconnect(server.asked[0])
