"""The HTTP face of an engine: HolySheep's two protocols, on starlette.

`GET /health` needs no key; `GET /v1/models`, `POST /v1/chat/completions` and the WebSocket `/v1/chat/stream` need
`Authorization: Bearer KEY`. There are no CORS headers, the Host header must name this gateway, and so must the
Origin of a WebSocket if it has one, so that no web page can reach it, not even one of this machine.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from holysheep_nb.local.answer import Answer, Counters, refusal_response
from holysheep_nb.local.blocks_answer import BlocksAnswer
from holysheep_nb.local.engine import Engine, check_model
from holysheep_nb.local.request import RefusedRequestError, parse_request

MAX_BODY_BYTES = 4 * 1024 * 1024
STREAM_PATH = "/v1/chat/stream"
LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})


def create_app(engine: Engine, key: str, *, names: Collection[str] | None = ()) -> ASGIApp:
    """The gateway as an ASGI app.

    `key` is what clients send as Bearer key. `names` are those, besides loopback's, that the Host header may give;
    None allows all, for a gateway that other machines know by names of their own. The caller closes the engine.
    """
    gateway = _Gateway(engine)
    app = Starlette(
        routes=[
            Route("/health", gateway.health, methods=["GET"]),
            Route("/v1/models", gateway.models, methods=["GET"]),
            Route("/v1/models/{model:path}", gateway.model, methods=["GET"]),
            Route("/v1/chat/completions", gateway.chat_completions, methods=["POST"]),
            WebSocketRoute(STREAM_PATH, gateway.chat_stream),
        ],
        exception_handlers={
            RefusedRequestError: _answer_refusal,
            HTTPException: _answer_http_exception,
            Exception: _answer_bug,
        },
    )
    app.router.redirect_slashes = False
    return _Guard(app, key, None if names is None else LOOPBACK_NAMES | {name.lower() for name in names})


class _Gateway:
    """The endpoints, over one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._counters = Counters()
        self.chat_stream = BlocksAnswer(engine, self._counters)
        """Answers over a WebSocket."""
        self._started_s = int(time.time())

    async def health(self, request: Request) -> Response:
        """What runs here, and how many answers are underway, ended, were stopped by the client or refused."""
        return JSONResponse(
            {
                "status": "ok",
                "engine": self._engine.name,
                "models": list(self._engine.models),
                **self._counters.to_json(),
            }
        )

    async def models(self, request: Request) -> Response:
        """The models of the engine, the default one first."""
        return JSONResponse({"object": "list", "data": [self._model_json(m) for m in self._engine.models]})

    async def model(self, request: Request) -> Response:
        """One model of the engine."""
        return JSONResponse(self._model_json(check_model(self._engine, request.path_params["model"])))

    async def chat_completions(self, request: Request) -> ASGIApp:
        """The engine's answer, streamed or whole."""
        try:
            asked = parse_request(await read_body(request))
            check_model(self._engine, asked.model)
        except RefusedRequestError:
            self._counters.refused += 1
            raise
        return Answer(self._engine, asked, self._counters)

    def _model_json(self, model: str) -> Mapping[str, str | int]:
        owner = self._engine.owned_by
        return {"id": model, "object": "model", "created": self._started_s, "owned_by": owner}


async def read_body(request: Request) -> bytes:
    """The whole body; RefusedRequestError (413) as soon as it is over 4 MB."""
    too_large = RefusedRequestError(
        f"The body is over {MAX_BODY_BYTES // 2**20} MB.", status_code=413, code="body_too_large"
    )
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > MAX_BODY_BYTES:
        raise too_large
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            raise too_large
    return bytes(body)


async def _answer_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedRequestError)
    return refusal_response(error)


async def _answer_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code)
    what = f"{request.method} {request.url.path}: {error.detail}."
    return refusal_response(RefusedRequestError(what, status_code=error.status_code, code=code))


async def _answer_bug(request: Request, error: Exception) -> Response:
    what = f"The gateway failed: {type(error).__name__}."
    return refusal_response(RefusedRequestError(what, status_code=500, code="internal_error"))


@dataclass
class _Guard:
    """Lets through what names this machine and has the key."""

    app: ASGIApp
    key: str
    names: Collection[str] | None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            refusal = self._refusal(scope["path"], dict(scope["headers"]))
        else:
            refusal = self._socket_refusal(scope["path"], dict(scope["headers"]))
        if refusal is not None:
            await refusal_response(refusal)(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _socket_refusal(self, path: str, headers: Mapping[bytes, bytes]) -> RefusedRequestError | None:
        """Why the handshake of a WebSocket is answered with an HTTP error. A browser sends an Origin, we do not."""
        origin = headers.get(b"origin")
        if origin is not None and _origin_place(origin) != _place(headers.get(b"host", b"")):
            return RefusedRequestError(
                "The Origin header does not name this gateway.", status_code=403, code="origin_not_allowed"
            )
        refusal = self._refusal(path, headers)
        if refusal is None and path != STREAM_PATH:
            return RefusedRequestError(f"{path}: there is no WebSocket here.", status_code=404, code="not_found")
        return refusal

    def _refusal(self, path: str, headers: Mapping[bytes, bytes]) -> RefusedRequestError | None:
        if self.names is not None and _host_name(headers.get(b"host", b"")) not in self.names:
            return RefusedRequestError("The Host header does not name this machine.", code="host_not_allowed")
        if path == "/health":
            return None
        scheme, _, given = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() == b"bearer" and hmac.compare_digest(given.strip(), self.key.encode()):
            return None
        what = "No API key was sent." if not given.strip() else "The API key is wrong."
        return RefusedRequestError(
            what, status_code=401, code="invalid_api_key", headers={"WWW-Authenticate": "Bearer"}
        )


def _host_name(host: bytes) -> str:
    """The name in a Host header, without port and brackets."""
    text = _place(host)
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0]


def _place(host: bytes) -> str:
    """The text of a header, in lowercase."""
    return host.decode("latin-1").strip().lower()


def _origin_place(origin: bytes) -> str | None:
    """Host and port in an Origin header; None if it names none, as that of a page without an address."""
    try:
        return urlsplit(_place(origin)).netloc or None
    except ValueError:
        return None
