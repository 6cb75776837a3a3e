from __future__ import annotations

import asyncio
import time

import pytest
from raw_server import HANG, RawServer, answer, chunk, json_answer, sse_head

from holysheep_nb import Chat, stream_chat_completion_sse
from holysheep_nb.errors import (
    AnswerFormatError,
    DisconnectedError,
    MissingKeyError,
    ModelNotFoundError,
    UsageError,
)
from holysheep_nb.events import TextDelta, TurnFinished


def test_result_gives_the_whole_answer_with_usage_and_timing(at_server: RawServer) -> None:
    at_server.play(answer("Hello", " world"))
    run = Chat().ask("Hi").result()
    assert (run.text, run.status, run.complete) == ("Hello world", "complete", True)
    assert run.usage is not None
    assert (run.usage.input_tokens, run.usage.output_tokens) == (3, 5)
    assert run.timing.first_delta_s is not None
    assert str(run) == "Hello world"


def test_the_key_is_in_the_authorization_header_and_nowhere_else(at_server: RawServer) -> None:
    at_server.play(answer("x"))
    Chat().ask("Hi").result()
    (request,) = at_server.asked
    assert request.headers.pop("authorization") == "Bearer hs-test-key-0123456789"
    assert "hs-test-key" not in f"{request.headers} {request.path} {request.body!r}"


def test_a_run_can_be_awaited_on_any_loop(at_server: RawServer) -> None:
    at_server.play(answer("a"))

    async def ask() -> str:
        return (await Chat().ask("Hi")).text

    assert asyncio.run(ask()) == "a"


def test_stream_gives_the_events_as_they_come(at_server: RawServer) -> None:
    at_server.play(answer("a", "b", pause_s=0.01))

    async def collect() -> list[object]:
        return [event async for event in Chat().stream("Hi")]

    events = asyncio.run(collect())
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["a", "b"]
    assert events[-1] == TurnFinished("stop")


def test_leaving_the_loop_over_a_stream_ends_the_request(at_server: RawServer) -> None:
    at_server.play(sse_head(), chunk("a"), HANG)

    async def first() -> None:
        stream = Chat().stream("Hi")
        async for event in stream:
            if isinstance(event, TextDelta):
                break
        await stream.aclose()

    asyncio.run(first())
    at_server.wait_for_disconnect(at_server.asked[0])


def test_the_plain_iterator_streams_text_in_a_script(at_server: RawServer) -> None:
    at_server.play(answer("a", "b"))
    assert list(stream_chat_completion_sse("raw", [{"role": "user", "content": "Hi"}])) == ["a", "b"]
    assert at_server.asked[0].json["max_tokens"] == 2048


def test_leaving_the_plain_iterator_early_ends_the_request(at_server: RawServer) -> None:
    at_server.play(sse_head(), chunk("a"), HANG)
    texts = stream_chat_completion_sse("raw", [{"role": "user", "content": "Hi"}])
    assert next(texts) == "a"
    texts.close()  # type: ignore[attr-defined]
    at_server.wait_for_disconnect(at_server.asked[0])


def test_stop_closes_the_connection_within_300_ms_and_keeps_the_text(at_server: RawServer) -> None:
    at_server.play(sse_head(), chunk("so far"), HANG)
    chat = Chat()
    run = chat.ask("Hi")
    request = at_server.wait_for_request()
    while not run.text:
        time.sleep(0.005)
    stopped_at = time.monotonic()
    run.stop()
    run.stop()
    assert at_server.wait_for_disconnect(request) - stopped_at < 0.3
    assert run.result() is run
    assert (run.status, run.text, run.complete) == ("stopped", "so far", False)
    assert run.turn.finish_reason == "stopped"


def test_later_prompts_are_sent_with_the_stopped_answer(at_server: RawServer) -> None:
    at_server.play(sse_head(), chunk("so far"), HANG)
    at_server.play(answer("more"))
    chat = Chat()
    run = chat.ask("one")
    while not run.text:
        time.sleep(0.005)
    run.stop()
    run.result()
    chat.ask("two").result()
    assert [m["content"] for m in at_server.asked[1].json["messages"]] == ["one", "so far", "two"]


def test_a_cell_that_asks_again_replaces_its_own_exchange(at_server: RawServer) -> None:
    at_server.play(answer("A"))
    chat = Chat(system="Be brief.")
    chat.ask("a", cell="1").result()
    chat.ask("b", cell="2").result()
    chat.ask("c", cell="3").result()
    run = chat.ask("b again", cell="2").result()
    assert [m["content"] for m in at_server.asked[-1].json["messages"]] == ["Be brief.", "a", "A", "b again"]
    assert run.request.earlier_cells == 1
    assert len(chat.conversation.exchanges[1].branches) == 1


def test_afresh_leaves_out_what_stands_above_for_this_cell_and_those_below(at_server: RawServer) -> None:
    at_server.play(answer("A"))
    chat = Chat()
    chat.ask("a", cell="1").result()
    chat.ask("b", cell="2", afresh=True).result()
    chat.ask("c", cell="3").result()
    assert [[m["content"] for m in r.json["messages"]] for r in at_server.asked] == [["a"], ["b"], ["b", "A", "c"]]


def test_a_failed_exchange_is_not_sent_with_later_prompts(at_server: RawServer) -> None:
    at_server.play(json_answer({"error": {"message": "down"}}, "402 Payment Required"))
    at_server.play(answer("A"))
    chat = Chat()
    with pytest.raises(Exception, match="402"):
        chat.ask("a").result()
    chat.ask("b").result()
    assert [m["content"] for m in at_server.asked[-1].json["messages"]] == ["b"]


def test_parameters_go_into_the_request_as_they_are(at_server: RawServer) -> None:
    at_server.play(answer("A"))
    Chat(seed=1, temperature=0.5).ask("a", temperature=0.1, stop=["x"]).result()
    body = at_server.asked[0].json
    assert (body["seed"], body["temperature"], body["stop"], body["stream"]) == (1, 0.1, ["x"], True)
    assert body["stream_options"] == {"include_usage": True}
    assert "max_tokens" not in body


def test_an_unknown_model_is_answered_with_the_nearest_there_is(at_server: RawServer) -> None:
    at_server.play(json_answer({"error": {"message": "no such model", "code": "model_not_found"}}, "404 Not Found"))
    with pytest.raises(ModelNotFoundError, match=r"has no model 'raw-larg'\. Did you mean 'raw-large'\?"):
        Chat().ask("a", model="raw-larg").result()


def test_without_a_key_nothing_is_sent(at_server: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOLYSHEEP_API_KEY")
    chat = Chat()
    with pytest.raises(MissingKeyError, match="set HOLYSHEEP_API_KEY or type it after `%holysheep login`"):
        chat.ask("a")
    assert (at_server.requests, chat.conversation.exchanges) == ([], [])


def test_an_empty_prompt_is_refused_before_anything_is_sent(at_server: RawServer) -> None:
    with pytest.raises(UsageError, match="The prompt is empty"):
        Chat().ask(" \n")
    assert at_server.requests == []


def test_a_cut_stream_is_truncated_and_keeps_its_text(at_server: RawServer) -> None:
    at_server.play(sse_head(), chunk("half an"))
    run = Chat().ask("a")
    with pytest.raises(DisconnectedError, match=r"the answer is cut off, and what came is kept \(7 characters\)\.$"):
        run.result()
    assert (run.status, run.text, run.complete) == ("truncated", "half an", False)


def test_json_answers_are_parsed_and_a_parse_error_keeps_the_text(at_server: RawServer) -> None:
    at_server.play(answer('```json\n{"a": 1}\n```'))
    at_server.play(answer("no json"))
    chat = Chat()
    assert chat.ask("a", answer_format="json").result().value == {"a": 1}
    run = chat.ask("a", answer_format="json")
    with pytest.raises(AnswerFormatError, match="its text is kept"):
        run.result()
    assert (run.text, run.status) == ("no json", "complete")


def test_three_runs_stream_at_the_same_time(at_server: RawServer) -> None:
    at_server.play(answer("a", "b", pause_s=0.2))
    chat = Chat()
    began = time.monotonic()
    runs = [chat.ask("Hi", cell=str(n)) for n in range(3)]
    assert [run.result().text for run in runs] == ["ab"] * 3
    assert time.monotonic() - began < 1.0
