"""A request in the OpenAI form, checked: the body of `POST /v1/chat/completions`, and what it is refused with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from holysheep_nb.errors import APIError

MAX_STOP_STRINGS = 4
_RESULT_IMAGES = re.compile(r"What \S+ \(.*\) returned:")


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


class FunctionCall(_Checked):
    """Which function is called; `arguments` is JSON text, as the model wrote it."""

    name: str
    arguments: str


class ToolCall(_Checked):
    """A call the model wanted made."""

    id: str = Field(min_length=1)
    type: Literal["function"] = "function"
    function: FunctionCall


class Function(_Checked):
    """A function the model may call; `parameters` is the JSON schema of its arguments."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    description: str | None = None
    parameters: dict[str, JsonValue] | None = None


class Tool(_Checked):
    """A tool that is offered to the model."""

    type: Literal["function"]
    function: Function


class Message(_Checked):
    """One message of the conversation, as the client sent it."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[dict[str, JsonValue]] | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None

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

    @property
    def calls(self) -> Sequence[ToolCall]:
        """The calls an assistant's message asks for."""
        return self.tool_calls or []


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
    tools: list[Tool] | None = None
    tool_choice: JsonValue = None
    parallel_tool_calls: bool | None = None

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
        """The text of the last prompt, or "". A user's message that carries the images of a tool's result is none."""
        prompt = self._prompt_index
        return "" if prompt is None else self.messages[prompt].text

    @property
    def rounds(self) -> int:
        """How many rounds of calls the model has had the results of since the last prompt."""
        return sum(1 for message in self._since_prompt if message.calls)

    @property
    def results(self) -> list[str]:
        """The texts of the results since the last prompt, in their order."""
        return [message.text for message in self._since_prompt if message.role == "tool"]

    @property
    def last_call_id(self) -> str:
        """The id of the last call since the last prompt, or ""."""
        return next((message.calls[-1].id for message in reversed(self._since_prompt) if message.calls), "")

    @property
    def forced_tool(self) -> str | None:
        """The name of the function that `tool_choice` says is to be called."""
        return named_function(self.tool_choice)

    @property
    def _since_prompt(self) -> Sequence[Message]:
        prompt = self._prompt_index
        return self.messages if prompt is None else self.messages[prompt + 1 :]

    @property
    def _prompt_index(self) -> int | None:
        for index in range(len(self.messages) - 1, -1, -1):
            message = self.messages[index]
            follows_result = index > 0 and self.messages[index - 1].role == "tool"
            if message.role == "user" and not (follows_result and _RESULT_IMAGES.match(message.text)):
                return index
        return None


def parse_request(body: bytes) -> ChatRequest:
    """The checked request in `body` (UTF-8 JSON); RefusedRequestError (400) names the first wrong key."""
    try:
        request = ChatRequest.model_validate_json(body)
    except ValidationError as error:
        raise explain_invalid(error, "The body") from None
    if len(request.stop_strings) > MAX_STOP_STRINGS:
        raise _wrong("stop", f"at most {MAX_STOP_STRINGS} strings.")
    _check_tools(request)
    _check_calls(request.messages)
    return request


def explain_invalid(error: ValidationError, whole: str) -> RefusedRequestError:
    """The refusal that names the first wrong key. `whole` is what the JSON is called."""
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return RefusedRequestError(f"{whole} is not valid JSON.", code="invalid_json")
    param = ".".join(str(step) for step in first["loc"]) or None
    what = f"{param}: {first['msg']}." if param else f"{whole} must be a JSON object: {first['msg']}."
    return RefusedRequestError(what, code="invalid_value", param=param)


def named_function(tool_choice: JsonValue) -> str | None:
    """The name in `{"type": "function", "function": {"name": ...}}`, or None for anything else."""
    if not isinstance(tool_choice, dict) or tool_choice.get("type") != "function":
        return None
    function = tool_choice.get("function")
    name = function.get("name") if isinstance(function, dict) else None
    return name if isinstance(name, str) else None


def image_message(images: Iterable[tuple[str, str, Sequence[str]]]) -> Message | None:
    """The user's message that carries the images of results, each result given as name, call id and data URLs."""
    content: list[dict[str, JsonValue]] = []
    for name, call_id, urls in images:
        if urls:
            content.append({"type": "text", "text": f"What {name} ({call_id}) returned:"})
            content += [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    return Message(role="user", content=content) if content else None


def _check_tools(request: ChatRequest) -> None:
    names = [tool.function.name for tool in request.tools or []]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise _wrong(f"tools.{index}.function.name", f"there are two tools called {name!r}.")
    choice = request.tool_choice
    for param, value in (("tool_choice", choice), ("parallel_tool_calls", request.parallel_tool_calls)):
        if value not in (None, "none") and not names:
            raise _wrong(param, "this needs tools.")
    if choice is None or choice in ("none", "auto", "required"):
        return
    if request.forced_tool is None:
        raise _wrong(
            "tool_choice",
            'it must be "none", "auto", "required" or {"type": "function", "function": {"name": "..."}}.',
        )
    if request.forced_tool not in names:
        raise _wrong("tool_choice", f"there is no tool {request.forced_tool!r} among the tools.")


def _check_calls(messages: Sequence[Message]) -> None:
    """Every call has its result right after it, and every result its call."""
    asked, missing = "", set[str]()
    for index, message in enumerate(messages):
        where = f"messages.{index}"
        if message.role == "tool":
            if message.tool_call_id not in missing:
                raise _wrong(
                    f"{where}.tool_call_id", f"no call before it has the id {message.tool_call_id!r} and no result yet."
                )
            missing.discard(message.tool_call_id)
            continue
        _check_answered(asked, missing)
        if message.calls and message.role != "assistant":
            raise _wrong(f"{where}.tool_calls", f"a message of the role {message.role!r} has none.")
        asked, missing = f"{where}.tool_calls", {call.id for call in message.calls}
        if len(missing) != len(message.calls):
            raise _wrong(asked, "two calls have the same id.")
    _check_answered(asked, missing)


def _check_answered(asked: str, missing: set[str]) -> None:
    if missing:
        there = ", ".join(sorted(missing))
        raise _wrong(asked, f"messages of the role 'tool' with the results must follow; these are missing: {there}.")


def _wrong(param: str, what: str) -> RefusedRequestError:
    return RefusedRequestError(f"{param}: {what}", code="invalid_value", param=param)
