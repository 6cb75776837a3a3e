from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from raw_server import RawServer

KEY = "hs-test-key-0123456789"


@pytest.fixture
def server() -> Iterator[RawServer]:
    """A server that sends what it is told."""
    with RawServer() as raw:
        yield raw


@pytest.fixture
def at_server(server: RawServer, monkeypatch: pytest.MonkeyPatch) -> RawServer:
    """The same, with the environment pointing at it."""
    monkeypatch.setenv("HOLYSHEEP_API_KEY", KEY)
    monkeypatch.setenv("HOLYSHEEP_BASE_URL", server.base_url)
    monkeypatch.setenv("HOLYSHEEP_MODEL", "raw")
    return server
