"""The errors that cells have raised, for a prompt to name: `{{Err[3]}}`, and `{{Err}}` for the last one."""

from __future__ import annotations

import os
import traceback
from typing import Any

from .content import cut
from .errors import HolySheepError, UsageError
from .execution import describe_error
from .kernel import name_code

MAX_FAILURES = 50
MAX_CODE_BYTES = 6000
MAX_TRACEBACK_BYTES = 4000

_MAX_FRAMES_BELOW = 4


class Failure:
    """The error of one cell, as a model reads it. `str` of it is that text."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __str__(self) -> str:
        return self._text

    def _repr_markdown_(self) -> str:
        return self._text


class Failures:
    """The last errors of cells, each with the cell's code and a short traceback without paths of this machine.

    `failures[3]` is that of execution 3, `failures[-1]` the last one. A prompt reads the whole as the last one.
    """

    def __init__(self) -> None:
        self._kept: dict[int, Failure] = {}

    def note(self, result: Any) -> None:
        """A cell has ended: keeps its error, if it is the notebook's own. For IPython's `post_run_cell`."""
        error = result.error_before_exec or result.error_in_exec
        number = result.execution_count
        if number is None or not isinstance(error, Exception) or isinstance(error, HolySheepError):
            return
        # What is kept is text: an error holds on to every variable of its frames.
        self._kept.pop(number, None)
        self._kept[number] = Failure(_describe(number, getattr(result.info, "raw_cell", ""), error))
        while len(self._kept) > MAX_FAILURES:
            self._kept.pop(next(iter(self._kept)))

    def __getitem__(self, number: int) -> Failure:
        if not self._kept:
            raise UsageError("No cell has raised an error yet.")
        found = self._kept.get(number) if number >= 0 else dict(enumerate(reversed(self._kept.values()))).get(~number)
        if found is None:
            raise UsageError(f"There is no Err[{number}]: the cells that raised errors are {self._numbers()}.")
        return found

    def __repr__(self) -> str:
        return f"<the errors of the cells {self._numbers()}>" if self._kept else "<no errors>"

    def _repr_markdown_(self) -> str:
        return str(self[-1])

    def _numbers(self) -> str:
        return ", ".join(str(number) for number in self._kept)


def _describe(number: int, code: str, error: Exception) -> str:
    try:
        said = f"{type(error).__name__}: {error.msg}" if isinstance(error, SyntaxError) else describe_error(error)
        lines = [*_frames(error), *_place_of_syntax_error(error), said]
        trace = "\n".join(lines)
    except Exception:
        # The error's own code may fail, as to say what it is.
        trace = type(error).__name__
    return (
        f"Cell In[{number}]:\n\n{cut(code.strip(), MAX_CODE_BYTES)}\n\nIt raised:\n\n{_end(trace, MAX_TRACEBACK_BYTES)}"
    )


def _frames(error: Exception) -> list[str]:
    """The lines of the notebook's own code, and the last ones below them, each with where it stands."""
    frames = traceback.extract_tb(error.__traceback__)
    modules = [str(frame.f_globals.get("__name__")) for frame, _ in traceback.walk_tb(error.__traceback__)]
    is_own = [_is_cell(frame.filename) for frame in frames]
    first = is_own.index(True) if True in is_own else len(frames)
    below = [index for index in range(first, len(frames)) if not is_own[index]][-_MAX_FRAMES_BELOW:]
    shown = [index for index in range(first, len(frames)) if is_own[index] or index in below]
    return [_frame(frames[index], modules[index]) for index in shown]


def _frame(frame: traceback.FrameSummary, module: str) -> str:
    place = name_code(frame.filename) if _is_cell(frame.filename) else module
    return f"  {place}, line {frame.lineno}, in {frame.name}\n    {frame.line or ''}".rstrip()


def _place_of_syntax_error(error: Exception) -> list[str]:
    if not isinstance(error, SyntaxError) or error.lineno is None:
        return []
    name = error.filename or ""
    place = name_code(name) if _is_cell(name) else os.path.basename(name)
    return [f"  {place}, line {error.lineno}\n    {(error.text or '').strip()}".rstrip()]


def _is_cell(file_name: str) -> bool:
    return not name_code(file_name).startswith('"')


def _end(text: str, max_bytes: int) -> str:
    """The last of it: what failed stands at the end."""
    data = text.encode("utf-8", "replace")
    kept = data[-max_bytes:].decode("utf-8", "ignore")
    return kept if len(data) <= max_bytes else f"(cut: the last {max_bytes:,} bytes)\n{kept}"
