"""What a script can say, and what the script engine makes of it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from local_gateways import STREAM, client_of, say

from holysheep_nb.errors import ConfigurationError
from holysheep_nb.local import Gateway, start_gateway
from holysheep_nb.local.engine import Delta
from holysheep_nb.local.script import ScriptEngine, cut_events
from holysheep_nb.local.script_file import ScriptAnswer, read_script


def stream(gateway: Gateway, message: str, model: str = "script-hello") -> httpx.Response:
    return httpx.post(
        f"{gateway.base_url}/chat/completions",
        json={"model": model, "messages": say(message), "stream": True, "stream_options": {"include_usage": True}},
        headers={"Authorization": f"Bearer {gateway.key}"},
        trust_env=False,
    )


def payloads(text: str) -> list[dict[str, Any]]:
    lines = [line[6:] for line in text.split("\n") if line.startswith("data: ") and line != "data: [DONE]"]
    return [json.loads(line) for line in lines]


def read_until(error: type[httpx.TransportError], gateway: Gateway, message: str) -> list[str]:
    """The contents of the deltas that came before `error`, which must come."""
    key = {"Authorization": f"Bearer {gateway.key}"}
    body = {"model": "script-hello", "messages": say(message), "stream": True}
    url = f"{gateway.base_url}/chat/completions"
    text = ""
    with httpx.stream("POST", url, json=body, headers=key, timeout=0.7, trust_env=False) as response:
        try:
            for piece in response.iter_text():
                text += piece
        except error:
            return [payload["choices"][0]["delta"]["content"] for payload in payloads(text)]
    raise AssertionError(f"the stream ended without {error.__name__}")


def test_without_a_script_it_says_what_it_was_told_and_that_it_is_a_script() -> None:
    with start_gateway("script", deltas_per_s=0) as gateway:
        assert gateway.models == ["script"]
        answer = client_of(gateway).chat.completions.create(model="script", messages=say("one\ntwo"))
    text = answer.choices[0].message.content
    assert text == "You said:\n\n> one\n> two\n\n*This is the script engine, not a model.*"


@pytest.mark.parametrize("text", ["", " ", "a", " a", "a ", "a  b\n\n\tc\n", "```py\nx = 1\n```\n", "é\u2028ü 🐑 z"])
def test_deltas_joined_are_the_text(text: str) -> None:
    answer = ScriptAnswer.model_validate({"text": text, "reasoning": text})
    deltas = [delta for delta in answer.deltas() if isinstance(delta, Delta)]
    assert "".join(str(delta.fields.get("content", "")) for delta in deltas) == text
    assert "".join(str(delta.fields.get("reasoning_content", "")) for delta in deltas) == text


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n", b"\r\r"])
def test_recorded_events_joined_are_the_recording_at_every_length(end: bytes) -> None:
    recording = b"data: 1" + end + b": x" + end + b"data: [DONE]" + end
    for length in range(len(recording) + 1):
        pieces = [getattr(event, "data", b"") for event in cut_events(recording[:length])]
        assert b"".join(pieces) == recording[:length]
    assert len(list(cut_events(recording))) == 3


def test_a_recorded_stream_is_played_byte_for_byte_and_labelled(gateway: Gateway) -> None:
    response = stream(gateway, "anything", "script-recorded")
    assert response.content == STREAM
    assert response.headers["x-holysheep-engine"] == "script"
    with pytest.raises(openai.BadRequestError, match="only with stream: true"):
        client_of(gateway).chat.completions.create(model="script-recorded", messages=say("x"))


def test_rate_and_first_silence_are_kept(gateway: Gateway) -> None:
    start = time.monotonic()
    events = client_of(gateway).chat.completions.create(model="script-hello", messages=say("slow"), stream=True)
    times = [time.monotonic() - start for chunk in events if chunk.choices and chunk.choices[0].delta.content]
    assert len(times) == 5
    assert times[0] >= 0.3
    assert 0.15 <= times[-1] - times[0] < 1


def test_cut_after_closes_the_connection_after_n_deltas(gateway: Gateway) -> None:
    assert read_until(httpx.RemoteProtocolError, gateway, "cut") == ["", "a", " b"]


def test_stop_after_falls_silent_after_n_deltas(gateway: Gateway) -> None:
    assert read_until(httpx.ReadTimeout, gateway, "hang") == ["", "a", " b"]
    assert read_until(httpx.ReadTimeout, gateway, "mute") == [""]


def test_an_answer_is_used_so_often_and_then_the_next_one_is(gateway: Gateway) -> None:
    first = stream(gateway, "twice")
    assert (first.status_code, first.headers["retry-after"]) == (503, "1")
    assert first.json()["error"]["type"] == "server_error"
    assert "second" in stream(gateway, "twice").text


def test_a_scripted_error_body_is_sent_as_it_is(gateway: Gateway) -> None:
    response = stream(gateway, "page")
    assert (response.status_code, response.text) == (502, "<html>Bad gateway</html>")
    assert response.headers["content-type"].startswith("text/html")


def test_usage_and_finish_reason_are_as_written(gateway: Gateway) -> None:
    assert payloads(stream(gateway, "cost").text)[-1]["usage"]["total_tokens"] == 16
    assert "usage" not in payloads(stream(gateway, "free").text)[-1]
    assert payloads(stream(gateway, "long").text)[-2]["choices"][0]["finish_reason"] == "length"


def test_a_message_without_an_answer_is_refused_and_never_made_up(gateway: Gateway) -> None:
    with pytest.raises(openai.BadRequestError, match="no answer to this message") as caught:
        client_of(gateway).chat.completions.create(model="script-hello", messages=say("zzz"))
    assert caught.value.code == "no_scripted_answer"


@pytest.mark.parametrize("name", ["answer.md", "my answer.txt"])
def test_a_text_file_is_one_answer(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("# Hi\n\nthere", encoding="utf-8")
    with start_gateway("script", script=path, deltas_per_s=0) as gateway:
        assert list(gateway.models) == ["script-" + path.stem.replace(" ", "-"), "script"]
        answer = client_of(gateway).chat.completions.create(model=gateway.models[0], messages=say("x"))
    assert answer.choices[0].message.content == "# Hi\n\nthere"


def test_a_recorded_file_is_one_answer(tmp_path: Path) -> None:
    path = tmp_path / "noir.sse"
    path.write_bytes(STREAM)
    with start_gateway("script", script=path, deltas_per_s=0) as gateway:
        assert stream(gateway, "x", "script-noir").content == STREAM


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ({"models": {"gpt-4.1": {"answers": [{"text": "x"}]}}}, 'must be called "script" or "script-'),
        ({"models": {}}, "models"),
        ({"models": {"script": {"answers": [{"text": "x", "txt": "y"}]}}}, "models.script.answers.0.txt"),
        ({"models": {"script": {"answers": [{}]}}}, "exactly one of text, stream and error"),
        ({"models": {"script": {"answers": [{"text": "x", "match": "("}]}}}, "not a regular expression"),
        ({"models": {"script": {"answers": [{"stream": "missing.sse"}]}}}, "missing.sse"),
        ({"models": {"script": {"answers": [{"text": "x", "deltas_per_s": -1}]}}}, "deltas_per_s"),
    ],
)
def test_a_wrong_script_is_refused_with_the_place(tmp_path: Path, script: object, says: str) -> None:
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps(script))
    with pytest.raises(ConfigurationError) as caught:
        read_script(path)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_script_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        ScriptEngine(tmp_path / "none.json")
