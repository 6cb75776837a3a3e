"""TLS, over both transports: always checked, with the authorities of the usual variables, through proxies too."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from raw_server import RawServer, answer
from raw_socket import READ, RawSocket, say

from holysheep_nb import Chat, Run
from holysheep_nb.errors import CertificateError, ConfigurationError, ConnectionFailedError
from holysheep_nb.transports.certificates import open_context

KEY = "hs-test-key-0123456789"
BLOCKS = (READ, say(type="content_block", content="Hello"), say(type="done", finish_reason="stop"))


class Authority:
    """A certificate authority nobody knows, its file, and a server's certificate that it has signed."""

    def __init__(self, folder: Path, *names: str) -> None:
        self._authority = trustme.CA()
        self.file = folder / "authority.pem"
        self._authority.cert_pem.write_to_path(str(self.file))
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert(*names).configure_cert(self.tls)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "127.0.0.1")


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("HOLYSHEEP_API_KEY", KEY)


class Asked:
    """What became of one prompt, and what the server got."""

    def __init__(self, host: str, run: Run, authorizations: list[str]) -> None:
        self.host = host
        self.run = run
        self.authorizations = authorizations


def ask(way: str, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Asks a TLS server on loopback."""
    return ask_over_sse(tls, monkeypatch) if way == "sse" else asyncio.run(ask_over_websocket(tls, monkeypatch))


def ask_over_sse(tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> Asked:
    with RawServer(tls) as server:
        server.play(answer("Hello"))
        monkeypatch.setenv("HOLYSHEEP_BASE_URL", server.base_url)
        run = ended(Chat(transport="sse"))
        return Asked(f"127.0.0.1:{server.port}", run, [each.headers["authorization"] for each in server.requests])


async def ask_over_websocket(tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> Asked:
    async with RawSocket(*BLOCKS, ssl=tls) as server:
        monkeypatch.setenv("HOLYSHEEP_WS_URL", f"wss://{server.host}/v1")
        run = await asyncio.to_thread(ended, Chat(transport="ws"))
        return Asked(server.host, run, [each.headers["authorization"] for each in server.requests])


def ended(chat: Chat) -> Run:
    run = chat.ask("Hi", show=False)
    run.ended.result(20)
    return run


@pytest.mark.parametrize("way", ["sse", "ws"])
def test_a_certificate_of_nobody_is_not_trusted_and_gets_no_key(
    way: str, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ask(way, authority.tls, monkeypatch)
    assert isinstance(asked.run.error, CertificateError)
    assert isinstance(asked.run.error, ConnectionFailedError)
    assert str(asked.run.error) == (
        f"The certificate of {asked.host} is not trusted (unable to get local issuer certificate): check the address, "
        "or set SSL_CERT_FILE to the file of the authority that has signed it."
    )
    assert (asked.authorizations, asked.run.retries) == ([], [])


@pytest.mark.parametrize("way", ["sse", "ws"])
@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_an_authority_that_the_environment_names_is_trusted(
    way: str, variable: str, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if variable == "SSL_CERT_DIR":
        subprocess.run(["openssl", "rehash", str(tmp_path)], check=True)
    monkeypatch.setenv(variable, str(authority.file if variable == "SSL_CERT_FILE" else tmp_path))
    asked = ask(way, authority.tls, monkeypatch)
    assert (asked.run.status, asked.run.text, asked.authorizations) == ("complete", "Hello", [f"Bearer {KEY}"])


@pytest.mark.parametrize("way", ["sse", "ws"])
def test_a_certificate_for_another_name_is_not_trusted(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Authority(tmp_path, "other.test")
    monkeypatch.setenv("SSL_CERT_FILE", str(other.file))
    asked = ask(way, other.tls, monkeypatch)
    assert isinstance(asked.run.error, CertificateError)
    assert "certificate is not valid for '127.0.0.1'" in str(asked.run.error)
    assert asked.authorizations == []


def test_a_file_that_is_set_after_a_failure_is_used(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(authority.tls) as server:
        server.play(answer("Hello"))
        monkeypatch.setenv("HOLYSHEEP_BASE_URL", server.base_url)
        assert isinstance(ended(Chat()).error, CertificateError)
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
        assert ended(Chat()).text == "Hello"


@pytest.mark.parametrize("way", ["sse", "ws"])
@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_a_variable_that_names_nothing_is_said(
    way: str, variable: str, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, str(tmp_path / "missing"))
    error = ask(way, authority.tls, monkeypatch).run.error
    assert type(error) is ConfigurationError
    assert str(error).startswith(f"{variable} names '{tmp_path / 'missing'}', which is no ")


def test_every_context_checks_certificate_and_name(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (None, str(authority.file)):
        if name:
            monkeypatch.setenv("SSL_CERT_FILE", name)
        context = open_context()
        assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


# Proxies


class Tunnel:
    """A proxy that opens tunnels, and remembers all it saw."""

    def __init__(self) -> None:
        self.seen = b""
        self._loop = asyncio.new_event_loop()
        self._is_ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.port = 0

    def __enter__(self) -> Tunnel:
        self._thread.start()
        assert self._is_ready.wait(10)
        return self

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def _run(self) -> None:
        server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._is_ready.set()
        self._loop.run_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.seen += head
        host, port = head.split(b" ")[1].rsplit(b":", 1)
        far_reader, far_writer = await asyncio.open_connection(host.decode(), int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(self._copy(reader, far_writer), self._copy(far_reader, writer))

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await source.read(65536):
                self.seen += piece
                target.write(piece)
        target.close()


@pytest.fixture
def tunnel() -> Iterator[Tunnel]:
    with Tunnel() as proxy:
        yield proxy


@pytest.mark.parametrize("way", ["sse", "ws"])
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxy_tunnels_what_it_cannot_read(
    way: str, variable: str, authority: Authority, tunnel: Tunnel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    monkeypatch.setenv(variable, f"http://127.0.0.1:{tunnel.port}")
    asked = ask(way, authority.tls, monkeypatch)
    assert (asked.run.status, asked.authorizations) == ("complete", [f"Bearer {KEY}"])
    assert tunnel.seen.startswith(f"CONNECT {asked.host} HTTP/1.1\r\n".encode())
    assert KEY.encode() not in tunnel.seen


@pytest.mark.parametrize("way", ["sse", "ws"])
def test_no_proxy_is_honoured(way: str, authority: Authority, tunnel: Tunnel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{tunnel.port}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    asked = ask(way, authority.tls, monkeypatch)
    assert (asked.run.status, tunnel.seen) == ("complete", b"")


def test_nothing_in_the_package_turns_the_check_off() -> None:
    import holysheep_nb

    sources: list[Any] = list(Path(holysheep_nb.__file__).parent.rglob("*.py"))
    found = [
        path.name
        for path in sources
        for word in ("verify=False", "CERT_NONE", "_create_unverified")
        if word in path.read_text("utf-8")
    ]
    assert [name for name in found if "migrate" not in name] == []
