from __future__ import annotations

import asyncio
import contextlib
import time

import httpx
import pytest
from raw_server import DONE, HANG, RESET, RawServer, Step, chunk, event, json_answer, sse_head

from holysheep_nb import agent
from holysheep_nb.errors import (
    DisconnectedError,
    HolySheepError,
    ModelNotFoundError,
    ServerError,
    StalledError,
)
from holysheep_nb.events import Event, PayloadSkipped, TextDelta, TurnFinished, TurnStarted, UsageReported
from holysheep_nb.transports.sse import SSETransport


def respond(
    server: RawServer, *steps: Step, model: str = "raw", idle_timeout_s: float = 5.0
) -> tuple[list[Event], HolySheepError | None]:
    """The events of the answer but the first, which says that the turn has started; and what ended it."""
    server.play(sse_head(), steps)

    async def collect() -> tuple[list[Event], HolySheepError | None]:
        transport = SSETransport(server.base_url, lambda: "key", idle_timeout_s=idle_timeout_s)
        events: list[Event] = []
        try:
            async for each in agent.respond(transport, {"model": model}):
                if not isinstance(each, TurnStarted):
                    events.append(each)
        except HolySheepError as error:
            return events, error
        finally:
            await transport.aclose()
        return events, None

    return asyncio.run(collect())


@pytest.fixture
def short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent, "_FINISH_GRACE_S", 0.2)


@pytest.mark.usefixtures("short_grace")
def test_silence_after_a_finish_reason_ends_within_the_grace(server: RawServer) -> None:
    began = time.monotonic()
    events, error = respond(server, chunk("a"), chunk(finish_reason="stop"), HANG)
    assert (events, error) == ([TextDelta("a"), TurnFinished("stop")], None)
    assert 0.2 <= time.monotonic() - began < 4
    server.wait_for_disconnect(server.asked[0])


@pytest.mark.usefixtures("short_grace")
def test_a_stall_after_a_finish_reason_is_complete(server: RawServer) -> None:
    events, error = respond(server, chunk("a", finish_reason="stop"), HANG, idle_timeout_s=0.1)
    assert (events, error) == ([TextDelta("a"), TurnFinished("stop")], None)


@pytest.mark.usefixtures("short_grace")
def test_a_cut_after_a_finish_reason_is_complete(server: RawServer) -> None:
    events, error = respond(server, chunk("a", finish_reason="stop"), 0.05, RESET)
    assert (events, error) == ([TextDelta("a"), TurnFinished("stop")], None)


def test_usage_that_comes_after_the_finish_reason_is_waited_for(server: RawServer) -> None:
    usage = event({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 5}})
    events, error = respond(server, chunk("a", finish_reason="stop"), 0.1, usage, DONE)
    assert (events, error) == ([TextDelta("a"), UsageReported(3, 5), TurnFinished("stop")], None)


def test_done_without_an_end_of_the_body_ends_at_once(server: RawServer) -> None:
    began = time.monotonic()
    events, error = respond(server, chunk("a"), DONE, HANG)
    assert (events, error) == ([TextDelta("a"), TurnFinished("stop")], None)
    assert time.monotonic() - began < 4


def test_the_end_without_finish_reason_or_done_is_a_disconnect(server: RawServer) -> None:
    events, error = respond(server, chunk("a"))
    assert events == [TextDelta("a")]
    assert type(error) is DisconnectedError
    assert str(error) == f"127.0.0.1:{server.port} ended the stream before the answer was complete."


def test_an_empty_body_is_a_disconnect(server: RawServer) -> None:
    events, error = respond(server)
    assert (events, type(error)) == ([], DisconnectedError)


def test_a_stall_before_a_finish_reason_is_a_stall(server: RawServer) -> None:
    events, error = respond(server, chunk("a"), HANG, idle_timeout_s=0.2)
    assert events == [TextDelta("a")]
    assert type(error) is StalledError


def test_a_malformed_payload_is_an_event_and_the_rest_goes_on(server: RawServer) -> None:
    events, error = respond(server, b"data: {\n\n", chunk("a"), DONE)
    assert [type(each) for each in events] == [PayloadSkipped, TextDelta, TurnFinished]
    assert error is None


def test_an_error_object_in_mid_stream_ends_the_answer_and_the_request(server: RawServer) -> None:
    events, error = respond(server, chunk("a"), event({"error": {"message": "no room"}}), HANG)
    assert events == [TextDelta("a")]
    assert type(error) is ServerError
    assert str(error) == "The server ended the answer with an error: no room."
    server.wait_for_disconnect(server.asked[0])


def test_closing_the_iterator_ends_the_request(server: RawServer) -> None:
    server.play(sse_head(), chunk("a"), HANG)

    async def leave() -> None:
        async with contextlib.aclosing(agent.respond(SSETransport(server.base_url, lambda: "key"), {})) as events:
            async for each in events:
                if isinstance(each, TextDelta):
                    break
        await asyncio.to_thread(server.wait_for_disconnect, server.asked[0])

    asyncio.run(leave())


NOT_FOUND = {"error": {"message": "gone", "code": "model_not_found"}}


def refusal(server: RawServer, model: str) -> HolySheepError:
    server.play(json_answer(NOT_FOUND, "404 Not Found"))
    _, error = respond(server, model=model)
    assert isinstance(error, HolySheepError)
    return error


@pytest.mark.parametrize(
    ("models", "advice"),
    [
        (["raw", "raw-large"], " Did you mean 'raw-large'?"),
        (["gpt-4.1"], " Did you mean 'gpt-4.1'?"),
        ([], ""),
    ],
)
def test_an_unknown_model_is_answered_with_the_nearest_or_the_first(
    server: RawServer, models: list[str], advice: str
) -> None:
    server.models = models
    error = refusal(server, "raw-larg")
    assert type(error) is ModelNotFoundError
    assert str(error) == (
        f"127.0.0.1:{server.port} has no model 'raw-larg'.{advice} `%holysheep models` lists what there is."
    )
    assert error.status_code == 404


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (401, "", "api.test refused the key (401). Set HOLYSHEEP_API_KEY to a valid key."),
        (500, "<html>", "api.test failed (500): run the cell again in a moment."),
        (200, "<html>", "The endpoint's list of models could not be read."),
    ],
)
def test_models_that_cannot_be_listed_are_one_sentence(status: int, body: str, sentence: str) -> None:
    answers = httpx.MockTransport(lambda _: httpx.Response(status, text=body))

    async def models() -> list[str]:
        return await agent.list_models(SSETransport("https://api.test/v1", lambda: "key", http_transport=answers))

    with pytest.raises(HolySheepError) as raised:
        asyncio.run(models())
    assert str(raised.value) == sentence
