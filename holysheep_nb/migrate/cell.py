"""A cell's code with its magics and shell lines covered, each by Python of the same length."""

from __future__ import annotations

import io
import re
import tokenize

CODE_MAGICS = frozenset(["time", "timeit", "capture", "prun", "memit", "mprun", "lprun"])
"""Cell magics whose cell is Python below the first line."""

_CELL_MAGIC = re.compile(r"\s*%%(\w+)")
_TIMED = re.compile(r"(\s*)(%(?:time|timeit|prun|memit)\s+)(?!-)(?=\S)")
_ASSIGNED = re.compile(r"(\s*[\w.,\s]+=\s*)([!%](?!=).*)$")
_ESCAPED = re.compile(r"(\s*)([!%?].*)$")
_HELP = re.compile(r"(\s*)([\w.%*]+\?{1,2}\s*)$")


def cell_magic(source: str) -> str | None:
    """The name of the `%%magic` that the cell begins with, or None."""
    found = _CELL_MAGIC.match(source)
    return found[1] if found else None


def cover_magics(source: str) -> str | None:
    """Text of the same length and lines in which only Python stands; None for a cell that is not Python.

    What IPython takes for itself becomes `0` and spaces; what it times stays, behind `if 1:`.
    """
    magic = cell_magic(source)
    if magic is not None and magic not in CODE_MAGICS:
        return None
    covered: list[str] = []
    runs_on = magic is not None
    for number, line in enumerate(source.splitlines(keepends=True)):
        body = line.rstrip("\r\n")
        end = line[len(body) :]
        if runs_on:
            shown = body if number and not _is_blank(covered) else " " * len(body)
            runs_on = body.endswith("\\") and not shown.strip()
            covered.append(shown + end)
            continue
        shown = _cover(body)
        if shown != body and _is_inside(covered):
            shown = body
        runs_on = shown != body and body.endswith("\\")
        covered.append(shown + end)
    return "".join(covered)


def _is_blank(lines: list[str]) -> bool:
    return not lines[-1].strip() or lines[-1].strip() == "0"


def _cover(line: str) -> str:
    if found := _TIMED.match(line):
        return found[1] + "if 1:".ljust(len(found[2])) + line[found.end() :]
    for pattern in (_ESCAPED, _HELP, _ASSIGNED):
        if found := pattern.match(line):
            return found[1] + "0".ljust(len(line) - len(found[1]))
    return line


def _is_inside(lines: list[str]) -> bool:
    """True where the lines so far leave a string or a bracket open."""
    if lines and lines[-1].rstrip("\r\n").endswith("\\"):
        return True
    try:
        list(tokenize.generate_tokens(io.StringIO("".join(lines)).readline))
    except tokenize.TokenError:
        return True
    except (SyntaxError, IndentationError):
        return False
    return False
