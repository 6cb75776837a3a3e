"""What was spent today, by all kernels: a line of JSON per run, in a file per day in the user's state folder.

A line holds time, model, tokens and cost; no prompt, no answer, no key. Files older than a month are deleted.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from platformdirs import user_state_path

from ..conversation import Usage
from ..masks import mask, open_log
from .cost import Cost
from .spending import Total

_log = open_log(__name__)

KEPT_DAYS = 31
MAX_FILE_BYTES = 8 * 1024 * 1024
_PRIVATE = 0o600


def ledger_folder() -> Path:
    """Where the files are: `spending` in the user's state folder."""
    return user_state_path("holysheep_nb") / "spending"


def record(model: str, usage: Usage, cost: Cost) -> None:
    """Adds a run to today's file. What cannot be written is logged, and fails nothing."""
    now = datetime.now().astimezone()
    entry = {"time": now.isoformat(timespec="seconds"), "model": mask(model), **usage.to_dict(), "cost": cost.to_dict()}
    path = _file(now.date())
    try:
        is_new = not path.exists()
        path.parent.mkdir(parents=True, exist_ok=True)
        _append(path, json.dumps(entry, ensure_ascii=False) + "\n")
        if is_new:
            _delete_old(now.date())
    except OSError as error:
        _log.warning("what a run cost cannot be added to %s: %s", path, error)


def read_today() -> Total:
    """The runs of today. Raises `OSError` if their file cannot be read."""
    total = Total()
    for entry in _read(_file(datetime.now().astimezone().date())):
        try:
            usage = Usage(int(entry["input_tokens"]), int(entry["output_tokens"]), bool(entry.get("is_estimate")))
            cost = entry["cost"]
            usd = None if cost["usd"] is None else float(cost["usd"])
            total = total.plus(usage, Cost(usd, tuple(cost["missing"]), bool(cost["is_estimate"])))
        except (KeyError, TypeError, ValueError) as error:
            _log.warning("a line of the spending of today cannot be read: %r", error)
    return total


def _file(day: date) -> Path:
    return ledger_folder() / f"{day.isoformat()}.jsonl"


def _append(path: Path, line: str) -> None:
    """One write, at the end of the file as it then is: kernels that write at the same time do not mix their lines."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, _PRIVATE)
    try:
        if os.fstat(descriptor).st_size > MAX_FILE_BYTES:
            raise OSError(f"it is larger than {MAX_FILE_BYTES // 2**20} MB")
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def _delete_old(today: date) -> None:
    oldest = (today - timedelta(days=KEPT_DAYS)).isoformat()
    for path in ledger_folder().glob("????-??-??.jsonl"):
        if path.stem < oldest:
            path.unlink(missing_ok=True)


def _read(path: Path) -> Iterator[dict[str, Any]]:
    with contextlib.suppress(FileNotFoundError), path.open(encoding="utf-8") as file:
        for line in file:
            try:
                entry = json.loads(line)
            except ValueError:
                _log.warning("a line of %s is no JSON and is left out", path)
                continue
            if isinstance(entry, dict):
                yield entry
