"""What the gateway and its engines say to each other: a checked request in, events out."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from holysheep_nb.errors import APIError

MAX_STOP_STRINGS = 4


class RefusedRequestError(APIError):
    """What an engine or the gateway does not answer, as the HTTP response it becomes.

    It stays inside the gateway process. `body` replaces the OpenAI form where a script says so.
    """

    def __init__(
        self,
        sentence: str,
        *,
        status_code: int = 400,
        code: str | None = None,
        param: str | None = None,
        body: JsonValue = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(sentence, status_code=status_code, code=code)
        self.param = param
        self.body = body
        self.headers = dict(headers or {})

    def to_json(self) -> JsonValue:
        """The response's body: `{"error": {"message", "type", "code", "param"}}`, or the script's own."""
        if self.body is not None:
            return self.body
        kind = {401: "authentication_error", 429: "rate_limit_error"}.get(self.status_code)
        if kind is None:
            kind = "server_error" if self.status_code >= 500 else "invalid_request_error"
        return {"error": {"message": str(self), "type": kind, "code": self.code, "param": self.param}}


class _Checked(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


class Message(_Checked):
    """One message of the conversation, as the client sent it."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[dict[str, JsonValue]] | None = None

    @property
    def text(self) -> str:
        """All text of the content, its `text` parts joined."""
        if isinstance(self.content, list):
            return "".join(str(part.get("text", "")) for part in self.content if part.get("type") == "text")
        return self.content or ""

    @property
    def has_only_text(self) -> bool:
        """True when nothing but text would be lost by reading `text`."""
        return not isinstance(self.content, list) or all(p.get("type") == "text" for p in self.content)


class StreamOptions(_Checked):
    """What the stream carries beside deltas."""

    include_usage: bool = False


class ChatRequest(_Checked):
    """The body of `POST /v1/chat/completions`; keys no engine knows are ignored."""

    model: str
    messages: list[Message] = Field(min_length=1)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    temperature: float | None = Field(None, ge=0, le=2, allow_inf_nan=False)
    top_p: float | None = Field(None, gt=0, le=1, allow_inf_nan=False)
    seed: int | None = None
    stop: str | list[str] | None = None
    n: int | None = Field(None, ge=1, le=1)
    response_format: dict[str, JsonValue] | None = None
    tools: list[dict[str, JsonValue]] | None = None

    @property
    def answer_tokens(self) -> int | None:
        """The most tokens the answer may have, or None when the client set no limit."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def includes_usage(self) -> bool:
        """True when the stream's last chunk is to carry the usage."""
        return self.stream_options is not None and self.stream_options.include_usage

    @property
    def stop_strings(self) -> list[str]:
        """The strings that end the answer."""
        return [self.stop] if isinstance(self.stop, str) else list(self.stop or [])

    @property
    def last_user_text(self) -> str:
        """The text of the last message whose role is `user`, or ""."""
        return next((m.text for m in reversed(self.messages) if m.role == "user"), "")


def parse_request(body: bytes) -> ChatRequest:
    """The checked request in `body` (UTF-8 JSON); RefusedRequestError (400) names the first wrong key."""
    try:
        request = ChatRequest.model_validate_json(body)
    except ValidationError as error:
        raise explain_invalid(error, "The body") from None
    if len(request.stop_strings) > MAX_STOP_STRINGS:
        raise RefusedRequestError(f"stop: at most {MAX_STOP_STRINGS} strings.", code="invalid_value", param="stop")
    return request


def explain_invalid(error: ValidationError, whole: str) -> RefusedRequestError:
    """The refusal that names the first wrong key. `whole` is what the JSON is called."""
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return RefusedRequestError(f"{whole} is not valid JSON.", code="invalid_json")
    param = ".".join(str(step) for step in first["loc"]) or None
    what = f"{param}: {first['msg']}." if param else f"{whole} must be a JSON object: {first['msg']}."
    return RefusedRequestError(what, code="invalid_value", param=param)


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
