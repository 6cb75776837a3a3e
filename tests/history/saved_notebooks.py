"""Notebooks as they are saved, without a kernel: cells whose outputs are frozen runs."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import nbformat

from holysheep_nb.conversation import TextPart, Turn
from holysheep_nb.events import Event
from holysheep_nb.run import Request, Run
from holysheep_nb.view.frozen import frozen_bundle


async def _nothing(_turn: Turn) -> AsyncGenerator[Event, None]:
    return
    yield


def version(text: str, prompt: str = "") -> list[Turn]:
    """A prompt and a whole answer."""
    answer = Turn("assistant", [TextPart(text)], "raw", "stop")
    return [Turn.user(prompt or f"{text}?"), answer]


def run_of(turns: list[Turn], cell: str, **request: Any) -> Run:
    run = Run(Request(turns[0].text, "raw", {}, "api.test", cell=cell, **request), turns, _nothing)
    run.status = "complete"
    return run


def output_of(turns: list[Turn], cell: str, **request: Any) -> Any:
    data, metadata = frozen_bundle(run_of(turns, cell, **request))
    return nbformat.v4.new_output("display_data", data, metadata=metadata)


def cell_of(key: str, source: str = "%%holysheep\nHi", *outputs: Any) -> Any:
    cell = nbformat.v4.new_code_cell(source, outputs=list(outputs))
    cell["id"] = key
    return cell


def answered(key: str, text: str, **request: Any) -> Any:
    """A cell that shows its answer."""
    return cell_of(key, f"%%holysheep\n{text}?", output_of(version(text), key, **request))


def save(path: Path, *cells: Any) -> Path:
    nbformat.write(nbformat.v4.new_notebook(cells=list(cells)), path)
    return path
