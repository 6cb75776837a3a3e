"""The transport on sockets: what the network does, as payloads or as one sentence."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import http.server
import json
import socket
import socketserver
import threading
import time
from collections.abc import Iterator

import pytest
from raw_server import DONE, HANG, RESET, RawServer, chunk, json_answer, sse_head

from holysheep_nb.agent import list_models, respond
from holysheep_nb.config import Endpoint, check_base_url
from holysheep_nb.errors import (
    ConfigurationError,
    ConnectionFailedError,
    DisconnectedError,
    HolySheepError,
    ProtocolError,
    StalledError,
    StatusError,
)
from holysheep_nb.events import TextDelta
from holysheep_nb.transports.sse import SSETransport

KEY = "hs-secret-0123456789"


def payloads(base_url: str, *, connect_timeout_s: float = 5.0, idle_timeout_s: float = 5.0) -> list[str]:
    """The payloads of one answer, whole."""

    async def collect() -> list[str]:
        transport = SSETransport(
            base_url, lambda: KEY, connect_timeout_s=connect_timeout_s, idle_timeout_s=idle_timeout_s
        )
        try:
            async with contextlib.aclosing(transport.stream({"model": "m"})) as stream:
                return [payload async for payload in stream]
        finally:
            await transport.aclose()

    return asyncio.run(collect())


def failure(base_url: str, **timeouts: float) -> HolySheepError:
    """What an answer that cannot come raises. The key is in none of it."""
    with pytest.raises(HolySheepError) as raised:
        payloads(base_url, **timeouts)
    assert KEY not in f"{raised.value!r} {raised.value.details} {raised.value.__cause__!r}"
    return raised.value


# What is sent


def test_a_request_is_a_post_of_json_that_accepts_events(server: RawServer) -> None:
    server.play(sse_head(), b"data: a\n\n")
    assert payloads(server.base_url) == ["a"]
    (request,) = server.requests
    assert (request.method, request.path, request.json) == ("POST", "/v1/chat/completions", {"model": "m"})
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["accept"] == "text/event-stream"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["cache-control"] == "no-store"


def test_the_key_is_read_anew_for_each_request(server: RawServer) -> None:
    server.play(sse_head(), b"data: a\n\n")
    keys = iter(["one", "two"])

    async def ask_twice() -> None:
        transport = SSETransport(server.base_url, lambda: next(keys))
        for _ in range(2):
            async with contextlib.aclosing(transport.stream({})) as stream:
                assert [payload async for payload in stream] == ["a"]

    asyncio.run(ask_twice())
    assert [request.headers["authorization"] for request in server.requests] == ["Bearer one", "Bearer two"]


def test_a_proxy_never_sees_a_request_to_this_machine(server: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    server.play(sse_head(), b"data: a\n\n")
    with RawServer() as proxy:
        proxy.play(sse_head(), b"data: through the proxy\n\n")
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        assert payloads(server.base_url) == ["a"]
        assert proxy.requests == []


def test_a_redirect_is_not_followed_and_the_key_does_not_travel(server: RawServer) -> None:
    with RawServer() as other:
        location = f"http://localhost:{other.port}/v1/chat/completions"
        server.play(json_answer({}, "307 Temporary Redirect", f"Location: {location}\r\n"))
        error = failure(server.base_url)
        assert isinstance(error, StatusError)
        assert (error.status_code, error.headers["location"]) == (307, location)
        assert other.requests == []


# What comes


def test_comments_and_blocks_without_data_are_no_payloads(server: RawServer) -> None:
    server.play(sse_head(), b": hi\n\nretry: 5\n\nid: 1\n\ndata: a\n\n: still here\n\ndata\n\n")
    assert payloads(server.base_url) == ["a"]


def test_a_content_type_with_a_charset_is_still_a_stream_of_utf_8(server: RawServer) -> None:
    server.play(sse_head("Text/Event-Stream; charset=iso-8859-1"), "data: Grüße\n\n".encode())
    assert payloads(server.base_url) == ["Grüße"]


def test_a_gzipped_stream_is_read_as_it_comes(server: RawServer) -> None:
    body = gzip.compress(b"data: a\n\ndata: b\n\n")
    server.play(sse_head(headers="Content-Encoding: gzip\r\n"), body[:15], 0.05, body[15:])
    assert payloads(server.base_url) == ["a", "b"]


def test_a_body_that_is_not_the_gzip_it_claims_is_a_protocol_error(server: RawServer) -> None:
    server.play(sse_head(headers="Content-Encoding: gzip\r\n"), b"data: a\n\n")
    error = failure(server.base_url)
    assert type(error) is ProtocolError
    assert str(error) == f"127.0.0.1:{server.port} sent a body that cannot be decompressed."


@pytest.mark.parametrize(
    ("content_type", "named"),
    [("text/html; charset=utf-8", "text/html"), ("application/json", "application/json"), ("", "no content type")],
)
def test_another_content_type_is_named_and_its_body_kept(server: RawServer, content_type: str, named: str) -> None:
    server.play(sse_head(content_type), b"<html>Welcome</html>")
    error = failure(server.base_url)
    assert type(error) is ProtocolError
    assert str(error) == (
        f"127.0.0.1:{server.port} answered with {named} instead of a stream of events: check HOLYSHEEP_BASE_URL."
    )
    assert error.details == "<html>Welcome</html>"


def test_a_status_other_than_200_is_raised_with_body_and_headers(server: RawServer) -> None:
    server.play(json_answer({"error": {"message": "slow down"}}, "429 Too Many Requests", "Retry-After: 7\r\n"))
    error = failure(server.base_url)
    assert isinstance(error, StatusError)
    assert str(error) == "The server answered with HTTP status 429."
    assert json.loads(error.body) == {"error": {"message": "slow down"}}
    assert error.headers["retry-after"] == "7"


def test_of_a_large_error_body_the_beginning_is_read(server: RawServer) -> None:
    server.play(sse_head("text/html", status="500 Oops"), b"x" * 200_000, HANG)
    error = failure(server.base_url)
    assert isinstance(error, StatusError)
    assert error.body == "x" * 65_536


# What goes wrong


def test_a_refused_connection_names_the_host(unused_port: int) -> None:
    error = failure(f"http://127.0.0.1:{unused_port}/v1")
    assert type(error) is ConnectionFailedError
    assert str(error) == (
        f"127.0.0.1:{unused_port} could not be reached (All connection attempts failed): "
        "check the address and the network."
    )


def test_an_unknown_host_is_a_failed_connection() -> None:
    error = failure("https://no-such-host.invalid/v1")
    assert type(error) is ConnectionFailedError
    assert str(error).startswith("no-such-host.invalid could not be reached (")
    assert str(error).endswith("): check the address and the network.")


def test_a_host_that_does_not_take_the_connection_is_given_up_in_time() -> None:
    with full_listener() as port:
        began = time.monotonic()
        error = failure(f"http://127.0.0.1:{port}/v1", connect_timeout_s=0.3)
        assert time.monotonic() - began < 2
    assert type(error) is ConnectionFailedError
    assert str(error) == f"127.0.0.1:{port} did not answer within 0.3 s: check the address and the network."


def test_silence_beyond_the_idle_timeout_is_a_stall(server: RawServer) -> None:
    server.play(sse_head(), b"data: a\n\n", HANG)
    error = failure(server.base_url, idle_timeout_s=0.3)
    assert type(error) is StalledError
    assert str(error) == f"No data from 127.0.0.1:{server.port} for 0.3 s."
    server.wait_for_disconnect(server.requests[0])


def test_silence_before_the_head_is_a_stall_as_well(server: RawServer) -> None:
    server.play(HANG)
    assert type(failure(server.base_url, idle_timeout_s=0.3)) is StalledError


def test_heartbeats_count_as_life(server: RawServer) -> None:
    server.play(sse_head(), *[0.15, b": heartbeat\n\n"] * 5, b"data: a\n\n")
    assert payloads(server.base_url, idle_timeout_s=0.4) == ["a"]


def test_a_reset_in_mid_stream_is_a_cut_connection(server: RawServer) -> None:
    server.play(sse_head(), b"data: a\n\n", 0.1, RESET)
    error = failure(server.base_url)
    assert type(error) is DisconnectedError
    assert str(error) == f"The connection to 127.0.0.1:{server.port} was closed."


def test_a_body_shorter_than_promised_is_a_cut_connection(server: RawServer) -> None:
    server.play(sse_head(headers="Content-Length: 500\r\n"), b"data: a\n\n")
    assert type(failure(server.base_url)) is DisconnectedError


def test_an_answer_that_is_no_http_is_a_cut_connection(server: RawServer) -> None:
    server.play(b"SSH-2.0-OpenSSH_9.9\r\n")
    assert type(failure(server.base_url)) is DisconnectedError


def test_closing_the_iterator_closes_the_socket_at_once(server: RawServer) -> None:
    server.play(sse_head(), b"data: a\n\n", HANG)

    async def leave() -> float:
        transport = SSETransport(server.base_url, lambda: KEY)
        stream = transport.stream({})
        assert await anext(stream) == "a"
        left_at = time.monotonic()
        await stream.aclose()
        gone_at = await asyncio.to_thread(server.wait_for_disconnect, server.requests[0])
        return gone_at - left_at

    assert asyncio.run(leave()) < 0.3


def test_the_list_of_models_is_asked_for_with_the_key_and_a_short_timeout(server: RawServer) -> None:
    async def models() -> list[str]:
        return await list_models(SSETransport(server.base_url, lambda: KEY))

    assert asyncio.run(models()) == ["raw", "raw-large"]
    (request,) = server.requests
    assert (request.method, request.path) == ("GET", "/v1/models")
    assert request.headers["authorization"] == f"Bearer {KEY}"


def test_a_connection_is_used_again_after_done() -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        connections = 0

        def setup(self) -> None:
            type(self).connections += 1
            super().setup()

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for piece in (chunk("a"), DONE, b""):
                self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")

        def log_message(self, *_: object) -> None:
            pass

    async def ask(base_url: str) -> list[str]:
        transport = SSETransport(base_url, lambda: KEY)
        texts = []
        for _ in range(3):
            texts += [e.text async for e in respond(transport, {}) if isinstance(e, TextDelta)]
        await transport.aclose()
        return texts

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        assert asyncio.run(ask(f"http://127.0.0.1:{listening.server_port}/v1")) == ["a", "a", "a"]
        listening.shutdown()
    assert Handler.connections == 1


# What is refused before anything is sent


@pytest.mark.parametrize("key", ["two words", "line\nbreak", "tab\tstop", "clé", "a\x00b"])
def test_a_key_that_cannot_be_one_is_refused_without_showing_it(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if "\x00" in key:
        monkeypatch.setattr("os.environ", {"MY_KEY": key})
    else:
        monkeypatch.setenv("MY_KEY", key)
    with pytest.raises(ConfigurationError) as raised:
        Endpoint("https://api.test/v1", "MY_KEY").read_key()
    assert str(raised.value) == (
        "The value of MY_KEY cannot be an API key: it holds spaces or characters beyond ASCII."
    )


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "[::1]:8000", "127.8.9.1", "a.localhost"])
def test_plain_http_is_for_this_machine(host: str) -> None:
    assert check_base_url(f" http://{host}/v1/ ") == f"http://{host}/v1"


@pytest.mark.parametrize(
    "host",
    ["api.test", "10.0.0.1", "localhost.evil.test", "127.0.0.1.evil.test", "0.0.0.0", "2130706433", "[::ffff:8.8.8.8]"],
)
def test_plain_http_to_elsewhere_is_refused(host: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        check_base_url(f"http://{host}/v1")
    assert str(raised.value) == (
        f"The key is not sent over plain http to {host.strip('[]')}: use https://, or an address on this machine."
    )


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        (
            "api.holysheep.ai/v1",
            "The address 'api.holysheep.ai/v1' needs a scheme and a host, as in https://api.holysheep.ai/v1: "
            "set HOLYSHEEP_BASE_URL.",
        ),
        (
            "ftp://api.test",
            "The address 'ftp://api.test' needs a scheme and a host, as in https://api.holysheep.ai/v1: "
            "set HOLYSHEEP_BASE_URL.",
        ),
        (
            "https:///v1",
            "The address 'https:///v1' needs a scheme and a host, as in https://api.holysheep.ai/v1: "
            "set HOLYSHEEP_BASE_URL.",
        ),
        (
            "https://me:secret@api.test/v1",
            "The address of api.test must not hold a name or password: the key goes elsewhere.",
        ),
        (
            "http://127.0.0.1@evil.test/v1",
            "The address of evil.test must not hold a name or password: the key goes elsewhere.",
        ),
        ("https://api.test/v1?x=1", "The address 'https://api.test/v1?x=1' must end before '?' and '#'."),
        ("https://api.test/v1#x", "The address 'https://api.test/v1#x' must end before '?' and '#'."),
        (
            "https://api.test:99999/v1",
            "The address 'https://api.test:99999/v1' cannot be read (Port out of range 0-65535).",
        ),
        (
            "https://ap\ti.test/v1",
            "The address 'https://ap\\ti.test/v1' cannot be read (it holds a control character).",
        ),
        ("https://[::1/v1", "The address 'https://[::1/v1' cannot be read (Invalid IPv6 URL)."),
    ],
)
def test_an_address_that_must_not_get_the_key_is_refused(url: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        check_base_url(url)
    assert str(raised.value) == sentence


@pytest.mark.parametrize(
    "url",
    [
        "https://ho st/v1",
        "https://host\x00/v1",
        "https://ho\nst/v1",
        "https://a..b/v1",
        "https://" + "a" * 70 + ".test",
        "https://%zz/v1",
        "https://api.test:/v1",
        "https://bücher.test/v1",
        "https://host\\@evil.test/v1",
        "https://-/v1",
    ],
)
def test_an_address_is_refused_or_the_transport_can_use_it(url: str) -> None:
    try:
        checked = check_base_url(url)
    except ConfigurationError:
        return
    assert SSETransport(checked, lambda: KEY).host.isascii()


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


@contextlib.contextmanager
def full_listener() -> Iterator[int]:
    """A port whose queue of connections is full, so that the next connection never stands."""
    with socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler) as listening:
        listening.socket.listen(0)
        port = listening.server_address[1]
        waiting = []
        try:
            for _ in range(3):
                client = socket.socket()
                client.setblocking(False)
                client.connect_ex(("127.0.0.1", port))
                waiting.append(client)
            yield port
        finally:
            for client in waiting:
                client.close()
