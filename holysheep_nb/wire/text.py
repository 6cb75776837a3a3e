"""Text as servers send it, made fit to be shown and sent on."""

from __future__ import annotations

from typing import Any

_EXCERPT_CHARACTERS = 200


def read_text(value: Any) -> str:
    """The text in a field that may be missing, null, or a list of `{"text": ...}`. Raises `TypeError`."""
    return sendable(read_raw_text(value))


def read_raw_text(value: Any) -> str:
    """The same, with lone surrogates left as they are."""
    if value is None:
        return ""
    if isinstance(value, list):
        return "".join(read_raw_text(item.get("text")) for item in value)
    if not isinstance(value, str):
        raise TypeError(f"text expected, not {type(value).__name__}")
    return value


def sendable(text: str) -> str:
    """The text without lone surrogates, which are legal in JSON and cannot be sent on as UTF-8."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


class PairJoiner:
    """Half a surrogate pair waits for its other half: some servers cut their text between them."""

    def __init__(self) -> None:
        self._held = ""

    def join(self, text: str) -> str:
        """What of the text so far is whole, and was not given yet."""
        if self._held:
            text, self._held = self._held + text, ""
        if text and "\ud800" <= text[-1] <= "\udbff":
            text, self._held = text[:-1], text[-1]
        return sendable(text)


def excerpt(text: str) -> str:
    """The beginning of a text, for a sentence about it."""
    return text if len(text) <= _EXCERPT_CHARACTERS else text[:_EXCERPT_CHARACTERS] + "…"
