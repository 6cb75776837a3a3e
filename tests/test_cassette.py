"""Record and replay: what was moved comes again, and the key is in no file."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_server import DONE, HANG, RawServer, answer, chunk, event, json_answer, sse_head
from raw_socket import HANG as HANG_SOCKET
from raw_socket import READ, Close, RawSocket, say

from holysheep_nb import Chat, Run, tool
from holysheep_nb.errors import (
    AuthenticationError,
    ConnectionFailedError,
    DisconnectedError,
    HolySheepError,
    ModelNotFoundError,
    ProtocolError,
    StalledError,
    StatusError,
    TransportError,
    UsageError,
)
from holysheep_nb.transports import cassette as cassettes
from holysheep_nb.transports.cassette import CassetteTransport, RecordingTransport
from holysheep_nb.transports.cassette_file import Cassette, RecordedExchange, difference

KEY = "hs-secret/0123456789"
BODY = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": True}


class Scripted:
    """A transport that plays what it is told, an exchange a call: payloads, pauses in seconds, an error."""

    key_name = "HOLYSHEEP_API_KEY"
    url_name = "HOLYSHEEP_BASE_URL"
    host = "api.test"
    is_reusable = True

    def __init__(self, *exchanges: list[str | float | HolySheepError], protocol: str = "sse", models: str = "") -> None:
        self.protocol = protocol
        self.models = models
        self.sent: list[Any] = []
        self._exchanges = list(exchanges)

    async def stream(self, *messages: dict[str, Any]) -> AsyncGenerator[str, None]:
        self.sent.append(messages)
        for step in self._exchanges.pop(0):
            if isinstance(step, HolySheepError):
                raise step
            if isinstance(step, str):
                yield step
            else:
                await asyncio.sleep(step)

    async def hang_up(self) -> None:
        self.has_hung_up = True

    async def list_models(self) -> str:
        return self.models


Moving = Scripted | RecordingTransport | CassetteTransport


async def take(transport: Moving, *messages: dict[str, Any], most: int = 1000) -> list[str]:
    """The payloads that answer the messages, or the first of them."""
    taken: list[str] = []
    async with contextlib.aclosing(transport.stream(*(messages or (BODY,)))) as payloads:
        async for payload in payloads:
            taken.append(payload)
            if len(taken) == most:
                break
    return taken


def record(
    path: Path, *exchanges: list[str | float | HolySheepError], messages: tuple[dict[str, Any], ...] = (BODY,)
) -> None:
    """Records the exchanges, each asked for with `messages`."""

    async def run() -> None:
        transport = RecordingTransport(Scripted(*exchanges), path, lambda: [KEY])
        for _ in exchanges:
            with contextlib.suppress(HolySheepError):
                await take(transport, *messages)
        await transport.hang_up()

    asyncio.run(run())


def replay(path: Path, *messages: dict[str, Any], speed: float = 0.0) -> list[str]:
    return asyncio.run(take(CassetteTransport(path, speed), *messages))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "f.json"


# The file

TEXT = st.text(max_size=20)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
MS = st.floats(0, 1e9)
ERROR = st.fixed_dictionaries({"ms": MS, "class": st.just("StalledError"), "sentence": TEXT, "details": TEXT}) | (
    st.fixed_dictionaries(
        {
            **{"ms": MS, "class": st.just("StatusError"), "sentence": TEXT, "details": TEXT},
            **{"status_code": st.integers(400, 599), "body": TEXT, "headers": st.dictionaries(TEXT, TEXT, max_size=2)},
        }
    )
)
EXCHANGE = st.builds(
    RecordedExchange,
    st.lists(st.dictionaries(TEXT, VALUE, max_size=4), max_size=3),
    st.lists(st.tuples(MS, TEXT), max_size=5),
    st.none() | ERROR,
    st.none() | MS,
)
CASSETTE = st.builds(
    Cassette, st.sampled_from(["sse", "ws"]), TEXT, TEXT, TEXT, st.none() | TEXT, st.lists(EXCHANGE, max_size=3)
)


@settings(deadline=None)
@given(CASSETTE)
def test_any_cassette_survives_being_written_and_read(tmp_path_factory: pytest.TempPathFactory, made: Cassette) -> None:
    path = tmp_path_factory.mktemp("cassette") / "f.json"
    made.write(path)
    assert Cassette.read(path) == made
    assert [each.name for each in path.parent.iterdir()] == ["f.json"]


def test_the_file_is_json_of_the_form_its_module_says(path: Path) -> None:
    record(path, ["one", "two"])
    data = json.loads(path.read_text("utf-8"))
    (exchange,) = data.pop("exchanges")
    assert data == {
        "version": 1,
        "protocol": "sse",
        "host": "api.test",
        "key_name": "HOLYSHEEP_API_KEY",
        "url_name": "HOLYSHEEP_BASE_URL",
        "models": None,
    }
    times = [received[0] for received in exchange["received"]]
    assert times == sorted(times)
    assert exchange == {
        "sent": [BODY],
        "received": [[times[0], "one"], [times[1], "two"]],
        "error": None,
        "left_after_ms": None,
    }


def test_each_payload_has_a_line_of_its_own_with_its_letters_as_they_are(path: Path) -> None:
    record(path, ["größer", "\u2028 \ud83d\udc11".encode("utf-16", "surrogatepass").decode("utf-16")])
    lines = path.read_bytes().decode("utf-8").split("\n")
    assert [line.rstrip(",").partition(", ")[2] for line in lines if line.startswith("[")] == [
        '"größer"]',
        '"\u2028 🐑"]',
    ]


def test_a_prompt_with_half_a_character_is_recorded_and_recognized(path: Path) -> None:
    body = {"messages": [{"role": "user", "content": "half \ud83d"}]}
    record(path, ["ok"], messages=(body,))
    assert replay(path, body) == ["ok"]


def test_a_file_that_is_there_is_replaced_and_nothing_is_left_beside_it(path: Path) -> None:
    path.write_text("before")
    record(path, ["new"])
    assert replay(path) == ["new"]
    assert list(path.parent.iterdir()) == [path]


def test_the_file_is_there_after_each_exchange(path: Path) -> None:
    async def run() -> None:
        transport = RecordingTransport(Scripted(["a"], ["b"]), path)
        for count in (1, 2):
            await take(transport)
            assert len(Cassette.read(path).exchanges) == count

    asyncio.run(run())


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "{path} is no cassette: it is not JSON."),
        (b"\xff\xfe", "{path} is no cassette: it is not JSON."),
        (b"[" * 100_000, "{path} is no cassette: it is not JSON."),
        (b"[]", "{path} is no cassette: it does not have the form of one."),
        (b"{}", "{path} is no cassette: it does not have the form of one."),
        (b'{"cells": [], "nbformat": 4}', "{path} is no cassette: it does not have the form of one."),
        (b'{"version": 0}', "{path} is no cassette: it does not have the form of one."),
        (
            b'{"version": 2, "tape": []}',
            "The cassette {path} was made by a newer version of this package: update it.",
        ),
    ],
)
def test_a_file_that_is_no_cassette_is_one_sentence(path: Path, content: bytes, sentence: str) -> None:
    path.write_bytes(content)
    with pytest.raises(UsageError) as raised:
        CassetteTransport(path)
    assert str(raised.value) == sentence.format(path=path)


@pytest.mark.parametrize(
    "change",
    [
        {"protocol": "udp", "url_name": "X"},
        {"protocol": ["sse"]},
        {"host": None},
        {"models": []},
        {"exchanges": {}},
        {"exchanges": [{"sent": {}, "received": []}]},
        {"exchanges": [{"sent": [], "received": ["payload"]}]},
        {"exchanges": [{"sent": [], "received": [["soon", "payload"]]}]},
        {"exchanges": [{"sent": [], "received": [[-1, "payload"]]}]},
        {"exchanges": [{"sent": [], "received": [[0, {"text": 1}]]}]},
        {"exchanges": [{"sent": [], "received": [], "left_after_ms": True}]},
        {"exchanges": [{"sent": [], "received": [], "error": {"ms": 0, "class": "SystemExit", "sentence": ""}}]},
        {"exchanges": [{"sent": [], "received": [], "error": {"ms": 0, "class": "StatusError", "sentence": ""}}]},
    ],
)
def test_a_file_with_one_wrong_field_is_no_cassette(path: Path, change: dict[str, Any]) -> None:
    good = {"version": 1, "protocol": "sse", "host": "h", "exchanges": []}
    path.write_text(json.dumps(good))
    CassetteTransport(path)
    path.write_text(json.dumps({**good, **change}))
    with pytest.raises(UsageError, match="is no cassette: it does not have the form of one"):
        CassetteTransport(path)


def test_a_cassette_that_is_not_there_is_one_sentence(path: Path) -> None:
    with pytest.raises(UsageError) as raised:
        CassetteTransport(path)
    assert str(raised.value) == f"The cassette {path} cannot be read (No such file or directory)."


# The key


@pytest.mark.parametrize(
    "form",
    [
        KEY,
        KEY.replace("/", "\\/"),
        KEY.replace("/", "\\u002F"),
        KEY.replace("/", "\\\\u002f"),
        json.dumps({"arguments": json.dumps({"key": KEY.replace("/", "\\/")})}),
        "".join(f"\\u{ord(character):04x}" for character in KEY),
    ],
)
def test_the_key_is_in_no_file_however_it_is_written(path: Path, form: str) -> None:
    status = StatusError(401, f"wrong key: {form}", {"retry-after": form})
    cut = DisconnectedError(f"cut after {form}", details=form)
    body = {form: [form], "messages": [{"role": "user", "content": f"My key is {form}."}]}

    async def run() -> None:
        transport = RecordingTransport(Scripted([form, status], [cut], models=form), path, lambda: [KEY])
        for _ in range(2):
            with pytest.raises(HolySheepError) as raised:
                await take(transport, body)
            assert form in raised.value.details, "the run itself gets what came"
        assert await transport.list_models() == form
        await transport.hang_up()

    asyncio.run(run())
    text = path.read_text("utf-8")
    # What the text means, down to JSON within JSON.
    for _ in range(4):
        assert "secret" not in text
        assert "0123456789" not in text
        text = text.replace("\\\\", "\\").encode("latin-1", "backslashreplace").decode("unicode_escape")
    first, second = Cassette.read(path).exchanges
    assert first.error is not None
    assert second.error is not None
    for value in (first.received[0][1], first.error["body"], first.error["headers"]["retry-after"]):
        assert "***" in value
    assert "***" in second.error["sentence"]
    assert "***" in second.error["details"]
    assert "***" in first.sent[0]["messages"][0]["content"]


def test_a_key_with_quotes_and_backslashes_is_found_in_json_within_json(path: Path) -> None:
    key = 'a"b\\c/d"e'
    payload = json.dumps({"arguments": json.dumps({"key": key}), "key": key})

    async def run() -> None:
        await take(RecordingTransport(Scripted([payload]), path, lambda: [key]))

    asyncio.run(run())
    (found,) = replay(path)
    assert json.loads(found) == {"arguments": '{"key": "***"}', "key": "***"}


def test_each_of_several_keys_is_hidden(path: Path) -> None:
    keys = ["hs-0123456789", "hs-0123456789-second"]
    asyncio.run(take(RecordingTransport(Scripted([f"{keys[1]} {keys[0]}"]), path, lambda: keys)))
    assert replay(path) == ["*** ***"]


def test_a_prompt_that_holds_the_key_is_recognized_and_no_difference_shows_it(path: Path) -> None:
    body = {"prompt": f"My key is {KEY}."}
    record(path, ["ok"], messages=(body,))
    assert asyncio.run(take(CassetteTransport(path, read_keys=lambda: [KEY]), body)) == ["ok"]
    with pytest.raises(UsageError) as raised:
        asyncio.run(take(CassetteTransport(path, read_keys=lambda: [KEY]), {"prompt": f"My key was {KEY}."}))
    assert KEY not in str(raised.value)


def test_what_is_too_short_for_a_key_stays_in_the_text(path: Path) -> None:
    asyncio.run(take(RecordingTransport(Scripted(["a test"]), path, lambda: ["test"])))
    assert replay(path) == ["a test"]


def test_of_the_headers_of_a_refusal_only_those_that_say_what_to_do_are_kept(path: Path) -> None:
    record(path, [StatusError(429, "slow", {"retry-after": "2", "set-cookie": "session=1", "x-request-id": "r"})])
    (exchange,) = Cassette.read(path).exchanges
    assert exchange.error is not None
    assert exchange.error["headers"] == {"retry-after": "2"}


# Recording


def test_recording_changes_nothing_of_what_is_moved(path: Path) -> None:
    async def run() -> None:
        inner = Scripted(["a", "b"], ["c"], protocol="ws")
        transport = RecordingTransport(inner, path)
        assert await take(transport, {"n": 1}) == ["a", "b"]
        assert await take(transport, {"n": 2}, {"n": 3}) == ["c"]
        await transport.hang_up()
        assert inner.sent == [({"n": 1},), ({"n": 2}, {"n": 3})]
        assert inner.has_hung_up
        assert (transport.protocol, transport.host, transport.is_reusable) == ("ws", "api.test", True)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("name", "reason"), [("missing/f.json", "No such file or directory"), (".", "it is a folder"), ("\0", "embedded")]
)
def test_where_nothing_can_be_written_nothing_is_sent(tmp_path: Path, name: str, reason: str) -> None:
    inner = Scripted(["a"])
    with pytest.raises(UsageError) as raised:
        asyncio.run(take(RecordingTransport(inner, tmp_path / name)))
    assert str(raised.value).startswith(f"The cassette {tmp_path / name} cannot be written ({reason}")
    assert inner.sent == []


def test_a_file_that_cannot_be_written_any_more_is_said_at_the_end_and_the_answer_comes(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()

    async def run() -> None:
        transport = RecordingTransport(Scripted(["a", "b"]), folder / "f.json")
        async with contextlib.aclosing(transport.stream(BODY)) as payloads:
            assert await anext(payloads) == "a"
            folder.rmdir()
            assert [payload async for payload in payloads] == ["b"]
        with pytest.raises(UsageError, match="cannot be written"):
            await transport.hang_up()

    asyncio.run(run())


# Replaying


@pytest.mark.parametrize("protocol", ["sse", "ws"])
def test_a_cassette_speaks_as_what_was_recorded(path: Path, protocol: str) -> None:
    asyncio.run(take(RecordingTransport(Scripted(["a"], protocol=protocol), path)))
    transport = CassetteTransport(path)
    assert (transport.protocol, transport.host) == (protocol, "api.test")
    assert (transport.key_name, transport.url_name) == ("HOLYSHEEP_API_KEY", "HOLYSHEEP_BASE_URL")
    assert transport.is_reusable == (protocol == "sse")


def test_exchanges_are_played_in_order(path: Path) -> None:
    record(path, ["a", "b"], ["c"])
    transport = CassetteTransport(path)
    assert [asyncio.run(take(transport)) for _ in range(2)] == [["a", "b"], ["c"]]


@pytest.mark.parametrize(("speed", "least_s", "most_s"), [(1.0, 0.4, 4.0), (4.0, 0.1, 0.39), (0.0, 0.0, 0.35)])
def test_a_replay_keeps_the_rhythm_of_the_recording_or_needs_no_time(
    path: Path, speed: float, least_s: float, most_s: float
) -> None:
    record(path, [0.2, "a", 0.2, "b"])
    began = time.monotonic()
    assert replay(path, speed=speed) == ["a", "b"]
    assert least_s <= time.monotonic() - began < most_s


@pytest.mark.parametrize("speed", [-1.0, float("nan"), float("inf")])
def test_a_speed_that_is_none_is_refused(path: Path, speed: float) -> None:
    record(path, ["a"])
    with pytest.raises(UsageError, match=rf"^The speed of a cassette is 0 or more, not {speed:g}\.$"):
        CassetteTransport(path, speed)


def test_more_exchanges_than_were_recorded_are_one_sentence(path: Path) -> None:
    record(path, ["a"])
    transport = CassetteTransport(path)
    asyncio.run(take(transport))
    with pytest.raises(UsageError) as raised:
        asyncio.run(take(transport))
    assert str(raised.value) == f"The cassette {path} holds no more than 1 exchange: record it again."


def test_something_else_sent_is_one_sentence_with_the_first_difference(path: Path) -> None:
    record(path, ["a"], ["b"])
    transport = CassetteTransport(path)
    asyncio.run(take(transport))
    with pytest.raises(UsageError) as raised:
        asyncio.run(take(transport, {**BODY, "model": "n"}))
    assert str(raised.value) == (
        f'The cassette {path} was recorded with something else in exchange 2: model was "m", and now is "n".'
    )


def test_after_a_difference_the_exchange_is_still_to_be_played(path: Path) -> None:
    record(path, ["a"])
    transport = CassetteTransport(path)
    with pytest.raises(UsageError):
        asyncio.run(take(transport, {"model": "n"}))
    assert asyncio.run(take(transport)) == ["a"]


LONG = "x" * 200


@pytest.mark.parametrize(
    ("recorded", "sent", "words"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, ""),
        ({"a": 1}, {}, "a was 1, and now is missing"),
        ({}, {"tools": [1]}, "tools was missing, and now is [1]"),
        ({"a": True}, {"a": 1}, "a was true, and now is 1"),
        ({"a": 1}, {"a": 1.0}, "a was 1, and now is 1.0"),
        ({"a": None}, {"a": {}}, "a was null, and now is {}"),
        ({"m": [{"c": "x"}, {"c": "y"}]}, {"m": [{"c": "x"}, {"c": "z"}]}, 'm[1].c was "y", and now is "z"'),
        ({"m": [1]}, {"m": [1, 2]}, "m had 1 items, and now 2"),
        ([{}], [{}, {}], "the messages had 1 items, and now 2"),
        ([{"id": 1}, {"id": 2}], [{"id": 1}, {"id": 3}], "[1].id was 2, and now is 3"),
        ("text", {}, 'the message was "text", and now is {}'),
        (
            {"c": f"{LONG}one{LONG}"},
            {"c": f"{LONG}two"},
            f'c was …"{"x" * 30}one{"x" * 26}…, and now is …"{"x" * 30}two"',
        ),
        ({"c": LONG}, {"c": 1}, f'c was "{"x" * 59}…, and now is 1'),
    ],
)
def test_a_difference_is_the_first_one_and_short(recorded: Any, sent: Any, words: str) -> None:
    assert difference(recorded, sent) == words


@pytest.mark.parametrize(
    "error",
    [
        TransportError("It broke."),
        ConnectionFailedError("Never there.", details="refused"),
        StalledError("Silence."),
        DisconnectedError("Cut."),
        ProtocolError("HTML.", details="<html>"),
        StatusError(429, '{"error": {}}', {"retry-after": "2"}),
    ],
)
def test_an_error_is_replayed_with_its_class_and_its_sentence(path: Path, error: HolySheepError) -> None:
    record(path, ["a", error])
    payloads: list[str] = []

    async def run() -> None:
        async for payload in CassetteTransport(path).stream(BODY):
            payloads.append(payload)

    with pytest.raises(HolySheepError) as raised:
        asyncio.run(run())
    assert (type(raised.value), str(raised.value)) == (type(error), str(error))
    assert vars(raised.value) == vars(error)
    assert payloads == ["a"]


def test_a_stream_that_was_left_ends_where_it_was_left(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cassettes, "_AFTER_SILENCE_S", 0.1)
    asyncio.run(take(RecordingTransport(Scripted(["a", "b", "c"]), path), most=2))
    assert asyncio.run(take(CassetteTransport(path), most=2)) == ["a", "b"]
    with pytest.raises(StalledError) as raised:
        replay(path)
    assert str(raised.value) == f"The cassette {path} ends here: no more was received when it was recorded."


def test_the_list_of_models_is_replayed_if_it_was_asked_for(path: Path) -> None:
    async def run() -> None:
        transport = RecordingTransport(Scripted(["a"], models='{"data": []}'), path)
        await take(transport)
        with pytest.raises(DisconnectedError, match="holds no list of models"):
            await CassetteTransport(path).list_models()
        await transport.list_models()
        await transport.hang_up()
        assert await CassetteTransport(path).list_models() == '{"data": []}'

    asyncio.run(run())


# Through Chat


@tool(safe=True)
def where_is(city: str) -> str:
    """Where a city is."""
    return f"{city} is here"


def transcript(run: Run) -> dict[str, Any]:
    """What a run gave, without how long it took."""
    data = run.turn.to_dict()
    for part in data["parts"]:
        part.pop("seconds", None)
    return data


def test_a_replayed_run_equals_the_recorded_one_and_needs_neither_key_nor_server(
    at_server: RawServer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = {"index": 0, "id": "c", "function": {"name": "where_is", "arguments": '{"city": "Paris"}'}}
    at_server.play(sse_head(), chunk("One moment."), chunk(tool_calls=[call]), chunk(finish_reason="tool_calls"), DONE)
    at_server.play(answer("It ", "is here."))
    recorded = Chat(tools=[where_is]).ask("Where?", record=path).result()
    assert recorded.status == "complete"
    asked = len(at_server.requests)
    monkeypatch.delenv("HOLYSHEEP_API_KEY")
    replayed = Chat(tools=[where_is]).ask("Where?", replay=path).result()
    assert transcript(replayed) == transcript(recorded)
    assert (replayed.status, replayed.text, replayed.usage) == (recorded.status, recorded.text, recorded.usage)
    assert (replayed.request.host, replayed.request.replayed_from) == (recorded.request.host, "f.json")
    assert replayed.request.body == recorded.request.body
    assert len(at_server.requests) == asked


def test_a_refusal_is_replayed_with_the_models_it_suggests(
    at_server: RawServer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = {"error": {"message": "no such model", "code": "model_not_found"}}
    at_server.play(json_answer(refusal, "404 Not Found"))
    with pytest.raises(ModelNotFoundError) as recorded:
        Chat(model="rew").ask("Hi", record=path).result()
    assert "Did you mean 'raw'?" in str(recorded.value)
    monkeypatch.delenv("HOLYSHEEP_API_KEY")
    with pytest.raises(ModelNotFoundError) as replayed:
        Chat(model="rew").ask("Hi", replay=path).result()
    assert str(replayed.value) == str(recorded.value)


def test_a_request_that_was_made_again_is_replayed_with_all_its_attempts(at_server: RawServer, path: Path) -> None:
    at_server.play(json_answer({"error": {"message": "busy"}}, "503 Service Unavailable", "Retry-After: 0\r\n"))
    at_server.play(answer("Hello"))
    recorded = Chat().ask("Hi", record=path).result()
    assert len(Cassette.read(path).exchanges) == len(at_server.asked) == 2
    replayed = Chat().ask("Hi", replay=path).result()
    assert (transcript(replayed), replayed.text) == (transcript(recorded), "Hello")
    assert len(at_server.asked) == 2


def test_a_refused_key_is_replayed_and_stands_in_no_file(at_server: RawServer, path: Path) -> None:
    key = "hs-test-key-0123456789"
    at_server.play(json_answer({"error": {"message": f"no: {key}"}}, "401 Unauthorized"))
    for way in ({"record": path}, {"replay": path}):
        with pytest.raises(AuthenticationError, match=r"refused the key \(401: no: \(HOLYSHEEP_API_KEY\)\)"):
            Chat().ask("Is it good?", **way).result()
    assert key not in path.read_text("utf-8")


def test_an_answer_that_was_cut_is_replayed_as_cut_with_its_sentence(at_server: RawServer, path: Path) -> None:
    at_server.play(sse_head(), chunk("half an ans"), event({"error": {"message": "overloaded"}}))
    recorded = Chat().ask("Hi", record=path)
    with pytest.raises(HolySheepError) as first:
        recorded.result()
    replayed = Chat().ask("Hi", replay=path)
    with pytest.raises(HolySheepError) as second:
        replayed.result()
    assert (type(second.value), str(second.value)) == (type(first.value), str(first.value))
    assert (transcript(replayed), replayed.status) == (transcript(recorded), recorded.status)


def until_text(run: Run, text: str) -> None:
    deadline = time.monotonic() + 10
    while run.text != text:
        assert time.monotonic() < deadline, f"only {run.text!r} came"
        time.sleep(0.005)


def test_a_run_that_was_stopped_is_replayed_as_cut_off(
    at_server: RawServer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cassettes, "_AFTER_SILENCE_S", 0.1)
    at_server.play(sse_head(), chunk("so far"), HANG)
    run = Chat().ask("Hi", record=path)
    until_text(run, "so far")
    run.stop()
    assert run.result().status == "stopped"
    replayed = Chat().ask("Hi", replay=path)
    with pytest.raises(StalledError, match=r"^The cassette .*f\.json ends here: no more was received when it "):
        replayed.result()
    assert (replayed.status, replayed.text) == ("truncated", "so far")


def test_a_run_over_websocket_that_was_stopped_is_replayed_too(
    at_server: RawServer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cassettes, "_AFTER_SILENCE_S", 0.1)

    async def run() -> None:
        async with RawSocket(READ, say(type="content_block", content="so far"), HANG_SOCKET) as socket:
            monkeypatch.setenv("HOLYSHEEP_WS_URL", socket.ws_url)
            run = Chat().ask("Hi", transport="ws", record=path)
            await asyncio.wait_for(socket.hung.wait(), 5)
            await asyncio.to_thread(until_text, run, "so far")
            run.stop()
            await run
            assert run.status == "stopped"

    asyncio.run(run())
    replayed = Chat().ask("Hi", replay=path)
    with pytest.raises(StalledError, match="no more was received when it was recorded"):
        replayed.result()
    assert (replayed.status, replayed.text, replayed.request.transport) == ("truncated", "so far", "ws")


def test_the_recording_of_a_fallback_is_that_of_the_way_that_answered(
    at_server: RawServer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLYSHEEP_WS_URL", "ws://127.0.0.1:1/v1")
    at_server.play(answer("Hello"))
    run = Chat(tools=[where_is]).ask("Hi", record=path).result()
    assert run.turn.route_changed
    replayed = Chat(tools=[where_is]).ask("Hi", replay=path).result()
    assert (replayed.text, replayed.request.transport, replayed.turn.route_changed) == ("Hello", "sse", "")


def test_a_closed_websocket_is_replayed_with_its_sentence(
    at_server: RawServer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sentences = []

    async def run() -> None:
        async with RawSocket(READ, say(type="content_block", content="so far"), Close(1001, "deploy")) as socket:
            monkeypatch.setenv("HOLYSHEEP_WS_URL", socket.ws_url)
            with pytest.raises(DisconnectedError) as raised:
                await Chat().ask("Hi", transport="ws", record=path)
            sentences.append(str(raised.value))

    asyncio.run(run())
    with pytest.raises(DisconnectedError) as raised:
        Chat().ask("Hi", replay=path).result()
    assert [str(raised.value)] == sentences
    assert "going away and closed the connection (1001: deploy)" in sentences[0]


def test_a_path_where_nothing_can_be_written_is_refused_at_once(at_server: RawServer, tmp_path: Path) -> None:
    chat = Chat()
    with pytest.raises(UsageError, match=r"cannot be written \(No such file or directory\)"):
        chat.ask("Hi", record=tmp_path / "missing" / "f.json")
    assert (at_server.requests, chat.conversation.exchanges) == ([], [])


def test_a_replay_of_what_is_no_cassette_is_refused_at_once(at_server: RawServer, path: Path) -> None:
    chat = Chat()
    with pytest.raises(UsageError, match="cannot be read"):
        chat.ask("Hi", replay=path)
    assert (at_server.requests, chat.conversation.exchanges) == ([], [])


def test_recording_and_replaying_at_once_is_refused(at_server: RawServer, path: Path) -> None:
    with pytest.raises(UsageError) as raised:
        Chat().ask("Hi", record=path, replay=path)
    assert str(raised.value) == "A run is recorded or replayed, not both: leave out --record or --replay."


def test_another_transport_than_the_recorded_one_is_refused(at_server: RawServer, path: Path) -> None:
    record(path, ["a"])
    with pytest.raises(UsageError) as raised:
        Chat().ask("Hi", replay=path, transport="ws")
    assert str(raised.value) == f"The cassette {path} was recorded over sse: leave out the transport ws."
    Chat(model="m").ask("Hi", replay=path, transport="auto").stop()


def test_another_prompt_than_the_recorded_one_fails_the_run_with_the_difference(
    at_server: RawServer, path: Path
) -> None:
    at_server.play(answer("Hello"))
    Chat().ask("Hi", record=path).result()
    with pytest.raises(UsageError) as raised:
        Chat().ask("Ho", replay=path).result()
    assert str(raised.value) == (
        f"The cassette {path} was recorded with something else in exchange 1: "
        'messages[0].content was "Hi", and now is "Ho".'
    )


def test_a_path_is_taken_as_it_was_when_the_prompt_was_sent(
    at_server: RawServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    at_server.play(sse_head(), chunk("a"), 0.2, chunk(finish_reason="stop"), DONE)
    run = Chat().ask("Hi", record="f.json")
    until_text(run, "a")
    monkeypatch.chdir(elsewhere)
    run.result()
    assert Chat().ask("Hi", replay="~/f.json").result().text == "a"
