"""The JSON text of a notebook, and edits in the sources of its cells that leave every other byte as it was."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any

from .finding import Edit, apply_edits

_SPACE = re.compile(r"[ \t\r\n]*")
_ESCAPE = re.compile(r"\\(?:u[dD][89abAB]..\\u[dD][c-fC-F]..|u....|.)")
_DECODER = json.JSONDecoder(strict=False)


@dataclass
class Cell:
    """A cell as it stands in the JSON text.

    number      from 1, among all cells
    is_code     True for code, False for markdown and raw cells
    source      what the cell holds
    begins      for each character of `source`, and for its end, where it begins in the JSON text
    ends        for each character, where it ends there; one shorter than `begins`
    closings    where the quote stands that closes a line of the list, or the one string
    separator   what stands between two lines of the list; None where the source is one string
    """

    number: int
    is_code: bool = False
    source: str = ""
    begins: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    closings: set[int] = field(default_factory=set)
    separator: str | None = None

    def json_edits(self, edits: list[Edit]) -> list[Edit]:
        """Edits of `source`, as edits of the JSON text."""
        return [self._json_edit(edit) for edit in edits]

    def _json_edit(self, edit: Edit) -> Edit:
        # What is put in goes before the next line; what is rewritten ends before the quote that closes its line.
        goes_on = edit.start == edit.end or not edit.text
        start = self.begins[edit.start]
        end = self.begins[edit.end] if goes_on else self.ends[edit.end - 1]
        escaped = json.dumps(edit.text, ensure_ascii=False)[1:-1]
        if self.separator is not None and "\\n" in escaped:
            lines = escaped.split("\\n")
            broken = f'\\n",{self.separator}"'.join(lines)
            if not lines[-1] and end in self.closings:
                broken = f'\\n",{self.separator}"'.join(lines[:-1]) + "\\n"
            escaped = broken
        return Edit(start, end, escaped)


class NotebookText:
    """The cells of a notebook with their places. Raises ValueError for what is not a notebook of format 4."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.content: Any = json.loads(text)
        if not isinstance(self.content, dict) or not isinstance(self.content.get("cells"), list):
            raise ValueError("it is not a notebook of format 4")
        self.cells: list[Cell] = []
        for key, start, _ in self._members(self._skip(0)):
            if key == "cells":
                self.cells = [self._cell(number, place) for number, place in enumerate(self._items(start), 1)]

    @property
    def language(self) -> str:
        """The language of the kernel, "python" where none is named."""
        metadata = self.content.get("metadata") or {}
        named = (metadata.get("kernelspec") or {}).get("language") or (metadata.get("language_info") or {}).get("name")
        return str(named or "python").lower()

    def edited(self, edits: dict[int, list[Edit]]) -> str:
        """The JSON text after edits in the sources of cells, by the cells' numbers."""
        return apply_edits(
            self.text, [each for cell in self.cells for each in cell.json_edits(edits.get(cell.number, []))]
        )

    def _skip(self, position: int) -> int:
        found = _SPACE.match(self.text, position)
        return found.end() if found else position

    def _value_end(self, position: int) -> int:
        return _DECODER.raw_decode(self.text, position)[1]

    def _members(self, position: int) -> list[tuple[str, int, int]]:
        """Key, begin and end of each value in the object at `position`."""
        members = []
        position = self._skip(position + 1)
        while self.text[position] != "}":
            key, position = scanstring(self.text, position + 1, False)
            start = self._skip(self._skip(position) + 1)
            end = self._value_end(start)
            members.append((key, start, end))
            position = self._skip(end)
            if self.text[position] == ",":
                position = self._skip(position + 1)
        return members

    def _items(self, position: int) -> list[int]:
        items = []
        position = self._skip(position + 1)
        while self.text[position] != "]":
            items.append(position)
            position = self._skip(self._value_end(position))
            if self.text[position] == ",":
                position = self._skip(position + 1)
        return items

    def _cell(self, number: int, position: int) -> Cell:
        cell = Cell(number)
        for key, start, end in self._members(position):
            if key == "cell_type":
                cell.is_code = self.text[start:end] == '"code"'
            elif key == "source":
                self._read_source(cell, start)
        return cell

    def _read_source(self, cell: Cell, position: int) -> None:
        strings = self._items(position) if self.text[position] == "[" else [position]
        if self.text[position] == "[":
            cell.separator = (self.text[position + 1 : strings[0]] if strings else "") or " "
        pieces = []
        closing = position
        for index, start in enumerate(strings):
            if index == 1:
                cell.separator = self.text[self.text.index(",", closing) + 1 : start]
            value, after = scanstring(self.text, start + 1, False)
            pieces.append(value)
            closing = after - 1
            cell.closings.add(closing)
            self._read_places(cell, start + 1, closing)
        cell.source = "".join(pieces)
        cell.begins.append(closing)

    def _read_places(self, cell: Cell, position: int, closing: int) -> None:
        while position < closing:
            found = _ESCAPE.match(self.text, position) if self.text[position] == "\\" else None
            end = found.end() if found else position + 1
            cell.begins.append(position)
            cell.ends.append(end)
            position = end
