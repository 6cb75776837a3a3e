"""What an output's metadata keeps of the other versions of its cell: so much that a new kernel can go on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from ..conversation import Turn
from ..run import Request

MOST_BRANCHES = 5
MAX_BRANCHES_BYTES = 100_000


def versions_metadata(request: Request) -> dict[str, Any]:
    """The newest branches that fit, oldest first, and how many of them are older than the run; {} if there are none."""
    kept = sorted(_fitting(request.branches))
    if not kept:
        return {}
    older = sum(index < request.version - 1 for index, _ in kept)
    return {"branches": [turns for _, turns in kept], "position": older}


def version_note(request: Request) -> str:
    """Which version of its cell this is, or "" if there is one."""
    return f"version {request.version} of {len(request.branches) + 1}" if request.branches else ""


def _fitting(branches: Sequence[Sequence[Turn]]) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Those that fit, each with its index, newest first."""
    left = MAX_BRANCHES_BYTES
    for index in reversed(range(max(0, len(branches) - MOST_BRANCHES), len(branches))):
        turns = [_slim(turn.to_dict()) for turn in branches[index]]
        left -= len(json.dumps(turns))
        if left < 0:
            return
        yield index, turns


def _slim(turn: dict[str, Any]) -> dict[str, Any]:
    """The same without images and what only the person saw of a call."""
    for part in turn["parts"]:
        match part["type"]:
            case "image":
                part["url"] = ""
            case "tool_call":
                part["question"] = None
            case "tool_result":
                part["images"], part["shown"], part["details"] = [], [], ""
    return turn
