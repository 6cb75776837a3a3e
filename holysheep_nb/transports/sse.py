"""Server-sent events over HTTP, on httpx and httpx-sse. Source: WHATWG HTML, "Server-sent events"."""

from __future__ import annotations

import codecs
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from typing import Any, cast

import httpx
import httpx_sse

from ..errors import ConnectionFailedError, DisconnectedError, ProtocolError, StalledError, StatusError
from ..masks import hide_in_logs
from .certificates import distrust, open_context

MAX_EVENT_BYTES = 4 * 1024 * 1024
_ERROR_BODY_BYTES = 64 * 1024
# At DEBUG these write down the headers and the reason that a server sends.
_LOGS = ("httpx", *(f"httpcore.{name}" for name in ("connection", "http11", "http2", "proxy", "socks")))
hide_in_logs(*_LOGS)
# Two line ends in a row, whatever ends the lines: CR LF alone is one.
_BLANK_LINES = (b"\n\n", b"\n\r", b"\r\r")
# What is looked at at once: a compressed body may grow without bound from what the network gives.
_SLICE_BYTES = 64 * 1024


class _EventSize:
    """How many bytes have come since the last blank line, which is what ends an event."""

    def __init__(self) -> None:
        self._bytes = 0
        self._last = b""

    def admits(self, piece: bytes) -> bool:
        """Counts a piece of at most `MAX_EVENT_BYTES`; False if there is now an event of more."""
        text = self._last + piece
        if self._bytes + len(piece) > MAX_EVENT_BYTES:
            first = min((at for blank in _BLANK_LINES if (at := text.find(blank)) >= 0), default=len(text))
            if self._bytes + first - len(self._last) > MAX_EVENT_BYTES:
                return False
        last = max(text.rfind(blank) for blank in _BLANK_LINES)
        self._bytes = len(text) - last - 2 if last >= 0 else self._bytes + len(piece)
        self._last = text[-1:]
        return True


class _StreamText:
    """What httpx-sse reads from: the text as UTF-8 whatever the headers say, without its mark."""

    def __init__(self, response: httpx.Response, host: str) -> None:
        # The type has been looked at, in any case of letters; httpx-sse takes lowercase alone.
        self.headers = {"content-type": "text/event-stream"}
        self._bytes = response.aiter_bytes()
        self._host = host

    async def aiter_text(self) -> AsyncGenerator[str, None]:
        """The text as it comes. Raises `ProtocolError` at an event that is too long, which nobody then holds."""
        decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        size = _EventSize()
        async for piece in self._bytes:
            for start in range(0, len(piece), _SLICE_BYTES):
                part = piece[start : start + _SLICE_BYTES]
                if not size.admits(part):
                    raise _too_long(self._host, "an event")
                if text := decoder.decode(part):
                    yield text
        if text := decoder.decode(b"", final=True):
            yield text


class _Bearer(httpx.Auth):
    """Puts the key into a request where httpx sends it, so that no frame above holds it."""

    def __init__(self, read_key: Callable[[], str]) -> None:
        self._read_key = read_key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = f"Bearer {self._read_key()}"
        yield request


class SSETransport:
    """One endpoint over SSE. Belongs to one event loop: use it only there, and `aclose` it there.

    base_url            without the trailing slash, e.g. "https://api.holysheep.ai/v1"
    read_key            gives the API key, asked for once a request; it goes nowhere but into the header
    key_name            the variable that holds the key, for the sentence about a wrong one
    connect_timeout_s   until the connection stands
    idle_timeout_s      longest silence while an answer streams; heartbeat comments count as life
    http_transport      moves the requests instead of the network, as httpx.MockTransport does
    """

    protocol = "sse"
    url_name = "HOLYSHEEP_BASE_URL"
    is_reusable = True

    def __init__(
        self,
        base_url: str,
        read_key: Callable[[], str],
        *,
        key_name: str = "HOLYSHEEP_API_KEY",
        connect_timeout_s: float = 10.0,
        idle_timeout_s: float = 120.0,
        http_transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.base_url = base_url
        self.host = httpx.URL(base_url).netloc.decode("ascii")
        self.key_name = key_name
        is_secure = httpx.URL(base_url).scheme == "https"
        self._idle_timeout_s = idle_timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(idle_timeout_s, connect=connect_timeout_s, pool=None),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=8),
            follow_redirects=False,
            transport=http_transport,
            # Plain http goes to this machine alone (`config.check_base_url`): a proxy must not see the key.
            trust_env=is_secure,
            verify=open_context() if is_secure else True,
            auth=_Bearer(read_key),
        )

    async def stream(self, *messages: dict[str, Any]) -> AsyncGenerator[str, None]:
        """The `data` of each event of `POST {base_url}/chat/completions`, the one message being the body.

        See `Transport.stream`.
        """
        (body,) = messages
        headers = {
            "Accept": "text/event-stream",
            "Cache-Control": "no-store",
            "Content-Type": "application/json",
        }
        request = self._client.stream(
            "POST", f"{self.base_url}/chat/completions", content=json.dumps(body).encode(), headers=headers
        )
        async with self._explained(), request as response:
            await _check_status(response)
            content_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            if content_type != "text/event-stream":
                raise ProtocolError(
                    f"{self.host} answered with {content_type or 'no content type'} instead of a stream of "
                    "events: check HOLYSHEEP_BASE_URL.",
                    details=await _read_error_body(response),
                )
            events = httpx_sse.EventSource(cast(httpx.Response, _StreamText(response, self.host))).aiter_sse()
            async with contextlib.aclosing(events):
                async for event in events:
                    if event.data:
                        yield event.data

    async def hang_up(self) -> None:
        """Nothing is kept open for a run: a request ends with its iterator."""

    async def list_models(self) -> str:
        """The body of `GET {base_url}/models`."""
        request = self._client.stream("GET", f"{self.base_url}/models", timeout=self._connect_timeout_s)
        async with self._explained(), request as response:
            await _check_status(response)
            body = await _read_body(response, MAX_EVENT_BYTES + 1)
        if len(body) > MAX_EVENT_BYTES:
            raise _too_long(self.host, "a list of models")
        return body.decode("utf-8", "replace")

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._client.aclose()

    @contextlib.asynccontextmanager
    async def _explained(self) -> AsyncIterator[None]:
        """Names the host and what to do, where httpx names the mechanism."""
        try:
            yield
        except httpx.ConnectTimeout as error:
            raise ConnectionFailedError(
                f"{self.host} did not answer within {self._connect_timeout_s:g} s: check the address and the network.",
                details=str(error),
            ) from error
        except (httpx.ConnectError, httpx.ProxyError, httpx.UnsupportedProtocol) as error:
            if (distrusted := distrust(error, self.host)) is not None:
                raise distrusted from error
            raise ConnectionFailedError(
                f"{self.host} could not be reached ({error or type(error).__name__}): check the address and "
                "the network.",
                details=repr(error),
            ) from error
        except httpx.TimeoutException as error:
            raise StalledError(
                f"No data from {self.host} for {self._idle_timeout_s:g} s.", details=repr(error)
            ) from error
        except (httpx.TransportError, httpx.StreamError) as error:
            raise DisconnectedError(
                f"The connection to {self.host} was closed.",
                details=repr(error),
            ) from error
        except httpx.DecodingError as error:
            raise ProtocolError(f"{self.host} sent a body that cannot be decompressed.", details=repr(error)) from error


async def _check_status(response: httpx.Response) -> None:
    if response.status_code != httpx.codes.OK:
        raise StatusError(response.status_code, await _read_error_body(response), response.headers)


async def _read_error_body(response: httpx.Response) -> str:
    """The body's beginning: enough to say what is wrong, and no more."""
    return (await _read_body(response, _ERROR_BODY_BYTES)).decode("utf-8", "replace")


async def _read_body(response: httpx.Response, max_bytes: int) -> bytes:
    """The body, or as much of its beginning."""
    body = bytearray()
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) >= max_bytes:
            break
    return bytes(body[:max_bytes])


def _too_long(host: str, what: str) -> ProtocolError:
    return ProtocolError(f"{host} sent {what} of more than {MAX_EVENT_BYTES // 2**20} MB, which is not read.")
