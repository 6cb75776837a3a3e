"""The script engine: plays given text and tool calls, or a recorded stream, at a given rate. Never a silent stand-in.

Its models are called `script` or `script-…`, its responses carry `"system_fingerprint": "script"` and the
header `X-HolySheep-Engine: script`. What a script file says is in `holysheep_nb.local.script_file`.

`max_tokens`, temperature, `tools`, `tool_choice` and the like change nothing: what is written is played.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from pathlib import Path

from pydantic import JsonValue

from holysheep_nb.local.engine import (
    ROLE_DELTA,
    Cut,
    EngineEvent,
    Finished,
    Recorded,
    Usage,
    context_error,
)
from holysheep_nb.local.request import ChatRequest, RefusedRequestError
from holysheep_nb.local.script_file import ScriptAnswer, ScriptModel, ScriptRound, read_script

DEFAULT_DELTAS_PER_S = 50.0
_EVENT_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_CALL_ID = re.compile(r"call_(\d+)_\d+")
_BREATHER = 64
"""Deltas after which an unlimited rate lets the loop see that the client has left."""


class ScriptEngine:
    """Plays a script; without one the model `script` says what it was told.

    `deltas_per_s` is the rate of answers that have none of their own; 0 is as fast as possible.
    """

    name = "script"
    fingerprint = "script"
    owned_by = "script"

    def __init__(self, path: Path | None = None, *, deltas_per_s: float = DEFAULT_DELTAS_PER_S) -> None:
        self._models: dict[str, ScriptModel] = {}
        self._folder = Path()
        if path is not None:
            script, self._folder = read_script(path)
            self._models = script.models
        self._deltas_per_s = deltas_per_s
        self._used: Counter[tuple[str, int]] = Counter()

    @property
    def models(self) -> Sequence[str]:
        """The script's models, then `script`, which says what it was told."""
        return list(dict.fromkeys([*self._models, "script"]))

    async def answer(self, request: ChatRequest) -> AsyncGenerator[EngineEvent, None]:
        """Plays the answer that matches, in the round that the conversation is in; refused (400) without one."""
        self._check_length(request)
        index, answer = self._choose(request)
        script = answer.round(request.rounds)
        if script is None:
            raise RefusedRequestError(
                f"The script of {request.model} has nothing to say after the results of round {request.rounds}.",
                code="no_scripted_answer",
            )
        if script.error is not None:
            error = script.error
            sentence = f"The script answers with HTTP status {error.status}."
            raise RefusedRequestError(sentence, status_code=error.status, body=error.body, headers=error.headers)
        if script.stream is not None and not request.stream:
            raise RefusedRequestError(
                "A recorded stream is played only with stream: true.", param="stream", code="invalid_value"
            )
        yield ROLE_DELTA if script.stream is None else Recorded(b"")  # the status line, before any silence
        last = min((n for n in (script.stop_after, script.cut_after) if n is not None), default=None)
        played = 0
        async with aclosing(self._pace(script, self._events(script, index, request))) as events:
            async for event in events:
                if played == last:
                    break
                yield event
                played += 1
        if played != last and script.stream is None:
            yield Finished(script.reason, _usage(script, request, played))
        elif played == script.stop_after:
            await asyncio.Event().wait()
        elif played == script.cut_after:
            yield Cut()

    def close(self) -> None:
        """Nothing to free."""

    def _check_length(self, request: ChatRequest) -> None:
        model = self._models.get(request.model)
        if model is None or model.context_tokens is None:
            return
        prompt, answer = _count_words(request), request.answer_tokens or 0
        if prompt + answer > model.context_tokens:
            raise context_error(prompt, answer, model.context_tokens)

    def _choose(self, request: ChatRequest) -> tuple[int, ScriptAnswer]:
        """The answer, and its place in the script."""
        message = request.last_user_text
        model = self._models.get(request.model)
        if model is None:
            return 0, _echo(message)
        begun = _CALL_ID.fullmatch(request.last_call_id)
        if begun is not None and int(begun[1]) < len(model.answers):
            return int(begun[1]), model.answers[int(begun[1])]
        for index, answer in enumerate(model.answers):
            is_used_up = answer.times is not None and self._used[request.model, index] >= answer.times
            if not is_used_up and (answer.match is None or re.search(answer.match, message)):
                self._used[request.model, index] += 1
                return index, answer
        raise RefusedRequestError(
            f"The script of {request.model} has no answer to this message.", code="no_scripted_answer"
        )

    def _events(self, script: ScriptRound, index: int, request: ChatRequest) -> Iterator[EngineEvent]:
        if script.stream is not None:
            return cut_events((self._folder / script.stream).read_bytes())
        before = sum(len(message.calls) for message in request.messages)
        # The ids are the same each time a notebook is run, and lead back to the answer that goes on.
        return script.deltas(request.results, lambda number: f"call_{index}_{before + number}")

    async def _pace(self, script: ScriptRound, events: Iterator[EngineEvent]) -> AsyncGenerator[EngineEvent, None]:
        rate = self._deltas_per_s if script.deltas_per_s is None else script.deltas_per_s
        clock = asyncio.get_running_loop().time
        start = clock() + script.first_delta_s
        for index, event in enumerate(events):
            wait_s = start + (index / rate if rate else 0) - clock()
            if wait_s > 0 or index % _BREATHER == 0:
                await asyncio.sleep(max(wait_s, 0))
            yield event


def cut_events(recording: bytes) -> Iterator[EngineEvent]:
    """The recorded stream event by event, each with its blank line; joined they are the recording."""
    start = 0
    for end in _EVENT_END.finditer(recording):
        yield Recorded(recording[start : end.end()])
        start = end.end()
    if start < len(recording):
        yield Recorded(recording[start:])


def _echo(message: str) -> ScriptAnswer:
    quoted = "\n".join(f"> {line}" for line in message.splitlines())
    return ScriptAnswer.model_validate({"text": f"You said:\n\n{quoted}\n\n*This is the script engine, not a model.*"})


def _count_words(request: ChatRequest) -> int:
    return sum(len(message.text.split()) for message in request.messages)


def _usage(script: ScriptRound, request: ChatRequest, played: int) -> dict[str, JsonValue] | None:
    if "usage" in script.model_fields_set:
        return script.usage
    return Usage(prompt_tokens=_count_words(request), completion_tokens=played).to_json()
