from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from raw_server import RawServer

KEY = "hs-test-key-0123456789"


TESTS = Path(__file__).parent
# Kernels, browsers and processes share one machine with whatever else runs there: such a test may fail once.
LIVE = tuple(TESTS / name for name in ("browser", "kernels", "local"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if any(item.path.is_relative_to(folder) for folder in LIVE):
            item.add_marker(pytest.mark.flaky(reruns=1))


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
