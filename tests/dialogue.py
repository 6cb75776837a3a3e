"""The dialogue that every way to a model must give the same transcript of: a tool, a question, and what comes of it.

The model thinks, says "I look them up." and calls `find` for two cities at once, of which one is unknown; told so, it
says "Only Paris is.".
"""

from __future__ import annotations

import json
from typing import Any

from holysheep_nb import Chat, Run, tool

PROMPT = "Where are they?"
ARGUMENTS = [{"city": "Paris"}, {"city": "Atlantis"}]
RESULTS = ['{"lat": 48.9}', "LookupError: there is no Atlantis"]
USAGE = [(10, 20), (40, 5)]

_CALL = {"type": "tool_call", "name": "find", "state": "done", "edited": "", "question": None}
_RESULT = {"type": "tool_result", "images": [], "shown": []}
PARTS: list[dict[str, Any]] = [
    {"type": "reasoning", "text": "Two cities."},
    {"type": "text", "text": "I look them up."},
    {**_CALL, "call_id": "id_0", "arguments": ARGUMENTS[0]},
    {**_CALL, "call_id": "id_1", "arguments": ARGUMENTS[1]},
    {**_RESULT, "call_id": "id_0", "outcome": "ok", "text": RESULTS[0]},
    {**_RESULT, "call_id": "id_1", "outcome": "error", "text": RESULTS[1]},
    {"type": "text", "text": "Only Paris is."},
]
TRANSCRIPT: dict[str, Any] = {
    "role": "assistant",
    "model": "raw",
    "finish_reason": "stop",
    "usage": {"input_tokens": 50, "output_tokens": 25},
    "skipped": [],
    "route_changed": "",
    "parts": PARTS,
}


@tool(safe=True)
def find(city: str) -> dict[str, Any]:
    """Where a city is."""
    if city != "Paris":
        raise LookupError(f"there is no {city}")
    return {"lat": 48.9}


async def ask(model: str = "m", **options: Any) -> Run:
    """The run of the dialogue."""
    return await Chat(model=model, tools=[find]).ask(PROMPT, show=False, **options)


def transcript(run: Run) -> dict[str, Any]:
    """The answer without times and tracebacks, which are never the same."""
    data = run.turn.to_dict()
    for part in data["parts"]:
        part.pop("seconds", None)
        part.pop("details", None)
        if part["type"] == "tool_call":
            part["arguments"] = json.loads(part["arguments"])
    return data
