"""The WebSocket transport on sockets: what the network does, as payloads or as one sentence."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest
import raw_server
from raw_server import RawServer, json_answer, sse_head
from raw_socket import DEAF, EOF, HANG, READ, RESET, Close, Message, Raw, RawSocket, Step, reset, texts

from holysheep_nb.errors import (
    ConnectionFailedError,
    DisconnectedError,
    HolySheepError,
    ProtocolError,
    StalledError,
    StatusError,
)
from holysheep_nb.transports.websocket import MAX_MESSAGE_BYTES, WebSocketTransport

KEY = "hs-secret-0123456789"
T = TypeVar("T")


async def no_models() -> str:
    raise AssertionError("nobody asked for the models")


@contextlib.asynccontextmanager
async def transport_to(ws_url: str, **options: Any) -> Any:
    """A transport of short patience, hung up in the end."""
    options = {"connect_timeout_s": 5.0, "idle_timeout_s": 5.0, "list_models": no_models, **options}
    transport = WebSocketTransport(ws_url, lambda: KEY, **options)
    try:
        yield transport
    finally:
        await transport.hang_up()


async def read(transport: WebSocketTransport, *messages: dict[str, Any], count: int | None = None) -> list[str]:
    """The payloads of one call of `stream`, `count` of them or all."""
    payloads: list[str] = []
    async with contextlib.aclosing(transport.stream(*messages)) as stream:
        while count is None or len(payloads) < count:
            try:
                payloads.append(await anext(stream))
            except StopAsyncIteration:
                break
    return payloads


def talk(*steps: Step | list[Message], body: dict[str, Any] | None = None, **options: Any) -> Heard:
    """What one request gives, to a server that plays `steps` once it has read it."""

    async def collect() -> Heard:
        async with RawSocket(*steps) as server, transport_to(server.ws_url, **options) as transport:
            heard = Heard(server.host)
            try:
                async with contextlib.aclosing(transport.stream({"type": "init"} if body is None else body)) as stream:
                    async for payload in stream:
                        heard.payloads.append(payload)
            except HolySheepError as error:
                heard.error = error
            return heard

    heard = asyncio.run(collect())
    assert heard.error is None or KEY not in everything_in(heard.error)
    return heard


class Heard:
    """The payloads of an answer, and what ended it if it was no regular end."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.payloads: list[str] = []
        self.error: HolySheepError | None = None


def refusal(ws_url: str, **options: Any) -> HolySheepError:
    """What a connection that does not come to stand raises. The key is in none of it."""

    async def fail() -> HolySheepError:
        async with transport_to(ws_url, **options) as transport:
            with pytest.raises(HolySheepError) as raised:
                await read(transport, {})
            return raised.value

    error = asyncio.run(fail())
    assert KEY not in everything_in(error)
    return error


def everything_in(error: HolySheepError) -> str:
    return f"{error!r} {error.details} {error.__cause__!r}"


def with_sockets(test: Callable[[RawSocket, WebSocketTransport], Awaitable[T]], *steps: Any, **options: Any) -> T:
    """Runs a test of several calls. `server` among the options are those of the server."""
    server_options = options.pop("server", {})

    async def run() -> T:
        async with RawSocket(*steps, **server_options) as server, transport_to(server.ws_url, **options) as transport:
            return await test(server, transport)

    return asyncio.run(run())


def ws_url_of(server: RawServer) -> str:
    return f"ws://127.0.0.1:{server.port}/v1"


# What is sent


def test_a_request_goes_to_chat_stream_with_the_key_in_one_header_and_nowhere_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "websockets")

    async def ask(server: RawSocket, transport: WebSocketTransport) -> None:
        assert await read(transport, {"type": "init", "text": "ü"}) == ["a"]
        (request,) = server.requests
        assert request.path == "/v1/chat/stream"
        assert request.headers.get_all("Authorization") == [f"Bearer {KEY}"]
        others = [item for item in request.headers.raw_items() if item[0].lower() != "authorization"]
        assert KEY not in f"{others} {server.received}"
        assert server.received == [{"type": "init", "text": "ü"}]

    with_sockets(ask, READ, texts("a"), server={"logger": logging.getLogger("test.server")})
    assert "connection open" in caplog.text
    kept = [record for record in caplog.records if record.name != "test.server"]
    assert not any(KEY in record.getMessage() for record in kept)


def test_a_proxy_never_sees_a_request_to_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer() as proxy:
        proxy.play(json_answer({}, "403 Forbidden"))
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "WS_PROXY", "ws_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        assert talk(READ, texts("a")).payloads == ["a"]
        assert proxy.requests == []


@pytest.mark.parametrize(
    ("proxy_url", "reason"),
    [
        ("http://me:secret@127.0.0.1:{port}", "proxy rejected connection: HTTP 403"),
        ("ftp://me:secret@127.0.0.1:{port}", "scheme ftp isn't supported"),
        ("socks5://me:secret@127.0.0.1:{port}", "python-socks"),
    ],
)
def test_a_proxy_that_does_not_help_is_said_and_does_not_see_the_key(
    server: RawServer, monkeypatch: pytest.MonkeyPatch, proxy_url: str, reason: str
) -> None:
    server.play(json_answer({}, "403 Forbidden"))
    monkeypatch.setenv("https_proxy", proxy_url.format(port=server.port))
    monkeypatch.setenv("no_proxy", "")
    error = refusal("wss://api.test/v1")
    assert type(error) is ConnectionFailedError
    assert str(error).startswith("api.test could not be reached through the proxy (")
    assert str(error).endswith("): check the proxy's settings.")
    assert reason in str(error)
    assert "secret" not in f"{error} {error.details}"
    assert all(request.method == "CONNECT" for request in server.requests)
    assert KEY not in str(server.requests)


# A connection that does not come to stand


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        ("401 Unauthorized", {}),
        ("404 Not Found", {}),
        ("429 Too Many Requests", {"retry-after": "7"}),
        ("503 Service Unavailable", {}),
    ],
)
def test_a_refused_handshake_is_its_status_with_body_and_headers(
    server: RawServer, status: str, headers: dict[str, str]
) -> None:
    lines = "".join(f"{name.title()}: {value}\r\n" for name, value in headers.items())
    server.play(json_answer({"error": {"message": "no"}}, status, lines))
    error = refusal(ws_url_of(server))
    assert isinstance(error, StatusError)
    assert error.status_code == int(status[:3])
    assert json.loads(error.body) == {"error": {"message": "no"}}
    assert error.headers.items() >= headers.items()


def test_a_redirect_is_not_followed_and_the_key_does_not_travel(server: RawServer) -> None:
    with RawServer() as other:
        location = f"ws://localhost:{other.port}/v1/chat/stream"
        server.play(json_answer({}, "302 Found", f"Location: {location}\r\n"))
        error = refusal(ws_url_of(server))
        assert isinstance(error, StatusError)
        assert (error.status_code, error.headers["location"]) == (302, location)
        assert len(server.requests) == 1
        assert other.requests == []


@pytest.mark.parametrize(
    "answer",
    [
        json_answer({"hello": "there"}),
        [b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"],
        [b"SSH-2.0-OpenSSH_9.9\r\n"],
    ],
    ids=["plain 200", "101 without proof", "not HTTP"],
)
def test_what_is_no_websocket_is_said_to_be_none(server: RawServer, answer: list[raw_server.Step]) -> None:
    server.play(answer)
    error = refusal(ws_url_of(server))
    assert type(error) is ProtocolError
    assert str(error).startswith(f"127.0.0.1:{server.port} does not speak WebSocket at this address (")
    assert str(error).endswith("): check HOLYSHEEP_WS_URL.")
    assert "\n" not in str(error)


def test_of_a_large_refusal_the_beginning_is_kept(server: RawServer) -> None:
    server.play(sse_head("text/html", status="500 Oops"), b"x" * 200_000)
    error = refusal(ws_url_of(server))
    assert isinstance(error, StatusError)
    assert error.status_code == 500
    assert error.body == "x" * 65_536


def test_silence_instead_of_a_handshake_is_given_up_in_time(server: RawServer) -> None:
    server.play(raw_server.HANG)
    error = refusal(ws_url_of(server), connect_timeout_s=0.3)
    assert type(error) is ConnectionFailedError
    assert str(error) == f"127.0.0.1:{server.port} did not answer within 0.3 s: check the address and the network."
    server.wait_for_disconnect(server.requests[0])


@pytest.mark.parametrize("steps", [[raw_server.RESET], []], ids=["reset", "end"])
def test_a_cut_in_the_handshake_is_a_cut_connection(server: RawServer, steps: list[raw_server.Step]) -> None:
    server.play(*steps, 0.0)
    error = refusal(ws_url_of(server))
    assert type(error) is DisconnectedError
    assert str(error) == f"The connection to 127.0.0.1:{server.port} was closed."


@pytest.mark.parametrize(
    ("answer", "kind", "sentence"),
    [
        (b"", DisconnectedError, "The connection to {host} was closed."),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", ConnectionFailedError, "{host} could not be reached ("),
    ],
    ids=["reset", "plain text"],
)
def test_what_is_no_tls_is_said(answer: bytes, kind: type[HolySheepError], sentence: str) -> None:
    async def answer_plainly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        if answer:
            writer.write(answer)
        else:
            reset(writer.transport)
        writer.close()

    async def fail() -> tuple[str, HolySheepError]:
        async with await asyncio.start_server(answer_plainly, "127.0.0.1", 0) as listening:
            host = f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"
            async with transport_to(f"wss://{host}/v1") as transport:
                with pytest.raises(HolySheepError) as raised:
                    await read(transport, {})
            return host, raised.value

    host, error = asyncio.run(fail())
    assert type(error) is kind
    assert str(error).startswith(sentence.format(host=host))


def test_a_refused_connection_names_the_host() -> None:
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listening:
        port = listening.getsockname()[1]
    error = refusal(f"ws://127.0.0.1:{port}/v1")
    assert type(error) is ConnectionFailedError
    assert str(error).startswith(f"127.0.0.1:{port} could not be reached (")
    assert str(error).endswith("): check the address and the network.")


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b.invalid", f"{'a' * 70}.invalid"])
def test_a_name_that_leads_nowhere_is_a_failed_connection(host: str) -> None:
    error = refusal(f"wss://{host}/v1")
    assert type(error) is ConnectionFailedError
    assert str(error).startswith(f"{host} could not be reached (")


# What comes


def test_messages_are_payloads_whatever_their_frames() -> None:
    heard = talk(READ, texts("a", "", "ü\u2028\n"), Message(["in ", "two"]), Message("binär".encode()))
    assert (heard.payloads, heard.error) == (["a", "", "ü\u2028\n", "in two", "binär"], None)


def test_a_message_of_four_megabytes_is_read() -> None:
    heard = talk(READ, texts("x" * MAX_MESSAGE_BYTES))
    assert [len(payload) for payload in heard.payloads] == [MAX_MESSAGE_BYTES]
    assert heard.error is None


def test_a_longer_message_is_not_read_and_what_came_before_it_is() -> None:
    heard = talk(READ, texts("a", "x" * (MAX_MESSAGE_BYTES + 1)))
    assert heard.payloads == ["a"]
    assert type(heard.error) is ProtocolError
    assert str(heard.error) == f"{heard.host} sent a message of more than 4 MB, which is not read."


@pytest.mark.parametrize(
    "frame",
    [b"\x81\x02\xff\xfe", b"\x82\x01\xff", b"\x83\x00", b"\x80\x00", b"\x81\x81abcda"],
    ids=["bad UTF-8", "bad UTF-8 in binary", "unknown opcode", "continuation of nothing", "masked"],
)
def test_what_breaks_the_protocol_is_said_and_what_came_before_it_kept(frame: bytes) -> None:
    heard = talk(READ, texts("a"), Raw(frame), HANG)
    assert heard.payloads == ["a"]
    assert type(heard.error) is ProtocolError
    assert str(heard.error).startswith(f"{heard.host} sent what is no WebSocket message (")


@pytest.mark.parametrize("cut", [EOF, RESET])
@pytest.mark.parametrize(
    "begun", [b"", b"\x01\x05begun", b"\x81\x7e\x01"], ids=["between", "in mid-message", "in mid-frame"]
)
def test_a_cut_keeps_the_messages_that_were_whole(cut: Any, begun: bytes) -> None:
    heard = talk(READ, texts("a"), Raw(begun), 0.05, cut)
    assert heard.payloads == ["a"]
    assert type(heard.error) is DisconnectedError
    assert str(heard.error) == f"The connection to {heard.host} was closed."


def test_a_regular_close_is_an_end() -> None:
    heard = talk(READ, texts("a"), Close(1000, "bye"))
    assert (heard.payloads, heard.error) == (["a"], None)


@pytest.mark.parametrize(
    ("code", "reason", "sentence"),
    [
        (1001, "", "{host} is going away and closed the connection (1001)."),
        (1002, "oops", "{host} closed the connection (1002: oops)."),
        (
            1008,
            "no\n such thing.",
            "{host} closed the connection because this request breaks its rules (1008: no such thing).",
        ),
        (
            1009,
            "",
            "{host} does not take a message as long as this conversation (1009): shorten it, or start afresh.",
        ),
        (1011, "boom", "{host} failed and closed the connection (1011: boom)."),
        (1012, "", "{host} is restarting and closed the connection (1012)."),
        (1013, "", "{host} is overloaded and closed the connection (1013)."),
        (3000, "", "{host} closed the connection (3000)."),
        (4399, "", "{host} closed the connection (4399)."),
        (4600, "", "{host} closed the connection (4600)."),
    ],
)
def test_a_close_code_is_said_in_words(code: int, reason: str, sentence: str) -> None:
    heard = talk(READ, texts("a"), Close(code, reason))
    assert heard.payloads == ["a"]
    assert type(heard.error) is DisconnectedError
    assert str(heard.error) == sentence.format(host=heard.host)


@pytest.mark.parametrize(("code", "status"), [(4400, 400), (4401, 401), (4429, 429), (4599, 599)])
def test_a_close_code_that_holds_a_status_is_that_status(code: int, status: int) -> None:
    heard = talk(READ, Close(code, "the reason"))
    assert isinstance(heard.error, StatusError)
    assert (heard.error.status_code, heard.error.body) == (status, "the reason")


def test_an_end_of_which_only_the_close_frame_comes_is_not_waited_for() -> None:
    began = time.monotonic()
    heard = talk(READ, texts("a"), DEAF, Raw(b"\x88\x02\x03\xf3"), HANG)
    assert heard.payloads == ["a"]
    assert str(heard.error) == f"{heard.host} failed and closed the connection (1011)."
    assert time.monotonic() - began < 4


# Silence


def test_silence_beyond_the_idle_timeout_is_a_stall_though_pings_are_answered() -> None:
    heard = talk(READ, texts("a"), HANG, idle_timeout_s=0.3, ping_interval_s=0.05)
    assert heard.payloads == ["a"]
    assert type(heard.error) is StalledError
    assert str(heard.error) == f"No data from {heard.host} for 0.3 s."


def test_an_answer_may_take_longer_than_the_idle_timeout() -> None:
    steps = [step for number in range(5) for step in (0.15, *texts(str(number)))]
    heard = talk(READ, *steps, idle_timeout_s=0.4)
    assert (heard.payloads, heard.error) == (["0", "1", "2", "3", "4"], None)


def test_a_ping_without_a_pong_is_a_stall() -> None:
    heard = talk(READ, texts("a"), DEAF, HANG, ping_interval_s=0.1, pong_timeout_s=0.2)
    assert heard.payloads == ["a"]
    assert type(heard.error) is StalledError
    assert str(heard.error) == f"{heard.host} did not answer a ping for 0.2 s."


def test_a_server_that_does_not_read_is_given_up_in_time() -> None:
    began = time.monotonic()
    heard = talk(DEAF, HANG, body={"text": "x" * 2**25}, connect_timeout_s=0.5)
    assert type(heard.error) is StalledError
    assert str(heard.error) == f"{heard.host} does not read what it is sent."
    assert time.monotonic() - began < 5


def test_who_takes_long_with_a_payload_does_not_stall() -> None:
    async def dawdle(server: RawSocket, transport: WebSocketTransport) -> None:
        payloads = []
        async with contextlib.aclosing(transport.stream({})) as stream:
            async for payload in stream:
                payloads.append(payload)
                await asyncio.sleep(0.6)
        assert payloads == ["a", "b"]

    with_sockets(dawdle, READ, texts("a"), 0.7, texts("b"), idle_timeout_s=0.3)


# Rounds


def test_results_go_over_the_same_connection_and_the_answer_goes_on() -> None:
    async def two_rounds(server: RawSocket, transport: WebSocketTransport) -> None:
        assert await read(transport, {"n": 0}, count=2) == ["a", "call"]
        assert await read(transport, {"n": 1}, {"n": 2}) == ["b"]
        assert server.received == [{"n": 0}, {"n": 1}, {"n": 2}]
        assert len(server.requests) == 1

    with_sockets(two_rounds, READ, texts("a", "call"), READ, READ, texts("b"))


def test_the_server_is_answered_while_the_client_only_waits_between_rounds() -> None:
    async def two_rounds(server: RawSocket, transport: WebSocketTransport) -> None:
        async with contextlib.aclosing(transport.stream({})) as stream:
            assert await anext(stream) == "call"
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(anext(stream), 0.1)
        await asyncio.sleep(1.2)
        assert await read(transport, {}) == ["b"]

    pinging = {"ping_interval": 0.2, "ping_timeout": 0.2}
    with_sockets(two_rounds, READ, texts("call"), READ, texts("b"), server=pinging, idle_timeout_s=0.3)


def test_pings_are_answered_though_many_messages_wait_to_be_read() -> None:
    many = [str(number) for number in range(500)]

    async def two_rounds(server: RawSocket, transport: WebSocketTransport) -> None:
        assert await read(transport, {}, count=1) == ["call"]
        await asyncio.sleep(1.0)
        assert await read(transport, {}) == [*many, "b"]

    pinging = {"ping_interval": 0.2, "ping_timeout": 0.2}
    options = {"ping_interval_s": 0.2, "pong_timeout_s": 0.2}
    with_sockets(two_rounds, READ, texts("call", *many), READ, texts("b"), server=pinging, **options)


def test_whoever_stops_receiving_again_and_again_loses_no_message() -> None:
    numbers = [str(number) for number in range(60)]
    steps = [step for number in numbers for step in (Message([number, "!", "?"], 0.003), 0.001)]

    async def receive(server: RawSocket, transport: WebSocketTransport) -> None:
        payloads: list[str] = []
        is_over, stops = False, 0
        messages: list[dict[str, Any]] = [{}]
        while not is_over:
            async with contextlib.aclosing(transport.stream(*messages)) as stream:
                messages = []
                try:
                    while True:
                        payloads.append(await asyncio.wait_for(anext(stream), 0.002))
                except StopAsyncIteration:
                    is_over = True
                except asyncio.TimeoutError:
                    stops += 1
        assert payloads == [f"{number}!?" for number in numbers]
        assert stops > 30
        assert len(server.requests) == 1

    with_sockets(receive, READ, *steps)


def test_a_close_between_rounds_is_said_with_its_reason() -> None:
    async def two_rounds(server: RawSocket, transport: WebSocketTransport) -> None:
        assert await read(transport, {}, count=1) == ["call"]
        await server.left()
        with pytest.raises(DisconnectedError) as raised:
            await read(transport, {})
        assert str(raised.value) == (
            f"{server.host} closed the connection before the results of its calls could be sent (1001: deploy)."
        )
        assert len(server.requests) == 1

    with_sockets(two_rounds, READ, texts("call"), Close(1001, "deploy"))


@pytest.mark.parametrize("cut", [EOF, RESET])
def test_a_cut_between_rounds_is_said(cut: Any) -> None:
    async def two_rounds(server: RawSocket, transport: WebSocketTransport) -> None:
        assert await read(transport, {}, count=1) == ["call"]
        await server.left()
        await asyncio.sleep(0.05)
        with pytest.raises(DisconnectedError) as raised:
            await read(transport, {})
        assert str(raised.value) == (
            f"The connection to {server.host} was closed before the results of its calls could be sent."
        )

    with_sockets(two_rounds, READ, texts("call"), 0.05, cut)


def test_what_came_before_a_close_between_rounds_is_read_all_the_same() -> None:
    async def two_rounds(server: RawSocket, transport: WebSocketTransport) -> None:
        assert await read(transport, {}, count=1) == ["call"]
        await server.left()
        stream = transport.stream({})
        assert [await anext(stream), await anext(stream)] == ["last", "words"]
        with pytest.raises(StatusError) as raised:
            await anext(stream)
        assert (raised.value.status_code, raised.value.body) == (429, "too many calls")

    with_sockets(two_rounds, READ, texts("call", "last", "words"), Close(4429, "too many calls"))


def test_a_server_that_refuses_in_words_before_it_is_asked_is_heard() -> None:
    heard = talk(texts("no"), Close(1008))
    assert heard.payloads == ["no"]
    assert type(heard.error) is DisconnectedError


# The end


def test_closing_the_iterator_leaves_the_connection_open_and_hanging_up_closes_it() -> None:
    async def leave(server: RawSocket, transport: WebSocketTransport) -> None:
        assert await read(transport, {}, count=1) == ["a"]
        with pytest.raises(asyncio.TimeoutError):
            await server.left(0.3)
        left_at = time.monotonic()
        await transport.hang_up()
        await server.left()
        assert time.monotonic() - left_at < 1
        assert server.close_codes == [1000]
        await transport.hang_up()

    with_sockets(leave, READ, texts("a"), HANG)


def test_hanging_up_on_a_server_that_does_not_listen_takes_no_time() -> None:
    async def leave(server: RawSocket, transport: WebSocketTransport) -> None:
        assert await read(transport, {}, count=1) == ["a"]
        left_at = time.monotonic()
        await transport.hang_up()
        assert time.monotonic() - left_at < 1
        # Only what it goes on sending shows such a server that nobody is there.
        await server.left()

    with_sockets(leave, READ, texts("a"), DEAF, *[0.05, *texts("b")] * 1000)


def test_after_hanging_up_a_request_connects_anew() -> None:
    async def ask_twice(server: RawSocket, transport: WebSocketTransport) -> None:
        for _ in range(2):
            assert await read(transport, {}) == ["a"]
            await transport.hang_up()
        assert len(server.requests) == 2

    with_sockets(ask_twice, READ, texts("a"))


def test_a_cancelled_task_leaves_a_connection_that_can_be_hung_up() -> None:
    async def leave(server: RawSocket, transport: WebSocketTransport) -> None:
        task = asyncio.ensure_future(read(transport, {}))
        await asyncio.wait_for(server.hung.wait(), 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await transport.hang_up()
        await server.left()
        assert server.close_codes == [1000]

    with_sockets(leave, READ, HANG)


def test_a_cancelled_handshake_leaves_nothing_behind(server: RawServer) -> None:
    server.play(raw_server.HANG)

    async def give_up() -> None:
        async with transport_to(ws_url_of(server)) as transport:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(read(transport, {}), 0.2)
            await asyncio.to_thread(server.wait_for_disconnect, server.requests[0])

    asyncio.run(give_up())


def test_hanging_up_before_anything_was_asked_is_nothing() -> None:
    async def leave(server: RawSocket, transport: WebSocketTransport) -> None:
        await transport.hang_up()
        assert server.requests == []

    with_sockets(leave)


def test_nothing_of_a_transport_that_was_hung_up_goes_on() -> None:
    async def leave(server: RawSocket, transport: WebSocketTransport) -> None:
        before = asyncio.all_tasks()
        assert await read(transport, {}, count=1) == ["a"]
        await transport.hang_up()
        await server.left()
        await asyncio.sleep(0.05)
        assert asyncio.all_tasks() - before == set()

    with_sockets(leave, READ, texts("a"), HANG)


def test_the_list_of_models_is_asked_for_where_it_is_told() -> None:
    async def listed() -> str:
        return '{"data": []}'

    transport = WebSocketTransport("wss://api.test/v1", lambda: KEY, list_models=listed)
    assert asyncio.run(transport.list_models()) == '{"data": []}'


def test_an_address_beyond_ascii_is_named_as_it_is_sent() -> None:
    assert WebSocketTransport("wss://bücher.test/v1", lambda: KEY, list_models=no_models).host == "xn--bcher-kva.test"
