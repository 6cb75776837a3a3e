"""How a request goes: address, transport and wire, put together. After it there are only events."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

from . import agent
from .config import Endpoint, Settings
from .errors import ConfigurationError, HolySheepError, UsageError, forget_frames
from .kernel import stream_thread
from .transports.base import Transport
from .transports.cassette import CassetteTransport, RecordingTransport
from .transports.cassette_file import check_writable
from .transports.sse import SSETransport
from .wire import blocks, chat_completions

ProtocolName: TypeAlias = Literal["sse", "ws"]

_transports: dict[tuple[object, ...], SSETransport] = {}
# What httpx reads once: a change in the notebook makes another transport.
_NETWORK_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


async def _close_transports() -> None:
    while _transports:
        _, transport = _transports.popitem()
        await transport.aclose()


@dataclass(frozen=True, slots=True)
class Route:
    """The way of a request, over either protocol; `lines` and `list_models` run on the stream thread.

    `ws_url` is where a WebSocket goes, "" for SSE; with `has_other_way` SSE is tried where it cannot be opened.
    The list of models comes from `endpoint` in all cases. `record` is the file the run is recorded into; a
    `cassette` is played in place of all this, once. `fallback` is where to go, over SSE, and which model to ask where
    nothing of this answers.
    """

    settings: Settings
    endpoint: Endpoint
    ws_url: str = ""
    has_other_way: bool = False
    record: Path | None = None
    cassette: CassetteTransport | None = None
    fallback: tuple[Endpoint, str] | None = None

    @property
    def protocol(self) -> ProtocolName:
        """What is spoken first: "sse" or "ws"."""
        if self.cassette is not None:
            return "ws" if self.cassette.protocol == "ws" else "sse"
        return "ws" if self.ws_url else "sse"

    @property
    def host(self) -> str:
        """Whom the prompt goes to, or went to when it was recorded."""
        if self.cassette is not None:
            return self.cassette.host
        return urlsplit(self.ws_url or self.endpoint.base_url).netloc

    def models(self, asked: str) -> list[str]:
        """Those that may answer: the one that is asked, and that of the fallback."""
        return [asked, *([self.fallback[1]] if self.fallback is not None and self.cassette is None else [])]

    def secrets(self) -> dict[str, str]:
        """The keys, which must stand in nothing that is kept, and what stands there instead.

        A key that is not set is left out: a replay needs none.
        """
        endpoints = [self.endpoint, *([self.fallback[0]] if self.fallback is not None else [])]
        return {key: f"({each.api_key_name})" for each in endpoints if (key := _known_key(each))}

    def request_body(self, model: str, messages: list[dict[str, Any]], parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The JSON that is sent first."""
        write = blocks.init_message if self.protocol == "ws" else chat_completions.request_body
        return write(model, messages, parameters)

    def lines(self, model: str, messages: list[dict[str, Any]], parameters: Mapping[str, Any]) -> list[agent.Line]:
        """The ways to the model, for one run, in the order in which they are tried."""
        lines = [self._line(transport, model, messages, parameters) for transport in self._transports()]
        if self.fallback is not None and self.cassette is None:
            endpoint, other = self.fallback
            line = self._line(self._open_sse(endpoint), other, messages, parameters)
            lines.append(dataclasses.replace(line, name=f"answered by {other}", is_fallback=True))
        return lines

    def _line(
        self, transport: Transport, model: str, messages: list[dict[str, Any]], parameters: Mapping[str, Any]
    ) -> agent.Line:
        """The transport, and the wire it is written in."""
        if self.record is not None:
            transport = RecordingTransport(transport, self.record, self.secrets)
        if transport.protocol == "ws":
            whom = (transport.host, model, transport.key_name, transport.url_name)
            first = blocks.init_message(model, messages, parameters)
            return agent.Line(transport, first, blocks.follow_up, functools.partial(blocks.Decoder, *whom))
        body = chat_completions.request_body(model, messages, parameters)
        return agent.Line(transport, body, chat_completions.follow_up, chat_completions.Decoder, "over SSE")

    def _transports(self) -> list[Transport]:
        if self.cassette is not None:
            return [self.cassette]
        if not self.ws_url:
            return [self._open_sse()]
        return [self._new_websocket(), self._open_sse()] if self.has_other_way else [self._new_websocket()]

    def _new_websocket(self) -> Transport:
        # Whoever asks by SSE alone needs no websockets.
        from .transports.websocket import WebSocketTransport

        return WebSocketTransport(
            self.ws_url,
            self.endpoint.read_key,
            list_models=lambda: self._open_sse().list_models(),
            key_name=self.endpoint.api_key_name,
            connect_timeout_s=self.settings.connect_timeout_s,
            idle_timeout_s=self.settings.idle_timeout_s,
        )

    async def list_models(self) -> list[str]:
        """The names of the models the endpoint offers. Raises `HolySheepError`."""
        try:
            return await agent.list_models(self._open_sse())
        except HolySheepError as error:
            forget_frames(error)
            raise

    def _open_sse(self, endpoint: Endpoint | None = None) -> SSETransport:
        """The connection pool of an endpoint, which belongs to the stream thread."""
        endpoint = endpoint or self.endpoint
        network = [os.environ.get(form) for name in _NETWORK_VARIABLES for form in (name, name.lower())]
        key = (endpoint, self.settings.connect_timeout_s, self.settings.idle_timeout_s, *network)
        if key not in _transports:
            if not _transports:
                stream_thread.at_exit(_close_transports)
            _transports[key] = SSETransport(
                endpoint.base_url,
                endpoint.read_key,
                key_name=endpoint.api_key_name,
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
    model: str = "",
    fallback: str | None = None,
    record: str | os.PathLike[str] | None = None,
    replay: str | os.PathLike[str] | None = None,
    needs_key: bool = True,
) -> Route:
    """The way a request takes; None is as the settings say. Nothing is connected, and the key is there unless
    it is not needed.

    `fallback` is the model to ask where `model` cannot answer; `record` is a file to record into, `replay` a recorded
    one to play, which needs no key.

    "auto" is a WebSocket for runs with tools, where its address is known, and SSE if it cannot be opened;
    SSE for all others. Raises `UsageError` and `ConfigurationError`.
    """
    given, transport = transport, transport or settings.resolved_transport()
    if transport not in ("auto", "sse", "ws"):
        raise UsageError(f"There is no transport {transport!r}: it is sse, ws or auto.")
    endpoint = settings.endpoint(base_url, api_key_name)
    if replay is not None:
        if record is not None:
            raise UsageError("A run is recorded or replayed, not both: leave out --record or --replay.")
        return _replay(settings, endpoint, given, _path(replay))
    if record is not None:
        check_writable(_path(record))
    ws_url = ""
    if transport == "ws":
        if base_url is not None:
            raise UsageError("The address of another endpoint is one for sse: over ws it is HOLYSHEEP_WS_URL.")
        ws_url = settings.check_ws_endpoint()
    elif transport == "auto" and has_tools and base_url is None and settings.knows_ws_endpoint():
        ws_url = settings.check_ws_endpoint()
    if needs_key:
        endpoint.read_key()
    second = settings.fallback(fallback, model)
    if needs_key and second is not None:
        second[0].read_key()
    return Route(
        settings,
        endpoint,
        ws_url,
        has_other_way=transport == "auto",
        record=None if record is None else _path(record),
        fallback=second,
    )


def _replay(settings: Settings, endpoint: Endpoint, transport: str | None, path: Path) -> Route:
    cassette = CassetteTransport(path, read_keys=Route(settings, endpoint).secrets)
    if transport not in (None, "auto", cassette.protocol):
        raise UsageError(
            f"The cassette {path} was recorded over {cassette.protocol}: leave out the transport {transport}."
        )
    return Route(settings, endpoint, cassette=cassette)


def _path(given: str | os.PathLike[str]) -> Path:
    """The file, wherever the notebook moves to while the run goes on."""
    return Path(os.path.expanduser(given)).absolute()


def _known_key(endpoint: Endpoint) -> str:
    try:
        return endpoint.read_key()
    except ConfigurationError:
        return ""
