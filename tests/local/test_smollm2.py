"""The real model, through the real `openai` SDK. The first test fetches its weights (93 MB), once."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import httpx
import openai
import pytest
from local_gateways import TOOLS, client_of, health, say, wait_until

from holysheep_nb import Chat, tool
from holysheep_nb.local import Gateway
from holysheep_nb.local.request import ChatRequest, RefusedRequestError
from holysheep_nb.local.smollm2 import CONTEXT_TOKENS, MODEL_ID, request_body


def stream_events(gateway: Gateway, message: str) -> Any:
    body = {"model": MODEL_ID, "messages": say(message), "stream": True}
    key = {"Authorization": f"Bearer {gateway.key}"}
    url = f"{gateway.base_url}/chat/completions"
    return httpx.stream("POST", url, json=body, headers=key, timeout=60, trust_env=False)


def test_smollm2_streams_an_answer_with_usage(smollm2: Gateway) -> None:
    stream = client_of(smollm2).chat.completions.create(
        model=MODEL_ID,
        messages=say("What is the capital of France? Answer in one sentence."),
        max_tokens=40,
        temperature=0,
        seed=1,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    contents = [choice.delta.content for chunk in chunks for choice in chunk.choices if choice.delta.content]
    assert "Paris" in "".join(contents)
    assert len(contents) > 3
    usage = chunks[-1].usage
    assert usage is not None
    assert 0 < usage.completion_tokens <= 40
    assert usage.prompt_tokens > 10
    assert {chunk.model for chunk in chunks} == {MODEL_ID}
    assert "script" not in {chunk.system_fingerprint for chunk in chunks}


def test_smollm2_answers_without_streaming_and_keeps_max_tokens_and_stop(smollm2: Gateway) -> None:
    client = client_of(smollm2)
    short = client.chat.completions.create(model=MODEL_ID, messages=say("Count to fifty."), max_tokens=5)
    assert short.choices[0].finish_reason == "length"
    assert short.usage is not None
    assert short.usage.completion_tokens == 5
    request: dict[str, Any] = {"model": MODEL_ID, "messages": say("List: 1, 2, 3, 4, 5, 6"), "temperature": 0}
    whole = client.chat.completions.create(**request, max_tokens=30).choices[0].message.content or ""
    word = whole.split()[3]
    stopped = client.chat.completions.create(**request, max_tokens=30, stop=word).choices[0]
    assert word not in (stopped.message.content or "")
    assert stopped.finish_reason == "stop"


def test_smollm2_repeats_itself_with_the_same_seed(smollm2: Gateway) -> None:
    request: dict[str, Any] = {"messages": say("Name an animal."), "temperature": 1.2, "seed": 7, "max_tokens": 12}
    client = client_of(smollm2)
    answers = [client.chat.completions.create(model=MODEL_ID, **request).choices[0].message.content for _ in range(3)]
    assert answers[1] == answers[2]  # from the second on, the same part of the prompt is cached


def test_smollm2_refuses_what_is_over_its_context_before_the_stream_begins(smollm2: Gateway) -> None:
    client = client_of(smollm2)
    for message, max_tokens in (("word " * CONTEXT_TOKENS, 1), ("hi", CONTEXT_TOKENS)):
        with pytest.raises(openai.BadRequestError, match=f"context is {CONTEXT_TOKENS} tokens") as caught:
            client.chat.completions.create(model=MODEL_ID, messages=say(message), max_tokens=max_tokens, stream=True)
        assert caught.value.code == "context_length_exceeded"


def test_smollm2_stops_at_once_when_the_client_leaves(smollm2: Gateway) -> None:
    with stream_events(smollm2, "Write a very long story about a sheep.") as response:
        chunks = response.iter_raw()  # kept: httpx closes the response with it
        next(chunks)
        assert health(smollm2)["active"] == 1
    assert wait_until(lambda: health(smollm2)["active"] == 0) < 1


def test_smollm2_stops_reading_a_long_prompt_when_the_client_leaves(smollm2: Gateway) -> None:
    with stream_events(smollm2, "sheep " * (CONTEXT_TOKENS // 2)) as response:
        next(response.iter_raw())
    assert wait_until(lambda: health(smollm2)["active"] == 0) < 3
    start = time.monotonic()
    client_of(smollm2).chat.completions.create(model=MODEL_ID, messages=say("Hi"), max_tokens=2)
    assert time.monotonic() - start < 5


def test_smollm2_answers_one_at_a_time_and_who_leaves_the_queue_is_forgotten(smollm2: Gateway) -> None:
    client = client_of(smollm2)
    with stream_events(smollm2, "Write a very long story about a wolf.") as first:
        chunks = first.iter_raw()
        next(chunks)
        with pytest.raises(openai.APITimeoutError):
            client.chat.completions.create(model=MODEL_ID, messages=say("Hi"), max_tokens=2, timeout=0.5)
        wait_until(lambda: health(smollm2)["active"] == 1)
        answers: list[Any] = []
        ask = {"model": MODEL_ID, "messages": say("Hi"), "max_tokens": 2}
        waiting = threading.Thread(target=lambda: answers.append(client.chat.completions.create(**ask)))
        waiting.start()
        wait_until(lambda: health(smollm2)["active"] == 2)
        assert answers == []
    waiting.join(10)
    assert answers[0].usage.completion_tokens == 2


def test_smollm2_says_that_it_reads_no_images() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:"}}
    request = {"model": MODEL_ID, "messages": [{"role": "user", "content": [image]}]}
    with pytest.raises(RefusedRequestError) as caught:
        request_body(ChatRequest.model_validate(request))
    assert caught.value.code == "image_not_supported"


def test_smollm2_calls_a_tool_in_fragments_and_answers_with_its_result(smollm2: Gateway) -> None:
    client = client_of(smollm2)
    request: dict[str, Any] = {"model": MODEL_ID, "tools": TOOLS, "temperature": 0}
    messages = say("Please look up order 1042.")
    chunks = list(client.chat.completions.create(**request, messages=messages, stream=True))
    deltas = [call for chunk in chunks for choice in chunk.choices for call in choice.delta.tool_calls or []]
    assert deltas[0].function is not None
    assert (deltas[0].function.name, deltas[0].type) == ("lookup_order", "function")
    arguments = [call.function.arguments or "" for call in deltas if call.function]
    assert len([fragment for fragment in arguments if fragment]) > 2
    assert json.loads("".join(arguments)) == {"order": 1042}
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices][-1] == "tool_calls"
    function = {"name": "lookup_order", "arguments": "".join(arguments)}
    asked = {"role": "assistant", "content": None, "tool_calls": [{"id": deltas[0].id, "type": "function"}]}
    asked["tool_calls"][0]["function"] = function  # type: ignore[index]
    result = {"role": "tool", "tool_call_id": deltas[0].id, "content": '{"status": "shipped", "city": "Paris"}'}
    answer = client.chat.completions.create(**request, messages=[*messages, asked, result], max_tokens=60).choices[0]
    assert answer.message.tool_calls is None
    assert "shipped" in (answer.message.content or "")


def test_smollm2_calls_the_function_that_is_named_and_answers_text_when_none_fits(smollm2: Gateway) -> None:
    client = client_of(smollm2)
    request: dict[str, Any] = {"model": MODEL_ID, "tools": TOOLS, "messages": say("Name an animal."), "max_tokens": 40}
    named = {"type": "function", "function": {"name": "refund"}}
    (call,) = client.chat.completions.create(**request, tool_choice=named).choices[0].message.tool_calls or []
    assert call.type == "function"
    assert call.function.name == "refund"
    assert isinstance(json.loads(call.function.arguments)["order"], int)
    answer = client.chat.completions.create(**request).choices[0]
    assert answer.message.content
    assert answer.message.tool_calls is None


def test_smollm2_cuts_arguments_at_max_tokens(smollm2: Gateway) -> None:
    request: dict[str, Any] = {"model": MODEL_ID, "tools": TOOLS, "tool_choice": "required", "temperature": 0}
    choice = (
        client_of(smollm2)
        .chat.completions.create(**request, messages=say("A refund of order 77"), max_tokens=20)
        .choices[0]
    )
    (call,) = choice.message.tool_calls or []
    assert (choice.finish_reason, call.type) == ("length", "function")
    with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
        json.loads(call.function.arguments)  # type: ignore[union-attr]


def test_smollm2_keeps_to_a_schema_with_definitions(smollm2: Gateway) -> None:
    place = {"type": "object", "properties": {"city": {"enum": ["Oslo", "Rome"]}}, "required": ["city"]}
    parameters = {
        "type": "object",
        "$defs": {"Place": place},
        "properties": {"places": {"type": "array", "items": {"$ref": "#/$defs/Place"}, "minItems": 1, "maxItems": 2}},
        "required": ["places"],
    }
    tools: list[Any] = [{"type": "function", "function": {"name": "visit", "parameters": parameters}}]
    answer = client_of(smollm2).chat.completions.create(
        model=MODEL_ID, messages=say("I visit Rome"), tools=tools, tool_choice="required"
    )
    (call,) = answer.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert json.loads(call.function.arguments)["places"][0]["city"] in ("Oslo", "Rome")


def test_smollm2_names_the_tool_whose_schema_it_does_not_take(smollm2: Gateway) -> None:
    wrong = {"type": "object", "properties": {"x": {"type": "nonsense"}}}
    tools: list[Any] = [TOOLS[0], {"type": "function", "function": {"name": "bad", "parameters": wrong}}]
    named: Any = {"type": "function", "function": {"name": "bad"}}
    with pytest.raises(openai.BadRequestError) as caught:
        client_of(smollm2).chat.completions.create(
            model=MODEL_ID, messages=say("x"), tools=tools, tool_choice=named, stream=True
        )
    assert (caught.value.code, caught.value.param) == (
        "invalid_function_parameters",
        "tools.1.function.parameters",
    )
    assert "'bad' are not understood at properties/x: unrecognized type nonsense" in str(caught.value)


@pytest.mark.parametrize("transport", ["sse", "ws"])
def test_smollm2_calls_a_tool_of_a_chat(smollm2: Gateway, monkeypatch: pytest.MonkeyPatch, transport: str) -> None:
    asked: list[int] = []

    @tool(safe=True)
    def lookup_order(order: int) -> str:
        """Look up an order."""
        asked.append(order)
        return "The order was shipped to Paris."

    monkeypatch.setenv("HOLYSHEEP_BASE_URL", smollm2.base_url)
    monkeypatch.setenv("HOLYSHEEP_WS_URL", smollm2.ws_url)
    monkeypatch.setenv("HOLYSHEEP_API_KEY", smollm2.key)
    chat = Chat(model=MODEL_ID, tools=[lookup_order], transport=transport, temperature=0, max_tokens=60)
    run = chat.ask("Please look up order 1042.", show=False).result()
    assert asked == [1042]
    assert (run.status, "shipped" in run.text) == ("complete", True)
