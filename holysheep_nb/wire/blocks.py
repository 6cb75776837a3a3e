"""The block shape, which HolySheep speaks over WebSocket. Each message is a JSON object with a `type`.

HolySheep publishes this much. The client begins with

    {"type": "init", "model": ..., "messages": [...], "stream": true, "parameters": {"temperature": 0.7, ...}}

and the server sends

    {"type": "content_block", "content": "..."}                             a fragment of the answer
    {"type": "function_call", "function": {"name": ..., "arguments": ...}}  a call the model wants made

The rest is assumed, here and nowhere else:

    "tools" in init                         in the OpenAI form, when there are any
    {"type": "start", "model": ...}         the model has begun; may be missing
    {"type": "reasoning_block", "content": ...}
    {"type": "usage", "prompt_tokens": ..., "completion_tokens": ...}       also below a key "usage"
    {"type": "done", "finish_reason": ...}  the round is whole; after one with calls the server waits for their results
    {"type": "error", "error": {...}, "status": ..., "retry_after": ...}    an OpenAI error; the last two may be
                                            missing: `status` is what HTTP would say, `retry_after` is seconds
    a function_call                         is a whole call, its arguments being JSON text or an object; one with the
                                            "id" or the "index" of an earlier one, or with neither and no name, is a
                                            fragment to append to it
    {"type": "function_result", "id": ..., "name": ..., "result": ...}      sent for each call, on the same socket:
                                            `result` is text; "is_error": true, "edited_arguments": {...} as a person
                                            changed them, "images": [data URL] stand beside it where they apply
    no `done` after the calls               a server may just wait for the results (`Decoder.may_wait`)
    other types                             say nothing, and are logged
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..errors import APIError, ProtocolError, StatusError
from ..events import (
    Event,
    PayloadSkipped,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
    TurnFinished,
    TurnStarted,
    UsageReported,
)
from ..masks import open_log
from ..parts import Part, ToolCallPart, ToolResultPart
from .chat_completions import error_from_object, error_from_status, read_count
from .text import PairJoiner, excerpt, read_raw_text, read_text, sendable

_log = open_log(__name__)

_UNREADABLE = (ValueError, RecursionError)
_MISSHAPEN = (TypeError, AttributeError, KeyError, ValueError, OverflowError, RecursionError)
_SPEAKING = frozenset(["start", "content_block", "reasoning_block", "function_call", "done"])

# What HTTP would say, by an error's code or type.
_STATUS_OF = {
    "authentication_error": 401,
    "invalid_api_key": 401,
    "insufficient_quota": 402,
    "permission_error": 403,
    "model_not_found": 404,
    "context_length_exceeded": 400,
    "invalid_request_error": 400,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "server_error": 500,
    "overloaded_error": 503,
}


def init_message(
    model: str, messages: list[dict[str, Any]], parameters: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The message that begins a request. `parameters` go in as they are, None values left out."""
    given = {name: value for name, value in (parameters or {}).items() if value is not None}
    tools = given.pop("tools", None)
    message = {"type": "init", "model": model, "messages": messages, "stream": True, "parameters": given}
    return {**message, "tools": tools} if tools else message


def follow_up(body: dict[str, Any], parts: Sequence[Part]) -> list[dict[str, Any]]:
    """The messages that carry the results of a round: one for each result among its `parts`."""
    calls = {part.call_id: part for part in parts if isinstance(part, ToolCallPart)}
    return [
        _function_result(part, calls.get(part.call_id, ToolCallPart()))
        for part in parts
        if isinstance(part, ToolResultPart)
    ]


def _function_result(result: ToolResultPart, call: ToolCallPart) -> dict[str, Any]:
    message: dict[str, Any] = {
        "type": "function_result",
        "id": result.call_id,
        "name": call.name,
        "result": sendable(result.text),
    }
    if result.outcome != "ok":
        message["is_error"] = True
    if call.edited:
        message["edited_arguments"] = json.loads(call.edited)
    if result.images:
        message["images"] = list(result.images)
    return message


class _Call:
    """What is known of a call: its id, and whether its arguments are whole."""

    def __init__(self, call_id: str) -> None:
        self.call_id = call_id
        self._pairs = PairJoiner()
        self._fragments: list[str] = []
        self._is_whole = False

    def append(self, arguments: Any) -> str:
        """The text by which the arguments grow."""
        if isinstance(arguments, dict):
            text = sendable(json.dumps(arguments, ensure_ascii=False))
        else:
            text = self._pairs.join(read_raw_text(arguments))
        if text:
            self._fragments.append(text)
        self._is_whole = arguments is None and not self._fragments
        return text

    @property
    def is_whole(self) -> bool:
        # Only what ends as an object does is worth reading: arguments may come in many fragments.
        if not self._is_whole and self._fragments and self._fragments[-1].rstrip().endswith("}"):
            self._fragments = ["".join(self._fragments)]
            with contextlib.suppress(*_UNREADABLE):
                json.loads(self._fragments[0])
                self._is_whole = True
        return self._is_whole


class Decoder:
    """Turns the messages of one round into events, in order. A call to which the server gave no id has the id "".

    `host`, `model` and the variables that hold the key and the address go into the sentences of its errors.
    """

    def __init__(
        self,
        host: str = "The server",
        model: str = "",
        key_name: str = "HOLYSHEEP_API_KEY",
        url_name: str = "HOLYSHEEP_WS_URL",
    ) -> None:
        self._whom = (host, model, key_name, url_name)
        self._has_started = False
        self._is_finished = False
        self._pairs = PairJoiner()
        self._calls: list[_Call] = []
        self._call_indexes: dict[int, int] = {}
        self.finish_reason: str | None = None

    def feed(self, payload: str) -> list[Event]:
        """The events of one message. A malformed one gives `PayloadSkipped`.

        Raises the `APIError` of an error message.
        """
        if self._is_finished or not payload or payload.isspace():
            return []
        try:
            message = json.loads(payload)
        except _UNREADABLE as error:
            return [PayloadSkipped(f"not JSON ({error}): {excerpt(sendable(payload))}")]
        if not isinstance(message, dict):
            return [PayloadSkipped(f"not an object: {excerpt(sendable(payload))}")]
        kind = message.get("type")
        if kind == "error" or (kind is None and message.get("error")):
            raise self._error(message, payload)
        events: list[Event] = []
        try:
            for event in self._events(kind, message):
                events.append(event)
        except _MISSHAPEN as error:
            # What came before the bad field stands.
            events.append(PayloadSkipped(f"unexpected shape ({error}): {excerpt(sendable(payload))}"))
        return events

    def end(self) -> list[Event]:
        """The stream is over. There is nothing left to say: only `done` ends an answer."""
        return []

    @property
    def is_finished(self) -> bool:
        """True once `TurnFinished` was given."""
        return self._is_finished

    @property
    def may_wait(self) -> bool:
        """True when calls have come, all whole, and no `done`: the server may be waiting for their results."""
        return not self._is_finished and bool(self._calls) and all(call.is_whole for call in self._calls)

    def _events(self, kind: Any, message: dict[str, Any]) -> Iterator[Event]:
        if not self._has_started and kind in _SPEAKING:
            self._has_started = True
            model = message.get("model")
            yield TurnStarted(sendable(model) if isinstance(model, str) else "")
        match kind:
            case "content_block":
                if content := self._pairs.join(read_raw_text(message.get("content"))):
                    yield TextDelta(content)
            case "reasoning_block":
                if reasoning := read_text(message.get("content")):
                    yield ReasoningDelta(reasoning)
            case "function_call":
                yield self._tool_call_delta(message)
            case "usage":
                usage = message.get("usage") or message
                yield UsageReported(read_count(usage.get("prompt_tokens")), read_count(usage.get("completion_tokens")))
            case "done":
                self._is_finished = True
                self.finish_reason = _finish_reason(message.get("finish_reason"))
                yield TurnFinished(self.finish_reason)
            case "start":
                pass
            case _:
                _log.debug("a message of type %r says nothing to us", kind)

    def _tool_call_delta(self, message: dict[str, Any]) -> ToolCallDelta:
        function = message.get("function") or {}
        name, call_id = read_text(function.get("name")), read_text(message.get("id"))
        arguments = function.get("arguments")
        index = self._earlier_call(message.get("index"), call_id, name)
        if index is not None:
            call = self._calls[index]
            late_id = "" if call.call_id else call_id
            call.call_id = call.call_id or call_id
            return ToolCallDelta(index, call.append(arguments), late_id, name)
        call = _Call(call_id)
        text = call.append(arguments)
        index = len(self._calls)
        self._calls.append(call)
        if message.get("index") is not None:
            self._call_indexes[int(message["index"])] = index
        return ToolCallDelta(index, text, call_id, name)

    def _earlier_call(self, given: Any, call_id: str, name: str) -> int | None:
        """The call of which this is a fragment, or None if it is a new one."""
        if given is not None:
            index = self._call_indexes.get(int(given))
            # Some servers count no further than 0: another id is another call.
            is_other = index is not None and call_id and self._calls[index].call_id not in ("", call_id)
            return None if is_other else index
        if call_id:
            return next((index for index, call in enumerate(self._calls) if call.call_id == call_id), None)
        return len(self._calls) - 1 if self._calls and not name else None

    def _error(self, message: dict[str, Any], payload: str) -> APIError | ProtocolError:
        """A refusal, if nothing was said yet: then it says what HTTP would; else the end of an answer."""
        found = message.get("error") or message
        status = _status(message, found)
        if self._has_started or status is None:
            return error_from_object(found, details=sendable(payload))
        headers = {"retry-after": str(message["retry_after"])} if message.get("retry_after") is not None else {}
        return error_from_status(StatusError(status, sendable(payload), headers), *self._whom)


def _finish_reason(value: Any) -> str:
    """The server's word; "stop" where it gives none that can be read: the answer is whole all the same."""
    return sendable(value) if isinstance(value, str) and value else "stop"


def _status(message: Mapping[str, Any], found: Any) -> int | None:
    status = message.get("status")
    if isinstance(status, int) and 400 <= status < 600:
        return status
    words = [found.get("code"), found.get("type")] if isinstance(found, dict) else []
    return next((_STATUS_OF[word] for word in words if isinstance(word, str) and word in _STATUS_OF), None)
