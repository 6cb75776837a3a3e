"""What the tests of the local gateway have in common."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import httpx
import openai
import psutil

from holysheep_nb.local import Gateway

STREAM = (
    b'data: {"id":"r","object":"chat.completion.chunk","created":1,"model":"recorded","choices":[{"index":0,'
    b'"delta":{"role":"assistant","content":"caf\xc3\xa9"},"finish_reason":null}]}\r\n\r\n'
    b": keep-alive\r\n\r\n"
    b'data: {"id":"r","object":"chat.completion.chunk","created":1,"model":"recorded","choices":[{"index":0,'
    b'"delta":{"content":" noir"},"finish_reason":"stop"}]}\r\n\r\n'
    b"data: [DONE]\r\n\r\n"
)

SCRIPT = {
    "models": {
        "script-hello": {
            "answers": [
                {
                    "match": "(?i)hello",
                    "reasoning": "A greeting.",
                    "text": "Hello  there,\n\n*you*.\n",
                    "deltas_per_s": 0,
                },
                {"match": "slow", "text": "one two three four five", "deltas_per_s": 20, "first_delta_s": 0.3},
                {"match": "endless", "text": "on and " * 5000, "deltas_per_s": 100},
                {"match": "hang", "text": "a b c d", "stop_after": 2, "deltas_per_s": 0},
                {"match": "mute", "text": "a b c d", "stop_after": 0, "deltas_per_s": 0},
                {"match": "cut", "text": "a b c d", "cut_after": 2, "deltas_per_s": 0},
                {"match": "twice", "times": 1, "error": {"status": 503, "headers": {"Retry-After": "1"}}},
                {"match": "twice", "text": "the second time", "deltas_per_s": 0},
                {"match": "page", "error": {"status": 502, "body": "<html>Bad gateway</html>"}},
                {
                    "match": "cost",
                    "text": "x",
                    "usage": {"prompt_tokens": 7, "completion_tokens": 9, "total_tokens": 16},
                },
                {"match": "free", "text": "x", "usage": None},
                {"match": "long", "text": "x", "finish_reason": "length"},
            ]
        },
        "script-shop": {
            "answers": [
                {
                    "match": "refund",
                    "reasoning": "Which order?",
                    "text": "I look it up.",
                    "calls": [{"name": "lookup_order", "arguments": {"order": 1042}}],
                    "then": [
                        {"calls": [{"name": "refund", "arguments": {"order": 1042, "why": "it is “torn”"}}]},
                        {"text": "It was {{result 1.status}}: {{result}}", "finish_reason": "stop"},
                    ],
                },
                {
                    "match": "both",
                    "calls": [
                        {"name": "lookup_order", "arguments": {"order": 1}},
                        {"name": "lookup_order", "arguments": {"order": 2}},
                    ],
                    "then": [{"text": "{{result 1}} and {{result 2}}"}],
                },
                {
                    "match": "short",
                    "calls": [{"name": "lookup_order", "arguments": '{"order": 10'}],
                    "finish_reason": "length",
                },
                {"match": "cut", "calls": [{"name": "lookup_order", "arguments": {"order": 1042}}], "cut_after": 3},
                {
                    "match": "slow",
                    "deltas_per_s": 8,
                    "calls": [{"name": "lookup_order", "arguments": {"order": n}} for n in (1, 2)],
                    "then": [{"text": "done", "deltas_per_s": 0}],
                },
                {"match": "once", "times": 1, "calls": [{"name": "lookup_order"}], "then": [{"text": "the first"}]},
                {"match": "once", "text": "the second"},
                {"match": "nothing after", "calls": [{"name": "lookup_order", "arguments": {}}]},
                {
                    "match": "long story",
                    "calls": [{"name": "lookup_order", "arguments": {"order": 1}}],
                    "then": [{"text": "on and " * 5000, "deltas_per_s": 100}],
                },
            ]
        },
        "script-small": {"context_tokens": 10, "answers": [{"text": "ok"}]},
        "script-recorded": {"answers": [{"stream": "noir.sse", "deltas_per_s": 0}]},
    }
}

TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": "About an order.",
            "parameters": {"type": "object", "properties": {"order": {"type": "integer"}}, "required": ["order"]},
        },
    }
    for name in ("lookup_order", "refund")
]


def client_of(gateway: Gateway, key: str | None = None) -> openai.OpenAI:
    return openai.OpenAI(base_url=gateway.base_url, api_key=key or gateway.key, max_retries=0, timeout=60)


def say(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


def health(gateway: Gateway) -> dict[str, Any]:
    answer: dict[str, Any] = httpx.get(gateway.base_url.replace("/v1", "/health"), trust_env=False).json()
    return answer


def wait_until(is_true: Callable[[], bool], timeout_s: float = 10) -> float:
    """Seconds until `is_true`; fails after `timeout_s`."""
    start = time.monotonic()
    while not is_true():
        assert time.monotonic() - start < timeout_s, "it never became true"
        time.sleep(0.01)
    return time.monotonic() - start


def is_alive(pid: int) -> bool:
    """True while a process with this id runs and is not a zombie."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
