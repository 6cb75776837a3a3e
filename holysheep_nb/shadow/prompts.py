"""Prompts to compare: a JSONL file, a request a line.

    {"prompt": "Why is the sky blue?"}
    {"messages": [{"role": "user", "content": "..."}], "model": "gpt-4o", "tools": [...], "temperature": 0}

Beside `prompt` or `messages` stand `system`, `model` and `label`; all else goes into the request as it is.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UsageError

_OWN = frozenset(["prompt", "messages", "system", "model", "label", "stream", "stream_options"])
_LABEL_CHARACTERS = 50


@dataclass(frozen=True)
class ShadowPrompt:
    """One request, for both sides.

    key          the same for the same request in another file or place; a request that stands there twice has two
    label        what it is called in the report
    model        the model it names, or ""
    parameters   what else is sent: tools, response_format, temperature and the like
    """

    key: str
    label: str
    messages: list[dict[str, Any]]
    model: str
    parameters: dict[str, Any]


def read_prompts(path: Path) -> list[ShadowPrompt]:
    """The prompts of a file. Raises `UsageError`, which names the line that is wrong."""
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except OSError as error:
        raise UsageError(f"The prompts {path} cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError:
        raise UsageError(f"The prompts {path} are not text in UTF-8.") from None
    prompts: list[ShadowPrompt] = []
    seen: Counter[str] = Counter()
    for number, line in enumerate(lines, 1):
        if line.strip():
            prompts.append(_read_line(line, f"{path.name}, line {number}", seen))
    if not prompts:
        raise UsageError(f'There is no prompt in {path}: write one a line, as in {{"prompt": "Hello"}}.')
    return prompts


def _read_line(line: str, place: str, seen: Counter[str]) -> ShadowPrompt:
    try:
        given = json.loads(line)
    except (ValueError, RecursionError):
        raise UsageError(f"{place} is not JSON.") from None
    if not isinstance(given, dict) or ("prompt" in given) == ("messages" in given):
        raise UsageError(f'{place} needs "prompt" or "messages", and not both.')
    for name in ("prompt", "system", "model", "label"):
        if not isinstance(given.get(name, ""), str):
            raise UsageError(f'{place}: "{name}" is a text.')
    messages = [{"role": "user", "content": given["prompt"]}] if "prompt" in given else given["messages"]
    if not isinstance(messages, list) or not messages or not all(isinstance(each, dict) for each in messages):
        raise UsageError(f'{place}: "messages" is a list of objects, as in [{{"role": "user", "content": "Hello"}}].')
    if given.get("system"):
        messages = [{"role": "system", "content": given["system"]}, *messages]
    parameters = {name: value for name, value in given.items() if name not in _OWN}
    model = given.get("model", "")
    digest = hashlib.sha256(json.dumps([messages, model, parameters], sort_keys=True).encode()).hexdigest()[:16]
    seen[digest] += 1
    key = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
    return ShadowPrompt(key, given.get("label") or _label(messages), messages, model, parameters)


def _label(messages: list[dict[str, Any]]) -> str:
    """The begin of what the user said last."""
    said = [each["content"] for each in messages if each.get("role") == "user" and isinstance(each.get("content"), str)]
    text = " ".join(said[-1].split()) if said else "(no text)"
    return text if len(text) <= _LABEL_CHARACTERS else f"{text[:_LABEL_CHARACTERS]}…"
