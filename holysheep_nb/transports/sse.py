"""Server-sent events over HTTP, on httpx and httpx-sse. Source: WHATWG HTML, "Server-sent events"."""

from __future__ import annotations

import codecs
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any, cast

import httpx
import httpx_sse

from ..errors import ConnectionFailedError, DisconnectedError, ProtocolError, StalledError, StatusError

_ERROR_BODY_BYTES = 64 * 1024


class _StreamText:
    """What httpx-sse reads from: the text as UTF-8 whatever the headers say, without its mark."""

    def __init__(self, response: httpx.Response) -> None:
        # The type has been looked at, in any case of letters; httpx-sse takes lowercase alone.
        self.headers = {"content-type": "text/event-stream"}
        self._bytes = response.aiter_bytes()

    async def aiter_text(self) -> AsyncGenerator[str, None]:
        decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        async for piece in self._bytes:
            if text := decoder.decode(piece):
                yield text
        if text := decoder.decode(b"", final=True):
            yield text


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
        self._read_key = read_key
        self._idle_timeout_s = idle_timeout_s
        self._connect_timeout_s = connect_timeout_s
        self._client = httpx.AsyncClient(
            timeout=httpx.Timeout(idle_timeout_s, connect=connect_timeout_s, pool=None),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=8),
            follow_redirects=False,
            transport=http_transport,
            # Plain http goes to this machine alone (`config.check_base_url`): a proxy must not see the key.
            trust_env=httpx.URL(base_url).scheme == "https",
        )

    async def stream(self, *messages: dict[str, Any]) -> AsyncGenerator[str, None]:
        """The `data` of each event of `POST {base_url}/chat/completions`, the one message being the body.

        See `Transport.stream`.
        """
        (body,) = messages
        headers = {
            **self._authorization(),
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
            events = httpx_sse.EventSource(cast(httpx.Response, _StreamText(response))).aiter_sse()
            async with contextlib.aclosing(events):
                async for event in events:
                    if event.data:
                        yield event.data

    async def hang_up(self) -> None:
        """Nothing is kept open for a run: a request ends with its iterator."""

    async def list_models(self) -> str:
        """The body of `GET {base_url}/models`."""
        async with self._explained():
            response = await self._client.get(
                f"{self.base_url}/models", headers=self._authorization(), timeout=self._connect_timeout_s
            )
            await _check_status(response)
            return response.text

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._client.aclose()

    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._read_key()}"}

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
    if response.is_stream_consumed:
        return response.text[:_ERROR_BODY_BYTES]
    body = b""
    async for piece in response.aiter_bytes():
        body += piece
        if len(body) >= _ERROR_BODY_BYTES:
            break
    return body[:_ERROR_BODY_BYTES].decode(response.charset_encoding or "utf-8", "replace")
