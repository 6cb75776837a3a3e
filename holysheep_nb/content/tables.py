"""Data frames and arrays as text: how large they are, of which types, their first values and their last."""

from __future__ import annotations

import re
import reprlib
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .values import count, in_own_words, type_name

MAX_ROWS = 50
MAX_COLUMNS = 12
MAX_CELL_CHARACTERS = 40

_SIZES = [(columns, rows) for columns in (MAX_COLUMNS, 8, 5, 3, 1) for rows in (MAX_ROWS, 20, 10, 6)]
_MAX_MEASURED_VALUES = 20_000_000
_MAX_ARRAY_VALUES = 60
_FLOAT_CHARACTERS = 12
_SPACES = re.compile(r"[\r\n\t]")
_ESCAPES = {"\r": "\\r", "\n": "\\n", "\t": "\\t"}

_brief = reprlib.Repr()
_brief.maxstring = _brief.maxother = MAX_CELL_CHARACTERS


@dataclass(frozen=True)
class Table:
    """The part of a table that may be shown, as text that is not escaped yet.

    title    what it is, and how large
    types    one per column: its name and type
    labels   the heads of the columns that name a row
    names    the heads of its first columns
    first, last   its first and its last rows, each with its labels in front; all rows are in `first` if there are few
    columns  how many it has
    """

    title: str
    types: Sequence[str]
    labels: Sequence[str]
    names: Sequence[str]
    first: Sequence[Sequence[str]]
    last: Sequence[Sequence[str]]
    columns: int

    def to_text(self, max_bytes: int) -> str:
        """Title, types and the values in Markdown: as many as go into `max_bytes` of UTF-8."""
        head = f"{self.title}\ntypes: {self._types(max_bytes // 4)}" if self.columns else self.title
        if not self.columns or not self.first:
            return head
        for columns, rows in _SIZES:
            text = f"{head}\n\n{self._markdown(columns, rows)}"
            if len(text.encode("utf-8", "replace")) <= max_bytes:
                return text
        return head

    def _types(self, max_bytes: int) -> str:
        shown, size = [], 0
        for each in self.types:
            size += len(each.encode("utf-8", "replace")) + 2
            if size > max_bytes:
                break
            shown.append(each)
        more = self.columns - len(shown)
        return ", ".join([*shown, f"… ({more:,} more)"] if more else shown)

    def _markdown(self, columns: int, rows: int) -> str:
        end = len(self.labels) + columns
        more = ["…"] if self.columns > columns else []
        head = [*self.labels, *self.names[:columns], *more]
        shown = [[*row[:end], *more] for row in self.first]
        if self.last or len(shown) > rows:
            last = [[*row[:end], *more] for row in self.last] or shown
            shown = [*shown[: rows // 2], ["…"] * len(head), *last[-(rows // 2) :]]
        return "\n".join(_line(row) for row in [head, ["---"] * len(head), *shown])


def describe_pandas(value: Any, max_bytes: int) -> str:
    """A pandas DataFrame or Series in at most `max_bytes` bytes of UTF-8, however large it is."""
    is_series = not hasattr(value, "columns")
    frame = value.to_frame("value" if value.name is None else value.name) if is_series else value
    rows, columns = frame.shape
    shown = frame.iloc[:, :MAX_COLUMNS]
    first, last = _ends(rows)
    labels = [_cell("" if name is None else name) for name in frame.index.names]
    table = Table(
        title=_title(value, rows, None if is_series else columns),
        types=[
            f"{_cell(name)} {dtype}" for name, dtype in zip(frame.columns[:100], frame.dtypes.iloc[:100], strict=True)
        ],
        labels=labels,
        names=[_cell(name) for name in shown.columns],
        first=_pandas_rows(shown.iloc[first], len(labels)),
        last=_pandas_rows(shown.iloc[last], len(labels)),
        columns=columns,
    )
    return table.to_text(max_bytes)


def describe_polars(value: Any, max_bytes: int) -> str:
    """A polars DataFrame or Series in at most `max_bytes` bytes of UTF-8, however large it is."""
    is_series = not hasattr(value, "columns")
    frame = value.to_frame() if is_series else value
    shown = frame.select(frame.columns[:MAX_COLUMNS])
    first, last = _ends(frame.height)
    table = Table(
        title=_title(value, frame.height, None if is_series else frame.width),
        types=[f"{_cell(name)} {dtype}" for name, dtype in zip(frame.columns, frame.dtypes, strict=True)],
        labels=[],
        names=[_cell(name) for name in shown.columns],
        first=[[_cell(each) for each in row] for row in shown[first].rows()],
        last=[[_cell(each) for each in row] for row in shown[last].rows()],
        columns=frame.width,
    )
    return table.to_text(max_bytes)


def describe_array(array: Any) -> str:
    """A numpy array of numbers or text: shape, type, smallest, largest and mean value, and its outermost values."""
    numpy = sys.modules["numpy"]
    shape = " × ".join(f"{side:,}" for side in array.shape)
    facts = [f"{type_name(array)}, {shape}", str(array.dtype), *_measures(array, numpy)]
    ends = 3 if array.ndim <= 2 else 1
    values = numpy.array2string(array, threshold=_MAX_ARRAY_VALUES, edgeitems=ends, max_line_width=100)
    return f"{', '.join(facts)}\n{values}"


def _measures(array: Any, numpy: Any) -> list[str]:
    if array.dtype.kind not in "iuf" or not 0 < array.size <= _MAX_MEASURED_VALUES:
        return []
    missing = int(numpy.isnan(array).sum()) if array.dtype.kind == "f" else 0
    if missing == array.size:
        return ["all NaN"]
    low, high, mean = numpy.nanmin(array), numpy.nanmax(array), numpy.nanmean(array, dtype=float)
    measures = [f"min {_cell(low.item())}", f"max {_cell(high.item())}", f"mean {mean:.6g}"]
    return [*measures, f"{missing:,} NaN"] if missing else measures


def _title(value: Any, rows: int, columns: int | None) -> str:
    size = count(rows, "value") if columns is None else f"{count(rows, 'row')} × {count(columns, 'column')}"
    return f"{type_name(value)}, {size}"


def _ends(rows: int) -> tuple[slice, slice]:
    """The first rows and the last, or all and none."""
    if rows <= MAX_ROWS:
        return slice(0, rows), slice(0, 0)
    return slice(0, MAX_ROWS // 2), slice(rows - MAX_ROWS // 2, rows)


def _pandas_rows(frame: Any, levels: int) -> list[list[str]]:
    labels = [frame.index.get_level_values(level) for level in range(levels)]
    columns = [frame.iloc[:, position] for position in range(frame.shape[1])]
    return [[_cell(each) for each in row] for row in zip(*labels, *columns, strict=True)]


def _cell(value: Any) -> str:
    """One value in one short line."""
    try:
        text = _text(value)
    except Exception as error:
        text = f"({type_name(value)}: {type(error).__name__})"
    text = _SPACES.sub(lambda found: _ESCAPES[found[0]], text[: 2 * MAX_CELL_CHARACTERS])
    return text if len(text) <= MAX_CELL_CHARACTERS else text[: MAX_CELL_CHARACTERS - 1] + "…"


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float):
        text = str(float(value))
        return {"nan": "NaN"}.get(text, text) if len(text) <= _FLOAT_CHARACTERS else f"{value:.6g}"
    if isinstance(value, tuple):
        return ", ".join(_cell(each) for each in value[:10])
    if isinstance(value, (list, dict, set, frozenset)):
        return _brief.repr(value)
    text = str(value)
    return in_own_words(value) if text.startswith("<") else text


def _line(cells: Iterable[str]) -> str:
    return "| {} |".format(" | ".join(cell.replace("|", "\\|") for cell in cells))
