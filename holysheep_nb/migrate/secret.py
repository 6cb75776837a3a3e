"""Keys in texts: what looks like one, what kind it is, and texts without them."""

from __future__ import annotations

import re
from collections.abc import Iterable

# Beyond `sk-` or `hs-`: mixed letters and digits as in a random text, or a long run of them as in a hash.
PATTERN = re.compile(
    r"(?<![A-Za-z0-9_-])(?:sk|hs)-"
    r"(?:(?=[A-Za-z0-9_-]*[A-Z])(?=[A-Za-z0-9_-]*[0-9])(?=[A-Za-z0-9_-]*[a-z])[A-Za-z0-9_-]{16,}"
    r"|(?:[A-Za-z]+[0-9]*-)*(?=[A-Za-z]*[0-9])[A-Za-z0-9]{24,})"
    r"(?![A-Za-z0-9_-])"
)
REMOVED = "(key removed)"

_KINDS = [("sk-ant-", "Anthropic key"), ("sk-or-", "OpenRouter key"), ("sk-", "OpenAI key"), ("hs-", "HolySheep key")]


def find_keys(text: str) -> list[tuple[int, int]]:
    """Where something that looks like a key stands in the text."""
    return [found.span() for found in PATTERN.finditer(text)]


def kind_of(key: str) -> str:
    """Whose key it is, by its first letters: all that is ever shown of one."""
    return next((kind for start, kind in _KINDS if key.startswith(start)), "API key")


def is_secret(value: str) -> bool:
    """True for a value given as a key that can be one: not for "EMPTY", "ollama" or ""."""
    return bool(PATTERN.fullmatch(value)) or (len(value) >= 16 and value.isprintable() and " " not in value)


def redact(text: str, keys: Iterable[str] = ()) -> str:
    """The text without the given keys, and without anything that looks like one."""
    for key in sorted(set(keys), key=len, reverse=True):
        text = text.replace(key, REMOVED)
    return PATTERN.sub(REMOVED, text)
