"""What a scan found: as a table, as markdown, as JSON and as a diff, and never with a key in it."""

from __future__ import annotations

import difflib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .document import Document
from .finding import Finding
from .secret import redact

CERTAINTIES = ("exact", "review", "manual")


@dataclass(frozen=True)
class FileChange:
    """A file that would be rewritten: its bytes now, and its bytes then. `keys` are what is taken out."""

    path: Path
    old: bytes = field(repr=False)
    new: bytes = field(repr=False)
    keys: tuple[str, ...] = field(default=(), repr=False)

    def diff(self) -> str:
        """A unified diff without keys; of a notebook, of each cell's source."""
        before, after = Document(self.path, self.old), Document(self.path, self.new)
        pieces = []
        for old, new in zip(before.pieces, after.pieces, strict=True):
            name = str(self.path) if old.cell is None else f"{self.path}, cell {old.cell}"
            pieces.append(unified_diff(name, before.text_of(old), after.text_of(new), self.keys))
        return "".join(pieces)


@dataclass(frozen=True)
class Report:
    """What was found, and the files that `write` would rewrite.

    files      how many files were looked at
    findings   what they hold, file by file
    changes    the files that would change
    """

    files: int
    findings: tuple[Finding, ...]
    changes: tuple[FileChange, ...]

    @property
    def counts(self) -> dict[str, int]:
        """How many findings there are of each certainty."""
        counted: Counter[str] = Counter(finding.certainty for finding in self.findings)
        return {each: counted[each] for each in CERTAINTIES}

    @property
    def summary(self) -> str:
        """One sentence."""
        if not self.findings:
            return f"Nothing to move in {_count(self.files, 'file')}."
        parts = ", ".join(f"{count} {name}" for name, count in self.counts.items() if count)
        changed = _count(len(self.changes), "file")
        return (
            f"{_count(len(self.findings), 'finding')} ({parts}) in {_count(self.files, 'file')}; {changed} to rewrite."
        )

    def diff(self) -> str:
        """The diff of every file that would change."""
        return "".join(change.diff() for change in self.changes)

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON takes it."""
        return {
            "files": self.files,
            "counts": self.counts,
            "findings": [finding.to_dict() for finding in self.findings],
            "changes": [str(change.path) for change in self.changes],
        }

    def to_markdown(self) -> str:
        """The report as a table, a row for each finding."""
        lines = [self.summary]
        if self.findings:
            lines += ["", "| place | what | how sure | now | then | why |", "|---|---|---|---|---|---|"]
        for each in self.findings:
            cells = [each.place, each.kind, each.certainty, _code(each.before), _code(each.after or ""), each.reason]
            lines.append("| " + " | ".join(cell if cell[:1] == "`" else _cell(cell) for cell in cells) + " |")
        return "\n".join(lines) + "\n"

    def to_text(self) -> str:
        """The report for a terminal: a line for each finding, and its reason below."""
        width = max((len(each.place) for each in self.findings), default=0)
        kind = max((len(each.kind) for each in self.findings), default=0)
        lines = []
        for each in self.findings:
            lines.append(
                f"{each.place:<{width}}  {each.certainty:<6}  {each.kind:<{kind}}  {_first_line(each)}".rstrip()
            )
            if each.reason:
                lines.append(f"{'':<{width}}          {each.reason}")
        return "\n".join([*lines, self.summary]) + "\n"


def unified_diff(name: str, before: str, after: str, keys: tuple[str, ...] = ()) -> str:
    """The unified diff of two texts, without the keys in either."""
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), f"{name} (now)", f"{name} (then)"
    )
    text = "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end\n" for line in lines)
    return redact(text.replace("\r\n", "\n"), keys)


def colour(diff: str) -> str:
    """The diff with the colours of a terminal."""
    colours = {"+++": "1", "---": "1", "@@": "36", "+": "32", "-": "31"}
    lines = []
    for line in diff.splitlines():
        code = next((code for start, code in colours.items() if line.startswith(start)), "")
        lines.append(f"\033[{code}m{line}\033[0m" if code else line)
    return "\n".join(lines) + "\n" if lines else ""


def _first_line(finding: Finding) -> str:
    return finding.before.split("\n", 1)[0].strip()[:60]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _code(text: str) -> str:
    line = " ".join(text.split())
    line = line if len(line) <= 80 else f"{line[:79]}…"
    fence = "``" if "`" in line else "`"
    padding = " " if fence == "``" else ""
    return f"{fence}{padding}{line}{padding}{fence}".replace("|", "\\|") if line else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
