"""What goes with a prompt: values of the notebook, and files."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .content.files import read_file
from .errors import UsageError
from .options import nearest
from .parts import ImagePart, TextPart, UserPart
from .prompts import evaluate, missing_names, parts_of_value, read_expression
from .view.markdown import fenced

MAX_FILES = 50
MAX_CHARACTERS = 400_000


@dataclass(frozen=True, slots=True)
class Attachment:
    """A value, and what it is called before the model. A `Path` stands for the file it names."""

    name: str
    value: Any


def find_attachments(words: Iterable[str], names: Mapping[str, Any]) -> list[Attachment]:
    """What `-a` names: a variable, a file, the files that match a pattern, or else the value of an expression.

    Raises `UsageError` for what is none of them.
    """
    return [found for word in words for found in _find(word, names)]


def read_attachments(attached: Any) -> list[UserPart]:
    """What a model reads of a list of attachments, and of values, which stand there without a name.

    Raises `UsageError` for what cannot be read, and for more text than goes with one prompt.
    """
    if not isinstance(attached, (list, tuple)):
        raise UsageError("What is attached is given as a list: attach=[value].")
    parts = [part for each in attached for part in _read(each)]
    characters = sum(len(part.text) for part in parts if isinstance(part, TextPart))
    if characters > MAX_CHARACTERS:
        raise UsageError(
            f"What is attached has {characters:,} characters, and {MAX_CHARACTERS:,} go with one prompt: attach less."
        )
    return parts


def _find(word: str, names: Mapping[str, Any]) -> list[Attachment]:
    if word in names:
        return [Attachment(word, names[word])]
    path = Path(os.path.expanduser(word))
    if word and _exists(path):
        return [Attachment(_called(path), path)]
    files = _matching(word) if glob.has_magic(word) else []
    if len(files) > MAX_FILES:
        raise UsageError(f"{word} matches {len(files):,} files, and {MAX_FILES} can be attached: name fewer.")
    if files:
        return [Attachment(_called(file), file) for file in files]
    expression = read_expression(word)
    if expression is None:
        raise UsageError(_nothing_called(word))
    missing = missing_names(expression, names)
    if missing:
        raise UsageError(_nothing_called(word) + nearest(missing[0], [name for name in names if name[0] != "_"]))
    return [Attachment(word, evaluate(expression, names))]


def _nothing_called(word: str) -> str:
    return f"There is nothing to attach called {word!r}: no variable, and no file."


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _matching(pattern: str) -> list[Path]:
    """The files that match, in order; none that a link leads to out of the folder that is searched."""
    pattern = os.path.expanduser(pattern)
    fixed = Path(*_before_wildcards(pattern)).resolve()
    found = [Path(each) for each in sorted(glob.glob(pattern, recursive=True))]
    return [path for path in found if path.is_file() and path.resolve().is_relative_to(fixed)]


def _before_wildcards(pattern: str) -> list[str]:
    parts = Path(pattern).parts
    wild = next((index for index, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    return list(parts[:wild])


def _called(path: Path) -> str:
    """The file as it is named before a model: where it stands in the notebook's folder, or its name alone."""
    try:
        return Path(os.path.abspath(path)).relative_to(Path.cwd()).as_posix()
    except ValueError:
        return path.name


def _read(each: Any) -> list[UserPart]:
    value = each.value if isinstance(each, Attachment) else each
    if isinstance(value, Path):
        return _read_file(value.expanduser())
    if isinstance(each, Attachment):
        return [TextPart(f"\n\n{each.name}:\n\n"), *_parts_of(each)]
    return [TextPart("\n\n"), *parts_of_value(value)]


def _read_file(path: Path) -> list[UserPart]:
    name = _called(path)
    content = read_file(path, name)
    if content.images:
        return [TextPart(f"\n\n{content.text}:"), *(ImagePart(url) for url in content.images)]
    return [TextPart(f"\n\n{name}:\n\n{fenced(content.text, '')}")]


def _parts_of(attachment: Attachment) -> list[UserPart]:
    try:
        return parts_of_value(attachment.value)
    except UsageError as error:
        raise UsageError(f"{attachment.name} cannot be attached. {error}") from None
