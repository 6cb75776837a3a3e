"""Record what a transport moves, and replay it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import re
import time
from collections.abc import AsyncGenerator, Callable, Iterable
from pathlib import Path
from typing import Any

from ..errors import DisconnectedError, ProtocolError, StalledError, TransportError, UsageError
from ..keys import MIN_KEY_CHARACTERS
from ..masks import open_log, written_forms
from .base import Transport
from .cassette_file import Cassette, RecordedExchange, check_writable, difference, error_from_dict, error_to_dict

# Whoever stopped receiving did so after a silence, which a replay keeps, up to a limit.
_MAX_SILENCE_S = 10.0
_AFTER_SILENCE_S = 1.0

_log = open_log(__name__)


class RecordingTransport:
    """Records what `inner` moves, into a file that is written after each exchange and when it hangs up.

    path        where the cassette goes; a file that is there is replaced
    read_keys   gives the API keys, which are written as *** wherever they stand in what is moved
    """

    def __init__(
        self, inner: Transport, path: str | os.PathLike[str], read_keys: Callable[[], Iterable[str]] = tuple
    ) -> None:
        self.host = inner.host
        self.key_name = inner.key_name
        self.url_name = inner.url_name
        self.protocol = inner.protocol
        self.is_reusable = inner.is_reusable
        self.path = Path(path)
        self._inner = inner
        self._read_keys = read_keys
        self._cassette = Cassette(inner.protocol, inner.host, inner.key_name, inner.url_name)
        self._is_saved = True

    async def stream(self, *messages: dict[str, Any]) -> AsyncGenerator[str, None]:
        """What `inner` streams. Raises `UsageError`, and sends nothing, if the file cannot be written."""
        if not self._cassette.exchanges:
            check_writable(self.path)
        hidden = _hidden(self._read_keys())
        exchange = RecordedExchange(_as_recorded(messages, hidden))
        self._cassette.exchanges.append(exchange)
        self._is_saved = False
        began = time.monotonic()
        is_left = True
        try:
            async with contextlib.aclosing(self._inner.stream(*messages)) as payloads:
                async for payload in payloads:
                    exchange.received.append((_since(began), _without(hidden, payload)))
                    yield payload
            is_left = False
        except (TransportError, ProtocolError) as error:
            is_left = False
            exchange.error = _without(hidden, {"ms": _since(began), **error_to_dict(error)})
            raise
        finally:
            if is_left:
                exchange.left_after_ms = _since(began)
            try:
                self._save()
            except UsageError as error:
                # `hang_up` says so: here it would hide what ended the stream.
                _log.debug("%s", error)

    async def hang_up(self) -> None:
        """Lets `inner` hang up, and writes what is not written yet. Raises `UsageError`."""
        try:
            await self._inner.hang_up()
        finally:
            self._save()

    async def list_models(self) -> str:
        """What `inner` lists."""
        models = await self._inner.list_models()
        self._cassette.models = _without(_hidden(self._read_keys()), models)
        self._is_saved = False
        return models

    def _save(self) -> None:
        if not self._is_saved and self._cassette.exchanges:
            self._cassette.write(self.path)
            self._is_saved = True


class CassetteTransport:
    """Replays a cassette: the n-th call of `stream` plays the n-th exchange. Serves one run.

    speed       1.0 plays in the rhythm of the recording, 2.0 twice as fast, 0 at once
    read_keys   gives the API keys: where one is sent, *** was recorded

    Raises `UsageError` if the file is no cassette.
    """

    def __init__(
        self, path: str | os.PathLike[str], speed: float = 0.0, read_keys: Callable[[], Iterable[str]] = tuple
    ) -> None:
        if not (speed >= 0 and math.isfinite(speed)):
            raise UsageError(f"The speed of a cassette is 0 or more, not {speed:g}.")
        self.path = Path(path)
        self._cassette = Cassette.read(self.path)
        self._speed = speed
        self._read_keys = read_keys
        self._played = 0
        self.host = self._cassette.host
        self.key_name = self._cassette.key_name
        self.url_name = self._cassette.url_name
        self.protocol = self._cassette.protocol
        self.is_reusable = self.protocol == "sse"

    async def stream(self, *messages: dict[str, Any]) -> AsyncGenerator[str, None]:
        """The payloads that were recorded. Raises what was raised then, and `UsageError` if something else is sent."""
        exchange = self._next(_as_recorded(messages, _hidden(self._read_keys())))
        began = time.monotonic()
        for ms, payload in exchange.received:
            await self._wait_until(began, ms)
            yield payload
        if exchange.error is not None:
            await self._wait_until(began, exchange.error["ms"])
            raise error_from_dict(exchange.error)
        if exchange.left_after_ms is not None:
            last_ms = exchange.received[-1][0] if exchange.received else 0.0
            silence_s = max(0.0, exchange.left_after_ms - last_ms) / 1000
            await asyncio.sleep(min(silence_s, _MAX_SILENCE_S) + _AFTER_SILENCE_S)
            raise StalledError(f"The cassette {self.path} ends here: no more was received when it was recorded.")

    async def hang_up(self) -> None:
        """Nothing is kept open."""

    async def list_models(self) -> str:
        """The list of models that was asked for when the run was recorded."""
        if self._cassette.models is None:
            raise DisconnectedError(f"The cassette {self.path} holds no list of models.")
        return self._cassette.models

    def _next(self, sent: list[Any]) -> RecordedExchange:
        exchanges = self._cassette.exchanges
        if self._played == len(exchanges):
            raise UsageError(
                f"The cassette {self.path} holds no more than {len(exchanges)} "
                f"{'exchange' if len(exchanges) == 1 else 'exchanges'}: record it again."
            )
        exchange = exchanges[self._played]
        is_alone = len(exchange.sent) == len(sent) == 1
        if found := difference(exchange.sent[0], sent[0]) if is_alone else difference(exchange.sent, sent):
            raise UsageError(
                f"The cassette {self.path} was recorded with something else in exchange {self._played + 1}: {found}."
            )
        self._played += 1
        return exchange

    async def _wait_until(self, began: float, ms: float) -> None:
        left_s = began + ms / 1000 / self._speed - time.monotonic() if self._speed else 0.0
        await asyncio.sleep(max(0.0, left_s))


def _since(began: float) -> float:
    return round((time.monotonic() - began) * 1000, 1)


def _as_recorded(messages: tuple[dict[str, Any], ...], hidden: re.Pattern[str] | None) -> list[Any]:
    """What is sent, as the file holds it."""
    sent: list[Any] = _without(hidden, json.loads(json.dumps(messages)))
    return sent


def _hidden(keys: Iterable[str]) -> re.Pattern[str] | None:
    """What finds the keys, however often JSON within JSON has escaped them; None if there is nothing to hide."""
    forms = [written_forms(key) for key in sorted(keys, key=len, reverse=True) if len(key) >= MIN_KEY_CHARACTERS]
    return re.compile("|".join(forms)) if forms else None


def _without(hidden: re.Pattern[str] | None, value: Any) -> Any:
    """The same with *** for the keys."""
    if hidden is None:
        return value
    if isinstance(value, str):
        return hidden.sub("***", value)
    if isinstance(value, list):
        return [_without(hidden, each) for each in value]
    if isinstance(value, dict):
        return {_without(hidden, name): _without(hidden, each) for name, each in value.items()}
    return value
