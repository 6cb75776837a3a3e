"""Whatever bytes come: events or an error of ours, never anything else, and nothing that came before is lost."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import math
import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_streams import NAMES, STREAMS, Pieces, Wire

from holysheep_nb.agent import Line, converse, list_models
from holysheep_nb.conversation import Turn
from holysheep_nb.errors import HolySheepError, ProtocolError
from holysheep_nb.transports import sse
from holysheep_nb.transports.sse import MAX_EVENT_BYTES, SSETransport
from holysheep_nb.wire import blocks, chat_completions
from holysheep_nb.wire.chat_completions import seconds_to_wait

# Without a socket there is nothing that belongs to a loop.
WIRE = Wire()
ANSWERS: list[Callable[[httpx.Request], httpx.Response]] = []
ENDPOINT = SSETransport(
    "https://api.test/v1", lambda: "key", http_transport=httpx.MockTransport(lambda request: ANSWERS[0](request))
)
RECORDED = [(STREAMS / f"{name}.sse").read_bytes() for name in NAMES]
MORSELS = [
    *[b"data: ", b"data:", b"data", b": hi", b"event: x", b"id: 1", b"retry: 5", b"\n", b"\n\n", b"\r", b"\r\n"],
    *[
        b"\xef\xbb\xbf",
        b"\xc3",
        b"\xff",
        b"\x00",
        b"\xe2\x80\xa8",
        b"[DONE]",
        b"{",
        b"}",
        b"[",
        b'"',
        b"null",
        b"1e999",
    ],
    *[b'{"choices": [{"delta": {"content": "a"}}]}', b'{"error": {"message": "x"}}', b'{"choices": [], "usage": {}}'],
    *[
        b'{"choices": [{"index": 0, "delta": {"tool_calls": [{"index": -1, "id": "c"}]}}]}',
        b"\\ud83d",
        b"-9",
        b"0" * 5000,
    ],
]


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Noise, pieces of what a stream is made of, or recorded streams that were cut, doubled and spliced."""
    kind = draw(st.sampled_from(["noise", "morsels", "recorded"]))
    if kind == "noise":
        return draw(st.binary(max_size=300))
    if kind == "morsels":
        return b"".join(draw(st.lists(st.sampled_from(MORSELS) | st.binary(max_size=3), max_size=40)))
    spliced = bytearray()
    for _ in range(draw(st.integers(1, 4))):
        stream = draw(st.sampled_from(RECORDED))
        start, end = sorted((draw(st.integers(0, len(stream))), draw(st.integers(0, len(stream)))))
        spliced += stream[start:end] * draw(st.integers(1, 2)) + draw(st.binary(max_size=2))
    return bytes(spliced)


def in_pieces(stream: bytes, cuts: list[int]) -> list[bytes]:
    ends = sorted({min(cut, len(stream)) for cut in cuts} | {len(stream)})
    return [stream[start:end] for start, end in zip([0, *ends], ends, strict=False)]


async def hear(transport: SSETransport) -> tuple[Turn, HolySheepError | None]:
    """What comes of a run, whose turn must be fit to be shown and sent on."""
    line = Line(transport, {"model": "m"}, chat_completions.follow_up, chat_completions.Decoder)
    turn, error = Turn("assistant"), None
    try:
        async for event in converse([line], first_index=turn.next_call_index):
            turn.apply(event)
    except HolySheepError as raised:
        error = raised
    json.dumps([turn.to_dict(), str(error)], ensure_ascii=False, allow_nan=False).encode()
    return turn, error


@settings(deadline=None)
@given(streams(), st.lists(st.integers(0, 2000), max_size=8))
def test_any_stream_of_bytes_gives_events_or_an_error_of_ours(stream: bytes, cuts: list[int]) -> None:
    WIRE.pieces = in_pieces(stream, cuts)
    turn, error = asyncio.run(hear(WIRE.transport))
    assert (error is None) == (turn.finish_reason is not None)


@settings(deadline=None)
@given(streams(), st.lists(st.integers(0, 2000), max_size=8))
def test_any_stream_gives_the_same_wherever_it_is_cut(stream: bytes, cuts: list[int]) -> None:
    async def both() -> tuple[Any, Any]:
        return await WIRE.events([stream]), await WIRE.events(in_pieces(stream, cuts))

    whole, pieces = asyncio.run(both())
    assert whole == pieces


_tokens = st.text('abcdefghijklmnopqrstuvwxyz-/;=*+.0123456789 "', max_size=30)


@settings(deadline=None)
@given(
    st.integers(100, 599).filter(lambda status: status != 101),
    st.sampled_from(["text/event-stream", "text/event-stream; charset=", "application/json; charset=", ""]),
    _tokens,
    st.dictionaries(st.sampled_from(["location", "retry-after", "content-encoding", "set-cookie"]), _tokens),
    st.binary(max_size=80),
)
@example(500, "text/html; charset=", "hex", {}, b"\xff")
@example(500, "text/html; charset=", "idna", {}, b"a..b")
@example(200, "text/event-stream", "", {"content-encoding": "gzip"}, b"data: a\n\n")
@example(307, "text/event-stream", "", {"location": "http://[/"}, b"")
def test_any_answer_is_events_or_an_error_of_ours(
    status: int, content_type: str, rest: str, headers: dict[str, str], body: bytes
) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(status, headers={"content-type": content_type + rest, **headers}, stream=Pieces([body]))

    async def ask() -> None:
        await hear(ENDPOINT)
        with contextlib.suppress(HolySheepError):
            await list_models(ENDPOINT)

    ANSWERS[:] = [answer]

    asyncio.run(ask())


# Retry-After


@settings(deadline=None)
@given(
    st.text(max_size=40)
    | st.floats().map(str)
    | st.from_regex(r"\A[A-Z][a-z]{2}, \d{1,3} [A-Z][a-z]{2} \d{1,25} \d{1,3}:\d\d(:\d\d)? [-+A-Z]\w{0,9}\Z")
)
@example("Thu, 01 Jan 99999999999999999999 00:00:00 GMT")
@example("Fri, 31 Dec 9999 23:59:59 -2300")
@example("Mon, 1 Jan 0001 00:00:00 +2359")
@example("1e400")
@example("")
@example(" , ")
def test_any_retry_after_is_seconds_or_nothing(header: str) -> None:
    seconds = seconds_to_wait(header)
    assert seconds is None or (math.isfinite(seconds) and seconds >= 0)


# JSON that is deep, or counts what cannot be counted


@pytest.mark.parametrize("depth", range(700, 1001, 20))
@pytest.mark.parametrize(
    "frame",
    ['{"type": "error", "retry_after": NEST, "status": 429}', '{"error": NEST}', '{"error": {"message": NEST}}'],
)
def test_json_as_deep_as_can_be_read_is_an_error_of_ours(frame: str, depth: int) -> None:
    payload = frame.replace("NEST", "[" * depth + "]" * depth)
    for decoder in (chat_completions.Decoder(), blocks.Decoder()):
        with contextlib.suppress(HolySheepError):
            decoder.feed(payload)


@pytest.mark.parametrize("count", ["-1", "1e300", "9" * 4000, str(2**53), "NaN", '"many"', "[3]"])
def test_what_cannot_be_a_count_is_left_out(count: str) -> None:
    usage = '"usage": {"prompt_tokens": COUNT, "completion_tokens": 1}'.replace("COUNT", count)
    call = '"choices": [{"delta": {"content": "a", "tool_calls": [{"index": COUNT}]}}]'.replace("COUNT", count)
    for decoder, payload in [
        (chat_completions.Decoder(), f"{{{usage}}}"),
        (chat_completions.Decoder(), f"{{{call}}}"),
        (blocks.Decoder(), f'{{"type": "usage", {usage}}}'),
    ]:
        assert [type(event).__name__ for event in decoder.feed(payload)][-1] == "PayloadSkipped"


def test_half_a_surrogate_pair_in_a_payload_is_in_nothing_that_is_said() -> None:
    for payload in ("{\ud800", '"\ud800"', '{"choices": "\ud800"}', '{"error": {"message": 5, "x": "\ud800"}}'):
        said: list[Any] = []
        try:
            said = chat_completions.Decoder().feed(payload)
        except HolySheepError as error:
            said = [error, error.details]
        repr(said).encode()
        assert "\ufffd" in "".join(str(getattr(each, "reason", each)) for each in said)


# One event of more than 4 MB

TOO_LONG = "api.test sent an event of more than 4 MB, which is not read."
GOOD = b'data: {"choices": [{"delta": {"content": "a"}}]}\n\n'


def heard(pieces: list[bytes]) -> list[Any]:
    return [each for each in asyncio.run(WIRE.events(pieces)) if each[0] != "TurnStarted"]


@pytest.mark.parametrize("piece_bytes", [1000, 65_536, 7_000_000], ids=["small", "medium", "at once"])
@pytest.mark.parametrize(
    "event",
    [
        b"data: " + b"x" * 6_000_000,
        b"data: x\n" * 700_000,
        b"data: x\r\n" * 600_000,
        b"data: x\r" * 700_000,
        b"x" * 6_000_000,
    ],
    ids=["one line", "many lines", "many lines of CR LF", "many lines of CR", "a line without an end"],
)
def test_an_event_over_4_mb_ends_the_stream_and_what_came_before_is_kept(event: bytes, piece_bytes: int) -> None:
    stream = GOOD + event + b"\n\n" + GOOD
    pieces = [stream[at : at + piece_bytes] for at in range(0, len(stream), piece_bytes)]
    assert heard(pieces) == [["TextDelta", "a"], ["ProtocolError", TOO_LONG]]


@pytest.mark.parametrize("end", [b"\n\n", b"\r\r", b"\r\n\r\n", b"\n\r\n", b"\r\n\n", b"\n\r"])
@pytest.mark.parametrize("piece_bytes", [7, 100])
def test_what_ends_an_event_ends_its_count(monkeypatch: pytest.MonkeyPatch, end: bytes, piece_bytes: int) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 60)
    stream = b"".join(each for _ in range(50) for each in (GOOD.strip(), end, b": still here", end))
    pieces = [stream[at : at + piece_bytes] for at in range(0, len(stream), piece_bytes)]
    assert heard(pieces)[:-1] == [["TextDelta", "a"]] * 50
    assert heard(pieces)[-1][0] == "DisconnectedError"


@settings(deadline=None)
@given(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"ab", b"data: x"]), max_size=40), st.lists(st.integers(0, 99)))
def test_the_count_is_that_of_the_bytes_between_blank_lines(morsels: list[bytes], cuts: list[int]) -> None:
    limit, stream = 12, b"x" + b"".join(morsels)
    lines = re.split(rb"\r\n|\r|\n", stream)
    ends = [*re.findall(rb"\r\n|\r|\n", stream), b""]
    longest = so_far = 0
    for line, end in zip(lines, ends, strict=True):
        longest = max(longest, so_far + len(line)) if line else longest
        so_far = so_far + len(line) + len(end) if line else 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sse, "MAX_EVENT_BYTES", limit)
        size = sse._EventSize()
        pieces = in_pieces(stream, [*cuts, *range(0, len(stream), limit)])
        is_admitted = all(size.admits(piece) for piece in pieces)
    # The line ends around an event may count or not.
    assert is_admitted or longest + 4 > limit
    assert not is_admitted or longest <= limit


def test_an_event_of_4_mb_is_read() -> None:
    text = "x" * (MAX_EVENT_BYTES - 100)
    event = b"data: " + json.dumps({"choices": [{"delta": {"content": text}}]}).encode()
    assert heard([event + b"\n\n", b"data: [DONE]\n\n"])[0] == ["TextDelta", text]


def test_what_a_small_body_decompresses_to_is_bounded_too() -> None:
    body = gzip.compress(GOOD + b"data: " + b"x" * 50_000_000)
    assert len(body) < 100_000

    def answer(_: httpx.Request) -> httpx.Response:
        headers = {"content-type": "text/event-stream", "content-encoding": "gzip"}
        return httpx.Response(
            200, headers=headers, stream=Pieces([body[at : at + 1000] for at in range(0, len(body), 1000)])
        )

    ANSWERS[:] = [answer]
    turn, error = asyncio.run(hear(ENDPOINT))
    assert (turn.text, type(error), str(error)) == ("a", ProtocolError, TOO_LONG)
