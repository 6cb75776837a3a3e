"""One file in another's place, whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def temporary(path: Path, mark: str) -> Path:
    """Where the new content of `path` is written first: beside it, so that it can take its place at once."""
    return path.with_name(f".{path.name}.{mark}.tmp")


def replace_file(path: Path, content: bytes, mode: int, mark: str) -> None:
    """Puts `content` in the place of `path`, which holds the old bytes or the new ones at every moment.

    `mode` are its permissions. Raises OSError.
    """
    new = temporary(path, mark)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(new, mode)
        os.replace(new, path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Lets the name be on the disk too. Windows has no such call for folders, and needs none."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
