"""Tool calls of the script engine over SSE, with the real `openai` SDK as the client."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from local_gateways import TOOLS, client_of, say
from openai.types.chat import ChatCompletionChunk

from holysheep_nb.errors import ConfigurationError
from holysheep_nb.local import Gateway
from holysheep_nb.local.script_file import ScriptAnswer, insert_results, read_script


def stream(gateway: Gateway, messages: list[Any]) -> list[ChatCompletionChunk]:
    return list(
        client_of(gateway).chat.completions.create(
            model="script-shop", messages=messages, tools=TOOLS, stream=True, stream_options={"include_usage": True}
        )
    )


def added_up(chunks: list[ChatCompletionChunk]) -> dict[str, Any]:
    """The assistant's message that the chunks are, as any client of the SDK adds it up."""
    text, calls = "", dict[int, dict[str, Any]]()
    for delta in (choice.delta for chunk in chunks for choice in chunk.choices):
        text += delta.content or ""
        for call in delta.tool_calls or []:
            assert call.function is not None
            if call.id:
                function = {"name": call.function.name, "arguments": ""}
                calls[call.index] = {"id": call.id, "type": "function", "function": function}
            calls[call.index]["function"]["arguments"] += call.function.arguments or ""
    return {"role": "assistant", "content": text or None, "tool_calls": list(calls.values())}


def answered(message: dict[str, Any], *results: str) -> list[Any]:
    """The message with calls, and the results that are given for them."""
    ids = [call["id"] for call in message["tool_calls"]]
    told = [{"role": "tool", "tool_call_id": i, "content": text} for i, text in zip(ids, results, strict=True)]
    return [message, *told]


def reasons(chunks: list[ChatCompletionChunk]) -> list[str]:
    return [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]


def test_a_call_is_streamed_with_its_name_first_and_its_arguments_in_fragments(gateway: Gateway) -> None:
    chunks = stream(gateway, say("A refund, please."))
    calls = [call for chunk in chunks for choice in chunk.choices for call in choice.delta.tool_calls or []]
    assert (calls[0].id, calls[0].type) == ("call_0_1", "function")
    assert [call.function.arguments for call in calls if call.function] == ["", '{"', "order", '": ', "1042", "}"]
    assert [call.function.name for call in calls if call.function] == ["lookup_order", None, None, None, None, None]
    assert added_up(chunks)["content"] == "I look it up."
    assert reasons(chunks) == ["tool_calls"]
    assert chunks[-1].usage is not None


def test_rounds_follow_on_results_and_a_new_prompt_begins_again(gateway: Gateway) -> None:
    messages = say("A refund, please.")
    messages += answered(added_up(stream(gateway, messages)), '{"status": "torn", "city": "Paris"}')
    second = added_up(stream(gateway, messages))
    assert second["content"] is None
    assert second["tool_calls"][0]["id"] == "call_0_2"
    assert json.loads(second["tool_calls"][0]["function"]["arguments"]) == {"order": 1042, "why": "it is “torn”"}
    messages += answered(second, "Paid back.")
    third = stream(gateway, messages)
    assert added_up(third)["content"] == "It was torn: Paid back."
    assert reasons(third) == ["stop"]
    messages += [{"role": "assistant", "content": "It was torn."}, *say("Another refund!")]
    assert added_up(stream(gateway, messages))["tool_calls"][0]["id"] == "call_0_3"


def test_images_of_a_result_are_no_new_prompt(gateway: Gateway) -> None:
    messages = say("long story about a refund")
    messages += answered(added_up(stream(gateway, messages)), '{"status": "torn"}')
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}
    seen = {"role": "user", "content": [{"type": "text", "text": "What lookup_order (call_0_1) returned:"}, image]}
    assert added_up(stream(gateway, [*messages, seen]))["tool_calls"][0]["function"]["name"] == "refund"


def test_two_parallel_calls_have_indexes_of_their_own(gateway: Gateway) -> None:
    chunks = stream(gateway, say("both"))
    message = added_up(chunks)
    calls = message["tool_calls"]
    assert [(call["id"], call["function"]["arguments"]) for call in calls] == [
        ("call_1_1", '{"order": 1}'),
        ("call_1_2", '{"order": 2}'),
    ]
    last = stream(gateway, [*say("both"), *answered(message, "one", "two")])
    assert added_up(last)["content"] == "one and two"


def test_without_streaming_the_calls_are_in_the_message_and_its_content_is_null(gateway: Gateway) -> None:
    client = client_of(gateway)
    choice = client.chat.completions.create(model="script-shop", messages=say("both"), tools=TOOLS).choices[0]
    assert choice.message.content is None
    assert choice.finish_reason == "tool_calls"
    assert [call.function.arguments for call in choice.message.tool_calls or [] if call.type == "function"] == [
        '{"order": 1}',
        '{"order": 2}',
    ]
    messages = [*say("both"), *answered(choice.message.to_dict(), "one", "two")]
    answer = client.chat.completions.create(model="script-shop", messages=messages, tools=TOOLS).choices[0]
    assert (answer.message.content, answer.message.tool_calls, answer.finish_reason) == ("one and two", None, "stop")


def test_arguments_may_be_cut_by_length(gateway: Gateway) -> None:
    chunks = stream(gateway, say("short"))
    assert added_up(chunks)["tool_calls"][0]["function"]["arguments"] == '{"order": 10'
    assert reasons(chunks) == ["length"]


def test_the_connection_may_be_cut_in_the_arguments(gateway: Gateway) -> None:
    chunks: list[ChatCompletionChunk] = []
    cut = client_of(gateway).chat.completions.create(model="script-shop", messages=say("cut"), stream=True)
    with pytest.raises((openai.APIConnectionError, httpx.RemoteProtocolError)):
        chunks.extend(cut)
    assert added_up(chunks)["tool_calls"][0]["function"]["arguments"] == '{"order'


def test_an_answer_that_is_used_up_goes_on_with_its_own_rounds(gateway: Gateway) -> None:
    first = added_up(stream(gateway, say("once")))
    assert added_up(stream(gateway, say("once")))["content"] == "the second"
    assert added_up(stream(gateway, [*say("once"), *answered(first, "x")]))["content"] == "the first"


def test_results_without_a_next_round_are_refused_and_nothing_is_made_up(gateway: Gateway) -> None:
    message = added_up(stream(gateway, say("nothing after")))
    with pytest.raises(openai.BadRequestError, match="nothing to say after the results of round 1") as caught:
        stream(gateway, [*say("nothing after"), *answered(message, "x")])
    assert caught.value.code == "no_scripted_answer"


@pytest.mark.parametrize(
    ("text", "inserted"),
    [
        ("{{result}}", "plain"),
        ("{{ result }}!", "plain!"),
        ("{{result 1.a.b}}", "x"),
        ("{{result 1.list.1}}", "2"),
        ("{{result 1.a}}", '{"b": "x"}'),
        ("{{result 1.missing}}", '{"a": {"b": "x"}, "list": [1, 2]}'),
        ("{{result.a}}", "plain"),
        ("{{result 3}} {{result 0}} {{other}} {result}", "{{result 3}} {{result 0}} {{other}} {result}"),
    ],
)
def test_pieces_of_results_are_inserted(text: str, inserted: str) -> None:
    assert insert_results(text, ['{"a": {"b": "x"}, "list": [1, 2]}', "plain"]) == inserted


def test_without_results_nothing_is_inserted() -> None:
    assert insert_results("{{result}}", []) == "{{result}}"


@pytest.mark.parametrize("arguments", ["", "{", '{"a": "x y\\n“é”"}', "no json, at: all"])
def test_fragments_of_arguments_joined_are_the_arguments(arguments: str) -> None:
    answer = ScriptAnswer.model_validate({"calls": [{"name": "f", "arguments": arguments}]})
    fragments = [call["function"]["arguments"] for delta in answer.deltas() for call in getattr(delta, "calls", [])]
    assert "".join(fragments) == arguments


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ({"text": "x", "then": [{"text": "y"}]}, "a round follows on the results of calls"),
        ({"calls": [{"name": "f"}], "then": [{"text": "y"}, {"text": "z"}]}, "a round follows on the results of calls"),
        ({"calls": [{"name": "f"}], "then": [{"text": "y", "match": "z"}]}, "then.0.match"),
        ({"calls": [{"name": "f", "argument": {}}]}, "calls.0.argument"),
        ({"calls": [{"name": "f"}], "stream": "x.sse"}, "exactly one of text, stream and error"),
        ({"calls": []}, "exactly one of text, stream and error"),
        ({"calls": [{"name": "f"}], "then": [{"stream": "missing.sse"}]}, "missing.sse"),
    ],
)
def test_wrong_rounds_are_refused_with_the_place(tmp_path: Path, answer: object, says: str) -> None:
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps({"models": {"script": {"answers": [answer]}}}))
    with pytest.raises(ConfigurationError) as caught:
        read_script(path)
    assert says in str(caught.value)


CALL = {"id": "c", "type": "function", "function": {"name": "lookup_order", "arguments": "{}"}}
RESULT = {"role": "tool", "tool_call_id": "c", "content": "x"}


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"tools": [{"type": "function"}]}, "tools.0.function"),
        ({"tools": [{"type": "code", "function": {"name": "f"}}]}, "tools.0.type"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools.0.function.name"),
        ({"tools": [{"type": "function", "function": {"name": "f", "parameters": []}}]}, "tools.0.function.parameters"),
        ({"tools": [TOOLS[0], TOOLS[0]]}, "tools.1.function.name"),
        ({"tools": TOOLS, "tool_choice": "always"}, "tool_choice"),
        ({"tools": TOOLS, "tool_choice": {"type": "function"}}, "tool_choice"),
        ({"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "x"}}}, "tool_choice"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"tools": TOOLS, "parallel_tool_calls": "no"}, "parallel_tool_calls"),
        ({"parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"messages": [*say("x"), RESULT]}, "messages.1.tool_call_id"),
        ({"messages": [*say("x"), {"role": "assistant", "tool_calls": [CALL]}]}, "messages.1.tool_calls"),
        ({"messages": [*say("x"), {"role": "assistant", "tool_calls": [CALL]}, *say("y")]}, "messages.1.tool_calls"),
        (
            {"messages": [*say("x"), {"role": "assistant", "tool_calls": [CALL]}, RESULT, RESULT]},
            "messages.3.tool_call_id",
        ),
        ({"messages": [*say("x"), {"role": "assistant", "tool_calls": [CALL, CALL]}, RESULT]}, "messages.1.tool_calls"),
        ({"messages": [{"role": "user", "content": "x", "tool_calls": [CALL]}, RESULT]}, "messages.0.tool_calls"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{**CALL, "function": {"name": "f"}}]}, RESULT]},
            "messages.0.tool_calls.0.function.arguments",
        ),
    ],
)
def test_a_request_with_wrong_tools_is_refused_and_the_key_is_named(
    gateway: Gateway, wrong: dict[str, Any], param: str
) -> None:
    body = {"model": "script", "messages": say("x"), **wrong}
    url, key = f"{gateway.base_url}/chat/completions", {"Authorization": f"Bearer {gateway.key}"}
    response = httpx.post(url, json=body, headers=key, trust_env=False)
    assert response.status_code == 400
    error = response.json()["error"]
    assert (error["param"], error["code"], error["type"]) == (param, "invalid_value", "invalid_request_error")
    assert error["message"].startswith(f"{param}: ")


@pytest.mark.parametrize(
    "right",
    [
        {"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "refund"}}},
        {"tools": TOOLS, "tool_choice": "required", "parallel_tool_calls": False},
        {"tool_choice": "none"},
        {"messages": [*say("x"), {"role": "assistant", "content": None, "tool_calls": [CALL]}, RESULT, *say("y")]},
    ],
)
def test_a_request_with_right_tools_is_taken(gateway: Gateway, right: dict[str, Any]) -> None:
    answer = client_of(gateway).chat.completions.create(**{"model": "script", "messages": say("x"), **right})
    assert answer.choices[0].finish_reason == "stop"
