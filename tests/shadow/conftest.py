from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from raw_server import RawServer

sys.path.insert(0, str(Path(__file__).parent))

from two_ends import NEW_KEY, OLD_KEY, TwoEnds


@pytest.fixture
def ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TwoEnds]:
    """Two servers that say what they are told, with the environment pointing at the new one."""
    with RawServer() as old, RawServer() as new:
        monkeypatch.setenv("HOLYSHEEP_API_KEY", NEW_KEY)
        monkeypatch.setenv("HOLYSHEEP_BASE_URL", new.base_url)
        monkeypatch.setenv("OLD_KEY", OLD_KEY)
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
        (tmp_path / "work").mkdir()
        yield TwoEnds(old, new, tmp_path / "work")
