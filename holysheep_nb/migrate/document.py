"""A script or a notebook as one Python text with places, whatever the file looks like."""

from __future__ import annotations

import ast
import bisect
import io
import tokenize
from dataclasses import dataclass
from pathlib import Path

import libcst

from .cell import cover_magics
from .finding import Edit, apply_edits
from .notebook import NotebookText


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of the text: a cell, or a whole script. `is_python` is False for what cannot be read as Python."""

    start: int
    end: int
    cell: int | None
    is_code: bool
    is_python: bool


class Document:
    """What is in a file. Raises ValueError, with a sentence, for a file that cannot be read.

    source   the text as it is written; the cells of a notebook stand one below the other
    python   the same text, as long, in which only Python stands: magics and what is no Python are covered
    pieces   the parts of both
    """

    def __init__(self, path: Path, content: bytes) -> None:
        self.path = path
        self.content = content
        self._notebook: NotebookText | None = None
        self._encoding = "utf-8"
        if path.suffix == ".ipynb":
            self._read_notebook()
        else:
            self._read_script()
        self._starts = [piece.start for piece in self.pieces]

    def _read_script(self) -> None:
        try:
            self._encoding, _ = tokenize.detect_encoding(io.BytesIO(self.content).readline)
            self.source = self.content.decode(self._encoding)
        except (SyntaxError, UnicodeDecodeError, LookupError):
            raise ValueError("its encoding cannot be read") from None
        is_python = parses(self.source)
        self.python = self.source if is_python else _cover_all(self.source)
        self.pieces = [Piece(0, len(self.source), None, True, is_python)]

    def _read_notebook(self) -> None:
        try:
            self._notebook = NotebookText(self.content.decode("utf-8"))
        except UnicodeDecodeError:
            raise ValueError("its encoding cannot be read") from None
        except (ValueError, IndexError, RecursionError):
            raise ValueError("it is not a notebook of format 4") from None
        self.pieces = []
        sources, pythons, start = [], [], 0
        for cell in self._notebook.cells:
            covered = cover_magics(cell.source) if cell.is_code and self._notebook.language == "python" else None
            is_python = covered is not None and parses(covered)
            sources.append(cell.source)
            pythons.append(covered if covered is not None and is_python else _cover_all(cell.source))
            self.pieces.append(Piece(start, start + len(cell.source), cell.number, cell.is_code, is_python))
            start += len(cell.source) + 1
        self.source, self.python = "\n".join(sources), "\n".join(pythons)

    @property
    def is_notebook(self) -> bool:
        """True for a notebook, False for a script."""
        return self._notebook is not None

    @property
    def newline(self) -> str:
        """How lines end."""
        return "\r\n" if self._notebook is None and "\r\n" in self.source else "\n"

    def piece_at(self, offset: int) -> Piece:
        """The part that holds the character at `offset`."""
        return self.pieces[max(0, bisect.bisect_right(self._starts, offset) - 1)]

    def place(self, offset: int) -> tuple[int | None, int]:
        """The number of the cell (None in a script) and of the line there, from 1."""
        piece = self.piece_at(offset)
        return piece.cell, self.source.count("\n", piece.start, offset) + 1

    def text_of(self, piece: Piece) -> str:
        """What stands in a part."""
        return self.source[piece.start : piece.end]

    def edited(self, edits: list[Edit]) -> bytes:
        """The bytes of the file after edits of `source`. Raises ValueError where the outcome would not do."""
        edits = sorted({Edit(each.start, each.end, each.text.replace("\n", self.newline)) for each in edits})
        if self._notebook is None:
            return apply_edits(self.source, edits).encode(self._encoding)
        by_cell: dict[int, list[Edit]] = {}
        for edit in edits:
            piece = self.piece_at(edit.start)
            if edit.end > piece.end:
                raise ValueError("an edit crosses cells")
            moved = Edit(edit.start - piece.start, edit.end - piece.start, edit.text)
            by_cell.setdefault(piece.cell or 0, []).append(moved)
        return self._notebook.edited(by_cell).encode("utf-8")

    def parses_like(self, other: Document) -> bool:
        """True if every part that is Python there is Python here too."""
        return len(self.pieces) == len(other.pieces) and all(
            mine.is_python or not theirs.is_python for mine, theirs in zip(self.pieces, other.pieces, strict=True)
        )


def parses(text: str) -> bool:
    """True if the text is Python, for libcst and for this Python."""
    try:
        libcst.parse_module(text)
        compile(text, "<migrate>", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    except (libcst.ParserSyntaxError, SyntaxError, ValueError, RecursionError):
        return False
    return True


def _cover_all(text: str) -> str:
    return "".join(each if each in "\r\n" else " " for each in text)
