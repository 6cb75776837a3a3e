"""A saved notebook: where its file is, and the exchanges in the metadata of its outputs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from ..conversation import Exchange, Turn
from ..errors import HolySheepError
from ..masks import open_log
from .saved import SavedAnswer, read_answer

_log = open_log(__name__)

MAX_FILE_BYTES = 64 * 1024 * 1024
MAX_CELLS = 10_000
_MAGIC = "%%holysheep"


@dataclass(frozen=True, slots=True)
class SavedNotebook:
    """What was read of a notebook.

    exchanges    one for each cell that asks a model, in the notebook's order; without turns where no answer is saved
    saved_at     when the file was written, on the local clock
    unreadable   how many cells show an answer that could not be read back
    """

    exchanges: list[Exchange] = field(default_factory=list)
    saved_at: datetime = datetime.min
    unreadable: int = 0

    @property
    def name(self) -> str:
        """What it is, in words."""
        is_today = self.saved_at.date() == datetime.now().date()
        return f"the notebook as saved at {self.saved_at:{'%H:%M' if is_today else '%H:%M on %Y-%m-%d'}}"


def find_notebook() -> Path | None:
    """The file of the notebook whose kernel this is, as Jupyter Server names it; None where nothing names one.

    The file need not exist: a notebook may have been renamed since its kernel was started.
    """
    name = os.environ.get("JPY_SESSION_NAME", "")
    if not name.endswith(".ipynb"):
        return None
    path = Path(name)
    # Some servers give the path from their own root; a kernel is started in its notebook's folder.
    return path if path.is_absolute() or path.exists() else Path.cwd() / path.name


def read_notebook(path: Path) -> SavedNotebook:
    """The exchanges of a notebook's outputs. Raises `HolySheepError` if there is no notebook to read."""
    try:
        size, changed = path.stat().st_size, path.stat().st_mtime
        if size > MAX_FILE_BYTES:
            raise HolySheepError(f"The saved notebook {path.name} is larger than {MAX_FILE_BYTES // 2**20} MB.")
        notebook = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise HolySheepError(f"The saved notebook {path.name} cannot be read ({error.strerror}).") from None
    except (ValueError, RecursionError):
        raise HolySheepError(f"The saved notebook {path.name} cannot be read: it is no JSON.") from None
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list):
        raise HolySheepError(f"The saved notebook {path.name} cannot be read: it has no cells.")
    read, unreadable = _read_cells([cell for cell in cells[:MAX_CELLS] if isinstance(cell, dict)])
    saved_at = datetime.fromtimestamp(changed)
    found = SavedNotebook([], saved_at, unreadable)
    for exchange in read:
        exchange.source = found.name if exchange.turns else ""
    return SavedNotebook(read, saved_at, unreadable)


def _read_cells(cells: list[dict[str, Any]]) -> tuple[list[Exchange], int]:
    """The exchanges, and how many cells show one that could not be read."""
    ids = {cell["id"] for cell in cells if isinstance(cell.get("id"), str)}
    exchanges: dict[str, Exchange] = {}
    asked_at: dict[str, str] = {}
    chosen: list[SavedAnswer] = []
    unreadable = 0
    for index, cell in enumerate(cells):
        answers, is_readable = _read_outputs(index, cell)
        unreadable += not is_readable
        key = cell.get("id")
        chosen += [answer for answer in answers if answer.chosen_at and answer.cell != key]
        if not _source(cell).lstrip().startswith(_MAGIC):
            continue
        # A copied cell shows what another one said, which is sent once.
        own = [answer for answer in answers if answer.cell == key or answer.cell not in ids]
        key = key if isinstance(key, str) else own[-1].cell if own else ""
        if not key or key in exchanges:
            continue
        exchanges[key] = _exchange(key, own[-1]) if own else Exchange(key, [])
        asked_at[key] = own[-1].asked_at if own else ""
    for answer in sorted(chosen, key=lambda answer: answer.chosen_at):
        if answer.cell in exchanges and answer.chosen_at > asked_at[answer.cell]:
            _choose_again(exchanges[answer.cell], answer)
    return list(exchanges.values()), unreadable


def _read_outputs(index: int, cell: dict[str, Any]) -> tuple[list[SavedAnswer], bool]:
    """The answers that a cell shows, and whether all of them could be read."""
    answers, is_readable = [], True
    for data, metadata in _outputs(cell):
        try:
            answer = read_answer(data, metadata)
        except (ValueError, RecursionError) as problem:
            _log.warning("the answer in cell %d of the saved notebook is left out: %s", index + 1, problem)
            is_readable = False
            continue
        if answer is not None:
            answers.append(answer)
    return answers, is_readable


def _outputs(cell: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Data and metadata of each output of a code cell."""
    outputs = cell.get("outputs")
    if cell.get("cell_type") == "code" and isinstance(outputs, list):
        for output in outputs:
            if isinstance(output, dict):
                yield output.get("data"), output.get("metadata")


def _source(cell: dict[str, Any]) -> str:
    source = cell.get("source")
    if isinstance(source, list):
        source = "".join(line for line in source if isinstance(line, str))
    return source if isinstance(source, str) and cell.get("cell_type") == "code" else ""


def _exchange(key: str, answer: SavedAnswer) -> Exchange:
    position = None if answer.position == len(answer.branches) else answer.position
    return Exchange(key, answer.turns, answer.starts_afresh, answer.branches, position, answer.label)


def _choose_again(exchange: Exchange, answer: SavedAnswer) -> None:
    """Checks out the version that says what the chosen one does, if it was kept."""
    said = _said(answer.turns)
    for number, version in reversed(list(enumerate(exchange.versions, 1))):
        if _said(version) == said:
            exchange.check_out(number)
            return


def _said(turns: list[Turn]) -> list[str]:
    return [turn.text for turn in turns]
