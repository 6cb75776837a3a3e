"""An answer that was cut off goes on from what there is."""

from __future__ import annotations

import time
from typing import Any

import pytest
from raw_server import DONE, HANG, RESET, RawServer, Step, answer, chunk, event, sse_head

from holysheep_nb import Chat, Run, tool
from holysheep_nb import run as run_module
from holysheep_nb.conversation import Turn
from holysheep_nb.errors import AnswerTooLongError, DisconnectedError, UsageError
from holysheep_nb.view.frozen import footer, frozen_markdown

CUT: list[Step] = [sse_head(), chunk("The sky is "), chunk("bl"), RESET]


def cut_off(server: RawServer, **options: Any) -> Run:
    server.play(CUT)
    run = Chat(**options).ask("Why?")
    with pytest.raises(DisconnectedError):
        run.result()
    assert (run.status, run.complete, run.text) == ("truncated", False, "The sky is bl")
    return run


def test_it_goes_on_from_the_partial_text_and_marks_the_seam(at_server: RawServer) -> None:
    run = cut_off(at_server)
    at_server.play(answer("ue."))
    assert run.resume().result() is run
    assert (run.status, run.complete, run.error, run.text) == ("complete", True, None, "The sky is blue.")
    assert [part.type for part in run.turn.parts] == ["text", "seam", "text"]
    assert "the answer is cut off" in run.turn.parts[1].text  # type: ignore[union-attr]
    assert "— resumed</sub>" in frozen_markdown(run)
    first, second = (request.json["messages"] for request in at_server.asked)
    assert second[: len(first)] == first
    assert second[len(first)] == {"role": "assistant", "content": "The sky is bl"}
    assert second[-1]["role"] == "user"
    assert "exactly where it ends" in second[-1]["content"]


def test_it_can_be_cut_again_and_resumed_again(at_server: RawServer) -> None:
    run = cut_off(at_server)
    at_server.play(sse_head(), chunk("ue, be"), RESET)
    with pytest.raises(DisconnectedError):
        run.resume().result()
    assert (run.status, run.text) == ("truncated", "The sky is blue, be")
    at_server.play(answer("cause."))
    assert run.resume().result().text == "The sky is blue, because."
    assert at_server.asked[-1].json["messages"][1]["content"] == "The sky is blue, be"


def test_a_stopped_answer_can_be_resumed_and_stopped_again(at_server: RawServer) -> None:
    at_server.play(sse_head(), chunk("One"), HANG)
    run = Chat().ask("Count")
    for expected in ("One", "One two"):
        deadline = time.monotonic() + 5
        while run.text != expected and time.monotonic() < deadline:
            time.sleep(0.01)
        run.stop()
        assert run.result().status == "stopped"
        assert run.text == expected
        at_server.play(sse_head(), chunk(" two"), HANG)
        run.resume()
    run.stop()
    run.result()


def test_the_stop_before_does_not_end_what_is_resumed(at_server: RawServer) -> None:
    at_server.play(sse_head(), chunk("One"), HANG)
    run = Chat().ask("Count")
    while run.text != "One":
        time.sleep(0.01)
    run.stop()
    run.result()
    at_server.play(
        sse_head(), *[step for _ in range(6) for step in (0.1, chunk("."))], chunk(finish_reason="stop"), DONE
    )
    assert run.resume().result().text == "One......"
    assert run.complete


def test_what_comes_later_is_sent_the_whole_answer(at_server: RawServer) -> None:
    chat = Chat()
    at_server.play(CUT)
    run = chat.ask("Why?")
    with pytest.raises(DisconnectedError):
        run.result()
    at_server.play(answer("ue."))
    run.resume().result()
    at_server.play(answer("x"))
    chat.ask("And at night?").result()
    assert at_server.asked[-1].json["messages"][1] == {"role": "assistant", "content": "The sky is blue."}


def test_tools_that_were_called_are_not_called_again_and_cut_calls_are_left_out(at_server: RawServer) -> None:
    called = []

    @tool(safe=True)
    def look(n: int) -> str:
        """Looks."""
        called.append(n)
        return f"seen {n}"

    def call(arguments: str, index: int = 0, call_id: str = "a") -> bytes:
        function = {"name": "look", "arguments": arguments}
        return chunk(tool_calls=[{"index": index, "id": call_id, "type": "function", "function": function}])

    at_server.play(sse_head(), call('{"n": 1}'), chunk(finish_reason="tool_calls"), DONE)
    at_server.play(sse_head(), chunk("Then "), call('{"n": ', call_id="b"), RESET)
    chat = Chat(tools=[look])
    run = chat.ask("Look", transport="sse")
    with pytest.raises(DisconnectedError):
        run.result()
    at_server.play(sse_head(), call('{"n": 2}', call_id="c"), chunk(finish_reason="tool_calls"), DONE)
    at_server.play(answer("done."))
    run.resume().result()
    assert (called, run.status) == ([1, 2], "complete")
    assert [(part.call_id, part.state) for part in run.tool_calls] == [("a", "done"), ("b", "done"), ("c", "done")]
    sent = at_server.asked[2].json["messages"]
    assert [m["role"] for m in sent] == ["user", "assistant", "tool", "assistant", "user"]
    assert Turn.from_dict(run.turn.to_dict()).to_dict() == run.turn.to_dict()


def test_what_is_whole_or_still_streams_cannot_be_resumed(at_server: RawServer) -> None:
    at_server.play(answer("x"))
    run = Chat().ask("Hi").result()
    with pytest.raises(UsageError, match=r"^The answer is complete: there is nothing to resume\.$"):
        run.resume()
    at_server.play(sse_head(), chunk("a"), HANG)
    streaming = Chat().ask("Hi")
    with pytest.raises(UsageError, match="still streams"):
        streaming.resume()
    streaming.stop()
    streaming.result()


def test_a_failed_request_is_simply_made_again(at_server: RawServer) -> None:
    at_server.play([sse_head("application/json", status="400 Bad Request"), b"{}"])
    run = Chat().ask("Hi")
    with pytest.raises(Exception, match="does not take"):
        run.result()
    at_server.play(answer("Hello"))
    assert run.resume().result().text == "Hello"
    assert [part.type for part in run.turn.parts] == ["text"]
    assert at_server.asked[1].json == at_server.asked[0].json


# What was received is counted


def test_what_a_cut_answer_cost_is_estimated(at_server: RawServer) -> None:
    run = cut_off(at_server)
    assert run.usage is not None
    assert run.usage.to_dict() == {"input_tokens": 10, "output_tokens": 4, "is_estimate": True}
    assert "≈ 10 + 4 tokens" in footer(run)


def test_what_the_server_counts_after_the_seam_is_added(at_server: RawServer) -> None:
    run = cut_off(at_server)
    at_server.play(answer("ue.", usage=(30, 2)))
    run.resume().result()
    assert run.usage is not None
    assert (run.usage.input_tokens, run.usage.output_tokens) == (40, 6)


def test_what_the_server_counted_is_no_estimate(at_server: RawServer) -> None:
    usage = event({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}})
    at_server.play(sse_head(), chunk("a"), chunk("b"), usage, RESET)
    run = Chat().ask("Hi")
    with pytest.raises(DisconnectedError):
        run.result()
    assert run.usage is not None
    assert run.usage.to_dict() == {"input_tokens": 3, "output_tokens": 2}


# Bounds


def test_an_answer_beyond_the_bound_is_cut_off_with_what_there_is(
    at_server: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_module, "MAX_ANSWER_CHARACTERS", 2**20)
    at_server.play(sse_head(), *[chunk("x" * 2**18)] * 5, HANG)
    run = Chat().ask("Hi")
    with pytest.raises(AnswerTooLongError, match="longer than 1 million characters: the answer is cut off"):
        run.result()
    assert (run.status, len(run.text)) == ("truncated", 2**20)
    at_server.wait_for_disconnect(at_server.asked[0])
