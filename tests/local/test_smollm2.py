"""The real model, through the real `openai` SDK. The first test fetches its weights (93 MB), once."""

from __future__ import annotations

import threading
import time
from typing import Any

import httpx
import openai
import pytest
from local_gateways import client_of, health, say, wait_until

from holysheep_nb.local import Gateway
from holysheep_nb.local.engine import ChatRequest, RefusedRequestError
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


@pytest.mark.parametrize(
    ("request_json", "code"),
    [
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}]},
            "image_not_supported",
        ),
        ({"messages": say("x"), "tools": [{"type": "function"}]}, "tools_not_supported"),
    ],
)
def test_smollm2_says_what_it_cannot_do(request_json: dict[str, Any], code: str) -> None:
    with pytest.raises(RefusedRequestError) as caught:
        request_body(ChatRequest.model_validate({"model": MODEL_ID, **request_json}))
    assert caught.value.code == code
