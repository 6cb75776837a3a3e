"""A file as a model reads it: text in UTF-8, or an image."""

from __future__ import annotations

import codecs
import stat
from pathlib import Path

from ..errors import UsageError
from . import Content, cut
from .image_files import data_url, identify

MAX_TEXT_BYTES = 100_000
MAX_READ_BYTES = 50_000_000


def read_file(path: Path, name: str) -> Content:
    """What is in a file: its text, or an image and which one. Of a longer text, the first 100,000 bytes.

    name   what the file is called in the text, and in the sentences of errors

    Raises `UsageError` for what is no file, cannot be read, or is neither text nor an image.
    """
    data, size = _read(path, name)
    image = identify(data)
    if image is not None:
        try:
            return Content(f"{name} ({image})", (data_url(data, image),))
        except ValueError as error:
            raise UsageError(f"The image {name} cannot be attached: {error}.") from None
    if data.startswith(b"%PDF-"):
        raise UsageError(f"{name} is a PDF, which cannot be attached: take its text in a cell, and attach that.")
    return Content(_text(data, size, name))


def _read(path: Path, name: str) -> tuple[bytes, int]:
    """The bytes, or the first of them, and how many there are."""
    try:
        found = path.stat()
        if stat.S_ISDIR(found.st_mode):
            raise UsageError(f"{name} is a folder: name files in it, as in '{name}/*.py'.")
        if not stat.S_ISREG(found.st_mode):
            raise UsageError(f"{name} is no file that can be read to its end: write what it gives into one.")
        with path.open("rb") as file:
            return file.read(MAX_READ_BYTES), found.st_size
    except FileNotFoundError:
        raise UsageError(f"There is no file {name}.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"The file {name} cannot be read: {reason}.") from None


def _text(data: bytes, size: int, name: str) -> str:
    begins = data[:MAX_TEXT_BYTES]
    is_whole = len(begins) == size
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(begins, final=is_whole)
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise UsageError(f"{name} is neither text in UTF-8 nor a PNG, JPEG, GIF or WebP image: convert it first.")
    return cut(text, MAX_TEXT_BYTES, None if is_whole else f" of {size:,}")
