"""How a request goes: address, transport and wire, put together. After it there are only events."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

from . import agent
from .config import Endpoint, Settings
from .errors import UsageError
from .kernel import stream_thread
from .transports.sse import SSETransport
from .wire import blocks, chat_completions

ProtocolName: TypeAlias = Literal["sse", "ws"]

_transports: dict[tuple[Endpoint, float, float], SSETransport] = {}


async def _close_transports() -> None:
    while _transports:
        _, transport = _transports.popitem()
        await transport.aclose()


@dataclass(frozen=True, slots=True)
class Route:
    """The way of a request, over either protocol; `lines` and `list_models` run on the stream thread.

    `ws_url` is where a WebSocket goes, "" for SSE; with `has_fallback` SSE is tried where it cannot be opened.
    The list of models comes from `endpoint` in all cases.
    """

    settings: Settings
    endpoint: Endpoint
    ws_url: str = ""
    has_fallback: bool = False

    @property
    def protocol(self) -> ProtocolName:
        """What is spoken first: "sse" or "ws"."""
        return "ws" if self.ws_url else "sse"

    @property
    def host(self) -> str:
        """Whom the prompt goes to."""
        return urlsplit(self.ws_url or self.endpoint.base_url).netloc

    def request_body(self, model: str, messages: list[dict[str, Any]], parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The JSON that is sent first."""
        write = blocks.init_message if self.ws_url else chat_completions.request_body
        return write(model, messages, parameters)

    def lines(self, model: str, messages: list[dict[str, Any]], parameters: Mapping[str, Any]) -> list[agent.Line]:
        """The ways to the model, for one run, in the order in which they are tried."""
        lines = [self._ws_line(model, messages, parameters)] if self.ws_url else []
        if not lines or self.has_fallback:
            body = chat_completions.request_body(model, messages, parameters)
            lines.append(agent.Line(self._open_sse(), body, chat_completions.follow_up, chat_completions.Decoder))
        return lines

    def _ws_line(self, model: str, messages: list[dict[str, Any]], parameters: Mapping[str, Any]) -> agent.Line:
        # Whoever asks by SSE alone needs no websockets.
        from .transports.websocket import WebSocketTransport

        transport = WebSocketTransport(
            self.ws_url,
            self.endpoint.read_key,
            list_models=lambda: self._open_sse().list_models(),
            key_name=self.endpoint.api_key_name,
            connect_timeout_s=self.settings.connect_timeout_s,
            idle_timeout_s=self.settings.idle_timeout_s,
        )
        new_decoder = functools.partial(blocks.Decoder, transport.host, model, transport.key_name, transport.url_name)
        return agent.Line(transport, blocks.init_message(model, messages, parameters), blocks.follow_up, new_decoder)

    async def list_models(self) -> list[str]:
        """The names of the models the endpoint offers. Raises `HolySheepError`."""
        return await agent.list_models(self._open_sse())

    def _open_sse(self) -> SSETransport:
        """The connection pool of the endpoint, which belongs to the stream thread."""
        key = (self.endpoint, self.settings.connect_timeout_s, self.settings.idle_timeout_s)
        if key not in _transports:
            if not _transports:
                stream_thread.at_exit(_close_transports)
            _transports[key] = SSETransport(
                self.endpoint.base_url,
                self.endpoint.read_key,
                key_name=self.endpoint.api_key_name,
                connect_timeout_s=self.settings.connect_timeout_s,
                idle_timeout_s=self.settings.idle_timeout_s,
            )
        return _transports[key]


def open_route(
    settings: Settings,
    transport: str | None = None,
    base_url: str | None = None,
    api_key_name: str | None = None,
    *,
    has_tools: bool = False,
) -> Route:
    """The way a request takes; None is as the settings say. Nothing is connected, and the key is there.

    "auto" is a WebSocket for runs with tools, where its address is known, and SSE if it cannot be opened;
    SSE for all others. Raises `UsageError` and `ConfigurationError`.
    """
    transport = transport or settings.transport
    if transport not in ("auto", "sse", "ws"):
        raise UsageError(f"There is no transport {transport!r}: it is sse, ws or auto.")
    endpoint = settings.endpoint(base_url, api_key_name)
    ws_url = ""
    if transport == "ws":
        if base_url is not None:
            raise UsageError("The address of another endpoint is one for sse: over ws it is HOLYSHEEP_WS_URL.")
        ws_url = settings.check_ws_endpoint()
    elif transport == "auto" and has_tools and base_url is None and settings.knows_ws_endpoint():
        ws_url = settings.check_ws_endpoint()
    endpoint.read_key()
    return Route(settings, endpoint, ws_url, has_fallback=transport == "auto")
