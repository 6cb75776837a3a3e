"""What came so far, in a JSONL file that grows by a line for each prompt that both sides have ended with.

The first line says what is compared; a file of another comparison is refused. A line that was cut off when the
process died is dropped, and its prompt sent again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import HolySheepError, UsageError
from ..masks import mask
from .answers import Answer, Pair

_VERSION = 1


class Results:
    """The pairs of a comparison, by the keys of their prompts.

    path        the file; it need not exist
    compared    what is compared: models and addresses, and the names of the keys

    Raises `UsageError` for a file that holds something else.
    """

    def __init__(self, path: Path, compared: Mapping[str, str]) -> None:
        self.path = path
        self._head = {"holysheep_shadow": _VERSION, **compared}
        self._has_head = False
        self._pairs: dict[str, Pair] = {}
        self._load()

    def __len__(self) -> int:
        return len(self._pairs)

    def __contains__(self, key: str) -> bool:
        return key in self._pairs

    def __getitem__(self, key: str) -> Pair:
        return self._pairs[key]

    def add(self, key: str, pair: Pair) -> None:
        """Keeps a pair, on the disk too. Raises `HolySheepError` if it cannot be written."""
        line = json.dumps({"key": key, "old": pair.old.to_dict(), "new": pair.new.to_dict()}, ensure_ascii=False)
        head = "" if self._has_head else json.dumps(self._head, ensure_ascii=False) + "\n"
        try:
            with self.path.open("a", encoding="utf-8", newline="\n") as file:
                file.write(mask(f"{head}{line}\n"))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise HolySheepError(f"The results {self.path} cannot be written ({error.strerror}).") from None
        self._has_head = True
        self._pairs[key] = pair

    def _load(self) -> None:
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            raise UsageError(f"The results {self.path} cannot be read ({error.strerror}).") from None
        whole, _, cut = content.rpartition(b"\n")
        lines = whole.split(b"\n") if whole else []
        if lines:
            self._check_head(lines[0])
            for number, line in enumerate(lines[1:], 2):
                self._load_line(line, number)
        elif cut and not json.dumps(self._head, ensure_ascii=False).encode().startswith(cut):
            raise self._foreign()
        if cut:
            os.truncate(self.path, len(content) - len(cut))

    def _check_head(self, line: bytes) -> None:
        try:
            head = json.loads(line)
        except ValueError:
            raise self._foreign() from None
        if not isinstance(head, dict) or head.get("holysheep_shadow") != _VERSION:
            raise self._foreign()
        if head != self._head:
            changed = sorted(name for name in {*head, *self._head} if head.get(name) != self._head.get(name))
            raise UsageError(
                f"The results {self.path} compare something else ({', '.join(changed).replace('_', ' ')} differ): "
                "name another file with --results."
            )
        self._has_head = True

    def _load_line(self, line: bytes, number: int) -> None:
        try:
            given: dict[str, Any] = json.loads(line)
            pair = Pair(Answer.from_dict(given["old"]), Answer.from_dict(given["new"]))
            self._pairs[str(given["key"])] = pair
        except (ValueError, TypeError, KeyError):
            raise UsageError(f"{self.path}, line {number} cannot be read: take the line out.") from None

    def _foreign(self) -> UsageError:
        return UsageError(f"{self.path} holds no results of a comparison: name another file with --results.")
