"""Text messages over a WebSocket, on websockets. Source: RFC 6455; close codes: section 7.4 and IANA's registry."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
import urllib.request
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any, Literal
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    ConnectionClosedOK,
    InvalidHandshake,
    InvalidMessage,
    InvalidProxy,
    InvalidStatus,
    ProxyError,
)
from websockets.protocol import State

from ..errors import (
    ConnectionFailedError,
    DisconnectedError,
    HolySheepError,
    ProtocolError,
    StalledError,
    StatusError,
)
from ..masks import open_log
from .certificates import distrust, open_context

PING_INTERVAL_S = 30.0
PONG_TIMEOUT_S = 10.0
MAX_MESSAGE_BYTES = 4 * 1024 * 1024
# While nobody receives, this much is taken in before reading stops, and with it the answers to pings.
_MAX_WAITING_FRAMES = 4096
_CLOSE_TIMEOUT_S = 0.15
_WATCH_S = 1.0
_ERROR_BODY_CHARACTERS = 64 * 1024

_log = open_log(__name__)
# At DEBUG websockets writes the header with the key into its log: this one never gets so far.
_connection_log = open_log(f"{__name__}.connection")
_connection_log.setLevel(logging.INFO)

_CLOSED_BY_SERVER = {
    1001: "{host} is going away and closed the connection ({code}).",
    1008: "{host} closed the connection because this request breaks its rules ({code}).",
    1009: "{host} does not take a message as long as this conversation ({code}): shorten it, or start afresh.",
    1011: "{host} failed and closed the connection ({code}).",
    1012: "{host} is restarting and closed the connection ({code}).",
    1013: "{host} is overloaded and closed the connection ({code}).",
}


class _Connect(connect):
    """Follows no redirect: the key is for the configured host."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class WebSocketTransport:
    """One run at an endpoint over WebSocket: a connection from the first `stream` to `hang_up`.

    ws_url              without the trailing slash, e.g. "wss://stream.holysheep.ai/v1"
    read_key            gives the API key, asked for once a request; it goes nowhere but into the header
    list_models         asks for the list of models, which a WebSocket cannot give: the SSE endpoint's, as a rule
    key_name            the variable that holds the key, for the sentence about a wrong one
    connect_timeout_s   until the connection stands, and until a message is sent
    idle_timeout_s      longest silence while an answer is waited for; pings and pongs are no answer
    """

    protocol = "ws"
    url_name = "HOLYSHEEP_WS_URL"
    is_reusable = False

    def __init__(
        self,
        ws_url: str,
        read_key: Callable[[], str],
        *,
        list_models: Callable[[], Awaitable[str]],
        key_name: str = "HOLYSHEEP_API_KEY",
        connect_timeout_s: float = 10.0,
        idle_timeout_s: float = 120.0,
        ping_interval_s: float = PING_INTERVAL_S,
        pong_timeout_s: float = PONG_TIMEOUT_S,
    ) -> None:
        self.ws_url = ws_url
        parts = urlsplit(ws_url)
        self.host = parts.netloc if parts.netloc.isascii() else parts.netloc.encode("idna").decode("ascii")
        self.key_name = key_name
        self._read_key = read_key
        self._list_models = list_models
        self._is_secure = parts.scheme == "wss"
        self._connect_timeout_s = connect_timeout_s
        self._idle_timeout_s = idle_timeout_s
        self._ping_interval_s = ping_interval_s
        self._pong_timeout_s = pong_timeout_s
        self._connection: ClientConnection | None = None

    async def stream(self, *messages: dict[str, Any]) -> AsyncGenerator[str, None]:
        """Sends to `{ws_url}/chat/stream`, and the messages that come from there. See `Transport.stream`."""
        is_first = self._connection is None
        if self._connection is None:
            self._connection = await self._connect()
        connection = self._connection
        watch = _IdleWatch(connection, self._idle_timeout_s)
        is_sent = False
        try:
            async with self._explained(watch):
                # What came before the connection was closed is still to be read.
                with contextlib.suppress(ConnectionClosed):
                    for message in messages:
                        await self._send(connection, json.dumps(message))
                    is_sent = True
                watch.start()
                while True:
                    watch.expect()
                    try:
                        payload = await connection.recv(decode=True)
                    except ConnectionClosed as closed:
                        if not is_sent and not is_first:
                            raise self._explain_unsent(closed) from closed
                        if _is_regular(closed):
                            return
                        raise
                    watch.rest()
                    yield payload
        finally:
            watch.stop()

    async def hang_up(self) -> None:
        """Closes the connection, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await _leave(connection)

    async def list_models(self) -> str:
        """The body of the endpoint's list of models."""
        return await self._list_models()

    async def _connect(self) -> ClientConnection:
        try:
            return await _Connect(
                f"{self.ws_url}/chat/stream",
                additional_headers={"Authorization": f"Bearer {self._read_key()}"},
                # A delta is too short to gain from being compressed.
                compression=None,
                # Plain ws goes to this machine alone (`config.check_ws_url`): a proxy must not see the key.
                proxy=_proxy(self.host) if self._is_secure else None,
                ssl=open_context() if self._is_secure else None,
                open_timeout=self._connect_timeout_s,
                ping_interval=self._ping_interval_s,
                ping_timeout=self._pong_timeout_s,
                close_timeout=_CLOSE_TIMEOUT_S,
                max_size=MAX_MESSAGE_BYTES,
                max_queue=_MAX_WAITING_FRAMES,
                logger=_connection_log,
            )
        except InvalidStatus as error:
            response = error.response
            if response.status_code < 300:
                raise self._no_websocket(error) from error
            text = (response.body or b"")[:_ERROR_BODY_CHARACTERS].decode("utf-8", "replace")
            headers = {name.lower(): value for name, value in response.headers.raw_items()}
            raise StatusError(response.status_code, text, headers) from error
        except InvalidMessage as error:
            if isinstance(error.__cause__, EOFError | ConnectionError):
                raise DisconnectedError(f"The connection to {self.host} was closed.", details=repr(error)) from error
            raise self._no_websocket(error) from error
        # ImportError: a SOCKS proxy, for which websockets needs another package.
        except (ProxyError, InvalidProxy, ImportError) as error:
            # The address of a proxy may hold a password.
            said = error.msg if isinstance(error, InvalidProxy) else str(error)
            raise ConnectionFailedError(
                f"{self.host} could not be reached through the proxy ({_one_line(said)}): check the proxy's settings."
            ) from error
        except InvalidHandshake as error:
            raise self._no_websocket(error) from error
        except (TimeoutError, asyncio.TimeoutError) as error:
            raise ConnectionFailedError(
                f"{self.host} did not answer within {self._connect_timeout_s:g} s: check the address and the network.",
                details=str(error),
            ) from error
        except ConnectionResetError as error:
            raise DisconnectedError(f"The connection to {self.host} was closed.", details=repr(error)) from error
        # ValueError: a name that cannot be one, which only its resolution shows.
        except (OSError, EOFError, ValueError) as error:
            if (distrusted := distrust(error, self.host)) is not None:
                raise distrusted from error
            raise ConnectionFailedError(
                f"{self.host} could not be reached ({error or type(error).__name__}): check the address and "
                "the network.",
                details=repr(error),
            ) from error

    async def _send(self, connection: ClientConnection, text: str) -> None:
        # A server that does not read lets `send` wait for ever.
        try:
            await asyncio.wait_for(connection.send(text), self._connect_timeout_s)
        except (TimeoutError, asyncio.TimeoutError) as error:
            raise StalledError(f"{self.host} does not read what it is sent.", details=repr(error)) from error

    def _no_websocket(self, error: Exception) -> ProtocolError:
        return ProtocolError(
            f"{self.host} does not speak WebSocket at this address ({_one_line(str(error))}): check {self.url_name}.",
            details=repr(error),
        )

    @contextlib.asynccontextmanager
    async def _explained(self, watch: _IdleWatch) -> AsyncIterator[None]:
        """Says who closed the connection and why, where websockets gives the codes."""
        try:
            yield
        except ConnectionClosed as closed:
            if watch.has_stalled:
                raise StalledError(
                    f"No data from {self.host} for {self._idle_timeout_s:g} s.", details=repr(closed)
                ) from closed
            raise self._explain(closed) from closed

    def _explain(self, closed: ConnectionClosed) -> HolySheepError:
        details = f"{closed!r} {closed.__cause__!r}"
        if closed.rcvd is not None:
            return self._explain_code(closed.rcvd.code, closed.rcvd.reason, details)
        if closed.sent is None:
            return DisconnectedError(f"The connection to {self.host} was closed.", details=details)
        if closed.sent.code == 1009:
            return ProtocolError(
                f"{self.host} sent a message of more than {MAX_MESSAGE_BYTES // 2**20} MB, which is not read.",
                details=details,
            )
        if closed.sent.code == 1011:
            return StalledError(f"{self.host} did not answer a ping for {self._pong_timeout_s:g} s.", details=details)
        return ProtocolError(f"{self.host} sent what is no WebSocket message ({closed.sent.reason}).", details=details)

    def _explain_unsent(self, closed: ConnectionClosed) -> HolySheepError:
        explained = self._explain(closed)
        if not isinstance(explained, DisconnectedError):
            return explained
        before = "before the results of its calls could be sent"
        if closed.rcvd is None:
            return DisconnectedError(f"The connection to {self.host} was closed {before}.", details=explained.details)
        said = _code_and_reason(closed.rcvd.code, closed.rcvd.reason)
        return DisconnectedError(f"{self.host} closed the connection {before} ({said}).", details=explained.details)

    def _explain_code(self, code: int, reason: str, details: str) -> HolySheepError:
        if 4400 <= code < 4600:
            return StatusError(code - 4000, reason, {})
        sentence = _CLOSED_BY_SERVER.get(code, "{host} closed the connection ({code}).")
        return DisconnectedError(sentence.format(host=self.host, code=_code_and_reason(code, reason)), details=details)


class _IdleWatch:
    """Cuts a connection on which nothing has come for too long, or whose end does not come.

    A timer and a time, because a timeout for each message would cost more than reading it.
    """

    def __init__(self, connection: ClientConnection, idle_timeout_s: float) -> None:
        self.has_stalled = False
        self._connection = connection
        self._idle_timeout_s = idle_timeout_s
        self._loop = asyncio.get_running_loop()
        self._deadline = math.inf
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._timer = self._loop.call_later(min(_WATCH_S, self._idle_timeout_s), self._look)

    def expect(self) -> None:
        """Something should come from now on."""
        self._deadline = self._loop.time() + self._idle_timeout_s

    def rest(self) -> None:
        """Nothing is waited for."""
        self._deadline = math.inf

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        is_closing = self._connection.state is not State.OPEN
        if is_closing or self._loop.time() >= self._deadline:
            self.has_stalled = not is_closing
            self._connection.transport.abort()
        else:
            self.start()


async def _leave(connection: ClientConnection) -> None:
    """Says goodbye and is gone, whether or not the server answers."""
    try:
        await asyncio.wait_for(connection.close(), _CLOSE_TIMEOUT_S)
    except (TimeoutError, asyncio.TimeoutError):
        _log.debug("no answer to the close frame")
    finally:
        connection.transport.abort()


def _proxy(host: str) -> str | Literal[True]:
    """The proxy for `host`: what websockets finds (True), or ALL_PROXY, which it does not look at and httpx does."""
    proxies = urllib.request.getproxies()
    is_found = any(scheme in proxies for scheme in ("wss", "socks", "https"))
    if is_found or not proxies.get("all") or urllib.request.proxy_bypass(host):
        return True
    return proxies["all"] if "://" in proxies["all"] else f"http://{proxies['all']}"


def _is_regular(closed: ConnectionClosed) -> bool:
    """True if the server said all it had to say."""
    is_going_away = closed.rcvd is not None and closed.rcvd.code == 1001
    return isinstance(closed, ConnectionClosedOK) and not is_going_away


def _code_and_reason(code: int, reason: str) -> str:
    return f"{code}: {_one_line(reason)}" if reason.strip() else str(code)


def _one_line(text: str) -> str:
    return " ".join(text.split()).rstrip(".")
