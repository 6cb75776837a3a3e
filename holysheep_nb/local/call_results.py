"""The results of a round's calls, as they come over a WebSocket, and the conversation that they make."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from holysheep_nb.local.request import (
    ChatRequest,
    Message,
    RefusedRequestError,
    ToolCall,
    explain_invalid,
    image_message,
)


class _FunctionResult(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")

    type: Literal["function_result"]
    id: str
    result: JsonValue = ""
    is_error: bool = False
    edited_arguments: dict[str, JsonValue] | None = None
    images: list[str] = []

    @property
    def text(self) -> str:
        """What the model is told; a result that is no text is told as JSON."""
        return self.result if isinstance(self.result, str) else json.dumps(self.result, ensure_ascii=False)


class CallResults:
    """Collects the results of the calls in `message`, which is an assistant's in the OpenAI form."""

    def __init__(self, message: dict[str, Any]) -> None:
        self._message = Message.model_validate(message)
        self._results: dict[str, _FunctionResult] = {}

    @property
    def is_complete(self) -> bool:
        """True once every call has its result."""
        return len(self._results) == len(self._message.calls)

    @property
    def missing(self) -> Sequence[str]:
        """The ids of the calls that have none yet."""
        return [call.id for call in self._message.calls if call.id not in self._results]

    def add(self, text: str | bytes) -> None:
        """Takes one message of the client; RefusedRequestError (400) if it is no result that was waited for."""
        try:
            result = _FunctionResult.model_validate_json(text)
        except ValidationError as error:
            raise explain_invalid(error, "The result of a call") from None
        if result.id not in self.missing:
            there = ", ".join(self.missing)
            raise RefusedRequestError(
                f"id: no call with the id {result.id!r} waits for a result; these do: {there}.",
                code="unknown_call",
                param="id",
            )
        self._results[result.id] = result

    def extend(self, request: ChatRequest) -> ChatRequest:
        """The request of the next round: `request`, grown by the calls and their results.

        Arguments that a person changed stand there as they were changed.
        """
        answered = [(call, self._results[call.id]) for call in self._message.calls]
        asked = self._message.model_copy(update={"tool_calls": [_as_made(call, result) for call, result in answered]})
        told = [Message(role="tool", tool_call_id=call.id, content=result.text) for call, result in answered]
        seen = image_message((call.function.name, call.id, result.images) for call, result in answered)
        grown = [*request.messages, asked, *told, *([seen] if seen else [])]
        return request.model_copy(update={"messages": grown})


def _as_made(call: ToolCall, result: _FunctionResult) -> ToolCall:
    if result.edited_arguments is None:
        return call
    arguments = json.dumps(result.edited_arguments, ensure_ascii=False)
    return call.model_copy(update={"function": call.function.model_copy(update={"arguments": arguments})})
