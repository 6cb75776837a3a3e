"""The script engine: plays given text, or a recorded stream, at a given rate. Never a silent stand-in.

Its models are called `script` or `script-…`, its responses carry `"system_fingerprint": "script"` and the
header `X-HolySheep-Engine: script`. A script is a JSON file:

```
{"models": {"script-hello": {
    "context_tokens": 4096,              refuses what is longer, counted in words (default: no limit)
    "answers": [{                        the first one that matches, and is not used up, is played
        "match": "regex",                searched in the last user message; null or absent: any message
        "times": 1,                      used at most so often (default: no limit)
        "reasoning": "...",              played before the text
        "text": "...",                   plain text, cut into deltas by words
        "stream": "hello.sse",           instead of a text: a recorded stream beside the script, byte for byte
        "deltas_per_s": 200,             0: as fast as possible (default: the engine's rate)
        "first_delta_s": 0.2,            silence before the first delta
        "usage": {...},                  as it is; null: none (default: counted in words)
        "finish_reason": "stop",
        "stop_after": n,                 falls silent after n deltas, and keeps the connection
        "cut_after": n,                  closes the connection after n deltas
        "error": {"status": 503, "body": {...} or "<html>", "headers": {"Retry-After": "1"}}
    }]}}}
```
`max_tokens`, temperature and the like change nothing: what is written is played.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from holysheep_nb.errors import ConfigurationError
from holysheep_nb.local.engine import (
    ROLE_DELTA,
    ChatRequest,
    Cut,
    Delta,
    EngineEvent,
    Finished,
    Recorded,
    RefusedRequestError,
    Usage,
    context_error,
)

DEFAULT_DELTAS_PER_S = 50.0
_WORD = re.compile(r"\s*\S+|\s+")
_EVENT_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_BREATHER = 64
"""Deltas after which an unlimited rate lets the loop see that the client has left."""


class _Checked(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class ScriptError(_Checked):
    """An HTTP error to answer with."""

    status: int = Field(ge=400, le=599)
    body: JsonValue = None
    headers: dict[str, str] = {}


class ScriptAnswer(_Checked):
    """One answer of a script; the module's docstring says what each key does."""

    match: str | None = None
    times: int | None = Field(None, ge=1)
    reasoning: str = ""
    text: str | None = None
    stream: str | None = None
    deltas_per_s: float | None = Field(None, ge=0, allow_inf_nan=False)
    first_delta_s: float = Field(0.0, ge=0, allow_inf_nan=False)
    usage: dict[str, JsonValue] | None = None
    finish_reason: str = "stop"
    stop_after: int | None = Field(None, ge=0)
    cut_after: int | None = Field(None, ge=0)
    error: ScriptError | None = None

    @model_validator(mode="after")
    def _has_one_source(self) -> ScriptAnswer:
        if [self.text, self.stream, self.error].count(None) != 2:
            raise ValueError("an answer has exactly one of text, stream and error")
        if self.match is not None:
            try:
                re.compile(self.match)
            except re.error as error:
                raise ValueError(f"match is not a regular expression: {error}") from None
        return self

    def deltas(self) -> Iterator[EngineEvent]:
        """The reasoning and the text, cut by words; joined they are the whole again."""
        for word in _WORD.findall(self.reasoning):
            yield Delta({"reasoning_content": word})
        for word in _WORD.findall(self.text or ""):
            yield Delta({"content": word})


class ScriptModel(_Checked):
    """One model of a script."""

    context_tokens: int | None = Field(None, ge=1)
    answers: list[ScriptAnswer] = Field(min_length=1)


class Script(_Checked):
    """A whole script; every id of a model says that it is one."""

    models: dict[str, ScriptModel] = Field(min_length=1)

    @model_validator(mode="after")
    def _is_labelled(self) -> Script:
        for model in self.models:
            if not re.fullmatch(r"script(-\S+)?", model):
                raise ValueError(f'the model {model!r} must be called "script" or "script-…"')
        return self


def read_script(path: Path) -> tuple[Script, Path]:
    """The script in `path`, and the folder its recorded streams are relative to.

    `.json` is a script; any other file is one answer: a recorded stream (`.sse`) or a text, its model being
    `script-` and the file's name. Raises ConfigurationError if it cannot be read or says something unknown.
    """
    try:
        if path.suffix == ".json":
            script = Script.model_validate_json(path.read_bytes())
        else:
            kind = "stream" if path.suffix == ".sse" else "text"
            what = path.name if kind == "stream" else path.read_text(encoding="utf-8")
            model_id = "script-" + re.sub(r"\s+", "-", path.stem)
            script = Script.model_validate({"models": {model_id: {"answers": [{kind: what}]}}})
        for answer in (a for model in script.models.values() for a in model.answers if a.stream):
            (path.parent / str(answer.stream)).stat()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(step) for step in first["loc"])
        raise ConfigurationError(
            f"The script {path} is wrong at {where or 'its top'}: {first['msg']}.", details=str(error)
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The script {path} cannot be read: {error}.") from error
    return script, path.parent


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
        """Plays the answer that matches; refused (400) when the script has none."""
        self._check_length(request)
        script = self._choose(request)
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
        async with aclosing(self._pace(script)) as events:
            async for event in events:
                if played == last:
                    break
                yield event
                played += 1
        if played != last and script.stream is None:
            yield Finished(script.finish_reason, _usage(script, request, played))
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

    def _choose(self, request: ChatRequest) -> ScriptAnswer:
        message = request.last_user_text
        model = self._models.get(request.model)
        if model is None:
            return _echo(message)
        for index, answer in enumerate(model.answers):
            is_used_up = answer.times is not None and self._used[request.model, index] >= answer.times
            if not is_used_up and (answer.match is None or re.search(answer.match, message)):
                self._used[request.model, index] += 1
                return answer
        raise RefusedRequestError(
            f"The script of {request.model} has no answer to this message.", code="no_scripted_answer"
        )

    def _events(self, script: ScriptAnswer) -> Iterator[EngineEvent]:
        if script.stream is not None:
            return cut_events((self._folder / script.stream).read_bytes())
        return script.deltas()

    async def _pace(self, script: ScriptAnswer) -> AsyncGenerator[EngineEvent, None]:
        rate = self._deltas_per_s if script.deltas_per_s is None else script.deltas_per_s
        clock = asyncio.get_running_loop().time
        start = clock() + script.first_delta_s
        for index, event in enumerate(self._events(script)):
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


def _usage(script: ScriptAnswer, request: ChatRequest, played: int) -> dict[str, JsonValue] | None:
    if "usage" in script.model_fields_set:
        return script.usage
    return Usage(prompt_tokens=_count_words(request), completion_tokens=played).to_json()
