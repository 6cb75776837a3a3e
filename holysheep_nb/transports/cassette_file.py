"""The file of a recorded run, JSON without the key:

{"version": 1, "protocol": "sse" or "ws", "host": ..., "key_name": ..., "url_name": ..., "models": null or text,
 "exchanges": [                     one for each call of `stream`
   {"sent": [message, ...],
    "received": [[ms, payload], ...],               ms since the call
    "error": null or {"ms", "class", "sentence", "details", and of a status "status_code", "body", "headers"},
    "left_after_ms": null or ms}    when the client stopped receiving; null if the stream came to its end
 ]}
"""

from __future__ import annotations

import json
import math
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import (
    ConnectionFailedError,
    DisconnectedError,
    HolySheepError,
    ProtocolError,
    StalledError,
    StatusError,
    TransportError,
    UsageError,
)

_VERSION = 1
_URL_NAMES = {"sse": "HOLYSHEEP_BASE_URL", "ws": "HOLYSHEEP_WS_URL"}
_ERRORS = {
    kind.__name__: kind
    for kind in (TransportError, ConnectionFailedError, StalledError, DisconnectedError, StatusError, ProtocolError)
}
# Of the headers of a refusal, those that say what to do. Others may hold what is nobody else's, such as cookies.
_KEPT_HEADERS = ("location", "retry-after")
_EXCERPT_CHARACTERS = 60


@dataclass
class RecordedExchange:
    """One call of `stream`. See the file's form above."""

    sent: list[Any]
    received: list[tuple[float, str]] = field(default_factory=list)
    error: dict[str, Any] | None = None
    left_after_ms: float | None = None


@dataclass
class Cassette:
    """What the file holds."""

    protocol: str
    host: str
    key_name: str
    url_name: str
    models: str | None = None
    exchanges: list[RecordedExchange] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """Writes the file, whole or not at all. Raises `UsageError`."""
        beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            try:
                beside.write_bytes(self._to_text().encode())
                os.replace(beside, path)
            finally:
                beside.unlink(missing_ok=True)
        except (OSError, ValueError) as error:
            raise _unwritable(path, error) from error

    def _to_text(self) -> str:
        """The JSON, a line for each payload."""
        head = {
            "version": _VERSION,
            "protocol": self.protocol,
            "host": self.host,
            "key_name": self.key_name,
            "url_name": self.url_name,
            "models": self.models,
        }
        exchanges = ",\n".join(
            f'{{"sent": {_dumps(each.sent)},\n"received": [\n'
            + ",\n".join(_dumps(list(item)) for item in each.received)
            + f'\n],\n"error": {_dumps(each.error)}, "left_after_ms": {_dumps(each.left_after_ms)}}}'
            for each in self.exchanges
        )
        return f'{_dumps(head)[:-1]}, "exchanges": [\n{exchanges}\n]}}\n'

    @classmethod
    def read(cls, path: Path) -> Cassette:
        """What `write` wrote. Raises `UsageError`."""
        try:
            data = json.loads(path.read_bytes())
        except OSError as error:
            raise UsageError(f"The cassette {path} cannot be read ({error.strerror or error}).") from error
        # ValueError: neither JSON nor UTF-8, or a path that cannot be one.
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{path} is no cassette: it is not JSON.", details=str(error)) from error
        if isinstance(data, dict) and isinstance(data.get("version"), int) and data["version"] > _VERSION:
            raise UsageError(f"The cassette {path} was made by a newer version of this package: update it.")
        try:
            return cls._from_data(data)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise UsageError(
                f"{path} is no cassette: it does not have the form of one.", details=repr(error)
            ) from error

    @classmethod
    def _from_data(cls, data: Any) -> Cassette:
        if data["version"] != _VERSION:
            raise ValueError("its version is not known")
        protocol = data["protocol"]
        return cls(
            protocol,
            _checked(data["host"], str),
            _checked(data.get("key_name", "HOLYSHEEP_API_KEY"), str),
            _checked(data.get("url_name", _URL_NAMES[protocol]), str),
            None if data.get("models") is None else _checked(data["models"], str),
            [
                RecordedExchange(
                    _checked(each["sent"], list),
                    [(_milliseconds(ms), _checked(payload, str)) for ms, payload in each["received"]],
                    None if each.get("error") is None else _checked_error(each["error"]),
                    None if each.get("left_after_ms") is None else _milliseconds(each["left_after_ms"]),
                )
                for each in _checked(data["exchanges"], list)
            ],
        )


def error_to_dict(error: HolySheepError) -> dict[str, Any]:
    """What is recorded of an error of a transport, but for its time."""
    kind = next(kind.__name__ for kind in type(error).__mro__ if kind.__name__ in _ERRORS)
    data: dict[str, Any] = {"class": kind, "sentence": str(error), "details": error.details}
    if isinstance(error, StatusError):
        headers = {name: error.headers[name] for name in _KEPT_HEADERS if name in error.headers}
        data |= {"status_code": error.status_code, "body": error.body, "headers": headers}
    return data


def error_from_dict(data: dict[str, Any]) -> HolySheepError:
    """The error again, of the same class and with the same sentence."""
    if data["class"] == StatusError.__name__:
        return StatusError(_checked(data["status_code"], int), _checked(data["body"], str), data["headers"])
    kind = _ERRORS[data["class"]]
    return kind(_checked(data["sentence"], str), details=_checked(data["details"], str))  # type: ignore[call-arg]


def _checked_error(data: dict[str, Any]) -> dict[str, Any]:
    error_from_dict(data)
    return {**data, "ms": _milliseconds(data["ms"])}


def _checked(value: Any, kind: type[Any]) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{kind.__name__} expected, not {type(value).__name__}")
    return value


def _milliseconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ValueError(f"{value!r} is no time")
    return float(value)


def _dumps(value: Any) -> str:
    """JSON that is UTF-8, lone surrogates included."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value)
    return text


def check_writable(path: Path) -> None:
    """Raises `UsageError` if there is no writing at `path`."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        if path.is_dir():
            raise IsADirectoryError("it is a folder")
        beside.touch()
        beside.unlink()
    except (OSError, ValueError) as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: Exception) -> UsageError:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return UsageError(f"The cassette {path} cannot be written ({reason}).")


def difference(recorded: Any, sent: Any, place: str = "") -> str:
    """The first difference, in words, or "". The order of keys is none."""
    if isinstance(recorded, dict) and isinstance(sent, dict):
        for name in [*recorded, *(name for name in sent if name not in recorded)]:
            inner = f"{place}.{name}" if place else name
            if name not in sent:
                return f"{inner} was {_excerpt(recorded[name])}, and now is missing"
            if name not in recorded:
                return f"{inner} was missing, and now is {_excerpt(sent[name])}"
            if found := difference(recorded[name], sent[name], inner):
                return found
        return ""
    if isinstance(recorded, list) and isinstance(sent, list):
        for index, (one, other) in enumerate(zip(recorded, sent, strict=False)):
            if found := difference(one, other, f"{place}[{index}]"):
                return found
        if len(recorded) != len(sent):
            return f"{place or 'the messages'} had {len(recorded)} items, and now {len(sent)}"
        return ""
    if type(recorded) is type(sent) and recorded == sent:
        return ""
    if isinstance(recorded, str) and isinstance(sent, str):
        # From shortly before the first character that differs.
        pairs = enumerate(zip(recorded, sent, strict=False))
        same = next((index for index, (one, other) in pairs if one != other), min(len(recorded), len(sent)))
        start = max(0, same - _EXCERPT_CHARACTERS // 2)
        return f"{place} was {_excerpt(recorded, start)}, and now is {_excerpt(sent, start)}"
    return f"{place or 'the message'} was {_excerpt(recorded)}, and now is {_excerpt(sent)}"


def _excerpt(value: Any, start: int = 0) -> str:
    text = value[start:] if isinstance(value, str) else value
    shown = _dumps(text)
    if len(shown) > _EXCERPT_CHARACTERS:
        shown = shown[:_EXCERPT_CHARACTERS] + "…"
    return f"…{shown}" if start else shown
