"""Rewritten code runs, and gives what it gave before: against a server that answers both."""

from __future__ import annotations

import contextlib
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from migrate_snippets import CORPUS, MODELS, read_snippet
from raw_server import RawServer, answer, json_answer

from holysheep_nb.local import Gateway, start_gateway
from holysheep_nb.migrate.scan import scan_file

HOLYSHEEP = "hs-test-key-0123456789"
OPENAI = "sk-test"
WHOLE = {
    "id": "r",
    "object": "chat.completion",
    "created": 1,
    "model": "raw",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hé, you"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8},
}
STREAMING = [
    "openai_client_streaming",
    "loop_requests_iter_lines",
    "loop_httpx_stream",
    "loop_with_block_and_removeprefix",
    "anthropic_stream",
]
WHOLE_ANSWERS = ["openai_client", "requests_post", "openai_key_in_code", "openai_wrapper_class", "anthropic_message"]
CALLS = {
    "loop_requests_iter_lines": 'print("".join(stream("Hi")))\n',
    "openai_key_in_code": 'print(chat("Hi"))\n',
    "openai_wrapper_class": 'print(LLM()("Hi"))\n',
}


@pytest.fixture(autouse=True)
def environment(server: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLYSHEEP_API_KEY", HOLYSHEEP)
    monkeypatch.setenv("HOLYSHEEP_BASE_URL", server.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", OPENAI)
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def run(source: str) -> str:
    """What a script prints."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(source, "script.py", "exec"), {"__name__": "__main__"})
    return printed.getvalue()


def rewritten(name: str, server: RawServer | Gateway) -> str:
    """A script of the corpus, rewritten to go to the server."""
    snippet = read_snippet(CORPUS / f"{name}.py.txt")
    _, change = scan_file(Path(snippet.name), snippet.content, MODELS, server.base_url)
    assert change is not None
    return change.new.decode() + CALLS.get(name, "")


def original(name: str, server: RawServer | Gateway) -> str:
    """The script as it was, but for the host, which is not here."""
    before = read_snippet(CORPUS / f"{name}.py.txt").before
    return before.replace("https://api.openai.com/v1", server.base_url) + CALLS.get(name, "")


@pytest.mark.parametrize("name", [*STREAMING, *WHOLE_ANSWERS])
def test_rewritten_code_gives_what_it_gave_before(name: str, server: RawServer) -> None:
    server.play(answer("Hé", ", ", "you", usage=None) if name in STREAMING else json_answer(WHOLE))
    after = run(rewritten(name, server))
    assert "Hé" in after
    request = server.asked[-1]
    assert request.headers["authorization"] == f"Bearer {HOLYSHEEP}"
    if name.startswith("anthropic"):
        return
    assert run(original(name, server)) == after
    earlier = server.asked[-1]
    assert earlier.headers["authorization"] != request.headers["authorization"]
    ignored = {"model", "stream_options"}
    sent, before = ({k: v for k, v in each.json.items() if k not in ignored} for each in (request, earlier))
    assert sent == before


def test_the_order_of_a_system_prompt_carries_over(server: RawServer) -> None:
    server.play(json_answer(WHOLE))
    assert run(rewritten("anthropic_message", server)) == "Hé, you 5\n"
    body = server.asked[-1].json
    assert body["messages"][0] == {"role": "system", "content": "You are a poet."}
    assert body["stop"] == ["END"]
    assert body["model"] == "claude-sonnet-4.5"


# The gateway names what it plays: a script is never taken for a model.
MODEL = re.compile(r"gpt-[\w.-]*\w")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    script = tmp_path_factory.mktemp("script") / "answers.json"
    script.write_text(json.dumps({"models": {"script-say": {"answers": [{"text": "Hé, you", "deltas_per_s": 0}]}}}))
    with start_gateway("script", script=script) as running:
        yield running


@pytest.mark.parametrize("name", [each for each in [*STREAMING, *WHOLE_ANSWERS] if not each.startswith("anthropic")])
def test_rewritten_code_runs_against_the_local_gateway_as_it_did_before(
    name: str, gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("HOLYSHEEP_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.setenv(variable, gateway.key)
    for variable in ("HOLYSHEEP_BASE_URL", "OPENAI_BASE_URL"):
        monkeypatch.setenv(variable, gateway.base_url)
    after = run(MODEL.sub("script-say", rewritten(name, gateway)))
    assert "Hé, you" in after
    # A key that stands in the code is one that the gateway does not know.
    before = re.sub(r'"sk-[^"]*"', repr(gateway.key), original(name, gateway))
    assert run(MODEL.sub("script-say", before)) == after
