"""The OpenAI-compatible shape, which HolySheep speaks over SSE.

Request body: `{model, messages, stream: true, stream_options: {include_usage: true}, ...parameters}`.
Each payload of the stream is a `chat.completion.chunk` as JSON; the last one is `[DONE]`.
Errors are `{"error": {"message", "type", "code", "param"}}`, as a body or in the middle of a stream.
Source: HolySheep's API page and OpenAI's API reference, "Chat completions, streaming".
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

from ..conversation import Turn
from ..errors import (
    APIError,
    AuthenticationError,
    BadRequestError,
    ContextWindowError,
    ModelNotFoundError,
    ProtocolError,
    QuotaError,
    RateLimitError,
    ServerError,
    StatusError,
)
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
from ..parts import ImagePart, Part, TextPart, ToolCallPart, ToolResultPart
from .text import PairJoiner, excerpt, read_raw_text, read_text, sendable

DONE = "[DONE]"
_GO_ON = (
    "Your answer was cut off. Go on exactly where it ends, in mid-sentence if need be: repeat nothing of it, and "
    "say nothing about the interruption."
)
# By whether there is an image.
_IMAGE_NOTES = {
    True: " (This model takes no images, so this one is left out.) ",
    False: " (This image was not kept.) ",
}
_UNREADABLE = (ValueError, RecursionError)
_MISSHAPEN = (TypeError, AttributeError, KeyError, ValueError, OverflowError, RecursionError)
# What parsing a date raises, depending on what is wrong with it.
_UNDATED = (ValueError, TypeError, IndexError, OverflowError)
# Beyond it JavaScript does not count.
_MAX_COUNT = 2**53 - 1


def messages_from_turns(turns: Iterable[Turn], system: str = "", *, takes_images: bool = True) -> list[dict[str, Any]]:
    """The `messages` of a request: the system prompt, then each turn that says something.

    takes_images   False says in a note where a person's images would be
    """
    messages: list[dict[str, Any]] = [{"role": "system", "content": system}] if system else []
    for turn in turns:
        if turn.role == "assistant":
            messages += _messages_from_parts(turn.parts)
        elif turn.parts and (content := _content_from_parts(turn.parts, takes_images)):
            messages.append({"role": turn.role, "content": content})
    return messages


def _content_from_parts(parts: Iterable[Part], takes_images: bool) -> str | list[dict[str, Any]]:
    """What a person said: text, or a list of texts and images where there are any."""
    content: list[dict[str, Any]] = []
    for part in parts:
        if isinstance(part, ImagePart) and part.url and takes_images:
            content.append({"type": "image_url", "image_url": {"url": part.url}})
            continue
        text = _IMAGE_NOTES[bool(part.url)] if isinstance(part, ImagePart) else part.read()
        if content and content[-1]["type"] == "text":
            content[-1]["text"] += text
        elif text:
            content.append({"type": "text", "text": text})
    has_images = any(block["type"] != "text" for block in content)
    return content if has_images else "".join(block["text"] for block in content)


def continuation(parts: Sequence[Part]) -> list[dict[str, Any]]:
    """The messages that let an answer go on which was cut off after `parts`: nothing, if nothing was said."""
    said = _messages_from_parts(parts)
    return [*said, {"role": "user", "content": _GO_ON}] if said and said[-1]["role"] == "assistant" else said


def follow_up(body: dict[str, Any], parts: Sequence[Part]) -> list[dict[str, Any]]:
    """The body of the next round: `body`, grown by what the model said and what came of its calls."""
    return [{**body, "messages": body["messages"] + _messages_from_parts(parts)}]


def _messages_from_parts(parts: Iterable[Part]) -> list[dict[str, Any]]:
    """An assistant's messages, and those of the tools it called. A call without a result is left out."""
    messages: list[dict[str, Any]] = []
    text = ""
    calls: list[ToolCallPart] = []
    results: dict[str, ToolResultPart] = {}
    for part in parts:
        if results and not isinstance(part, ToolResultPart):
            messages += _messages_of_round(text, calls, results)
            text, calls, results = "", [], {}
        match part:
            case TextPart():
                text += part.text
            case ToolCallPart():
                calls.append(part)
            case ToolResultPart():
                results[part.call_id] = part
    return messages + _messages_of_round(text, calls, results)


def _messages_of_round(
    text: str, calls: Iterable[ToolCallPart], results: Mapping[str, ToolResultPart]
) -> list[dict[str, Any]]:
    answered = [(call, results[call.call_id]) for call in calls if call.call_id in results]
    if not answered:
        return [{"role": "assistant", "content": text}] if text else []
    asked: dict[str, Any] = {"role": "assistant", "content": text or None}
    asked["tool_calls"] = [
        {
            "id": call.call_id,
            "type": "function",
            "function": {"name": call.name, "arguments": _readable_arguments(call.arguments)},
        }
        for call, _ in answered
    ]
    told = [{"role": "tool", "tool_call_id": call.call_id, "content": result.text} for call, result in answered]
    return [asked, *told, *_image_messages(answered)]


def _image_messages(answered: Iterable[tuple[ToolCallPart, ToolResultPart]]) -> list[dict[str, Any]]:
    """A tool's message holds text alone, so its images follow as a user's."""
    content: list[dict[str, Any]] = []
    for call, result in answered:
        if result.images:
            content.append({"type": "text", "text": f"What {call.name} ({call.call_id}) returned:"})
            content += [{"type": "image_url", "image_url": {"url": url}} for url in result.images]
    return [{"role": "user", "content": content}] if content else []


def _readable_arguments(arguments: str) -> str:
    """The arguments as the model wrote them; cut ones would make the server refuse the whole conversation."""
    try:
        return arguments if isinstance(json.loads(arguments), dict) else "{}"
    except _UNREADABLE:
        return "{}"


def request_body(
    model: str, messages: list[dict[str, Any]], parameters: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The JSON body of a streaming request. `parameters` go in as they are, None values left out."""
    given = {name: value for name, value in (parameters or {}).items() if value is not None}
    return {
        "model": model,
        "messages": messages,
        "stream": True,
        "stream_options": {"include_usage": True},
        **given,
    }


class Decoder:
    """Turns the payloads of one stream into events, in order. Of several choices it reads the first."""

    def __init__(self) -> None:
        self._has_started = False
        self._is_finished = False
        self._pairs = PairJoiner()
        self.finish_reason: str | None = None

    def feed(self, payload: str) -> list[Event]:
        """The events of one payload. A malformed one gives `PayloadSkipped`.

        Raises the `APIError` of an error object in the stream.
        """
        if self._is_finished or not payload or payload.isspace():
            return []
        if payload == DONE or payload.strip() == DONE:
            return self._finish(self.finish_reason or "stop")
        try:
            chunk = json.loads(payload)
        except _UNREADABLE as error:
            return [PayloadSkipped(f"not JSON ({error}): {excerpt(sendable(payload))}")]
        if not isinstance(chunk, dict):
            return [PayloadSkipped(f"not an object: {excerpt(sendable(payload))}")]
        if chunk.get("error"):
            raise error_from_object(chunk["error"], details=sendable(payload))
        events: list[Event] = []
        try:
            for event in self._events(chunk):
                events.append(event)
        except _MISSHAPEN as error:
            # What came before the bad field stands.
            events.append(PayloadSkipped(f"unexpected shape ({error}): {excerpt(sendable(payload))}"))
        return events

    def end(self) -> list[Event]:
        """The stream is over: what is still to be said. Nothing, if it ended before the answer did."""
        if self._is_finished or self.finish_reason is None:
            return []
        return self._finish(self.finish_reason)

    @property
    def is_finished(self) -> bool:
        """True once `TurnFinished` was given."""
        return self._is_finished

    @property
    def may_wait(self) -> bool:
        """False: over SSE the server says when a round is over, and waits for nothing."""
        return False

    def _finish(self, reason: str) -> list[Event]:
        self._is_finished = True
        return [TurnFinished(reason)]

    def _events(self, chunk: dict[str, Any]) -> Iterator[Event]:
        if not self._has_started and "choices" in chunk:
            self._has_started = True
            yield TurnStarted(read_text(chunk.get("model")))
        choices = chunk.get("choices") or []
        choice = next((c for c in choices if not c.get("index")), None)
        if choice is not None:
            delta = choice.get("delta") or choice.get("message") or {}
            reasoning = delta.get("reasoning_content") or delta.get("reasoning")
            if reasoning:
                yield ReasoningDelta(read_text(reasoning))
            if content := self._pairs.join(read_raw_text(delta.get("content"))):
                yield TextDelta(content)
            for call in delta.get("tool_calls") or ():
                yield _tool_call_delta(call)
            if choice.get("finish_reason"):
                self.finish_reason = read_text(choice["finish_reason"])
        usage = chunk.get("usage")
        if usage:
            yield UsageReported(read_count(usage.get("prompt_tokens")), read_count(usage.get("completion_tokens")))


def _tool_call_delta(call: dict[str, Any]) -> ToolCallDelta:
    function = call.get("function") or {}
    return ToolCallDelta(
        index=read_count(call.get("index")),
        arguments=read_text(function.get("arguments")),
        call_id=read_text(call.get("id")),
        name=read_text(function.get("name")),
    )


def read_count(value: Any) -> int:
    """A number of tokens, or an index; 0 where there is none. Raises `TypeError`, `ValueError` and `OverflowError`."""
    count = int(value or 0)
    if not 0 <= count <= _MAX_COUNT:
        raise ValueError("a count that cannot be one")
    return count


def models_from_body(body: str) -> list[str]:
    """The model names in the body of `GET /models`, in the server's order."""
    try:
        return [sendable(str(model["id"])) for model in json.loads(body)["data"]]
    except (*_UNREADABLE, KeyError, TypeError) as error:
        raise ProtocolError("The endpoint's list of models could not be read.", details=body[:2000]) from error


def error_from_status(
    error: StatusError,
    host: str,
    model: str,
    key_name: str = "HOLYSHEEP_API_KEY",
    url_name: str = "HOLYSHEEP_BASE_URL",
) -> APIError | ProtocolError:
    """What an HTTP status and its body mean.

    `host`, `model` and the variables that hold the key and the address go into the sentence.
    """
    status, body = error.status_code, error.body
    try:
        found = json.loads(body)
        found = (found.get("error") or found) if isinstance(found, dict) else {}
    except _UNREADABLE:
        found = {}
    if not isinstance(found, dict):
        found = {"message": found}
    said = _said(found)
    message = found["message"].lower() if isinstance(found.get("message"), str) else ""
    code = found.get("code") or found.get("type")
    retry_after_s = seconds_to_wait(error.headers.get("retry-after"))

    def made(kind: type[APIError], sentence: str) -> APIError:
        error_made = kind(sentence, status_code=status, code=code, details=body[:4000])
        error_made.retry_after_s = retry_after_s
        return error_made

    if status < 300:
        return ProtocolError(
            f"{host} answered with HTTP {status}, which is no stream of events: check {url_name}.",
            details=body[:4000],
        )
    if 300 <= status < 400:
        return ProtocolError(
            f"{host} sends this request on to another address (HTTP {status}), which is not followed with "
            f"your key: set {url_name} to the final address.",
            details=str(error.headers.get("location", "")),
        )
    if status in (401, 403):
        return made(
            AuthenticationError,
            f"{host} refused the key ({status}{said}). Set {key_name} to a valid key.",
        )
    if status == 402:
        return made(QuotaError, f"{host} says the account has no credit left (402{said}).")
    if status == 404 and (code == "model_not_found" or "model" in message):
        return made(ModelNotFoundError, f"{host} has no model {model!r}.")
    if status == 404:
        return made(
            BadRequestError,
            f"{host} has no chat completions at this address (404{said}): check {url_name}.",
        )
    if code == "context_length_exceeded" or "context length" in message:
        return made(
            ContextWindowError,
            f"The conversation is longer than {model} takes{said}: shorten the prompt, or start afresh with --new.",
        )
    if status == 429:
        how_long = "" if retry_after_s is None else f" {retry_after_s:,.0f} s"
        return made(
            RateLimitError, f"{host} says too many requests (429{said}): wait{how_long}, then run the cell again."
        )
    if status >= 500:
        return made(ServerError, f"{host} failed ({status}{said}): run the cell again in a moment.")
    return made(BadRequestError, f"{host} does not take this request ({status}{said}).")


def error_from_object(found: Any, details: str) -> APIError:
    """The error that an `{"error": ...}` object in the middle of a stream stands for."""
    found = found if isinstance(found, dict) else {"message": found}
    reason = found.get("message") or found.get("type") or "no reason given"
    said = (reason if isinstance(reason, str) else excerpt(details)).strip().rstrip(".")
    return ServerError(
        f"The server ended the answer with an error: {_one_line(said)}.",
        code=found.get("code") or found.get("type"),
        details=details[:4000],
    )


def _said(found: Mapping[str, Any]) -> str:
    message = found.get("message") or found.get("detail")
    if not isinstance(message, str) or not message.strip():
        return ""
    return ": " + _one_line(message.strip().rstrip("."))


def _one_line(text: str) -> str:
    return excerpt(" ".join(sendable(text).split()))


def seconds_to_wait(retry_after: str | None) -> float | None:
    """What a Retry-After header asks for, be it seconds or a date; None if it asks for nothing that can be read."""
    if retry_after is None:
        return None
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            until = parsedate_to_datetime(retry_after)
            if until.tzinfo is None:
                until = until.replace(tzinfo=timezone.utc)
            seconds = (until - datetime.now(timezone.utc)).total_seconds()
        except _UNDATED:
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
