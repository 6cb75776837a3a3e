"""One prompt, several models: what a page sees of it."""

from __future__ import annotations

import time
from typing import Any

import pytest
from live_kernel import WIDGET_VIEW, Cell, LiveKernel, Widget
from raw_server import HANG, RawServer, answer, chunk, json_answer, sse_head

COMPARE = "%%holysheep -m a -m b --out both\nWhich?"


class Comparison:
    """The page's side of a comparison: that of each column, and what it says about all of them."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.kernel = cell.kernel
        self.kernel.wait_for(lambda: cell.outputs and WIDGET_VIEW in cell.outputs[0].data, 10, "no comparison is shown")
        self.model_id = cell.outputs[0].data[WIDGET_VIEW]["model_id"]
        self.columns: list[Widget] = [widget for widget in self.kernel.widgets if widget.opened_by == cell.msg_id]
        self.say("hello", view="comparison")
        for column in self.columns:
            column.say("hello")

    def say(self, command: str, **more: Any) -> None:
        data = {"method": "custom", "content": {"command": command, **more}}
        self.kernel.send("comm_msg", {"comm_id": self.model_id, "data": data})

    def leave(self) -> None:
        """The output was replaced: all views go."""
        for column in self.columns:
            column.say("bye")
        self.say("bye", view="comparison")

    def wait_frozen(self) -> None:
        self.kernel.wait_for(lambda: "holysheep" in self.cell.outputs[0].metadata, 10, "it is not frozen")


def test_columns_stream_at_once_and_wait_for_a_choice(kernel: LiveKernel, server: RawServer) -> None:
    server.play(answer("one ", "two", pause_s=0.3))
    began = time.monotonic()
    cell = kernel.begin(COMPARE, cell_id="c")
    comparison = Comparison(cell)
    cell.wait()
    assert cell.ended_at - began < 0.6 * 2
    assert (cell.status, [column.text for column in comparison.columns]) == ("ok", ["one two"] * 2)
    assert len(cell.outputs) == 1
    assert "holysheep" not in cell.outputs[0].metadata
    comparison.say("keep", column=1)
    comparison.wait_frozen()
    assert cell.markdown.startswith("| model | first token |")
    assert "### b · kept\n\none two" in cell.markdown
    assert cell.run_metadata["kept"] == 1
    assert kernel.evaluate("[both.kept is both.runs[1], both is _]") == [True, True]
    comparison.leave()
    kernel.wait_for(lambda: all(column.closed_at for column in comparison.columns), 5, "columns are left open")
    kernel.wait_for(lambda: comparison.model_id not in kernel.comms, 5, "the comparison is left open")


def test_the_next_cell_sends_the_kept_answer_only(kernel: LiveKernel, server: RawServer) -> None:
    server.play(answer("one"))
    server.play(answer("two"))
    cell = kernel.begin(COMPARE, cell_id="c")
    comparison = Comparison(cell)
    cell.wait()
    comparison.say("keep", column=1)
    comparison.wait_frozen()
    kernel.run("%%holysheep\nAnd?", cell_id="d")
    kept = kernel.evaluate("both.kept.text")
    assert kept in ("one", "two")
    assert kept == comparison.columns[1].text
    assert [m["content"] for m in server.asked[-1].json["messages"]] == ["Which?", kept, "And?"]


def test_the_choice_ends_when_the_next_cell_is_run_and_keep_still_works(kernel: LiveKernel, server: RawServer) -> None:
    server.play(answer("one"))
    cell = kernel.begin(COMPARE, cell_id="c")
    comparison = Comparison(cell)
    cell.wait()
    kernel.run("1 + 1")
    comparison.wait_frozen()
    assert "Later cells go on from a, as none was kept" in cell.markdown
    kernel.run("both.keep('b');")
    kernel.wait_for(lambda: "### b · kept" in cell.markdown, 5, "the output does not say so")
    handlers = "[c.__qualname__ for c in get_ipython().events.callbacks['pre_run_cell']]"
    assert kernel.evaluate(f"sum('freeze' in each for each in {handlers})") == 0


def test_without_a_person_there_is_markdown_at_once(kernel: LiveKernel, server: RawServer) -> None:
    server.play(answer("one"))
    cell = kernel.begin(COMPARE, allow_stdin=False).wait()
    assert cell.markdown.count("### ") == 2
    assert not [widget for widget in kernel.widgets if widget.opened_by == cell.msg_id]


def test_one_that_fails_leaves_the_others(kernel: LiveKernel, server: RawServer) -> None:
    server.play(json_answer({"error": {"message": "busy"}}, "500 Internal Server Error"))
    server.play(answer("one", "two", pause_s=0.3))
    kernel.run("%config HolySheepMagics.max_attempts = 1")
    began = time.monotonic()
    cell = kernel.begin("%%holysheep -m a -m b -m c --out three\nWhich?")
    comparison = Comparison(cell)
    cell.wait()
    assert cell.ended_at - began < 0.6 * 2
    assert cell.status == "ok"
    assert sorted(kernel.evaluate("[run.status for run in three]")) == ["complete", "complete", "failed"]
    messages = [column.state["status"]["message"] for column in comparison.columns]
    assert [("500: busy" in message) for message in sorted(messages)] == [False, False, True]


def test_if_all_fail_the_cell_fails_and_shows_their_sentences(kernel: LiveKernel, server: RawServer) -> None:
    server.play(json_answer({"error": {"message": "busy"}}, "500 Internal Server Error"))
    kernel.run("%config HolySheepMagics.max_attempts = 1")
    cell = kernel.run(COMPARE)
    assert cell.status == "error"
    assert cell.traceback[0].startswith("HolySheepError: None of 2 models answered. a: ")
    assert cell.markdown.count("500: busy") == 2
    assert kernel.evaluate("both is _") is True


@pytest.mark.usefixtures("clicks_in_mid_cell")
def test_stop_ends_one_column_and_the_others_go_on(kernel: LiveKernel, server: RawServer) -> None:
    server.play(sse_head(), chunk("so far"), HANG)
    cell = kernel.begin(COMPARE)
    comparison = Comparison(cell)
    kernel.wait_for(lambda: all(column.text for column in comparison.columns))
    comparison.columns[0].say("stop")
    kernel.wait_for(lambda: comparison.columns[0].state["status"]["state"] == "stopped")
    assert comparison.columns[1].state["status"]["state"] == "streaming"
    comparison.columns[1].say("stop")
    assert cell.wait().status == "ok"


def test_the_interrupt_button_stops_all(kernel: LiveKernel, server: RawServer) -> None:
    server.play(sse_head(), chunk("so far"), HANG)
    cell = kernel.begin(COMPARE)
    comparison = Comparison(cell)
    kernel.wait_for(lambda: all(column.text for column in comparison.columns))
    kernel.interrupt()
    assert cell.wait().status == "error"
    assert cell.traceback == ["KeyboardInterrupt: Interrupted; what came is kept."]
    assert kernel.evaluate("[run.status for run in both]") == ["stopped", "stopped"]


def test_in_the_background_it_is_frozen_when_a_later_cell_is_run(kernel: LiveKernel, server: RawServer) -> None:
    server.play(answer("one", "two", pause_s=0.3))
    cell = kernel.begin(COMPARE.replace("--out", "--bg --out"))
    comparison = Comparison(cell)
    cell.wait()
    assert kernel.evaluate("both.is_finished") is False
    kernel.wait_for(lambda: all(column.text == "onetwo" for column in comparison.columns))
    comparison.say("keep", column=0)
    comparison.wait_frozen()
    assert cell.run_metadata["kept"] == 0


def test_a_difference_is_sent_when_it_is_asked_for(kernel: LiveKernel, server: RawServer) -> None:
    server.play(answer("the same"))
    cell = kernel.begin(COMPARE)
    comparison = Comparison(cell)
    cell.wait()
    kernel.keeps_messages = True

    def differences() -> list[Any]:
        states = [message["content"].get("data", {}).get("state", {}) for message in kernel.messages]
        return [state["difference"] for state in states if state.get("difference")]

    comparison.say("compare", columns=[0, 9])
    comparison.say("compare", columns=[0, 1])
    kernel.wait_for(differences, 5, "no difference came")
    assert differences() == [{"columns": [0, 1], "pieces": [["same", "the same"]], "is_cut": False}]
    kernel.keeps_messages = False


def test_an_answer_that_still_streams_is_not_kept(kernel: LiveKernel, server: RawServer) -> None:
    server.play(sse_head(), chunk("so far"), HANG)
    cell = kernel.begin(COMPARE.replace("--out", "--bg --out")).wait()
    Comparison(cell)
    refused = kernel.run("both.keep('a')")
    assert refused.traceback[-1] == "UsageError: There is no answer to keep: it still streams, or it failed."
    kernel.run("both.stop()")
