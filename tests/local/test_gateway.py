"""The gateway's HTTP face, with the script engine behind it."""

from __future__ import annotations

import json
import socket
from urllib.parse import urlsplit

import httpx
import openai
import pytest
from local_gateways import client_of, health, say, wait_until

from holysheep_nb.local import Gateway


def post(gateway: Gateway, content: bytes, **headers: str) -> httpx.Response:
    everything = {"Authorization": f"Bearer {gateway.key}", **headers}
    url = f"{gateway.base_url}/chat/completions"
    return httpx.post(url, content=content, headers=everything, trust_env=False)


def error_of(response: httpx.Response) -> dict[str, object]:
    error: dict[str, object] = response.json()["error"]
    assert set(error) == {"message", "type", "code", "param"}
    return error


def test_openai_sdk_streams_text_reasoning_finish_reason_and_usage(gateway: Gateway) -> None:
    stream = client_of(gateway).chat.completions.create(
        model="script-hello", messages=say("Hello!"), stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    deltas = [choice.delta for chunk in chunks for choice in chunk.choices]
    assert "".join(delta.content or "" for delta in deltas) == "Hello  there,\n\n*you*.\n"
    assert "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas) == "A greeting."
    assert [c.finish_reason for chunk in chunks for c in chunk.choices if c.finish_reason] == ["stop"]
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == chunks[-1].usage.prompt_tokens + chunks[-1].usage.completion_tokens
    assert {chunk.system_fingerprint for chunk in chunks} == {"script"}


def test_openai_sdk_gets_the_same_answer_without_streaming(gateway: Gateway) -> None:
    answer = client_of(gateway).chat.completions.create(model="script-hello", messages=say("Hello!"))
    assert answer.choices[0].message.content == "Hello  there,\n\n*you*.\n"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.system_fingerprint == "script"
    assert answer.usage is not None


def test_no_usage_chunk_unless_it_was_asked_for(gateway: Gateway) -> None:
    body = json.dumps({"model": "script-hello", "messages": say("hello"), "stream": True}).encode()
    text = post(gateway, body).text
    assert "usage" not in text
    assert text.endswith("data: [DONE]\n\n")


def test_models_are_listed_with_the_script_as_owner(gateway: Gateway) -> None:
    models = client_of(gateway).models.list().data
    assert [model.id for model in models] == [
        "script-hello",
        "script-shop",
        "script-small",
        "script-recorded",
        "script",
    ]
    assert {model.owned_by for model in models} == {"script"}


def test_wrong_key_is_an_authentication_error(gateway: Gateway) -> None:
    with pytest.raises(openai.AuthenticationError, match="The API key is wrong"):
        client_of(gateway, key="wrong").models.list()


def test_no_key_is_401_and_health_needs_none(gateway: Gateway) -> None:
    response = httpx.get(f"{gateway.base_url}/models", trust_env=False)
    assert response.status_code == 401
    assert error_of(response)["code"] == "invalid_api_key"
    assert health(gateway)["status"] == "ok"


def test_unknown_model_is_a_not_found_error_that_names_the_known_ones(gateway: Gateway) -> None:
    with pytest.raises(openai.NotFoundError, match="script-hello") as caught:
        client_of(gateway).chat.completions.create(model="gpt-4.1", messages=say("hello"))
    assert caught.value.code == "model_not_found"


def test_unknown_path_and_method_answer_in_the_openai_form(gateway: Gateway) -> None:
    key = {"Authorization": f"Bearer {gateway.key}"}
    missing = httpx.get(f"{gateway.base_url}/nothing", headers=key, trust_env=False)
    assert (missing.status_code, error_of(missing)["code"]) == (404, "not_found")
    wrong = httpx.get(f"{gateway.base_url}/chat/completions", headers=key, trust_env=False)
    assert (wrong.status_code, error_of(wrong)["code"]) == (405, "method_not_allowed")


@pytest.mark.parametrize(
    ("body", "code", "param"),
    [
        (b"{", "invalid_json", None),
        (b"\xff\xfe", "invalid_json", None),
        (b"[]", "invalid_value", None),
        (b'{"model": "script", "messages": []}', "invalid_value", "messages"),
        (b'{"model": "script"}', "invalid_value", "messages"),
        (b'{"messages": [{"role": "user", "content": "x"}]}', "invalid_value", "model"),
        (b'{"model": "script", "messages": [{"role": "clown", "content": "x"}]}', "invalid_value", "messages.0.role"),
        (
            b'{"model": "script", "messages": [{"role": "user", "content": "x"}], "temperature": 9}',
            "invalid_value",
            "temperature",
        ),
        (b'{"model": "script", "messages": [{"role": "user", "content": "x"}], "n": 2}', "invalid_value", "n"),
        (
            b'{"model": "script", "messages": [{"role": "user", "content": "x"}], "max_tokens": 0}',
            "invalid_value",
            "max_tokens",
        ),
        (
            b'{"model": "script", "messages": [{"role": "user", "content": "x"}], "stop": ["a","b","c","d","e"]}',
            "invalid_value",
            "stop",
        ),
    ],
)
def test_wrong_body_is_400_and_names_what_is_wrong(gateway: Gateway, body: bytes, code: str, param: str | None) -> None:
    response = post(gateway, body)
    assert response.status_code == 400
    error = error_of(response)
    assert (error["code"], error["param"], error["type"]) == (code, param, "invalid_request_error")


def test_prompt_and_answer_over_the_context_are_refused(gateway: Gateway) -> None:
    client = client_of(gateway)
    client.chat.completions.create(model="script-small", messages=say("a b c"), max_tokens=7)
    for words, max_tokens in (("a b c", 8), ("a " * 11, None)):
        with pytest.raises(openai.BadRequestError, match="context is 10 tokens") as caught:
            client.chat.completions.create(model="script-small", messages=say(words), max_tokens=max_tokens)
        assert caught.value.code == "context_length_exceeded"


def test_body_over_4_mb_is_413_with_and_without_a_length(gateway: Gateway) -> None:
    body = b'{"model": "' + b"x" * (4 << 20) + b'"}'
    response = post(gateway, body)
    assert (response.status_code, error_of(response)["code"]) == (413, "body_too_large")
    chunked = httpx.post(
        f"{gateway.base_url}/chat/completions",
        content=(body[i : i + 65536] for i in range(0, len(body), 65536)),
        headers={"Authorization": f"Bearer {gateway.key}"},
        trust_env=False,
    )
    assert chunked.status_code == 413


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "10.0.0.1:80", "", "[::2]:80"])
def test_host_header_of_another_machine_is_refused(gateway: Gateway, host: str) -> None:
    response = httpx.get(gateway.base_url.replace("/v1", "/health"), headers={"Host": host}, trust_env=False)
    assert (response.status_code, error_of(response)["code"]) == (400, "host_not_allowed")


@pytest.mark.parametrize("host", ["127.0.0.1:1", "localhost", "LOCALHOST:99", "[::1]:80"])
def test_host_header_of_this_machine_is_accepted(gateway: Gateway, host: str) -> None:
    response = httpx.get(gateway.base_url.replace("/v1", "/health"), headers={"Host": host}, trust_env=False)
    assert response.status_code == 200


def test_no_response_has_cors_headers(gateway: Gateway) -> None:
    url = f"{gateway.base_url}/chat/completions"
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    for response in (
        httpx.options(url, headers=headers, trust_env=False),
        httpx.get(gateway.base_url.replace("/v1", "/health"), headers=headers, trust_env=False),
    ):
        assert not [name for name in response.headers if name.startswith("access-control")]


def test_it_listens_on_loopback_only(gateway: Gateway) -> None:
    port = urlsplit(gateway.base_url).port
    assert port is not None
    addresses = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}
    for address in addresses - {"127.0.0.1"}:
        with socket.socket() as probe:
            probe.settimeout(1)
            if not str(address).startswith("127."):
                assert probe.connect_ex((address, port)) != 0


@pytest.mark.parametrize("message", ["endless", "hang", "mute"])
def test_a_client_that_leaves_stops_its_answer_at_once(gateway: Gateway, message: str) -> None:
    before = health(gateway)
    body = {"model": "script-hello", "messages": say(message), "stream": True}
    key = {"Authorization": f"Bearer {gateway.key}"}
    with httpx.stream(
        "POST", f"{gateway.base_url}/chat/completions", json=body, headers=key, trust_env=False
    ) as response:
        assert response.status_code == 200
        chunks = response.iter_raw()  # kept: httpx closes the response with it
        next(chunks)
        assert health(gateway)["active"] == before["active"] + 1
    assert wait_until(lambda: health(gateway)["active"] == before["active"]) < 1
    after = health(gateway)
    assert after["stopped"] == before["stopped"] + 1
    assert after["last_stop_at_s"] is not None


def test_a_client_that_leaves_an_unstreamed_answer_stops_it(gateway: Gateway) -> None:
    before = health(gateway)["stopped"]
    with pytest.raises(openai.APITimeoutError):
        client_of(gateway).chat.completions.create(model="script-hello", messages=say("endless"), timeout=0.5)
    wait_until(lambda: bool(health(gateway)["stopped"] == before + 1 and health(gateway)["active"] == 0))
