"""Where keys come from, and that they are nowhere else. See also kernels/test_cell_keys.py."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import getpass
import io
import json
import logging
import pickle
import subprocess
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keyring
import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.error import StdinNotImplementedError
from IPython.core.ultratb import VerboseTB
from keyring.backend import KeyringBackend
from keyring.errors import NoKeyringError, PasswordDeleteError
from raw_server import DONE, RESET, RawServer, Step, answer, chunk, event, json_answer, sse_head
from raw_socket import EOF, READ, Close, RawSocket, say

from holysheep_nb import Chat, Run, keys, stream_chat_completion_sse, stream_with_websocket, tool
from holysheep_nb.config import Endpoint, Settings
from holysheep_nb.errors import ConfigurationError, HolySheepError, MissingKeyError, UsageError
from holysheep_nb.keys import Key, find_key, give_key, known_keys
from holysheep_nb.local.process import Gateway
from holysheep_nb.login import log_in, log_out
from holysheep_nb.masks import StreamMask, find_name, mask, mask_all, open_log
from holysheep_nb.mcp.server import McpServer
from holysheep_nb.route import open_route
from holysheep_nb.transports.sse import SSETransport
from holysheep_nb.transports.websocket import WebSocketTransport
from holysheep_nb.view.frozen import frozen_bundle

KEY = "hs-marked-4f1c/9e2b7a"
NAME = "HOLYSHEEP_API_KEY"
# The server's own log says what it gets.
SERVER_LOG = logging.getLogger("test.silent_server")
SERVER_LOG.setLevel(logging.CRITICAL)


class MemoryKeyring(KeyringBackend):
    """A keyring that is gone with the test."""

    priority = 1  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[tuple[str, str], str] = {}
        self.error: Exception | None = None
        self.asked = 0

    def get_password(self, service: str, username: str) -> str | None:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if self.error is not None:
            raise self.error
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.error is not None:
            raise self.error
        if (service, username) not in self.kept:
            raise PasswordDeleteError("not found")
        del self.kept[service, username]


@pytest.fixture(autouse=True)
def ring(monkeypatch: pytest.MonkeyPatch) -> Iterator[MemoryKeyring]:
    """A keyring in memory, and no key anywhere."""
    monkeypatch.delenv(NAME, raising=False)
    monkeypatch.setattr(keys, "_given", {})
    monkeypatch.setattr(keys, "_known", [])
    before = keyring.get_keyring()
    backend = MemoryKeyring()
    keyring.set_keyring(backend)
    yield backend
    keyring.set_keyring(before)


@pytest.fixture
def key_in_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NAME, KEY)
    assert find_key(NAME) is not None


# Where a key comes from


def test_the_environment_comes_first_then_the_login_then_the_keyring(
    ring: MemoryKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found() -> str | None:
        key = find_key(NAME)
        return None if key is None else key.reveal()

    assert found() is None
    ring.kept["holysheep_nb", NAME] = "from-the-keyring"
    assert found() == "from-the-keyring"
    give_key(Key(NAME, "from-the-login"))
    assert found() == "from-the-login"
    monkeypatch.setenv(NAME, " from-the-environment\n")
    assert found() == "from-the-environment"
    assert Endpoint("https://api.test/v1", NAME).read_key() == "from-the-environment"


def test_a_keyring_is_asked_for_a_key_once(ring: MemoryKeyring) -> None:
    ring.kept["holysheep_nb", NAME] = "from-the-keyring"
    for _ in range(3):
        assert find_key(NAME) is not None
    assert ring.asked == 1


@pytest.mark.parametrize("error", [NoKeyringError("none"), RuntimeError("locked"), OSError("no bus")])
def test_a_keyring_that_fails_is_no_key_and_logged(
    ring: MemoryKeyring, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    ring.error = error
    with pytest.raises(MissingKeyError, match=r"type it after `%holysheep login`"):
        Settings().endpoint().read_key()
    assert caplog.messages == [f"the keyring gives no key ({type(error).__name__})"]


def test_without_keyring_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert find_key(NAME) is None


def test_asking_imports_no_keyring() -> None:
    source = (
        "import os, sys; os.environ['HOLYSHEEP_API_KEY'] = 'k' * 20; from holysheep_nb import Chat; "
        "from holysheep_nb.route import open_route; from holysheep_nb.config import Settings; "
        "open_route(Settings()); print('keyring' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("given", ["sk-a-key-in-place-of-its-name", "", "A B", "A\nB"])
def test_what_is_no_name_of_a_variable_is_refused_and_not_repeated(given: str) -> None:
    for refused in (lambda: Endpoint("https://api.test/v1", given), lambda: Chat(api_key_name=given or " ").ask("Hi")):
        with pytest.raises(ConfigurationError, match=r"^A key is named by its environment variable") as raised:
            refused()
        assert given not in str(raised.value) or not given


def test_a_key_shows_its_name_alone() -> None:
    key = Key(NAME, KEY)
    shown = f"{key} {key!r} {key:>50} {key!s} {[key]} {vars(type(key))} {key._read!r}"
    assert KEY not in shown
    assert NAME in repr(key)
    for refuse in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not copied or pickled"):
            refuse(key)
    assert (key == Key("OTHER", KEY), key == Key(NAME, "other"), key == KEY) == (True, False, False)


# Login and logout


def shell(*, has_kernel: bool = True, allow_stdin: bool = True) -> Any:
    return types.SimpleNamespace(**({"kernel": types.SimpleNamespace(_allow_stdin=allow_stdin)} if has_kernel else {}))


def typing(monkeypatch: pytest.MonkeyPatch, answer: str | BaseException) -> list[str]:
    """What a person types where the input is hidden; gives what was asked."""
    asked: list[str] = []

    def ask(prompt: str = "") -> str:
        asked.append(prompt)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    monkeypatch.setattr(getpass, "getpass", ask)
    return asked


def test_what_is_typed_is_the_key_until_it_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = typing(monkeypatch, f" {KEY} ")
    said = log_in(shell(), [], NAME)
    assert said == f"This kernel has the key of {NAME} until it ends, or until `%holysheep logout`."
    assert asked == [f"{NAME}: "]
    assert Settings().endpoint().read_key() == KEY
    assert log_out([], NAME) == f"The key of {NAME} is forgotten."
    assert (find_key(NAME), known_keys()) == (None, [])
    assert log_out([], NAME) == f"There was no key of {NAME} to forget."


def test_a_key_is_saved_in_the_keyring_and_forgotten_there(
    ring: MemoryKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    typing(monkeypatch, KEY)
    assert log_in(shell(), ["--save"], NAME) == f"The key of {NAME} is in the keyring, until `%holysheep logout`."
    assert ring.kept == {("holysheep_nb", NAME): KEY}
    assert log_out([], NAME) == f"The key of {NAME} is forgotten."
    assert ring.kept == {}
    assert find_key(NAME) is None


def test_without_keyring_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = typing(monkeypatch, KEY)
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(UsageError, match=r"^Saving a key needs the keyring: pip install keyring\.$"):
        log_in(shell(), ["--save"], NAME)
    assert asked == []


def test_a_keyring_that_takes_nothing_leaves_the_key_in_memory(
    ring: MemoryKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    typing(monkeypatch, KEY)
    ring.error = RuntimeError(f"no room for {KEY}")
    with pytest.raises(ConfigurationError, match="does not take the key") as raised:
        log_in(shell(), ["--save"], NAME)
    assert KEY not in f"{raised.value} {raised.value.details}"
    assert Settings().endpoint().read_key() == KEY


@pytest.mark.parametrize("words", [[KEY], ["--save", KEY], ["sk-", "x"], ["--sav"]])
def test_a_key_on_the_line_is_refused_and_neither_used_nor_repeated(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = typing(monkeypatch, "other")
    with pytest.raises(UsageError, match="it was not used: take it out of the cell") as raised:
        log_in(shell(), words, NAME)
    assert words[-1] not in str(raised.value).replace("--save", "")
    assert (asked, find_key(NAME)) == ([], None)


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("  ", "No key was typed."),
        (EOFError(), "No key was typed."),
        ("two words", "That cannot be an API key: it holds spaces or characters beyond ASCII."),
        (StdinNotImplementedError("no"), f"Nobody can type a key here: set {NAME}."),
    ],
)
def test_what_is_no_key_is_said(typed: str | BaseException, sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    typing(monkeypatch, typed)
    with pytest.raises(HolySheepError) as raised:
        log_in(shell(), [], NAME)
    assert (str(raised.value), find_key(NAME)) == (sentence, None)


@pytest.mark.parametrize("where", [shell(allow_stdin=False), shell(has_kernel=False)])
def test_where_nobody_types_unseen_nothing_is_asked(where: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = typing(monkeypatch, KEY)
    monkeypatch.setattr(sys, "stdin", io.StringIO(KEY))
    with pytest.raises(UsageError, match=rf"^Nobody can type a key here: set {NAME}\.$"):
        log_in(where, [], NAME)
    assert asked == []


@pytest.mark.usefixtures("key_in_environment")
def test_a_key_of_the_environment_stands_above_a_login(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = typing(monkeypatch, "other")
    with pytest.raises(UsageError, match="is set in the environment, which comes first"):
        log_in(shell(), [], NAME)
    assert asked == []
    assert log_out([], NAME).endswith("The environment still has one.")


# Masking


@pytest.mark.usefixtures("key_in_environment")
@pytest.mark.parametrize(
    "form",
    [
        KEY,
        KEY.replace("/", "\\/"),
        "".join(f"\\u{ord(character):04x}" for character in KEY),
        json.dumps(json.dumps({"a": KEY.replace("-", "\\u002D")})),
    ],
)
def test_a_key_is_masked_however_json_writes_it(form: str) -> None:
    masked = mask(f"before {form} after")
    assert f"({NAME})" in masked
    assert "marked" not in masked
    assert (masked[:7], masked[-6:]) == ("before ", " after")
    assert find_name(form) == NAME
    assert mask_all({form: [form, 1, None, (form,)]}) == {mask(form): [mask(form), 1, None, [mask(form)]]}


@pytest.mark.usefixtures("key_in_environment")
@given(st.text())
def test_text_without_a_key_stays_as_it_is(text: str) -> None:
    assert (mask(text), find_name(text)) == (text, "")


def test_of_two_keys_the_longer_is_found_where_one_begins_with_the_other() -> None:
    give_key(Key("SHORT", "hs-0123456789"))
    give_key(Key("LONG", "hs-0123456789-more"))
    assert mask("hs-0123456789-more hs-0123456789") == "(LONG) (SHORT)"


def test_what_is_too_short_for_a_key_stays_in_the_text() -> None:
    give_key(Key("SHORT", "answer"))
    assert mask("the answer") == "the answer"


TEXTS = st.lists(st.sampled_from([KEY, KEY[:12], KEY[5:], "hs-", "a word ", "", "h", "\n"]), max_size=8).map("".join)


@given(TEXTS, st.data())
def test_a_key_is_masked_wherever_the_text_is_cut(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))
    stream = StreamMask([Key(NAME, KEY)])
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    shown = "".join([*map(stream.feed, pieces), stream.rest()])
    assert KEY not in shown
    # At most the first characters were given before it was clear that they are those of a key.
    assert without_beginnings(shown) == without_beginnings(text.replace(KEY, f"({NAME})"))


def without_beginnings(text: str) -> str:
    beginnings = [f"{KEY[:count]}({NAME})" for count in range(1, 8)]
    while found := next((each for each in beginnings if each in text), None):
        text = text.replace(found, f"({NAME})")
    return text


def test_ordinary_text_is_not_held_back() -> None:
    stream = StreamMask([Key(NAME, KEY)])
    assert [stream.feed(text) for text in ("The keys begin with ", "hs", "-", "mar", "ket")] == [
        *("The keys begin with ", "hs", "-", "mar", "ket"),
    ]
    assert (stream.feed(" hs-marked"), stream.feed("-4f"), stream.feed("!"), stream.rest()) == (
        *(" ", "", "hs-marked-4f!", ""),
    )


@pytest.mark.usefixtures("key_in_environment")
def test_a_log_of_the_package_is_masked_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    log = open_log("holysheep_nb.test")
    try:
        raise ValueError(f"not {KEY}")
    except ValueError:
        log.exception("said %s and %d", KEY, 1)
    assert f"said ({NAME}) and 1" in caplog.text
    assert f"ValueError: not ({NAME})" in caplog.text
    assert KEY not in caplog.text


def test_every_log_of_the_package_is_opened_where_it_is_masked() -> None:
    package = Path(keys.__file__).parent
    opened = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if "getLogger(" in path.read_text("utf-8")
    }
    # `keys` says only the type of an error, and the logs of the MCP SDK are turned off.
    assert opened <= {"masks.py", "keys.py", "mcp/server.py"}


# Prompts


@pytest.mark.usefixtures("key_in_environment")
@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"prompt": f"Is {KEY} good?"}, "prompt"),
        ({"prompt": "Hi", "system": f"Say {KEY}"}, "system prompt"),
        ({"prompt": json.dumps({"key": KEY.replace("/", "\\/")})}, "prompt"),
    ],
)
@pytest.mark.parametrize("transport", ["sse", "ws"])
def test_a_prompt_that_holds_the_key_is_not_sent(
    options: dict[str, Any], what: str, transport: str, server: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLYSHEEP_BASE_URL", server.base_url)
    monkeypatch.setenv("HOLYSHEEP_WS_URL", f"ws://127.0.0.1:{server.port}/v1")
    chat = Chat(transport=transport)
    with pytest.raises(UsageError) as raised:
        chat.ask(**options)
    assert str(raised.value) == f"The {what} contains the value of {NAME}: take it out."
    assert raised.value._render_traceback_() == [f"UsageError: {raised.value}"]  # type: ignore[attr-defined]
    assert (chat.runs, chat.conversation.exchanges, server.requests) == ([], [], [])


@pytest.mark.usefixtures("key_in_environment")
def test_a_prompt_that_holds_the_key_of_the_fallback_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECOND_API_KEY", "second-0123456789")
    settings = Settings(fallback_api_key_name="SECOND_API_KEY")
    with pytest.raises(UsageError, match="contains the value of SECOND_API_KEY"):
        Chat(settings=settings, system="second-0123456789").ask("Hi")


@pytest.mark.usefixtures("key_in_environment")
@pytest.mark.parametrize("ask", [stream_chat_completion_sse, stream_with_websocket])
def test_the_plainest_door_refuses_it_too(ask: Callable[..., Any]) -> None:
    with pytest.raises(UsageError, match=f"^The prompt contains the value of {NAME}: take it out\\.$"):
        ask("m", [{"role": "user", "content": KEY}])


# The hunt: a server that sends the key back wherever it can, and everything searched for it


ECHO = f"You sent {KEY}."
PIECES = ["You sent ", KEY[:4], KEY[4:11], KEY[11:], "."]
HEADERS = f"X-Echo: {KEY}\r\nRetry-After: 0\r\n"
CALL = {"index": 0, "id": f"id-{KEY}", "function": {"name": "look", "arguments": json.dumps({"text": ECHO})}}

SSE_FAULTS: dict[str, list[Step]] = {
    "401": json_answer({"error": {"message": ECHO, "code": KEY}}, "401 Unauthorized", HEADERS),
    "404": json_answer({"error": {"message": f"no model, {KEY}", "code": "model_not_found"}}, "404 Not Found"),
    "429": json_answer({"error": {"message": ECHO}}, "429 Too Many Requests", HEADERS),
    "500": [sse_head("text/html", status=f"500 {KEY}", headers=HEADERS), f"<html>{ECHO}".encode()],
    "redirect": json_answer({}, "307 Temporary Redirect", f"Location: https://other.test/?key={KEY}\r\n"),
    "content type": [sse_head(KEY), ECHO.encode()],
    "not http": [f"SSH-2.0 {KEY}\r\n\r\n".encode()],
    "bad gzip": [sse_head(headers="Content-Encoding: gzip\r\n"), ECHO.encode()],
    "bad header": [f"HTTP/1.1 200 OK\r\n{KEY} {KEY}\r\n\r\n".encode()],
    "error object": [sse_head(), chunk("so far"), event({"error": {"message": ECHO, "type": KEY}})],
    "unreadable": [sse_head(), b"data: {" + ECHO.encode() + b"\n\n", chunk(ECHO), RESET],
    "misshapen": [sse_head(), event({"choices": [{"delta": {"content": {KEY: KEY}}}], "model": KEY}), DONE],
    "whole": answer(ECHO, ECHO),
    "in pieces": answer(*PIECES),
    "cut in the key": [sse_head(), chunk("so far "), chunk(KEY[:15]), RESET],
    "reasoning": [
        sse_head(),
        *(chunk(reasoning_content=each) for each in PIECES),
        chunk(ECHO, finish_reason=KEY),
        DONE,
    ],
    "model": [sse_head(), event({"model": KEY, "choices": [{"delta": {"content": "Hi"}, "finish_reason": KEY}]}), DONE],
    "calls": [sse_head(), chunk(tool_calls=[CALL]), chunk(finish_reason="tool_calls"), DONE],
    "reset": [sse_head(), chunk("so far"), RESET],
    "nothing": [RESET],
}

WS_FAULTS: dict[str, list[Any]] = {
    "whole": [READ, say(type="content_block", content=ECHO), say(type="done", finish_reason=KEY)],
    "in pieces": [READ, *(say(type="content_block", content=each) for each in PIECES), say(type="done")],
    "error": [READ, say(type="content_block", content="so far"), say(type="error", error={"message": ECHO})],
    "close": [READ, Close(1011, KEY)],
    "status": [READ, Close(4401, KEY)],
    "unknown": [READ, say(type=KEY, content=KEY), say(type="content_block", content=7), EOF],
    "calls": [READ, say(type="function_call", id=KEY, function=CALL["function"]), READ, Close(1000, KEY)],
}


@tool(safe=True)
def look(text: str) -> dict[str, Any]:
    """Looks, and prints what it should not."""
    print("printed", KEY)
    if "sent" in text:
        raise LookupError(f"no {KEY} here")
    return {"key": KEY}


@tool(safe=True, thread=True, name="look")
def look_unwatched(text: str) -> str:
    """Looks, off the main thread, which the test is on."""
    raise LookupError(f"no {KEY} in {text}")


class Found:
    """All that was seen of some runs, by place."""

    def __init__(self, log: pytest.LogCaptureFixture) -> None:
        self.places: dict[str, str] = {}
        self._log = log

    def add(self, place: str, *what: object) -> None:
        self.places[place] = self.places.get(place, "") + "\n".join(map(str, what))

    def add_error(self, error: BaseException) -> None:
        """What every kind of traceback shows, with the variables of all its frames too."""
        shown: BaseException | None = error
        details = getattr(error, "details", "")
        self.add(
            "error", error, repr(error), details, getattr(error, "body", ""), getattr(error, "headers", ""), vars(error)
        )
        while shown is not None:
            self.add("cause", shown, repr(shown))
            shown = shown.__cause__ or shown.__context__
        verbose = VerboseTB(theme_name="nocolor", include_vars=True)
        self.add("traceback", "\n".join(verbose.structured_traceback(type(error), error, error.__traceback__)))

    def add_run(self, run: Run) -> None:
        self.add(
            "run", repr(run), str(run), vars(run), run.request, [turn.to_dict() for turn in run.turns], run.retries
        )
        self.add("frozen", json.dumps(frozen_bundle(run)))
        if run.error is not None:
            self.add_error(run.error)

    def check(self, *files: Path, printed: str) -> None:
        self.add("log", self._log.text, [vars(record) for record in self._log.records])
        self.add("printed", printed)
        for file in files:
            self.add(file.name, file.read_text("utf-8"))
        # Also its second half alone: a key cut in two is no secret either.
        for secret in (KEY, KEY.replace("/", "\\/"), KEY[10:]):
            assert [place for place, text in self.places.items() if secret in text] == []


def run_to_end(found: Found, chat: Chat, **options: Any) -> Run:
    run = chat.ask("Hi", show=False, **options)
    try:
        run.result()
    except HolySheepError as error:
        found.add_error(error)
    found.add_run(run)
    return run


@pytest.fixture
def found(caplog: pytest.LogCaptureFixture) -> Found:
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore", "websockets", "asyncio", "holysheep_nb"):
        caplog.set_level(logging.DEBUG, name)
    return Found(caplog)


@pytest.mark.usefixtures("key_in_environment")
@pytest.mark.parametrize("fault", SSE_FAULTS)
def test_nothing_that_is_left_of_a_run_over_sse_holds_the_key(
    fault: str,
    server: RawServer,
    found: Found,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for _ in range(2):
        server.play(SSE_FAULTS[fault])
    server.play(answer(ECHO))
    server.models = [KEY, "raw"]
    monkeypatch.setenv("HOLYSHEEP_BASE_URL", server.base_url)
    chat = Chat("raw", transport="sse", tools=[look], settings=Settings(max_attempts=2))
    run = run_to_end(found, chat, record=tmp_path / "run.cassette")
    assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"
    run_to_end(found, chat, replay=tmp_path / "run.cassette", afresh=True)
    found.add(
        "chat", repr(chat), vars(chat), chat.conversation.to_dict() if hasattr(chat.conversation, "to_dict") else ""
    )
    if run.complete and fault in ("whole", "in pieces"):
        assert f"({NAME})." in run.text
    found.check(tmp_path / "run.cassette", printed="".join(capfd.readouterr()))


@pytest.mark.usefixtures("key_in_environment")
@pytest.mark.parametrize("fault", WS_FAULTS)
def test_nothing_that_is_left_of_a_run_over_a_websocket_holds_the_key(
    fault: str, found: Found, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def serve() -> None:
        async with RawSocket(*WS_FAULTS[fault], logger=SERVER_LOG) as server:
            monkeypatch.setenv("HOLYSHEEP_WS_URL", server.ws_url)
            chat = Chat("raw", transport="ws", tools=[look_unwatched], settings=Settings(max_attempts=2))
            await asyncio.to_thread(run_to_end, found, chat, record=tmp_path / "run.cassette")
            assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"

    asyncio.run(serve())
    found.check(tmp_path / "run.cassette", printed="".join(capfd.readouterr()))


@pytest.mark.usefixtures("key_in_environment")
def test_a_refused_handshake_holds_no_key(server: RawServer, found: Found, monkeypatch: pytest.MonkeyPatch) -> None:
    for steps in (SSE_FAULTS["401"], SSE_FAULTS["redirect"], SSE_FAULTS["content type"], SSE_FAULTS["bad header"]):
        with RawServer() as other:
            other.play(steps)
            monkeypatch.setenv("HOLYSHEEP_WS_URL", f"ws://127.0.0.1:{other.port}/v1")
            assert run_to_end(found, Chat(transport="ws", settings=Settings(max_attempts=1))).error is not None
    found.check(printed="")


@pytest.mark.usefixtures("key_in_environment")
def test_listing_models_holds_no_key(server: RawServer, found: Found, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLYSHEEP_BASE_URL", "http://127.0.0.1:1/v1")
    with pytest.raises(HolySheepError) as raised:
        asyncio.run(Chat().list_models())
    found.add_error(raised.value)
    monkeypatch.setenv("HOLYSHEEP_BASE_URL", server.base_url)
    server.models = [KEY]
    found.add("models", asyncio.run(Chat().list_models()))
    found.check(printed="")


@pytest.mark.usefixtures("key_in_environment")
def test_no_core_object_shows_or_pickles_the_key(server: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLYSHEEP_BASE_URL", server.base_url)
    server.play(answer("Hello"))
    chat = Chat("raw")
    run = chat.ask("Hi", show=False).result()
    settings = Settings()
    route = open_route(settings, "sse", model="raw")
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    gateway = Gateway("http://127.0.0.1:1/v1", "ws://127.0.0.1:1/v1", ["m"], KEY, child)
    endpoint = settings.endpoint()
    sse = SSETransport(endpoint.base_url, endpoint.read_key)
    socket = WebSocketTransport("ws://127.0.0.1:1/v1", endpoint.read_key, list_models=sse.list_models)
    server_of_tools = McpServer("files", ["true"])
    key = find_key(NAME)
    things = [settings, chat, run, run.request, run.turn, route, endpoint, sse, socket, gateway, server_of_tools, key]
    assert len({type(thing) for thing in things}) == len(things)
    for thing in things:
        shown = f"{thing!r} {thing} {[thing]!r}"
        if not isinstance(thing, Gateway):
            with contextlib.suppress(TypeError):
                shown += repr(vars(thing))
        assert KEY not in shown, type(thing)
        try:
            pickled = pickle.dumps(thing)
        except Exception:
            continue
        assert KEY.encode() not in pickled, type(thing)
