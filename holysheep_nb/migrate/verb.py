"""`%holysheep migrate ...`: the line read, and what it shows."""

from __future__ import annotations

import argparse
import asyncio
import os
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

from holysheep_nb.config import Settings
from holysheep_nb.errors import UsageError
from holysheep_nb.view import Page
from holysheep_nb.view.markdown import fenced

from . import plan, roll_back, write
from .estimate import estimate
from .journal import Rollback
from .options import NEWEST_JOURNAL, add_options, check_together
from .report import FileChange, Report

_OPEN_NOTEBOOK = "JPY_SESSION_NAME"
"""The variable in which Jupyter tells a kernel whose notebook it runs."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"%holysheep migrate: {message}.")


class MigrateLine:
    """What a line asks for: `work` away from the main thread, then `show` in the cell. Raises `UsageError`."""

    def __init__(self, line: str, settings: Settings, page: Page) -> None:
        self._given = _read(line)
        self._settings = settings
        self._page = page

    async def work(self) -> str:
        """The text to show, once it is done. Raises `HolySheepError`."""
        return await asyncio.to_thread(self._do)

    def show(self, text: str) -> None:
        """Shows it."""
        self._page.show_markdown(text)

    def _do(self) -> str:
        given = self._given
        if given.rollback is not None:
            return _rolled_back(roll_back(None if given.rollback == NEWEST_JOURNAL else given.rollback))
        parts = []
        if given.paths:
            base_url = {} if given.base_url is None else {"base_url": given.base_url}
            report = plan(given.paths, models=given.models, **base_url)
            parts.append(_written(report) if given.writes else _planned(report))
        if given.estimates:
            parts.append(estimate(given, self._settings).to_markdown())
        return "\n".join(parts)


def _read(line: str) -> argparse.Namespace:
    parser = _Parser(prog="%holysheep migrate", add_help=False, allow_abbrev=False)
    add_options(parser)
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise UsageError(f"The line cannot be read ({str(error).lower()}): check its quotes.") from None
    given = parser.parse_args(words)
    check_together(given)
    if not (given.paths or given.estimates or given.rollback is not None):
        raise UsageError("Name the files or folders to look at, as in: %holysheep migrate src notebooks.")
    return given


def _planned(report: Report) -> str:
    if not report.changes:
        return report.to_markdown()
    diff = fenced(report.diff(), "diff")
    return "\n".join(
        [
            report.to_markdown(),
            f"<details><summary>The diff</summary>\n\n{diff}\n\n</details>\n",
            "Nothing was written: `--write` does it.\n",
        ]
    )


def _written(report: Report) -> str:
    _refuse_open_notebook(report.changes)
    journal = write(report)
    if journal is None:
        return report.to_markdown()
    lines = [report.to_markdown(), f"Written: {_names(change.path for change in report.changes)}."]
    lines.append("`%holysheep migrate --rollback` goes back.")
    if any(change.keys for change in report.changes):
        lines.append("Until then the keys that were taken out are kept in a file beside the journal, for you alone.")
    return "\n".join(lines) + "\n"


def _refuse_open_notebook(changes: Iterable[FileChange]) -> None:
    """Raises `UsageError` if the notebook that this kernel runs would be rewritten behind its editor's back."""
    session = os.environ.get(_OPEN_NOTEBOOK, "")
    if not session:
        return
    for change in changes:
        is_same = os.path.realpath(change.path) == os.path.realpath(session)
        # Some servers give the path from their own folder on.
        is_named = not os.path.isabs(session) and change.path.name == Path(session).name
        if is_same or is_named:
            raise UsageError(
                f"{change.path} is open here, and what is not saved would be lost: save and close it, then run "
                f"`holysheep-nb migrate {change.path} --write` in a terminal. Nothing was written."
            )


def _rolled_back(done: Rollback) -> str:
    lines = [f"Restored: {_names(done.restored)}."] if done.restored else []
    for each in done.refused:
        lines.append(f"Left as it is, for it was edited or moved since: {_name(each.path)}\n")
        lines += [fenced(each.diff, "diff"), ""] if each.diff else []
    return "\n".join(lines) + "\n"


def _names(paths: Iterable[Path]) -> str:
    return ", ".join(map(_name, paths))


def _name(path: Path) -> str:
    """The path from here on, as it was given."""
    here = Path(os.path.realpath(Path.cwd()))
    real = Path(os.path.realpath(path))
    return f"`{real.relative_to(here) if real.is_relative_to(here) else path}`"
