"""Bad input: one sentence in the cell, which fails, and the next one works."""

from __future__ import annotations

import socket

import pytest
from live_kernel import LiveKernel
from raw_server import DONE, RESET, RawServer, Step, answer, chunk, event, json_answer, sse_head

WRONG_KEY = json_answer({"error": {"message": "Incorrect API key provided"}}, "401 Unauthorized")
NO_MODEL = json_answer({"error": {"message": "no such model", "code": "model_not_found"}}, "404 Not Found")
HTML = [sse_head("text/html") + b"<html><body>It works!</body></html>"]
PROXY = [sse_head("text/html", status="502 Bad Gateway") + b"<html>Bad Gateway</html>"]
TOO_LONG = json_answer(
    {"error": {"message": "maximum context length is 8 tokens", "code": "context_length_exceeded"}}, "400 Bad Request"
)


def fails_in_one_line(kernel: LiveKernel, code: str, begins: str) -> str:
    cell = kernel.run(code)
    assert cell.status == "error", cell.reply
    assert len(cell.traceback) == 1, cell.traceback
    assert cell.traceback[0].startswith(begins), cell.traceback
    return cell.traceback[0]


@pytest.mark.parametrize(
    ("steps", "begins"),
    [
        (WRONG_KEY, "AuthenticationError: "),
        (NO_MODEL, "ModelNotFoundError: "),
        (HTML, "ProtocolError: "),
        (PROXY, "ServerError: "),
        (TOO_LONG, "ContextWindowError: "),
        ([RESET], "DisconnectedError: "),
        ([sse_head()], "DisconnectedError: "),
        ([sse_head(), event({"error": {"message": "overloaded"}}), DONE], "ServerError: "),
    ],
    ids=["wrong key", "unknown model", "html", "bad gateway", "too long", "reset", "empty", "error object"],
)
@pytest.mark.parametrize("way", ["cell", "function"])
def test_what_a_server_may_answer_is_one_sentence(
    kernel: LiveKernel, server: RawServer, steps: list[Step], begins: str, way: str
) -> None:
    server.play(answer("A"))
    server.play(steps)
    server.play(answer("B"))
    kernel.run("%config HolySheepMagics.max_attempts = 1")
    kernel.run("%%holysheep\nbefore", cell_id="1")
    code = "%%holysheep --out kept\nHi"
    if way == "function":
        code = "def ask(): return get_ipython().run_cell_magic('holysheep', '--out kept', 'Hi')\nask()"
    sentence = fails_in_one_line(kernel, code, begins)
    assert "hs-test-key" not in sentence
    assert kernel.evaluate("[kept.status, kept.text, str(kept.error), kept is _]") == [
        "failed",
        "",
        sentence.removeprefix(begins),
        True,
    ]
    assert kernel.run("%%holysheep\nafter", cell_id="3").markdown.startswith("B")
    assert [m["content"] for m in server.asked[-1].json["messages"]] == ["before", "A", "after"]


def test_a_cut_answer_is_kept_and_fails_the_cell(kernel: LiveKernel, server: RawServer) -> None:
    server.play([sse_head(), chunk("half an"), RESET])
    cell = kernel.run("%%holysheep --out kept\nHi")
    assert (cell.status, len(cell.traceback)) == ("error", 1)
    assert cell.traceback[0].startswith(f"DisconnectedError: The connection to 127.0.0.1:{server.port} was closed: ")
    assert cell.markdown.startswith("half an\n\n<sub>raw · cut off · ")
    assert kernel.evaluate("[kept.status, kept.text, kept is _]") == ["truncated", "half an", True]


def test_a_refused_connection_is_one_sentence(kernel: LiveKernel) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    fails_in_one_line(
        kernel,
        f"%%holysheep --api-base http://127.0.0.1:{port}/v1 --api-key-name HOLYSHEEP_API_KEY\nHi",
        "ConnectionFailedError: ",
    )


@pytest.mark.parametrize(
    ("code", "begins"),
    [
        ("%%holysheep\n  \n", "UsageError: The prompt is empty"),
        ("%%holysheep --temprature 1\nHi", "UsageError: There is no option --temprature. Did you mean --temperature?"),
        ("%%holysheep -f yaml\nHi", "UsageError: "),
        ("%%holysheep -t warm\nHi", "UsageError: "),
        ("%%holysheep --out 2nd\nHi", "UsageError: --out needs the name of a variable"),
        ("%%holysheep -s 'open\nHi", "UsageError: The line cannot be read"),
        ("%%holysheep one two\nHi", "UsageError: 'two' is one word too many"),
        ("%%holysheep --api-base http://example.org/v1 --api-key-name HOLYSHEEP_API_KEY\nHi", "ConfigurationError: "),
        ("%%holysheep --api-base example.org/v1 --api-key-name HOLYSHEEP_API_KEY\nHi", "ConfigurationError: "),
        ("%holysheep modles", "UsageError: There is no %holysheep modles. Did you mean models?"),
        ("%holysheep wait long", "UsageError: %holysheep wait takes a number of seconds"),
        ("%holysheep show nothing", "UsageError: "),
    ],
)
def test_a_wrong_line_is_one_sentence_and_sends_nothing(
    kernel: LiveKernel, server: RawServer, code: str, begins: str
) -> None:
    server.play(answer("A"))
    fails_in_one_line(kernel, code, begins)
    assert server.requests == []
    assert kernel.widgets == []
    assert kernel.run("%%holysheep\nHi").markdown.startswith("A")


def test_without_a_key_the_sentence_says_what_to_do(kernel: LiveKernel, server: RawServer) -> None:
    kernel.run("del os.environ['HOLYSHEEP_API_KEY']")
    fails_in_one_line(kernel, "%%holysheep\nHi", "MissingKeyError: ")
    assert server.requests == []


def test_no_raise_keeps_the_cell_going_and_shows_the_sentence(kernel: LiveKernel, server: RawServer) -> None:
    server.play(WRONG_KEY)
    cell = kernel.run("%%holysheep --no-raise --out kept\nHi")
    assert (cell.status, cell.error) == ("ok", None)
    sentence = kernel.evaluate("str(kept.error)")
    assert f"> {sentence}" in cell.markdown
    assert cell.run_metadata["error"] == sentence


def test_an_error_does_not_repeat_itself_in_the_output(kernel: LiveKernel, server: RawServer) -> None:
    server.play(WRONG_KEY)
    cell = kernel.run("%%holysheep --out kept\nHi")
    assert kernel.evaluate("str(kept.error)") not in cell.markdown
