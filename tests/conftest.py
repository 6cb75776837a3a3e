from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from raw_server import KEY, RawServer

pytest_plugins = ["key_hunt"]
TESTS = Path(__file__).parent
# Kernels, browsers and processes share one machine with whatever else runs there: such a test may fail now and then.
LIVE = tuple(TESTS / name for name in ("browser", "kernels", "local", "shadow"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if any(item.path.is_relative_to(folder) for folder in LIVE):
            item.add_marker(pytest.mark.flaky(reruns=2))


@pytest.fixture(scope="session", autouse=True)
def own_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Aliases and costs go where no person's are, also those of kernels and other processes."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME"):
            patch.setenv(name, str(tmp_path_factory.mktemp(name.lower())))
        yield


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
