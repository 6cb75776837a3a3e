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
    {"type": "done", "finish_reason": ...}  the answer is whole
    {"type": "error", "error": {...}, "status": ..., "retry_after": ...}    an OpenAI error; the last two may be
                                            missing: `status` is what HTTP would say, `retry_after` is seconds
    a function_call                         is a whole call, its arguments being JSON text or an object, and is given
                                            an id if it has none; one with the "id" or the "index" of an earlier one,
                                            or with neither and no name, is a fragment to append to it
    other types                             say nothing, and are logged
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
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
from .chat_completions import error_from_object, error_from_status
from .text import PairJoiner, excerpt, read_raw_text, read_text, sendable

_log = logging.getLogger(__name__)

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


class Decoder:
    """Turns the messages of one answer into events, in order.

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
        self._calls: list[str] = []
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

    def _events(self, kind: Any, message: dict[str, Any]) -> Iterator[Event]:
        if not self._has_started and kind in _SPEAKING:
            self._has_started = True
            yield TurnStarted(read_text(message.get("model")))
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
                yield UsageReported(int(usage.get("prompt_tokens") or 0), int(usage.get("completion_tokens") or 0))
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
        text = json.dumps(arguments, ensure_ascii=False) if isinstance(arguments, dict) else read_text(arguments)
        index = self._earlier_call(message.get("index"), call_id, name)
        if index is not None:
            return ToolCallDelta(index, sendable(text), name=name)
        index = len(self._calls)
        self._calls.append(call_id or f"call_{index + 1}")
        if message.get("index") is not None:
            self._call_indexes[int(message["index"])] = index
        return ToolCallDelta(index, sendable(text), self._calls[index], name)

    def _earlier_call(self, given: Any, call_id: str, name: str) -> int | None:
        """The call of which this is a fragment, or None if it is a new one."""
        if given is not None:
            return self._call_indexes.get(int(given))
        if call_id:
            return self._calls.index(call_id) if call_id in self._calls else None
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
