"""One value of the notebook: of which kind it is, and what it says of itself."""

from __future__ import annotations

import inspect
import io
import math
import re
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import date, time, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import partial
from pathlib import PurePath
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any
from uuid import UUID

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_FUNCTIONS = (FunctionType, BuiltinFunctionType, MethodType, partial)
_WRITTEN_AS_TEXT = (Decimal, Fraction, PurePath, UUID, timedelta)


def is_a(value: Any, module: str, name: str) -> bool:
    """Whether it is an instance of a class whose module is loaded. Imports nothing."""
    kind = getattr(sys.modules.get(module), name, None)
    return isinstance(kind, type) and isinstance(value, kind)


def type_name(value: Any) -> str:
    """The name of its class, without its module."""
    return type(value).__name__


def a_or_an(noun: str) -> str:
    """The noun with its article."""
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"


def count(number: int, noun: str) -> str:
    """So many of them: "1 row", "1,000 rows"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def refusal(value: Any) -> tuple[str, str] | None:
    """What the value is, and what to do about it, if it has no content to read. A coroutine is closed."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return count(memoryview(value).nbytes, "byte"), "decode them to text, or make an image of them"
    if isinstance(value, type):
        return None
    if inspect.iscoroutine(value):
        value.close()
        return "a coroutine", "await it, and take what it gives"
    if inspect.isawaitable(value):
        return f"{a_or_an(type_name(value))} that is still to be awaited", "await it, and take what it gives"
    if isinstance(value, io.IOBase):
        return "an open file", "read it, and take its text"
    if isinstance(value, (Iterator, AsyncIterator)):
        return a_or_an(type_name(value).replace("_", " ")), "make a list of its items"
    if isinstance(value, _FUNCTIONS):
        return "a function", "call it, and take what it gives"
    if isinstance(value, ModuleType):
        return "a module", "take what you need of it"
    return None


def finite_or_text(value: float) -> float | str:
    """The number, or its name where JSON has none for it."""
    if math.isfinite(value):
        return float(value)
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def in_own_words(value: Any) -> str:
    """The value as text: what it shows in a notebook if that is text, or else its `repr`, without addresses.

    Raises what the value's own code does.
    """
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, _WRITTEN_AS_TEXT):
        return str(value)
    markdown = _shown(value, "_repr_markdown_")
    if markdown is not None:
        return markdown
    text = _ADDRESS.sub("", repr(value))
    has_no_words = text.startswith("<") and text.endswith(" object>")
    html = _shown(value, "_repr_html_") if has_no_words else None
    return text if html is None else html


def _shown(value: Any, name: str) -> str | None:
    method = getattr(type(value), name, None)
    text = method(value) if callable(method) and not isinstance(value, type) else None
    return text if isinstance(text, str) else None
