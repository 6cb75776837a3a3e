"""The scripts and notebooks below the paths that were given."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from pathspec import GitIgnoreSpec

from holysheep_nb.errors import UsageError

SUFFIXES = (".py", ".ipynb")
_SKIPPED = frozenset(["node_modules", "__pycache__", "site-packages", ".ipynb_checkpoints"])

_Rules = list[tuple[Path, GitIgnoreSpec]]


def find_files(paths: Iterable[Path]) -> list[Path]:
    """Every .py and .ipynb file, each once, in order. Raises `UsageError` for a path that is not there.

    A file that is named is taken. In folders, what .gitignore leaves out is left out, and so are hidden
    folders and virtual environments.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            for each in _walk(path, _rules_above(path)):
                found[each] = None
        elif not path.is_file():
            raise UsageError(f"There is no file or folder {path}.")
        elif path.suffix not in SUFFIXES:
            raise UsageError(f"{path} is neither a .py nor an .ipynb file.")
        else:
            found[path] = None
    return list(found)


def _rules_above(folder: Path) -> _Rules:
    """The .gitignore files from the root of the repository down to above `folder`; none outside of one."""
    absolute = Path(os.path.abspath(folder))
    above: _Rules = []
    if (absolute / ".git").exists():
        return above
    for parent in absolute.parents:
        above = [*_rules_of(parent), *above]
        if (parent / ".git").exists():
            return above
    return []


def _rules_of(folder: Path) -> _Rules:
    file = folder / ".gitignore"
    if not file.is_file():
        return []
    return [(folder, GitIgnoreSpec.from_lines(file.read_text("utf-8", "replace").splitlines()))]


def _walk(folder: Path, rules: _Rules) -> Iterator[Path]:
    rules = [*rules, *_rules_of(Path(os.path.abspath(folder)))]
    try:
        entries = sorted(os.scandir(folder), key=lambda each: each.name)
    except OSError as error:
        raise UsageError(f"The folder {folder} cannot be read ({error.strerror}).") from None
    for entry in entries:
        path = folder / entry.name
        if entry.is_dir(follow_symlinks=False):
            is_left_out = entry.name.startswith(".") or entry.name in _SKIPPED or (path / "pyvenv.cfg").exists()
            if not is_left_out and not _is_ignored(path, rules, "/"):
                yield from _walk(path, rules)
        elif path.suffix in SUFFIXES and entry.is_file() and not _is_ignored(path, rules):
            yield path


def _is_ignored(path: Path, rules: _Rules, end: str = "") -> bool:
    """What git would say: the last rule that speaks of the path decides."""
    absolute = Path(os.path.abspath(path))
    is_ignored = False
    for folder, spec in rules:
        said = spec.check_file(absolute.relative_to(folder).as_posix() + end).include
        if said is not None:
            is_ignored = said
    return is_ignored
