from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from local_gateways import SCRIPT, STREAM

from holysheep_nb.local import Gateway, start_gateway


@pytest.fixture(scope="session")
def script_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("script")
    (folder / "noir.sse").write_bytes(STREAM)
    path = folder / "script.json"
    path.write_text(json.dumps(SCRIPT))
    return path


@pytest.fixture(scope="session")
def gateway(script_file: Path) -> Iterator[Gateway]:
    """A gateway that plays SCRIPT."""
    with start_gateway("script", script=script_file, deltas_per_s=0) as running:
        yield running


@pytest.fixture(scope="session")
def smollm2() -> Iterator[Gateway]:
    """A gateway with the real model; its weights are fetched into the user's cache the first time."""
    if os.environ.get("HOLYSHEEP_OFFLINE") == "1":
        pytest.skip("HOLYSHEEP_OFFLINE=1: the model's weights cannot be fetched")
    with start_gateway("smollm2") as running:
        yield running
