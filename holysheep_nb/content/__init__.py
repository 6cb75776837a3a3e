"""What a value of the notebook is to a model: text, and images beside it.

No library is imported for it: a value of one means that its library is there already.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set, ValuesView
from enum import Enum
from typing import Any

from ..errors import UsageError
from . import images, tables
from .values import a_or_an, count, finite_or_text, in_own_words, is_a, refusal, type_name

MAX_BYTES = 20_000
MAX_TABLE_BYTES = 2000
MAX_IMAGES = 8

_MAX_DEPTH = 100
_MAX_INTEGER_BITS = 14_000
_MAX_LISTED_ITEMS = 100
_MAX_REASON_CHARACTERS = 200
_COST_OF_ITEM = 50
_COLLECTIONS = (Sequence, Set, ValuesView)


@dataclasses.dataclass(frozen=True)
class Content:
    """What a model reads. `images` are data URLs, in the order in which the text names them."""

    text: str
    images: tuple[str, ...] = ()


def to_content(value: Any, max_bytes: int = MAX_BYTES) -> Content:
    """The value as a model reads it best.

    Text stays as it is. Numbers, dicts, lists, dataclasses, pydantic models and the like become JSON, in which what
    JSON has no word for is a string. Data frames and arrays are described in at most 2,000 bytes, with their first and
    last values; figures and images become PNG. Anything else is its `repr`.

    The text has at most `max_bytes` bytes of UTF-8; what was cut, it says. It can always be encoded.
    Raises `UsageError`, and no other `Exception`, for what has no content to read: bytes, iterators, coroutines,
    functions, modules.
    """
    if type(value) is Content:
        return value
    reader = _Reader(max_bytes)
    text = reader.read(value)
    return Content(cut(text, max_bytes, _extent(value) if reader.is_cut else None), tuple(reader.images))


def cut(text: str, max_bytes: int, longer: str | None = None) -> str:
    """The text in at most `max_bytes` bytes of UTF-8, with a note where it was longer.

    longer   what the text is the beginning of, when it is not whole to begin with
    """
    data = text.encode("utf-8", "replace")
    if longer is None and len(data) <= max_bytes:
        return data.decode("utf-8")
    whole = f" of {len(data):,} bytes" if longer is None else f" bytes{longer}"
    room = max(0, max_bytes - len(f"\n(cut: the first {max_bytes:,}{whole})".encode("utf-8", "replace")))
    kept = data[:room].decode("utf-8", "ignore")
    return f"{kept}\n(cut: the first {len(kept.encode('utf-8')):,}{whole})"


class _Reader:
    """Reads one value. Its images, and the tables within it, are gathered on the way.

    is_cut   True when the value is longer than what was read
    """

    def __init__(self, max_bytes: int) -> None:
        self.images: list[str] = []
        self.is_cut = False
        self._left = max_bytes * _COST_OF_ITEM
        self._table_bytes = min(max_bytes, MAX_TABLE_BYTES)
        self._above: list[int] = []
        self._blocks: list[str] = []
        self._named: dict[int, tuple[Any, str]] = {}

    def read(self, value: Any) -> str:
        """The value as text. The tables that are in it follow. Raises `UsageError` if it has no content to read."""
        text: str = self._guarded(self._read, value)
        return text

    def _read(self, value: Any) -> str:
        if isinstance(value, str) and not isinstance(value, Enum):
            return str.__str__(value)
        refused = refusal(value)
        if refused:
            raise UsageError("A model cannot read {}: {}.".format(*refused))
        plain = self._block(value) or self._plain(value)
        text = plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)
        return "\n\n".join([text, *(f"[{number}] {block}" for number, block in enumerate(self._blocks, start=1))])

    def _guarded(self, read: Callable[[Any], Any], value: Any) -> Any:
        """What `read` makes of it, or a sentence when the value's own code fails."""
        try:
            return read(value)
        except UsageError:
            raise
        except Exception as error:
            return f"({type_name(value)}: it cannot be read: {type(error).__name__})"

    def _plain(self, value: Any) -> Any:
        """The value made of what JSON has words for."""
        self._left -= _COST_OF_ITEM
        return self._guarded(self._plain_unguarded, value)

    def _plain_unguarded(self, value: Any) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, Enum):
            return self._plain(value.value)
        if isinstance(value, str):
            return self._string(str.__str__(value))
        if isinstance(value, int):
            return int(value) if value.bit_length() <= _MAX_INTEGER_BITS else self._string(hex(value))
        if isinstance(value, float):
            return finite_or_text(value)
        refused = refusal(value)
        if refused:
            return f"({refused[0]})"
        if is_a(value, "pydantic", "BaseModel"):
            return self._plain(_dump(value))
        if is_a(value, "numpy", "generic") or (is_a(value, "numpy", "ndarray") and not value.ndim):
            return self._scalar(value)
        picture = self._picture(value)
        if picture is not None:
            return picture
        items = self._items(value)
        if items is not None:
            return self._collection(value, items)
        block = self._block(value)
        if block is not None:
            return self._below(block)
        return self._string(in_own_words(value))

    def _scalar(self, value: Any) -> Any:
        """A single value of numpy: Python's own, or its text where Python has none."""
        item = value.item()
        has_no_other = is_a(item, "numpy", "generic") or value.dtype.kind in "mM"
        return self._string(str(value)) if has_no_other else self._plain(item)

    def _string(self, text: str) -> str:
        self.is_cut |= len(text) > self._left
        text = text[: max(0, self._left)]
        self._left -= len(text)
        return text

    def _items(self, value: Any) -> Iterable[Any] | Mapping[Any, Any] | None:
        """What a collection is made of: a mapping for what has names. A dataclass shows the fields of its `repr`."""
        if isinstance(value, type):
            return None
        if dataclasses.is_dataclass(value):
            return {field.name: getattr(value, field.name) for field in dataclasses.fields(value) if field.repr}
        if isinstance(value, Mapping):
            return value
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return dict(zip(value._fields, value, strict=True))
        if isinstance(value, Sequence) and hasattr(value, "keys"):
            return {name: value[name] for name in value.keys()}  # noqa: SIM118 - a row of sqlite3, no dict
        if isinstance(value, (set, frozenset)):
            return _sorted(value)
        if isinstance(value, _COLLECTIONS):
            return value
        if is_a(value, "numpy", "ndarray") and value.ndim and value.size <= _MAX_LISTED_ITEMS:
            return value.tolist()  # type: ignore[no-any-return]
        return None

    def _collection(self, value: Any, items: Iterable[Any] | Mapping[Any, Any]) -> Any:
        if id(value) in self._above:
            return f"(the {type_name(value)} that this is in)"
        if len(self._above) == _MAX_DEPTH:
            return f"({type_name(value)}: too deep to be read)"
        self._above.append(id(value))
        try:
            if isinstance(items, Mapping):
                return {self._key(key): self._plain(each) for key, each in self._while_there_is_room(items.items())}
            return [self._plain(each) for each in self._while_there_is_room(items)]
        finally:
            self._above.pop()

    def _while_there_is_room(self, items: Iterable[Any]) -> Iterator[Any]:
        for each in items:
            if self._left <= 0:
                self.is_cut = True
                return
            yield each

    def _key(self, key: Any) -> str:
        plain = self._plain(key)
        return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)

    def _block(self, value: Any) -> str | None:
        """A table or an array in lines of its own."""
        if is_a(value, "pandas.io.formats.style", "Styler"):
            value = value.data
        if is_a(value, "pandas", "DataFrame") or is_a(value, "pandas", "Series"):
            return tables.describe_pandas(value, self._table_bytes)
        if is_a(value, "polars", "DataFrame") or is_a(value, "polars", "Series"):
            return tables.describe_polars(value, self._table_bytes)
        if is_a(value, "numpy", "ndarray") and value.ndim and not value.dtype.hasobject:
            return cut(tables.describe_array(value), self._table_bytes)
        return None

    def _below(self, block: str) -> str:
        self._left -= len(block) * _COST_OF_ITEM
        self._blocks.append(block)
        return f"(see [{len(self._blocks)}] below)"

    def _picture(self, value: Any) -> str | None:
        """The words that stand for an image, which is taken; None if the value is none."""
        source = _figure(value) or value
        if id(source) in self._named:
            return self._named[id(source)][1]
        noun = "an image"
        encode: Callable[[Any], images.Picture]
        if is_a(source, "matplotlib.figure", "Figure"):
            noun, data, encode = "a figure", source, images.draw_figure
        elif is_a(source, "PIL.Image", "Image"):
            data, encode = source, images.encode_image
        else:
            data, encode = _own_png(value), images.read_png
        if data is None:
            return None
        if len(self.images) == MAX_IMAGES:
            return f"({noun} that is left out: only the first {MAX_IMAGES} are shown)"
        try:
            picture = encode(data)
        except ValueError as error:
            return f"({noun} that cannot be shown: {str(error)[:_MAX_REASON_CHARACTERS]})"
        self.images.append(picture.url)
        self._named[id(source)] = (source, f"(image {len(self.images)})")
        number = f"image {len(self.images)}: " if self._above else ""
        return f"({number}{noun}, {picture.width} × {picture.height})"


def _extent(value: Any) -> str:
    """What a cut text is the beginning of, as far as the value says."""
    try:
        return f" of {a_or_an(type_name(value))} of {count(len(value), 'item')}"
    except Exception:
        return ""


def _sorted(values: Iterable[Any]) -> list[Any]:
    """In order, so that the same set always reads the same."""
    try:
        return sorted(values)
    except TypeError:
        return list(values)


def _dump(model: Any) -> Any:
    """A pydantic model as pydantic writes it to JSON, or with the values it cannot write as they are."""
    try:
        return model.model_dump(mode="json")
    except Exception:
        return model.model_dump()


def _figure(value: Any) -> Any:
    """The matplotlib figure that the value is, or is drawn on; None if there is none."""
    figure = value
    for _ in range(4):
        if is_a(figure, "matplotlib.figure", "Figure"):
            return figure
        if not (is_a(figure, "matplotlib.artist", "Artist") or is_a(figure, "seaborn.axisgrid", "Grid")):
            return None
        figure = figure.figure
    return None


def _own_png(value: Any) -> bytes | None:
    """The image that the value shows in a notebook, if that is PNG."""
    method = getattr(type(value), "_repr_png_", None)
    data = method(value) if callable(method) and not isinstance(value, type) else None
    data = data[0] if isinstance(data, tuple) and data else data
    return data if isinstance(data, bytes) else None
