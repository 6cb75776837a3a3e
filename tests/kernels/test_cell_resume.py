"""Requests that are made again, and answers that go on after they were cut off."""

from __future__ import annotations

import time

import pytest
from live_kernel import Cell, LiveKernel, Widget
from raw_server import HANG, RESET, RawServer, answer, chunk, json_answer, sse_head


def begin_cut(kernel: LiveKernel, server: RawServer, *, says_hello: bool) -> tuple[Cell, Widget]:
    """A cell whose answer is cut off after its beginning, seen by a page or not."""
    server.play([sse_head(), chunk("The sky is bl"), 0.4, RESET])
    cell = kernel.begin("%%holysheep\nWhy?", cell_id="c")
    widget = cell.widget()
    if says_hello:
        widget.say("hello")
    return cell, widget


def test_a_retry_is_counted_down_in_the_status(kernel: LiveKernel, server: RawServer) -> None:
    server.play(json_answer({"error": {"message": "slow down"}}, "429 Too Many Requests", "Retry-After: 1\r\n"))
    server.play(answer("Hi"))
    cell = kernel.begin("%%holysheep\nHi")
    widget = cell.widget()
    kernel.wait_for(lambda: widget.state["status"]["state"] == "retrying")
    retry = widget.state["status"]["retry"]
    assert (retry["problem"], retry["attempt"], retry["attempts"]) == ("429", 2, 5)
    assert 0.9 < retry["at_s"] < 3
    cell.wait()
    assert cell.status == "ok"
    assert cell.markdown.startswith("Hi\n\n<sub>raw · ")
    assert "after 1 retry (429)" in cell.markdown


@pytest.mark.usefixtures("clicks_in_mid_cell")
def test_stop_ends_the_wait_for_a_retry(kernel: LiveKernel, server: RawServer) -> None:
    server.play(json_answer({}, "429 Too Many Requests", "Retry-After: 50\r\n"))
    cell = kernel.begin("%%holysheep\nHi")
    widget = cell.widget()
    kernel.wait_for(lambda: widget.state["status"]["state"] == "retrying")
    pressed_at = time.monotonic()
    widget.say("stop")
    cell.wait()
    assert cell.ended_at - pressed_at < 1
    assert (cell.status, cell.run_metadata["status"]) == ("ok", "stopped")


def test_resume_shows_the_whole_answer_in_its_own_cell(kernel: LiveKernel, server: RawServer) -> None:
    cell, _ = begin_cut(kernel, server, says_hello=False)
    assert cell.wait().status == "error"
    server.play(answer("ue."))
    resumed = kernel.run("%holysheep resume")
    assert resumed.status == "ok"
    assert resumed.markdown.startswith("The sky is bl\n\n<sub>The connection to ")
    assert "— resumed</sub>\n\nue.\n\n<sub>raw · " in resumed.markdown
    assert kernel.evaluate("[_.status, _.text]") == ["complete", "The sky is blue."]
    assert kernel.run("%holysheep resume").traceback == ["UsageError: No answer was cut off."]


def test_what_was_cut_is_frozen_as_it_was_when_it_is_resumed_elsewhere(kernel: LiveKernel, server: RawServer) -> None:
    cell, _ = begin_cut(kernel, server, says_hello=True)
    server.play(answer("ue."))
    resumed = kernel.begin("%holysheep resume")
    cell.wait()
    resumed.wait()
    assert resumed.markdown.startswith("The sky is bl\n\n<sub>")
    kernel.wait_for(lambda: any("holysheep" in output.metadata for output in cell.outputs))
    assert cell.run_metadata["status"] == "truncated"
    assert cell.markdown.startswith("The sky is bl\n\n<sub>raw · cut off")
    assert "≈ " in resumed.markdown


def test_an_answer_that_is_cut_again_fails_the_cell_that_resumed_it(kernel: LiveKernel, server: RawServer) -> None:
    begin_cut(kernel, server, says_hello=False)[0].wait()
    server.play([sse_head(), chunk("ue, be"), RESET])
    resumed = kernel.run("%holysheep resume")
    assert resumed.status == "error"
    assert resumed.traceback[0].startswith("DisconnectedError: ")
    assert kernel.evaluate("[_.status, _.text]") == ["truncated", "The sky is blue, be"]


def test_the_interrupt_button_stops_an_answer_that_is_resumed(kernel: LiveKernel, server: RawServer) -> None:
    begin_cut(kernel, server, says_hello=False)[0].wait()
    server.play([sse_head(), chunk("ue"), HANG])
    resumed = kernel.begin("%holysheep resume")
    server.wait_for_request(2)
    time.sleep(0.3)
    kernel.interrupt()
    assert resumed.wait().status == "error"
    server.wait_for_disconnect(server.asked[1])
    kernel.wait_for(lambda: kernel.evaluate("_.status") == "stopped")
    assert kernel.evaluate("_.text") == "The sky is blue"


def test_the_button_goes_on_in_the_same_output(kernel: LiveKernel, server: RawServer) -> None:
    cell, widget = begin_cut(kernel, server, says_hello=True)
    cell.wait()
    assert cell.status == "error"
    assert widget.state["status"]["can_resume"] is True
    assert not any("holysheep" in output.metadata for output in cell.outputs)
    server.play(answer("ue."))
    widget.say("resume")
    widget.say("resume")
    kernel.wait_for(lambda: any("holysheep" in output.metadata for output in cell.outputs))
    assert len(server.asked) == 2
    assert cell.run_metadata["status"] == "complete"
    assert "— resumed</sub>\n\nue." in cell.markdown
    assert widget.text == "The sky is blue."
    assert widget.state["status"]["can_resume"] is False


def test_the_button_goes_when_the_next_cell_is_run(kernel: LiveKernel, server: RawServer) -> None:
    cell, widget = begin_cut(kernel, server, says_hello=True)
    cell.wait()
    kernel.run("1 + 1")
    kernel.wait_for(lambda: any("holysheep" in output.metadata for output in cell.outputs))
    assert cell.run_metadata["status"] == "truncated"
    widget.say("resume")
    time.sleep(0.2)
    assert len(server.asked) == 1
    handlers = "[c.__qualname__ for c in get_ipython().events.callbacks['pre_run_cell']]"
    assert kernel.evaluate(f"sum('freeze' in each for each in {handlers})") == 0
