"""The journal: what each rewritten file held before, so that it can be put back byte for byte.

A journal is `migrate/ID.json` in the user's state folder, outside of every project. It holds the old and new text of
each file, but no key: where one stood there is a number. The keys themselves must be kept somewhere to be put back;
they are in `migrate/keys/ID.json`, as they are and not encrypted, in a file and folder that only the user can read.
`roll_back` deletes both once every file is back. Whoever will not go back can delete `migrate/keys` at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import stat
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platformdirs import user_state_path

from holysheep_nb.errors import HolySheepError, UsageError

from .replacement import replace_file, temporary
from .report import FileChange, Report, unified_diff
from .secret import find_keys

_VERSION = 1
_PRIVATE = 0o600
_ORPHAN_S = 3600.0
_BACK = "holysheep-nb migrate --rollback"

Segments = list[str | int]
"""A text whose keys are numbers: their places in the list of keys."""


@dataclass(frozen=True)
class Refusal:
    """A file that was not put back: `diff` is what was edited since it was rewritten, "" if it is gone."""

    path: Path
    diff: str


@dataclass(frozen=True)
class Rollback:
    """What `roll_back` did: the files that hold their old bytes now, and those it refused."""

    restored: tuple[Path, ...]
    refused: tuple[Refusal, ...]


def journal_folder() -> Path:
    """Where journals are: `migrate` in the user's state folder."""
    return user_state_path("holysheep_nb") / "migrate"


def write(report: Report) -> Path | None:
    """Rewrites the files of a report, each whole or not at all. Gives the journal, or None if nothing changes.

    Killed at any moment, it leaves each file old or new, and `roll_back` works. Raises `HolySheepError` if a file was
    edited since the report or cannot be written; the journal then puts back those that were rewritten before it.
    """
    if not report.changes:
        return None
    for change in report.changes:
        _check_unchanged(change)
    mark = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(4)}"
    journal = _keep(report.changes, mark)
    for change in report.changes:
        _check_unchanged(change)
        path = _real(change.path)
        try:
            replace_file(path, change.new, stat.S_IMODE(path.stat().st_mode), mark)
        except OSError as error:
            raise HolySheepError(
                f"{change.path} cannot be written ({error.strerror}); the files before it are: {_BACK} puts them back."
            ) from None
    return journal


def roll_back(journal: str | Path | None = None) -> Rollback:
    """Puts the files of a journal back, byte for byte; without one, of the newest for files below this folder.

    A file that was edited since is left as it is. The journal goes once all are back. Raises `UsageError` if there is
    no such journal, `HolySheepError` if a file or a key cannot be read or written.
    """
    path = Path(journal) if journal is not None else _newest()
    entries = _load(path)
    keys: list[str] | None = None
    restored, refused = [], []
    for entry in entries:
        file = Path(entry["path"])
        temporary(file, path.stem).unlink(missing_ok=True)
        current = file.read_bytes() if file.is_file() else None
        if current is not None and _has_digest(current, entry["old_digest"]):
            restored.append(file)
            continue
        keys = _load_keys(path) if keys is None else keys
        if current is None or not _has_digest(current, entry["new_digest"]):
            refused.append(Refusal(file, _edited(file, entry, current, keys)))
            continue
        old = _joined(entry["old"], keys)
        if not _has_digest(old, entry["old_digest"]):
            raise HolySheepError(f"The journal {path} is damaged: {file} is left as it is.")
        try:
            replace_file(file, old, entry["mode"], path.stem)
        except OSError as error:
            raise HolySheepError(f"{file} cannot be written ({error.strerror}): run {_BACK} again.") from None
        restored.append(file)
    if not refused:
        keys_file(path).unlink(missing_ok=True)
        path.unlink()
    return Rollback(tuple(restored), tuple(refused))


def _keep(changes: Sequence[FileChange], mark: str) -> Path:
    """Writes journal and keys, before any file is touched."""
    keys = _keys_of(changes)
    folder = journal_folder()
    path = folder / f"{mark}.json"
    entries = []
    for change in changes:
        file = _real(change.path)
        entries.append(
            {
                "path": str(file),
                "mode": stat.S_IMODE(file.stat().st_mode),
                "old": _split(change.old, keys),
                "new": _split(change.new, keys),
                "old_digest": _digest(change.old),
                "new_digest": _digest(change.new),
            }
        )
    try:
        for each in (folder, folder / "keys"):
            each.mkdir(parents=True, exist_ok=True)
            each.chmod(0o700)
        _remove_orphans(folder)
        replace_file(keys_file(path), json.dumps({"keys": keys}).encode(), _PRIVATE, mark)
        replace_file(path, json.dumps({"version": _VERSION, "files": entries}).encode(), _PRIVATE, mark)
    except OSError as error:
        raise HolySheepError(
            f"The journal cannot be written to {folder} ({error.strerror}); no file was changed."
        ) from None
    return path


def _remove_orphans(folder: Path) -> None:
    """Removes what a killed write left: half a journal, and keys that no journal needs."""
    before = time.time() - _ORPHAN_S
    for path in [*folder.glob(".*.tmp"), *(folder / "keys").iterdir()]:
        if path.stat().st_mtime < before and not (path.suffix == ".json" and (folder / path.name).exists()):
            path.unlink(missing_ok=True)


def _keys_of(changes: Sequence[FileChange]) -> list[str]:
    """Every key in the files, as it stands in their bytes."""
    found: dict[str, None] = {}
    for change in changes:
        for key in change.keys:
            found |= dict.fromkeys([key, json.dumps(key)[1:-1], json.dumps(key, ensure_ascii=False)[1:-1]])
        for content in (change.old, change.new):
            text = _text(content)
            found |= dict.fromkeys(text[start:end] for start, end in find_keys(text))
    return sorted(found, key=lambda key: (-len(key), key))


def _split(content: bytes, keys: Sequence[str]) -> Segments:
    text = _text(content)
    if not keys:
        return [text]
    places = {key: index for index, key in enumerate(keys)}
    pieces = re.split("(" + "|".join(re.escape(key) for key in keys) + ")", text)
    return [places[piece] if index % 2 else piece for index, piece in enumerate(pieces)]


def _joined(segments: Segments, keys: Sequence[str]) -> bytes:
    text = "".join(keys[each] if isinstance(each, int) else each for each in segments)
    return text.encode("utf-8", "surrogateescape")


def _text(content: bytes) -> str:
    return content.decode("utf-8", "surrogateescape")


def _edited(file: Path, entry: dict[str, Any], current: bytes | None, keys: Sequence[str]) -> str:
    if current is None:
        return ""
    before, after = (each.decode("utf-8", "replace") for each in (_joined(entry["new"], keys), current))
    return unified_diff(str(file), before, after, tuple(keys))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _has_digest(content: bytes, digest: str) -> bool:
    return _digest(content) == digest


def _check_unchanged(change: FileChange) -> None:
    try:
        is_unchanged = change.path.read_bytes() == change.old
    except OSError as error:
        raise HolySheepError(f"{change.path} cannot be read ({error.strerror}).") from None
    if not os.access(_real(change.path), os.W_OK):
        raise HolySheepError(f"{change.path} cannot be written: it is read-only.")
    if not is_unchanged:
        raise HolySheepError(f"{change.path} was edited while this ran: run it again.")


def _real(path: Path) -> Path:
    """Where a link leads: the link stays, its target is rewritten."""
    return Path(os.path.realpath(path))


def keys_file(journal: Path) -> Path:
    """Where the keys are that belong to a journal."""
    return journal.parent / "keys" / journal.name


def _load(path: Path) -> list[dict[str, Any]]:
    try:
        content = json.loads(path.read_bytes())
        if content["version"] != _VERSION:
            raise ValueError("another version")
        return list(content["files"])
    except OSError as error:
        raise UsageError(f"The journal {path} cannot be read ({error.strerror}).") from None
    except (ValueError, TypeError, KeyError):
        raise UsageError(f"{path} is not a journal of this version of holysheep-nb.") from None


def _load_keys(path: Path) -> list[str]:
    try:
        return list(json.loads(keys_file(path).read_bytes())["keys"])
    except (OSError, ValueError, KeyError):
        raise HolySheepError(
            f"The keys of the journal, {keys_file(path)}, cannot be read: no file was put back."
        ) from None


def _newest() -> Path:
    """The newest journal with a file below the current folder."""
    here = Path(os.path.realpath(Path.cwd()))
    for path in sorted(journal_folder().glob("*.json"), key=lambda each: each.stat().st_mtime_ns, reverse=True):
        if any(Path(entry["path"]).is_relative_to(here) for entry in _load(path)):
            return path
    raise UsageError(f"There is no journal of files below {here}: name one, as in {_BACK} JOURNAL.")
