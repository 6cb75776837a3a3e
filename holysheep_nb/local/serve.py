"""The gateway process: an engine, a socket, a server, and the end of it all."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import os
import secrets
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import uvicorn

from holysheep_nb.errors import LocalModelError, UsageError
from holysheep_nb.local.engine import Engine
from holysheep_nb.local.follow import follow_parent
from holysheep_nb.local.gateway import MAX_BODY_BYTES, create_app
from holysheep_nb.local.process import KEY_ENV
from holysheep_nb.local.progress import draw_progress
from holysheep_nb.local.script import DEFAULT_DELTAS_PER_S, ScriptEngine

KEEP_ALIVE_S = 75
REMOTE_WARNING = "Warning: other machines can reach this gateway, and the key crosses the network unencrypted."


@dataclass(frozen=True)
class ServeOptions:
    """What `holysheep-nb serve` was asked for."""

    engine: Literal["smollm2", "script"] = "smollm2"
    script: Path | None = None
    deltas_per_s: float = DEFAULT_DELTAS_PER_S
    host: str = "127.0.0.1"
    port: int = 0
    allow_remote: bool = False
    is_json: bool = False
    """True when a program reads stdout: JSON lines instead of sentences."""
    watches_stdin: bool = False
    """True when the process is to end as soon as its stdin or its parent does."""


def serve(options: ServeOptions) -> None:
    """Runs the gateway until SIGINT, SIGTERM or, as a child, the end of its parent.

    The key is that of the environment variable HOLYSHEEP_GATEWAY_KEY, or random. Raises UsageError,
    ConfigurationError or LocalModelError if it cannot start.
    """
    is_remote = not is_loopback(options.host)
    if is_remote and not options.allow_remote:
        raise UsageError(f"{options.host} is not loopback: add --allow-remote if that is meant.")
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.default_int_handler)
    if options.watches_stdin:
        follow_parent()
    key = os.environ.get(KEY_ENV) or secrets.token_urlsafe(24)
    if is_remote:
        print(REMOTE_WARNING, file=sys.stderr, flush=True)
    engine: Engine | None = None
    try:
        listener = bind(options.host, options.port)
        engine = open_engine(options)
        app = create_app(engine, key, names=_names(options.host, listener))
        config = uvicorn.Config(
            app,
            loop="asyncio",
            lifespan="off",
            ws="websockets-sansio",
            ws_max_size=MAX_BODY_BYTES,
            ws_per_message_deflate=False,
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=0,
        )
        server = _Server(config, _announcement(options, listener, engine, key))
        asyncio.run(server.serve(sockets=[listener]))
    except KeyboardInterrupt:
        pass
    finally:
        if engine is not None:
            engine.close()


def open_engine(options: ServeOptions) -> Engine:
    """The engine that was asked for, ready to answer; the weights are fetched if need be."""
    if options.engine == "script":
        return ScriptEngine(options.script, deltas_per_s=options.deltas_per_s)
    from holysheep_nb.local.smollm2 import SmolLM2Engine
    from holysheep_nb.local.weights import fetch_weights

    return SmolLM2Engine(fetch_weights(_print_progress if options.is_json else draw_progress))


def bind(host: str, port: int) -> socket.socket:
    """A socket bound to `host` and `port` (0: any free one); LocalModelError if it cannot be."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        raise LocalModelError(
            f"Port {port} of {host} cannot be used ({error.strerror or error}): choose another with --port.",
            details=repr(error),
        ) from error
    listener.set_inheritable(False)
    return listener


def is_loopback(host: str) -> bool:
    """True when `host` is a name or an address of this machine that no other machine reaches."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _names(host: str, listener: socket.socket) -> set[str] | None:
    """What the Host header may name besides loopback; None for any name, where the socket takes any address."""
    address = str(listener.getsockname()[0])
    return None if ipaddress.ip_address(address.partition("%")[0]).is_unspecified else {host, address}


class _Server(uvicorn.Server):
    """Says that it is ready once it is."""

    def __init__(self, config: uvicorn.Config, announcement: str) -> None:
        super().__init__(config)
        self._announcement = announcement

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            print(self._announcement, flush=True)


def _announcement(options: ServeOptions, listener: socket.socket, engine: Engine, key: str) -> str:
    host, port = listener.getsockname()[:2]
    address = f"{f'[{host}]' if ':' in host else host}:{port}/v1"
    base_url, ws_url = f"http://{address}", f"ws://{address}"
    models = list(engine.models)
    if options.is_json:
        ready: dict[str, object] = {"base_url": base_url, "ws_url": ws_url, "models": models}
        if not os.environ.get(KEY_ENV):
            ready["key"] = key
        return json.dumps(ready)
    return "\n".join(
        [
            f"The gateway ({engine.name}) is at {base_url}; Ctrl-C ends it. Models: {', '.join(models)}.",
            f"export HOLYSHEEP_BASE_URL={base_url}",
            f"export HOLYSHEEP_WS_URL={ws_url}",
            f"export HOLYSHEEP_API_KEY={key}",
            f"export HOLYSHEEP_MODEL={models[0]}",
        ]
    )


def _print_progress(done_bytes: int, total_bytes: int) -> None:
    print(json.dumps({"progress": [done_bytes, total_bytes]}), flush=True)
