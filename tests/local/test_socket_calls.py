"""Tool calls over a WebSocket: results on the same socket, round after round."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from local_gateways import TOOLS, health, say, wait_until
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from holysheep_nb import Chat, Run, tool
from holysheep_nb.local import Gateway
from holysheep_nb.local.answer import Counters
from holysheep_nb.local.blocks_answer import BlocksAnswer
from holysheep_nb.local.call_results import CallResults
from holysheep_nb.local.engine import Delta, Finished
from holysheep_nb.local.request import ChatRequest, RefusedRequestError, parse_request
from holysheep_nb.local.script import ScriptEngine


@contextlib.asynccontextmanager
async def dial(gateway: Gateway, prompt: str, **parameters: object) -> AsyncIterator[ClientConnection]:
    """A socket on which `prompt` was asked of script-shop."""
    key = {"Authorization": f"Bearer {gateway.key}"}
    async with connect(f"{gateway.ws_url}/chat/stream", additional_headers=key, proxy=None) as socket:
        init = {
            "type": "init",
            "model": "script-shop",
            "messages": say(prompt),
            "tools": TOOLS,
            "parameters": parameters,
        }
        await socket.send(json.dumps(init))
        yield socket


async def read_round(socket: ClientConnection) -> list[dict[str, Any]]:
    """The blocks until the round is done, or until there is an error."""
    blocks = [json.loads(await socket.recv())]
    while blocks[-1]["type"] not in ("done", "error"):
        blocks.append(json.loads(await socket.recv()))
    return blocks


def texts(blocks: list[dict[str, Any]]) -> str:
    return "".join(block["content"] for block in blocks if block["type"] == "content_block")


def calls(blocks: list[dict[str, Any]]) -> dict[str, str]:
    """The arguments of the calls by their ids."""
    ids, found = dict[int, str](), dict[str, str]()
    for block in (block for block in blocks if block["type"] == "function_call"):
        if "id" in block:
            ids[block["index"]] = block["id"]
            found[block["id"]] = ""
        found[ids[block["index"]]] += block["function"]["arguments"]
    return found


async def answer(socket: ClientConnection, call_id: str, result: object, **more: object) -> None:
    await socket.send(json.dumps({"type": "function_result", "id": call_id, "result": result, **more}))


async def read_close(socket: ClientConnection) -> int | None:
    """The code with which the server closes the connection; it says nothing before."""
    with pytest.raises(ConnectionClosed):
        await socket.recv()
    return socket.close_code


def test_two_rounds_on_one_socket_end_with_1000(gateway: Gateway) -> None:
    async def talk() -> None:
        async with dial(gateway, "refund") as socket:
            first = await read_round(socket)
            assert texts(first) == "I look it up."
            assert calls(first) == {"call_0_1": '{"order": 1042}'}
            assert len([block for block in first if block["type"] == "function_call"]) == 6
            assert [block["type"] for block in first[-2:]] == ["usage", "done"]
            assert first[-1]["finish_reason"] == "tool_calls"
            await answer(socket, "call_0_1", '{"status": "torn"}', images=["data:image/png;base64,"])
            second = await read_round(socket)
            assert json.loads(calls(second)["call_0_2"]) == {"order": 1042, "why": "it is “torn”"}
            await answer(socket, "call_0_2", "Denied.", is_error=True)
            third = await read_round(socket)
            assert texts(third) == "It was torn: Denied."
            assert third[-1] == {"type": "done", "finish_reason": "stop"}
            assert await read_close(socket) == 1000

    before = health(gateway)
    asyncio.run(talk())
    wait_until(lambda: health(gateway)["active"] == 0)
    after = health(gateway)
    assert after["finished"] == before["finished"] + 3
    assert after["stopped"] == before["stopped"]


def test_an_init_message_with_a_wrong_tool_choice_is_an_error_block_and_1008(gateway: Gateway) -> None:
    async def talk() -> None:
        async with dial(gateway, "refund", tool_choice="always") as socket:
            (block,) = await read_round(socket)
            assert (block["type"], block["error"]["param"]) == ("error", "tool_choice")
            assert await read_close(socket) == 1008

    asyncio.run(talk())


def test_results_come_in_any_order(gateway: Gateway) -> None:
    async def talk() -> None:
        async with dial(gateway, "both") as socket:
            assert list(calls(await read_round(socket))) == ["call_1_1", "call_1_2"]
            await answer(socket, "call_1_2", "two")
            await answer(socket, "call_1_1", {"n": 1})
            assert texts(await read_round(socket)) == '{"n": 1} and two'

    asyncio.run(talk())


def test_a_result_that_comes_before_the_round_is_done_is_kept(gateway: Gateway) -> None:
    async def talk() -> None:
        async with dial(gateway, "slow") as socket:
            while json.loads(await socket.recv())["type"] != "function_call":
                pass
            await answer(socket, "call_4_1", "early")
            await read_round(socket)
            await answer(socket, "call_4_2", "late")
            assert texts(await read_round(socket)) == "done"

    asyncio.run(talk())


@pytest.mark.parametrize(
    ("sent", "code", "says"),
    [
        (json.dumps({"type": "function_result", "id": "other", "result": "x"}), "unknown_call", "these do: call_0_1"),
        ("{", "invalid_json", "not valid JSON"),
        (json.dumps({"type": "init"}), "invalid_value", "type: "),
        (json.dumps({"type": "function_result", "result": "x"}), "invalid_value", "id: "),
        (json.dumps({"type": "function_result", "id": "call_0_1", "images": "x"}), "invalid_value", "images: "),
    ],
)
def test_what_is_no_result_of_a_call_is_an_error_block_and_1008(
    gateway: Gateway, sent: str, code: str, says: str
) -> None:
    async def talk() -> None:
        async with dial(gateway, "refund") as socket:
            await read_round(socket)
            await socket.send(sent)
            block = (await read_round(socket))[-1]
            assert (block["type"], block["status"], block["error"]["code"]) == ("error", 400, code)
            assert says in block["error"]["message"]
            assert await read_close(socket) == 1008

    before = health(gateway)["refused"]
    asyncio.run(talk())
    assert health(gateway)["refused"] == before + 1


def test_a_second_result_of_one_call_is_refused() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    results = CallResults({"role": "assistant", "tool_calls": [call, {**call, "id": "b"}]})
    results.add('{"type": "function_result", "id": "a", "result": "x"}')
    with pytest.raises(RefusedRequestError, match="no call with the id 'a' waits"):
        results.add('{"type": "function_result", "id": "a", "result": "x"}')
    assert results.missing == ["b"]


def test_while_results_are_waited_for_nothing_is_active_and_leaving_ends_it(gateway: Gateway) -> None:
    async def talk() -> None:
        async with dial(gateway, "refund") as socket:
            await read_round(socket)
            wait_until(lambda: health(gateway)["waiting"] == before["waiting"] + 1)
            assert health(gateway)["active"] == before["active"]

    before = health(gateway)
    asyncio.run(talk())
    wait_until(lambda: health(gateway)["waiting"] == before["waiting"])
    after = health(gateway)
    assert (after["active"], after["stopped"]) == (before["active"], before["stopped"] + 1)
    assert after["finished"] == before["finished"] + 1


def test_leaving_in_the_second_round_stops_it(gateway: Gateway) -> None:
    async def talk() -> None:
        async with dial(gateway, "long story") as socket:
            (call_id,) = calls(await read_round(socket))
            await answer(socket, call_id, "x")
            while json.loads(await socket.recv())["type"] != "content_block":
                pass
            assert health(gateway)["active"] == before["active"] + 1

    before = health(gateway)
    asyncio.run(talk())
    assert wait_until(lambda: health(gateway)["active"] == before["active"]) < 1
    assert health(gateway)["stopped"] == before["stopped"] + 1


def test_results_that_do_not_come_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holysheep_nb.local.blocks_answer.RESULTS_TIMEOUT_S", 0.05)
    sent: list[Any] = []

    class OneCall(ScriptEngine):
        async def answer(self, request: ChatRequest) -> Any:
            yield Delta.of_call(0, "c", "f")
            yield Delta.of_arguments(0, "{}")
            yield Finished("tool_calls", None)

    async def talk() -> None:
        received: asyncio.Queue[Any] = asyncio.Queue()
        init = {"type": "init", "model": "script", "messages": say("x")}
        received.put_nowait({"type": "websocket.receive", "text": json.dumps(init)})
        await BlocksAnswer(OneCall(), Counters())({}, received.get, send)

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(talk())
    error = json.loads(sent[-2]["text"])
    assert (error["status"], error["error"]["code"]) == (408, "no_results")
    assert error["error"]["message"] == "No result came within 0.05 s for the calls: c."
    assert sent[-1] == {"type": "websocket.close", "code": 1008}


def test_arguments_cut_by_length_wait_for_no_result(gateway: Gateway) -> None:
    async def talk() -> None:
        async with dial(gateway, "short") as socket:
            blocks = await read_round(socket)
            assert calls(blocks) == {"call_2_1": '{"order": 10'}
            assert blocks[-1]["finish_reason"] == "length"
            assert await read_close(socket) == 1000

    asyncio.run(talk())


def test_a_connection_cut_in_the_arguments_has_no_close_frame(gateway: Gateway) -> None:
    async def talk() -> None:
        async with dial(gateway, "cut") as socket:
            blocks = []
            with contextlib.suppress(ConnectionClosed):
                while True:
                    blocks.append(json.loads(await socket.recv()))
            assert calls(blocks) == {"call_3_1": '{"order'}
            assert socket.close_code == 1006

    asyncio.run(talk())


def test_the_end_of_a_call_comes_with_what_follows(gateway: Gateway) -> None:
    """So that a client that takes whole calls for the end of a round does not go on too early."""

    async def talk() -> None:
        async with dial(gateway, "slow") as socket:
            while '"}"' not in (text := str(await socket.recv())):
                assert "done" not in text
            following = json.loads(await asyncio.wait_for(socket.recv(), 0.06))
            assert following["index"] == 1

    asyncio.run(talk())


def test_edited_arguments_and_images_are_in_the_next_request() -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}
    results = CallResults({"role": "assistant", "content": "t", "tool_calls": [call, {**call, "id": "b"}]})
    result = {"type": "function_result", "result": "x"}
    results.add(json.dumps({**result, "id": "b", "images": ["data:1", "data:2"]}))
    results.add(json.dumps({**result, "id": "a", "edited_arguments": {"x": "é"}}))
    request = parse_request(json.dumps({"model": "m", "messages": say("x")}).encode())
    grown = results.extend(request).model_dump(exclude_none=True)["messages"]
    edited = {"name": "f", "arguments": '{"x": "é"}'}
    assert grown[1:] == [
        {"role": "assistant", "content": "t", "tool_calls": [{**call, "function": edited}, {**call, "id": "b"}]},
        {"role": "tool", "content": "x", "tool_call_id": "a"},
        {"role": "tool", "content": "x", "tool_call_id": "b"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What f (b) returned:"},
                {"type": "image_url", "image_url": {"url": "data:1"}},
                {"type": "image_url", "image_url": {"url": "data:2"}},
            ],
        },
    ]
    assert len(request.messages) == 1
    parse_request(json.dumps({"model": "m", "messages": grown}).encode())


@tool(safe=True)
def lookup_order(order: int) -> dict[str, Any]:
    """Look up an order."""
    if order != 1042:
        raise LookupError(f"there is no order {order}")
    return {"status": "torn"}


@tool(safe=True)
def refund(order: int, why: str) -> str:
    """Pay an order back."""
    return f"Paid back {order}."


def ask(gateway: Gateway, monkeypatch: pytest.MonkeyPatch, prompt: str, transport: str) -> Run:
    monkeypatch.setenv("HOLYSHEEP_BASE_URL", gateway.base_url)
    monkeypatch.setenv("HOLYSHEEP_WS_URL", gateway.ws_url)
    monkeypatch.setenv("HOLYSHEEP_API_KEY", gateway.key)
    chat = Chat(model="script-shop", tools=[lookup_order, refund], transport=transport)
    return chat.ask(prompt, show=False).result()


def transcript(run: Run) -> dict[str, Any]:
    """What was said and done, without what differs from run to run."""
    turn = run.turn.to_dict()
    for part in turn["parts"]:
        for key in ("seconds", "details"):
            part.pop(key, None)
    return turn


@pytest.mark.parametrize(
    ("prompt", "text", "outcomes"),
    [
        ("A refund!", "I look it up.\n\nIt was torn: Paid back 1042.", ["ok", "ok"]),
        ("both", "LookupError: there is no order 1 and LookupError: there is no order 2", ["error", "error"]),
        ("slow", "done", ["error", "error"]),
        ("short", "", ["stopped"]),
    ],
)
def test_a_chat_has_the_same_transcript_over_both_protocols(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, prompt: str, text: str, outcomes: list[str]
) -> None:
    before = health(gateway)
    runs = {transport: ask(gateway, monkeypatch, prompt, transport) for transport in ("sse", "ws")}
    assert {name: run.text for name, run in runs.items()} == {"sse": text, "ws": text}
    results = [part["outcome"] for part in transcript(runs["sse"])["parts"] if part["type"] == "tool_result"]
    assert results == outcomes
    assert transcript(runs["ws"]) == transcript(runs["sse"])
    wait_until(lambda: health(gateway)["active"] == before["active"])
    after = health(gateway)
    assert (after["stopped"], after["refused"], after["waiting"]) == (before["stopped"], before["refused"], 0)
    assert (after["finished"] - before["finished"]) % 2 == 0
