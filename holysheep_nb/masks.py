"""Keys out of everything that leaves towards a person or a file: the name of the variable stands in their place.

    errors.HolySheepError      sentence and details, whoever said them; `forget_frames` for tracebacks with variables
    wire.masked                what a server sends: answers, reasoning, calls, in pieces too; so traits and outputs
    execution                  what tools return, print and display
    view.frozen                the static output and its metadata, once more
    transports.cassette        recordings
    open_log, hide_in_logs     logs of this package, and of the libraries that write down what servers send

A prompt that holds a key is refused instead (`Chat.ask`). Not masked are: what a person prints on purpose; a key in
another form than plain text or JSON, such as base64; while an answer streams, a key in it that is written with
backslashes, up to the static output; and fewer than the first eight characters of one that comes in pieces.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import Any

from .keys import Key, known_keys

# So much of a key, at most, is let through before the rest is held back, until it is clear whether it is one.
_BEGINNING_CHARACTERS = 8
_CODE = re.compile(r"u00([0-9a-fA-F]{2})")


def mask(text: str) -> str:
    """The text with names in place of the known keys, as plain text or escaped in JSON."""
    for key in known_keys():
        text = _mask_one(key, text)
    return text


def mask_all(value: Any) -> Any:
    """The same for all text in JSON, the names of fields included."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, list | tuple):
        return [mask_all(each) for each in value]
    if isinstance(value, dict):
        return {mask_all(name): mask_all(each) for name, each in value.items()}
    return value


def mask_plainly(text: str) -> str:
    """The same for a text of which nothing is escaped, or escapes do not matter: fast."""
    for key in known_keys():
        if key.reveal() in text:
            text = text.replace(key.reveal(), key.mark)
    return text


def find_name(text: str) -> str:
    """The variable whose key stands in the text, or ""."""
    return next((key.name for key in known_keys() if _mask_one(key, text) != text), "")


def written_forms(value: str) -> str:
    """The pattern that finds a key however often JSON within JSON has escaped its characters."""
    return "".join(rf"\\{{0,8}}(?:{re.escape(character)}|(?i:u{ord(character):04x}))" for character in value)


def _mask_one(key: Key, text: str) -> str:
    text = text.replace(key.reveal(), key.mark)
    return _mask_escaped(key, text) if "\\" in text else text


def _mask_escaped(key: Key, text: str) -> str:
    # The pattern is slow, and hardly ever needed.
    bare = text.replace("\\", "")
    bare = _CODE.sub(lambda found: chr(int(found[1], 16)), bare)
    if key.reveal().replace("\\", "") not in bare:
        return text
    return re.sub(written_forms(key.reveal()), lambda _: key.mark, text)


class StreamMask:
    """Masks a text that comes in pieces, between any two of which a key may be cut.

    The beginning of a key is let through, and what follows it is held back until it is clear that it is no key.
    """

    def __init__(self, keys: Sequence[Key]) -> None:
        self._keys = keys
        self._beginnings = [_beginning(key) for key in keys]
        self._before = ""
        self._held = ""

    def feed(self, text: str) -> str:
        """What of the text so far can be shown, and was not given yet."""
        window, start = self._before + self._held + text, len(self._before)
        for beginning in self._beginnings:
            if beginning in window:
                shown, end = self._mask(window, start)
                self._before, self._held = window[:end][1 - _BEGINNING_CHARACTERS :], window[end:]
                return shown
        self._before, self._held = window[1 - _BEGINNING_CHARACTERS :], ""
        return window[start:]

    def rest(self) -> str:
        """What is still held, at the end of the text."""
        held, self._held = self._held, ""
        return held

    def _mask(self, window: str, start: int) -> tuple[str, int]:
        """What is shown of `window` from `start` on, and the place from which on it is held."""
        shown, after = "", 0
        while found := self._first_key(window, after):
            at, key = found
            shown += window[start : max(start, at)] + key.mark
            start = after = at + len(key.reveal())
        end = max(start, self._begins_to_be_a_key(window, after))
        return shown + window[start:end], end

    def _first_key(self, window: str, after: int) -> tuple[int, Key] | None:
        found = [(window.find(key.reveal(), after), key) for key in self._keys]
        return min((each for each in found if each[0] >= 0), key=lambda each: each[0], default=None)

    def _begins_to_be_a_key(self, window: str, after: int) -> int:
        """Where the end of the window begins that may become a key; its length if none does."""
        places = [
            len(window) - count
            for key in self._keys
            for count in range(len(_beginning(key)), len(key.reveal()))
            if count <= len(window) - after and window.endswith(key.reveal()[:count])
        ]
        return min(places, default=len(window))


def _beginning(key: Key) -> str:
    return key.reveal()[: min(_BEGINNING_CHARACTERS, len(key.reveal()) // 2)]


class _Masking(logging.Filter):
    """Masks records, and lets all of them pass."""

    def filter(self, record: logging.LogRecord) -> bool:
        said = record.getMessage()
        if (masked := mask(said)) != said:
            record.msg, record.args = masked, None
        if record.exc_info and record.exc_info[0] is not None:
            trace = logging.Formatter().formatException(record.exc_info)
            if (masked := mask(trace)) != trace:
                record.exc_info, record.exc_text = None, masked
        return True


_masking = _Masking()


def open_log(name: str) -> logging.Logger:
    """The log of a module of this package."""
    log = logging.getLogger(name)
    log.addFilter(_masking)
    return log


def hide_in_logs(*names: str) -> None:
    """Masks the known keys in the logs of libraries, each of which has to be named: a filter is not inherited."""
    for name in names:
        open_log(name)
