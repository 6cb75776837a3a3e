"""Every fault of a server or of the network, and what becomes of the run: the one table.

python tests/test_faults.py     prints it as markdown
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import raw_socket
from raw_server import DONE, HANG, RESET, RawServer, answer, chunk, event, json_answer, sse_head
from raw_socket import DEAF, EOF, READ, Close, Message, Raw, RawSocket, say, texts
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from holysheep_nb import Chat, Run
from holysheep_nb.config import Settings
from holysheep_nb.errors import HolySheepError
from holysheep_nb.run import State
from holysheep_nb.transports.websocket import WebSocketTransport
from holysheep_nb.view.frozen import footer, frozen_markdown
from holysheep_nb.view.markdown import plain

AGAIN = "Again."
"""What a server answers that is asked a second time."""
MEGABYTES_10 = b"x" * 10_000_000


@dataclass(frozen=True)
class Fault:
    """What a server does, and what is left of the run.

    says       the sentence that ends it, with HOST for the server's; "" if it ends well
    text       what is kept
    retry      what the countdown says before the request is made again; "" if it is not
    skipped    how many payloads were left out, which the footer says
    """

    name: str
    steps: list[Any]
    status: State = "complete"
    text: str = "So far"
    says: str = ""
    retry: str = ""
    skipped: int = 0
    idle_timeout_s: float = 5.0
    options: dict[str, Any] = field(default_factory=dict)


def kept(name: str, steps: list[Any], says: str, text: str = "So far", **more: Any) -> Fault:
    """A fault after which the answer is cut off."""
    says = f"{says}: the answer is cut off, and what came is kept ({len(text)} characters)."
    return Fault(name, steps, "truncated", text, says, **more)


def ended(name: str, steps: list[Any], says: str, **more: Any) -> Fault:
    """A fault before anything came, which is told at once."""
    return Fault(name, steps, "failed", "", says, **more)


def retried(name: str, steps: list[Any], retry: str = "connection closed", **more: Any) -> Fault:
    """A fault before anything came, after which the request is made again."""
    return Fault(name, steps, "complete", AGAIN, "", retry, **more)


CLOSED = "The connection to HOST was closed"
UNFINISHED = "HOST ended the stream before the answer was complete"
SILENT = "No data from HOST for 0.3 s"
NO_ROOM = "The server ended the answer with an error: no room"

# Over SSE

END = chunk(finish_reason="stop")
WHOLE = chunk("So ") + chunk("far") + END + DONE
TEXT = "é€𝄞\u2028\u0085 “so”"
RAW_TEXT = 'data: {"choices": [{"delta": {"content": "%s"}}]}\n\n'.replace("%s", TEXT).encode()


def in_bytes(data: bytes, pause_s: float = 0.001) -> list[Any]:
    return [step for at in range(len(data)) for step in (data[at : at + 1], pause_s)]


def of_choice(index: int, content: str) -> bytes:
    return event({"choices": [{"index": index, "delta": {"content": content}}]})


def in_chunks(*pieces: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)


def compressed(data: bytes) -> bytes:
    """The beginning of a gzip body, as far as `data`."""
    packer = zlib.compressobj(wbits=31)
    return packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH)


GZIPPED = sse_head(headers="Content-Encoding: gzip\r\n")
CHUNKED = sse_head(headers="Transfer-Encoding: chunked\r\n")

OVER_SSE = [
    # How a stream may be written
    Fault(
        "keep-alive comments", [sse_head(), b": hi\n\n", WHOLE.replace(b"\n\n", b"\n\n: still here\n\n"), b": bye\n\n"]
    ),
    Fault("lines that end in CR", [sse_head(), WHOLE.replace(b"\n", b"\r")]),
    Fault("lines that end in CR LF, cut between the two", [sse_head(), *in_bytes(WHOLE.replace(b"\n", b"\r\n"))]),
    Fault("a byte order mark", [sse_head(), b"\xef\xbb\xbf" + WHOLE]),
    Fault(
        "data over several lines",
        [sse_head(), b'data: {"choices": [{"delta":\ndata: {"content":\ndata:  "So far"}}]}\n\n', END, DONE],
    ),
    Fault("UTF-8 cut inside characters", [sse_head(), *in_bytes(RAW_TEXT), END, DONE], text=TEXT),
    Fault("U+2028 and U+0085 in the text", [sse_head(), RAW_TEXT, END, DONE], text=TEXT),
    Fault(
        "half a surrogate pair", [sse_head(), chunk("So far\ud83d\ude00 \ud800!"), END, DONE], text="So far😀 \ufffd!"
    ),
    Fault("a gzip body", [GZIPPED, gzip.compress(WHOLE)]),
    Fault("slow drip, byte by byte", [sse_head(), *in_bytes(WHOLE, 0.002)], idle_timeout_s=1.0),
    Fault("1 million empty events", [sse_head(), chunk("So "), b"data:\n\n" * 1_000_000, chunk("far"), END, DONE]),
    Fault("events that say nothing", [sse_head(), b"retry: 5\n\nid: 1\n\nevent: ping\n\ndata: {}\n\n", WHOLE]),
    # What is in it
    Fault(
        "malformed JSON in the middle",
        [sse_head(), chunk("So "), b'data: {"cho\n\n', chunk("far"), END, DONE],
        skipped=1,
    ),
    Fault(
        "two choices interleaved",
        [sse_head(), of_choice(0, "So "), of_choice(1, "No"), of_choice(0, "far"), of_choice(1, "pe"), END, DONE],
    ),
    Fault("a chunk after [DONE]", [sse_head(), WHOLE, chunk(" and on"), DONE]),
    Fault("finish_reason without [DONE]", [sse_head(), chunk("So far"), END]),
    Fault("finish_reason, then silence", [sse_head(), chunk("So far"), END, HANG], idle_timeout_s=0.3),
    Fault("[DONE] without finish_reason", [sse_head(), chunk("So far"), DONE]),
    kept("neither finish_reason nor [DONE]", [sse_head(), chunk("So far")], UNFINISHED),
    kept("an event cut off in the middle", [sse_head(), chunk("So far"), chunk(" and on")[:-9]], UNFINISHED),
    kept(
        "an error object after good chunks",
        [sse_head(), chunk("So far"), event({"error": {"message": "no room"}})],
        NO_ROOM,
    ),
    ended("an error object first", [sse_head(), event({"error": {"message": "no room"}})], NO_ROOM + "."),
    # How much of it
    kept(
        "10 MB in one event",
        [sse_head(), chunk("So far"), b"data: " + MEGABYTES_10 + b"\n\n", WHOLE],
        "HOST sent an event of more than 4 MB, which is not read",
    ),
    kept(
        "10 MB in one event of many lines",
        [sse_head(), chunk("So far"), b"data: x\r\n" * 1_100_000, b"\r\n", WHOLE],
        "HOST sent an event of more than 4 MB, which is not read",
    ),
    ended(
        "10 MB in one line that comes first",
        [sse_head(), MEGABYTES_10],
        "HOST sent an event of more than 4 MB, which is not read.",
    ),
    # Silence and cuts
    kept("endless stall", [sse_head(), chunk("So far"), HANG], SILENT, idle_timeout_s=0.3),
    ended("endless stall before the first event", [sse_head(), HANG], SILENT + ".", idle_timeout_s=0.3),
    ended("half-open socket: no answer at all", [HANG], SILENT + ".", idle_timeout_s=0.3),
    kept("reset in mid-stream", [sse_head(), chunk("So far"), 0.1, RESET], CLOSED),
    retried("reset before the head", [RESET]),
    retried("reset after the head", [sse_head(), 0.05, RESET]),
    retried("closed without an answer", []),
    retried("an empty stream", [sse_head()]),
    kept(
        "a body shorter than its Content-Length", [sse_head(headers="Content-Length: 999\r\n"), chunk("So far")], CLOSED
    ),
    kept("wrong chunked encoding", [CHUNKED, in_chunks(chunk("So far")), b"not a length\r\n"], CLOSED),
    kept("chunked encoding cut off", [CHUNKED, in_chunks(chunk("So far")), b"100\r\nda"], CLOSED),
    kept("truncated gzip", [GZIPPED, compressed(chunk("So far"))], UNFINISHED),
    kept(
        "gzip that breaks",
        [GZIPPED, compressed(chunk("So far")), 0.1, b"\xff" * 50],
        "HOST sent a body that cannot be decompressed",
    ),
    # What is no stream
    ended("no gzip, though it says so", [GZIPPED, WHOLE], "HOST sent a body that cannot be decompressed."),
    ended(
        "wrong content type",
        [sse_head("application/json"), b"{}"],
        "HOST answered with application/json instead of a stream of events: check HOLYSHEEP_BASE_URL.",
    ),
    ended(
        "an HTML page",
        [sse_head("text/html; charset=hex"), b"<html>\xff</html>"],
        "HOST answered with text/html instead of a stream of events: check HOLYSHEEP_BASE_URL.",
    ),
    ended(
        "an empty 200",
        [b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"],
        "HOST answered with no content type instead of a stream of events: check HOLYSHEEP_BASE_URL.",
    ),
    ended(
        "204",
        [b"HTTP/1.1 204 No Content\r\n\r\n"],
        "HOST answered with HTTP 204, which is no stream of events: check HOLYSHEEP_BASE_URL.",
    ),
    ended(
        "a redirect to another host",
        json_answer({}, "307 Temporary Redirect", "Location: https://evil.test/v1/chat/completions\r\n"),
        "HOST sends this request on to another address (HTTP 307), which is not followed with your key: set "
        "HOLYSHEEP_BASE_URL to the final address.",
    ),
    retried("what is no HTTP", [b"SSH-2.0-OpenSSH_9.9\r\n"]),
    retried("429 with Retry-After", json_answer({}, "429 Too Many Requests", "Retry-After: 0.01\r\n"), "429"),
    retried("502 with an HTML page", [sse_head("text/html", status="502 Bad Gateway"), b"<html>Oops</html>"], "502"),
    ended(
        "401",
        json_answer({"error": {"message": "No such key"}}, "401 Unauthorized"),
        "HOST refused the key (401: No such key). Set HOLYSHEEP_API_KEY to a valid key.",
    ),
]

# Over WebSocket

SO_FAR = say(type="content_block", content="So far")
SAID_DONE = say(type="done", finish_reason="stop")


def refuse_first(status: int, body: str = "{}") -> dict[str, Any]:
    """Options of a server that answers the first handshake with a status."""
    seen: list[Request] = []

    def process_request(connection: ServerConnection, request: Request) -> Response | None:
        seen.append(request)
        return connection.respond(HTTPStatus(status), body) if len(seen) == 1 else None

    return {"process_request": process_request}


OVER_WS = [
    # How messages may be written
    Fault("binary frames", [Message(SO_FAR.content.encode()), Message(SAID_DONE.content.encode())]),  # type: ignore[union-attr]
    Fault("slow drip in fragments", [Message(list(str(SO_FAR.content)), 0.005), SAID_DONE], idle_timeout_s=1.5),
    Fault(
        "half a surrogate pair", [say(type="content_block", content="So far\ud800!"), SAID_DONE], text="So far\ufffd!"
    ),
    # What is in them
    Fault("malformed JSON in the middle", [*texts('{"type'), SO_FAR, SAID_DONE], skipped=1),
    Fault("messages of unknown types, and empty ones", [*texts("", " ", "{}"), say(type="news"), SO_FAR, SAID_DONE]),
    Fault("a message after done", [SO_FAR, SAID_DONE, say(type="content_block", content=" and on")]),
    Fault("done, and the connection cut", [SO_FAR, SAID_DONE, raw_socket.RESET]),
    kept("an error after good messages", [SO_FAR, say(type="error", error={"message": "no room"})], NO_ROOM),
    ended("an error first", [say(type="error", error={"message": "no room"})], NO_ROOM + "."),
    retried("an error of a status first", [say(type="error", status=429, error={"message": "Later"})], "429"),
    kept(
        "10 MB in one message",
        [SO_FAR, *texts("x" * 10_000_000)],
        "HOST sent a message of more than 4 MB, which is not read",
    ),
    kept(
        "what is no WebSocket frame",
        [SO_FAR, Raw(b"\x83\x00"), raw_socket.HANG],
        "HOST sent what is no WebSocket message (invalid opcode)",
    ),
    # Silence and cuts
    kept("endless stall, though pings are answered", [SO_FAR, raw_socket.HANG], SILENT, idle_timeout_s=0.3),
    kept("half-open socket: no pong", [SO_FAR, DEAF, raw_socket.HANG], "HOST did not answer a ping for 0.2 s"),
    kept("cut in mid-frame", [SO_FAR, Raw(b"\x81\x7e\x01"), 0.05, EOF], CLOSED),
    kept("reset in mid-message", [SO_FAR, Raw(b"\x01\x05begun"), 0.05, raw_socket.RESET], CLOSED),
    retried("reset before the first message", [raw_socket.RESET]),
    kept("close 1000 without done", [SO_FAR, Close(1000)], UNFINISHED),
    retried("close 1000 before the first message", [Close(1000)]),
    kept("close 1001", [SO_FAR, Close(1001, "deploy")], "HOST is going away and closed the connection (1001: deploy)"),
    kept("close 1011", [SO_FAR, Close(1011)], "HOST failed and closed the connection (1011)"),
    kept("close 1012", [SO_FAR, Close(1012)], "HOST is restarting and closed the connection (1012)"),
    retried("close 1013 before the first message", [Close(1013)]),
    retried("close 4429 before the first message", [Close(4429)], "429"),
    ended(
        "close 4401",
        [Close(4401, "No such key")],
        "HOST refused the key (401). Set HOLYSHEEP_API_KEY to a valid key.",
    ),
    # The handshake
    retried("a handshake refused with 503", [], "503", options=refuse_first(503)),
    ended(
        "a handshake refused with 401",
        [],
        "HOST refused the key (401). Set HOLYSHEEP_API_KEY to a valid key.",
        options=refuse_first(401),
    ),
    ended(
        "a handshake answered with a redirect",
        [],
        "HOST sends this request on to another address (HTTP 307), which is not followed with your key: set "
        "HOLYSHEEP_WS_URL to the final address.",
        options=refuse_first(307),
    ),
]


def chat(fault: Fault) -> Chat:
    return Chat(settings=Settings(idle_timeout_s=fault.idle_timeout_s, max_retry_wait_s=0.02))


def check(run: Run, fault: Fault, host: str) -> None:
    """The run is as the table says, and so is what stays in the notebook."""
    says = str(run.error) if run.error is not None else ""
    assert (run.status, run.text, says) == (fault.status, fault.text, fault.says.replace("HOST", host))
    assert [retry.problem for retry in run.retries] == ([fault.retry] if fault.retry else [])
    assert (run.complete, run.is_finished) == (fault.status == "complete", True)
    assert len(run.turn.skipped) == fault.skipped
    stays = frozen_markdown(run)
    # Some programs end a line of markdown at U+2028.
    assert fault.text.replace("\u2028", "\n") in stays
    assert plain(says) in stays
    assert ("· cut off ·" in footer(run)) == (fault.status == "truncated")
    assert run.error is None or isinstance(run.error, HolySheepError)


@pytest.mark.parametrize("fault", OVER_SSE, ids=lambda fault: fault.name)
def test_a_fault_over_sse(at_server: RawServer, fault: Fault) -> None:
    at_server.play(fault.steps)
    at_server.play(answer(AGAIN))
    run = chat(fault).ask("Hi", show=False, transport="sse")
    with contextlib.suppress(HolySheepError):
        run.result()
    check(run, fault, f"127.0.0.1:{at_server.port}")
    assert len(at_server.asked) == (2 if fault.retry else 1)
    if fault.status in ("truncated", "failed"):
        at_server.wait_for_disconnect(at_server.asked[0])


@pytest.mark.parametrize("fault", OVER_WS, ids=lambda fault: fault.name)
def test_a_fault_over_ws(monkeypatch: pytest.MonkeyPatch, fault: Fault) -> None:
    monkeypatch.setenv("HOLYSHEEP_API_KEY", "hs-test-key-0123456789")
    if fault.name.endswith("no pong"):
        patience = {"ping_interval_s": 0.1, "pong_timeout_s": 0.2}
        monkeypatch.setattr(
            WebSocketTransport.__init__, "__kwdefaults__", {**WebSocketTransport.__init__.__kwdefaults__, **patience}
        )
    later = [READ, say(type="content_block", content=AGAIN), SAID_DONE]
    steps = later if "process_request" in fault.options else [READ, *fault.steps]

    async def ask() -> tuple[Run, str, int]:
        async with RawSocket(*steps, later=later, **fault.options) as server:
            monkeypatch.setenv("HOLYSHEEP_WS_URL", server.ws_url)
            run = chat(fault).ask("Hi", show=False, transport="ws")
            await run.wait()
            return run, server.host, len(server.requests)

    run, host, connections = asyncio.run(ask())
    check(run, fault, host)
    if not fault.options:
        assert connections == (2 if fault.retry else 1)


def test_what_a_person_resumes_after_a_fault_goes_on_from_the_text(at_server: RawServer) -> None:
    for fault in (fault for fault in OVER_SSE if fault.status == "truncated"):
        at_server.play(fault.steps)
        run = chat(fault).ask("Hi", show=False, transport="sse")
        with contextlib.suppress(HolySheepError):
            run.result()
        at_server.play(answer(", so good."))
        assert run.resume().result().text == "So far, so good.", fault.name


def test_of_ten_megabytes_only_the_beginning_is_read(at_server: RawServer) -> None:
    at_server.play(sse_head(), chunk("So far"), [b"x" * 2**20] * 64)
    run = Chat().ask("Hi", show=False)
    with pytest.raises(HolySheepError, match="more than 4 MB"):
        run.result()
    at_server.wait_for_disconnect(at_server.asked[0])
    # What the server has written is what the client has read, and what the sockets hold.
    assert len(at_server.asked[0].sent_at) < 30


def test_more_parts_than_anyone_reads_end_the_answer(at_server: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holysheep_nb.run.MAX_PARTS", 100)
    for endless in (b"data: {\n\n", chunk(reasoning_content="hm") + chunk("a")):
        at_server.play(sse_head(), chunk("So far"), endless * 200, HANG)
        run = Chat().ask("Hi", show=False)
        with pytest.raises(HolySheepError, match="The answer has more than 100 parts and unreadable payloads"):
            run.result()
        assert (run.status, run.text[:6]) == ("truncated", "So far")


# The table

TESTED_ELSEWHERE = [
    ("nobody listens", "SSE", "countdown “no connection”, then “HOST could not be reached (…)”", "failed", "", "yes",
     "test_sse.py", "test_a_refused_connection_names_the_host"),
    ("an unknown host", "SSE", "countdown, then “HOST could not be reached (…)”", "failed", "", "yes",
     "test_sse.py", "test_an_unknown_host_is_a_failed_connection"),
    ("a host that never takes the connection", "SSE", "“HOST did not answer within 10 s: …”", "failed", "", "yes",
     "test_sse.py", "test_a_host_that_does_not_take_the_connection_is_given_up_in_time"),
    ("silence instead of a handshake", "WebSocket", "“HOST did not answer within 10 s: …”", "failed", "", "yes",
     "test_websocket.py", "test_silence_instead_of_a_handshake_is_given_up_in_time"),
    ("what is no TLS", "WebSocket", "one sentence", "failed", "", "yes",
     "test_websocket.py", "test_what_is_no_tls_is_said"),
    ("a server that does not read", "WebSocket", "“HOST does not read what it is sent.”", "failed", "", "no",
     "test_websocket.py", "test_a_server_that_does_not_read_is_given_up_in_time"),
    ("a close while a tool runs", "WebSocket", "“HOST closed the connection before the results of its calls could be "
     "sent (…)”", "truncated", "all", "no", "test_websocket.py", "test_a_close_between_rounds_is_said_with_its_reason"),
    ("an answer of more than 64 million characters", "both", "“The answer is longer than 64 million characters: …”",
     "truncated", "64 million characters", "no",
     "test_resume.py", "test_an_answer_beyond_the_bound_is_cut_off_with_what_there_is"),
    ("a wait longer than the longest", "both", "“… (429): wait 3,600 s, then run the cell again.”", "failed", "", "no",
     "test_retries.py", "test_a_server_that_asks_for_too_long_a_wait_is_told_at_once_with_the_seconds"),
    ("five failures in a row", "both", "four countdowns, then “HOST failed (500): …”", "failed", "", "4 times",
     "test_retries.py", "test_at_most_five_requests_are_made"),
]  # fmt: skip


def test_what_is_tested_elsewhere_is_tested_there() -> None:
    for *_, file, name in TESTED_ELSEWHERE:
        assert f"def {name}(" in (Path(__file__).parent / file).read_text("utf-8")


def table() -> Iterator[str]:
    """Every fault as a row of markdown."""
    yield "| fault | over | what the person sees | status | text kept | asked again | test |"
    yield "|---|---|---|---|---|---|---|"
    for faults, over, test in ((OVER_SSE, "SSE", "sse"), (OVER_WS, "WebSocket", "ws")):
        for fault in faults:
            sees = f"“{fault.says}”" if fault.says else "the answer"
            if fault.retry:
                sees = f"“{fault.retry}: again in … s, try 2 of 5”, then the answer"
            if fault.skipped:
                sees += f"; footer: {fault.skipped} unreadable payload(s) left out"
            text = json.dumps(fault.text, ensure_ascii=True) if fault.text and fault.text != AGAIN else "—"
            again = "yes" if fault.retry else "no"
            yield (
                f"| {fault.name} | {over} | {sees} | {fault.status} | {text} | {again} "
                f"| `test_faults.py::test_a_fault_over_{test}[{fault.name}]` |"
            )
    for name, over, sees, status, text, again, file, test in TESTED_ELSEWHERE:
        yield f"| {name} | {over} | {sees} | {status} | {text or '—'} | {again} | `{file}::{test}` |"


if __name__ == "__main__":
    print("\n".join(table()))
