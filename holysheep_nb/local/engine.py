"""What the gateway and its engines say to each other: a checked request in, events out."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import JsonValue

from holysheep_nb.local.request import ChatRequest, RefusedRequestError


@dataclass(frozen=True)
class Usage:
    """What a request cost, in the engine's own tokens."""

    prompt_tokens: int
    completion_tokens: int

    def to_json(self) -> dict[str, JsonValue]:
        """The `usage` object of the OpenAI form."""
        total = self.prompt_tokens + self.completion_tokens
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": total,
        }


@dataclass(frozen=True)
class Delta:
    """A fragment to append: the `delta` object of one chunk."""

    fields: Mapping[str, JsonValue]

    @classmethod
    def of_call(cls, index: int, call_id: str, name: str) -> Delta:
        """The beginning of a tool call, before its arguments."""
        function: JsonValue = {"name": name, "arguments": ""}
        return cls({"tool_calls": [{"index": index, "id": call_id, "type": "function", "function": function}]})

    @classmethod
    def of_arguments(cls, index: int, text: str) -> Delta:
        """A fragment of the arguments of the call that began with this `index`."""
        return cls({"tool_calls": [{"index": index, "function": {"arguments": text}}]})

    @property
    def calls(self) -> Sequence[Mapping[str, Any]]:
        """The fragments of tool calls in it."""
        calls = self.fields.get("tool_calls")
        return calls if isinstance(calls, list) else []  # type: ignore[return-value]


@dataclass(frozen=True)
class Finished:
    """The answer is complete; `usage` is None where the engine does not report it."""

    reason: str
    usage: Mapping[str, JsonValue] | None


@dataclass(frozen=True)
class Waiting:
    """Nothing to show yet, but at work: another answer comes first, or the prompt is being read."""


@dataclass(frozen=True)
class Recorded:
    """Bytes of a recorded stream, sent as they are."""

    data: bytes


@dataclass(frozen=True)
class Cut:
    """The connection closes here, in the middle of the answer (a script asked for it)."""


EngineEvent = Delta | Finished | Waiting | Recorded | Cut

ROLE_DELTA = Delta({"role": "assistant", "content": ""})


class Engine(Protocol):
    """What answers. `answer` is closed (`aclose`) when the client leaves, and then stops at once."""

    name: str
    """`smollm2` or `script`."""
    fingerprint: str
    """Goes into every response as `system_fingerprint`."""
    owned_by: str
    """Goes into the list of models."""

    @property
    def models(self) -> Sequence[str]:
        """The ids of the models it answers for, the default one first."""
        ...

    def answer(self, request: ChatRequest) -> AsyncGenerator[EngineEvent, None]:
        """The answer as events, from the first delta to `Finished`.

        Raises RefusedRequestError, as a rule before its first event.
        """
        ...

    def close(self) -> None:
        """Stops what is being generated and frees the model. Blocks until that is done."""
        ...


def check_model(engine: Engine, model: str) -> str:
    """The model's id; RefusedRequestError (404) if the engine does not have it."""
    if model not in engine.models:
        there = ", ".join(engine.models)
        raise RefusedRequestError(
            f"The model {model!r} does not exist here; there is: {there}.",
            status_code=404,
            code="model_not_found",
            param="model",
        )
    return model


def context_error(prompt_tokens: int, answer_tokens: int, context_tokens: int) -> RefusedRequestError:
    """The refusal of a request that does not fit into the model's context."""
    total = prompt_tokens + answer_tokens
    return RefusedRequestError(
        f"This model's context is {context_tokens} tokens, but the request needs {total}: "
        f"{prompt_tokens} in the messages and {answer_tokens} for the answer.",
        code="context_length_exceeded",
        param="messages",
    )
