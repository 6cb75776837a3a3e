"""Each recorded stream gives the same events, wherever the network cuts it."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from holysheep_nb.agent import respond
from holysheep_nb.errors import HolySheepError
from holysheep_nb.transports.sse import SSETransport

STREAMS = Path(__file__).parent / "streams"
NAMES = sorted(path.stem for path in STREAMS.glob("*.sse"))


class Pieces(httpx.AsyncByteStream):
    """A body that comes in these pieces."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            yield piece


class Wire:
    """An endpoint whose answers come in given pieces, without a socket."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.transport = SSETransport(
            "https://api.test/v1", lambda: "key", http_transport=httpx.MockTransport(self.answer)
        )

    def answer(self, _request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-type": "text/event-stream"}, stream=Pieces(self.pieces))

    async def events(self, pieces: list[bytes]) -> list[list[Any]]:
        """Each event as its name and its fields; an error as its name and its sentence."""
        self.pieces = pieces
        events: list[list[Any]] = []
        try:
            async for event in respond(self.transport, {"model": "m"}):
                events.append([type(event).__name__, *dataclasses.astuple(event)])
        except HolySheepError as error:
            events.append([type(error).__name__, str(error)])
        return events


def expected_events(name: str) -> list[list[Any]]:
    return json.loads((STREAMS / f"{name}.events.json").read_text("utf-8"))


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_stream_gives_its_events(name: str) -> None:
    stream = (STREAMS / f"{name}.sse").read_bytes()
    assert asyncio.run(Wire().events([stream])) == expected_events(name)


@pytest.mark.parametrize("name", NAMES)
def test_a_stream_cut_at_any_byte_gives_the_same_events(name: str) -> None:
    stream, expected = (STREAMS / f"{name}.sse").read_bytes(), expected_events(name)

    async def cut_everywhere() -> None:
        wire = Wire()
        for at in range(len(stream) + 1):
            assert await wire.events([stream[:at], b"", stream[at:]]) == expected, f"cut at byte {at}"

    asyncio.run(cut_everywhere())


@pytest.mark.parametrize("name", NAMES)
def test_a_stream_in_single_bytes_gives_the_same_events(name: str) -> None:
    stream = (STREAMS / f"{name}.sse").read_bytes()
    pieces = [stream[at : at + 1] for at in range(len(stream))]
    assert asyncio.run(Wire().events(pieces)) == expected_events(name)


def test_every_recorded_stream_has_its_events_beside_it() -> None:
    assert sorted(path.name.removesuffix(".events.json") for path in STREAMS.glob("*.events.json")) == NAMES
    assert len(NAMES) >= 17
