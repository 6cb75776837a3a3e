"""What a script says: a JSON file of answers, each chosen by the prompt and played in one or several rounds.

```
{"models": {"script-hello": {
    "context_tokens": 4096,              refuses what is longer, counted in words (default: no limit)
    "answers": [{                        the first one that matches, and is not used up, is played
        "match": "regex",                searched in the last user message; null or absent: any message
        "times": 1,                      used at most so often (default: no limit)
        "reasoning": "...",              played before the text
        "text": "...",                   plain text, cut into deltas by words
        "calls": [                       tool calls, after the text: several are parallel calls
            {"name": "lookup_order", "arguments": {"order": 1042}}
        ],
        "then": [{...}, ...],            what follows on the results of the calls: round after round an answer,
                                         without match, times and then
        "stream": "hello.sse",           instead of text and calls: a recorded stream beside the script, as it is
        "deltas_per_s": 200,             0: as fast as possible (default: the engine's rate)
        "first_delta_s": 0.2,            silence before the first delta
        "usage": {...},                  as it is; null: none (default: counted in words)
        "finish_reason": "stop",         default: "tool_calls" after calls, else "stop"
        "stop_after": n,                 falls silent after n deltas, and keeps the connection
        "cut_after": n,                  closes the connection after n deltas
        "error": {"status": 503, "body": {...} or "<html>", "headers": {"Retry-After": "1"}}
    }]}}}
```
A call is one delta for its name and some for its arguments. Arguments that are a string are played as they are, so
they may be cut (with `"finish_reason": "length"`) or no JSON at all. `cut_after` may fall into them.

In the texts of `then`, `{{result}}` is the last result, `{{result 1}}` the first one since the prompt, and
`{{result.status}}` a part of one that is JSON: keys and positions, with dots between them. A result without this part
is inserted whole, so that one sees what it was instead.

An order is looked up, whatever the prompt says around "refund":

```
{"models": {"script-shop": {"answers": [{
    "match": "(?i)refund",
    "text": "Let me look at the order.",
    "calls": [{"name": "lookup_order", "arguments": {"order": 1042}}],
    "then": [{"text": "Order 1042 is {{result.status}}, so it can be refunded."}]
}]}}}
```
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from holysheep_nb.errors import ConfigurationError
from holysheep_nb.local.engine import Delta, EngineEvent

_WORD = re.compile(r"\s*\S+|\s+")
_JSON_PIECE = re.compile(r'[\s"{}\[\],:]+|[^\s"{}\[\],:]+')
_RESULT = re.compile(r"\{\{\s*result(?:\s+(\d+))?((?:\.[\w-]+)*)\s*\}\}")


class _Checked(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class ScriptError(_Checked):
    """An HTTP error to answer with."""

    status: int = Field(ge=400, le=599)
    body: JsonValue = None
    headers: dict[str, str] = {}


class ScriptCall(_Checked):
    """A tool call; a string is the arguments' text as it is."""

    name: str
    arguments: dict[str, JsonValue] | str = {}

    @property
    def arguments_text(self) -> str:
        """The arguments as the model would write them."""
        given = self.arguments
        return given if isinstance(given, str) else json.dumps(given, ensure_ascii=False)


class ScriptRound(_Checked):
    """What is played in one round; the module's docstring says what each key does."""

    reasoning: str = ""
    text: str | None = None
    calls: list[ScriptCall] = []
    stream: str | None = None
    deltas_per_s: float | None = Field(None, ge=0, allow_inf_nan=False)
    first_delta_s: float = Field(0.0, ge=0, allow_inf_nan=False)
    usage: dict[str, JsonValue] | None = None
    finish_reason: str | None = None
    stop_after: int | None = Field(None, ge=0)
    cut_after: int | None = Field(None, ge=0)
    error: ScriptError | None = None

    @model_validator(mode="after")
    def _has_one_source(self) -> ScriptRound:
        is_spoken = self.text is not None or bool(self.calls)
        if [is_spoken, self.stream is not None, self.error is not None].count(True) != 1:
            raise ValueError(
                "an answer has exactly one of text, stream and error (calls go with a text, or stand for it)"
            )
        return self

    @property
    def reason(self) -> str:
        """The finish_reason it ends with."""
        return self.finish_reason or ("tool_calls" if self.calls else "stop")

    def deltas(
        self, results: Sequence[str] = (), call_id: Callable[[int], str] = lambda number: f"call_{number}"
    ) -> Iterator[EngineEvent]:
        """The reasoning, the text and the calls in small pieces; joined they are the whole again.

        `results` are those since the prompt, for the text; `call_id` gives the id of the call with this number, from 1.
        """
        for word in _WORD.findall(self.reasoning):
            yield Delta({"reasoning_content": word})
        for word in _WORD.findall(insert_results(self.text or "", results)):
            yield Delta({"content": word})
        for index, call in enumerate(self.calls):
            yield Delta.of_call(index, call_id(index + 1), call.name)
            for piece in _JSON_PIECE.findall(call.arguments_text):
                yield Delta.of_arguments(index, piece)


class ScriptAnswer(ScriptRound):
    """One answer of a script: its first round, and those that follow on the results of its calls."""

    match: str | None = None
    times: int | None = Field(None, ge=1)
    then: list[ScriptRound] = []

    @model_validator(mode="after")
    def _can_be_matched(self) -> ScriptAnswer:
        if self.match is not None:
            try:
                re.compile(self.match)
            except re.error as error:
                raise ValueError(f"match is not a regular expression: {error}") from None
        rounds = [self, *self.then]
        if any(not (each.calls or each.stream) for each in rounds[:-1]):
            raise ValueError("then: a round follows on the results of calls, but the one before has none")
        return self

    def round(self, number: int) -> ScriptRound | None:
        """What is played after `number` rounds of results; None if the script ends before. Without calls: always it."""
        if number == 0 or not (self.calls or self.then):
            return self
        return self.then[number - 1] if number <= len(self.then) else None


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
        answers = [answer for model in script.models.values() for answer in model.answers]
        for each in (played for answer in answers for played in (answer, *answer.then) if played.stream):
            (path.parent / str(each.stream)).stat()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(step) for step in first["loc"])
        raise ConfigurationError(
            f"The script {path} is wrong at {where or 'its top'}: {first['msg']}.", details=str(error)
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The script {path} cannot be read: {error}.") from error
    return script, path.parent


def insert_results(text: str, results: Sequence[str]) -> str:
    """`text` with what `{{result}}`, `{{result 2}}` and `{{result.key}}` stand for; others stay as they are."""

    def insert(found: re.Match[str]) -> str:
        number = int(found[1] or len(results))
        if not 1 <= number <= len(results):
            return found[0]
        return _part(results[number - 1], found[2].split(".")[1:])

    return _RESULT.sub(insert, text)


def _part(result: str, path: Sequence[str]) -> str:
    """The part of a JSON `result` at `path`; all of it if there is no such part."""
    if not path:
        return result
    try:
        value = json.loads(result)
        for step in path:
            value = value[int(step)] if isinstance(value, list) else value[step]
    except (ValueError, TypeError, LookupError, RecursionError):
        return result
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
