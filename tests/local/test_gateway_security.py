"""Who may speak with the gateway: this machine, with the key, and no web page."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from local_gateways import say
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from holysheep_nb.local import Gateway
from holysheep_nb.local import gateway as gateway_module
from holysheep_nb.local.gateway import MAX_BODY_BYTES, create_app
from holysheep_nb.local.script import ScriptEngine

KEY = "gateway-key-0123456789"
COMMAND = [sys.executable, "-m", "holysheep_nb", "serve", "--script", "--port", "0"]


def place(gateway: Gateway) -> str:
    return gateway.base_url.removeprefix("http://").removesuffix("/v1")


def ask(gateway: Gateway, method: str, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """A request with just these headers, as a browser or an attacker sends them."""
    connection = http.client.HTTPConnection(place(gateway), timeout=10)
    body = json.dumps({"model": "script-hello", "messages": say("hello")}) if method == "POST" else None
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    answer = response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    connection.close()
    return answer


def handshake(gateway: Gateway, **headers: str) -> int:
    """The status with which a WebSocket's handshake is answered."""
    given = {"Authorization": f"Bearer {gateway.key}", **headers}

    async def dial() -> int:
        try:
            async with connect(f"{gateway.ws_url}/chat/stream", additional_headers=given, proxy=None):
                return 101
        except InvalidStatus as error:
            return error.response.status_code

    return asyncio.run(dial())


# The key


@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer ", "Bearer wrong", "Basic KEY", "KEY", "Bearer KEYx", "Bearer \xe9"]
)
@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/models"), ("POST", "/v1/chat/completions"), ("GET", "/x")])
def test_without_the_key_everything_is_refused(gateway: Gateway, method: str, path: str, given: str) -> None:
    authorization = given.replace("KEY", gateway.key)
    status, headers, body = ask(gateway, method, path, **({"Authorization": authorization} if given else {}))
    assert (status, headers["www-authenticate"]) == (401, "Bearer")
    assert gateway.key.encode() not in body


@pytest.mark.parametrize("given", ["Bearer wrong", "Basic x", ""])
def test_without_the_key_no_websocket_is_opened(gateway: Gateway, given: str) -> None:
    assert handshake(gateway, Authorization=given) == 401
    assert handshake(gateway) == 101


def test_the_key_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def compare(given: bytes, key: bytes) -> bool:
        compared.append((given, key))
        return secrets.compare_digest(given, key)

    monkeypatch.setattr(gateway_module.hmac, "compare_digest", compare)
    app = create_app(ScriptEngine(None), KEY)

    async def models(key: str) -> int:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return (await client.get("/v1/models", headers={"Authorization": f"Bearer {key}"})).status_code

    assert [asyncio.run(models(key)) for key in ("wrong", KEY)] == [401, 200]
    assert compared == [(b"wrong", KEY.encode()), (KEY.encode(), KEY.encode())]


# The size


def test_a_body_that_says_it_is_over_4_mb_is_refused_before_it_comes(gateway: Gateway) -> None:
    with socket.create_connection(tuple(place(gateway).split(":")), timeout=10) as raw:  # type: ignore[arg-type]
        raw.sendall(
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: {place(gateway)}\r\nAuthorization: Bearer {gateway.key}\r\n"
            f"Content-Length: {MAX_BODY_BYTES + 1}\r\n\r\n".encode()
        )
        assert raw.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_a_first_message_over_4_mb_closes_the_websocket(gateway: Gateway) -> None:
    async def send() -> int | None:
        key = {"Authorization": f"Bearer {gateway.key}"}
        async with connect(f"{gateway.ws_url}/chat/stream", additional_headers=key, proxy=None) as opened:
            with contextlib.suppress(ConnectionClosed):
                await opened.send("x" * (MAX_BODY_BYTES + 1))
            await opened.wait_closed()
            return opened.close_code

    assert asyncio.run(send()) == 1009


# Pages in a browser


@pytest.mark.parametrize("origin", ["https://evil.example", "http://localhost:8888", "null"])
def test_a_preflight_of_a_page_is_refused(gateway: Gateway, origin: str) -> None:
    status, headers, _ = ask(
        gateway,
        "OPTIONS",
        "/v1/chat/completions",
        Origin=origin,
        Access_Control_Request_Method="POST",
        Access_Control_Request_Headers="authorization,content-type",
    )
    assert status == 401
    assert not [name for name in headers if name.startswith("access-control")]


@pytest.mark.parametrize("path", ["/health", "/v1/models", "/v1/chat/completions"])
def test_no_answer_may_be_read_by_a_page_even_with_the_key(gateway: Gateway, path: str) -> None:
    method = "POST" if path.endswith("completions") else "GET"
    key = f"Bearer {gateway.key}"
    status, headers, _ = ask(gateway, method, path, Origin="http://localhost:8888", Authorization=key)
    assert status == 200
    assert not [name for name in headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "origin",
    [
        *[
            "https://evil.example",
            "http://localhost",
            "http://localhost:8888",
            "http://127.0.0.1",
            "null",
            "",
            "file://",
        ],
        *[
            "http://PLACE.evil.example",
            "http://evil.example#PLACE",
            "http://PLACE@evil.example",
            "http://[::1",
            "PLACE",
        ],
    ],
)
def test_a_page_of_another_origin_opens_no_websocket_even_with_the_key(gateway: Gateway, origin: str) -> None:
    assert handshake(gateway, Origin=origin.replace("PLACE", place(gateway))) == 403


def test_clients_that_name_the_gateway_itself_as_origin_are_let_in(gateway: Gateway) -> None:
    assert handshake(gateway, Origin=f"http://{place(gateway)}") == 101


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "127.0.0.2", "", "[::2]"]
)
def test_a_name_that_was_rebound_to_this_machine_is_refused(gateway: Gateway, host: str) -> None:
    key = f"Bearer {gateway.key}"
    for path in ("/health", "/v1/models"):
        assert ask(gateway, "GET", path, Host=host, Authorization=key)[0] == 400
    raw_handshake = {
        **{"Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13"},
        **{"Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==", "Authorization": key},
    }
    assert ask(gateway, "GET", "/v1/chat/stream", Host=host, **raw_handshake)[0] == 400
    # Though the page is of the same origin as the name that was rebound.
    assert ask(gateway, "GET", "/v1/chat/stream", Host=host, Origin=f"http://{host}", **raw_handshake)[0] in (400, 403)


# Other addresses


@pytest.fixture
def environment() -> dict[str, str]:
    return {**os.environ, "HOLYSHEEP_GATEWAY_KEY": KEY}


def serving(environment: dict[str, str], *arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    command = [*COMMAND, *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as served:
        assert served.stdout is not None
        try:
            first = served.stdout.readline()
            yield first.split(" is at ")[1].split(";")[0], served
        finally:
            served.terminate()
            served.wait(10)


def status_at(url: str, host: str) -> Any:
    key = {"Authorization": f"Bearer {KEY}", "Host": host}
    return httpx.get(f"{url}/models", headers=key, trust_env=False).status_code


def test_the_address_it_is_bound_to_is_a_name_of_it(environment: dict[str, str]) -> None:
    for url, _ in serving(environment, "--host", "127.0.0.2"):
        port = url.split(":")[2].removesuffix("/v1")
        hosts = [f"127.0.0.2:{port}", "localhost", "evil.example", "127.0.0.3"]
        assert [status_at(url, host) for host in hosts] == [200, 200, 400, 400]


def test_where_any_machine_may_come_it_warns_on_stderr_and_any_name_is_taken(environment: dict[str, str]) -> None:
    for url, served in serving(environment, "--host", "0.0.0.0", "--allow-remote"):
        local = url.replace("0.0.0.0", "127.0.0.1")
        assert status_at(local, "my-machine.example") == 200
        assert httpx.get(f"{local}/models", trust_env=False).status_code == 401
        served.terminate()
        assert served.stderr is not None
        warning = served.stderr.read()
        assert warning == (
            "Warning: other machines can reach this gateway, and the key crosses the network unencrypted.\n"
        )
