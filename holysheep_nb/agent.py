"""The loop: the model answers, the calls it wants are made, their results go back, until it answers without."""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import itertools
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .conversation import Turn
from .errors import (
    APIError,
    BadRequestError,
    BudgetError,
    ConfigurationError,
    ConnectionFailedError,
    DisconnectedError,
    HolySheepError,
    ModelNotFoundError,
    ProtocolError,
    StalledError,
    StatusError,
    UsageError,
)
from .events import (
    Event,
    RetryScheduled,
    RouteChanged,
    ToolCallDelta,
    ToolFinished,
    ToolStarted,
    TurnFinished,
    UsageReported,
)
from .masks import mask, open_log
from .parts import Part, ToolCallPart, ToolResultPart, part_from_dict
from .retries import Retries
from .tool_calls import ToolCalls
from .transports.base import Transport
from .wire import chat_completions
from .wire.base import Decoder, FollowUp
from .wire.masked import without_keys

_log = open_log(__name__)

# A finish_reason has come: how long [DONE] and the usage may take.
_FINISH_GRACE_S = 5.0
# [DONE] has come: how long the end of the body may take, which keeps the connection for the next request.
_DRAIN_GRACE_S = 0.1
# Every call that came is whole: how long the next may take, from a server that waits for results without saying so.
_CALLS_GRACE_S = 0.02

DEFAULT_MAX_ROUNDS = 8
CALLS_MADE = frozenset({"tool_calls", "function_call", "stop", ""})


@dataclass(frozen=True)
class Line:
    """One way to a model: what moves the text, and what it is written in.

    first         the message that begins a run
    follow_up     the messages that carry the results of a round: the run's first message, or what the last
                  `follow_up` gave, and the parts of the round
    name          what is said when it is taken in place of another, as in "over SSE"
    is_fallback   True if not the model or the endpoint answers that was asked for
    """

    transport: Transport
    first: dict[str, Any]
    follow_up: FollowUp
    new_decoder: Callable[[], Decoder]
    name: str = ""
    is_fallback: bool = False

    @property
    def model(self) -> str:
        """The model that is asked."""
        return str(self.first.get("model"))


async def converse(
    lines: Sequence[Line],
    calls: ToolCalls | None = None,
    max_rounds: int = DEFAULT_MAX_ROUNDS,
    retries: Retries | None = None,
    first_index: int = 0,
    note_request: Callable[[], None] = lambda: None,
) -> AsyncGenerator[Event, None]:
    """The events of a run: the model answers, its calls are made, and so on until it answers without calls.

    A request that fails before anything came is made again as `retries` say; then another line is taken, where one
    may do better. Calls are counted from `first_index`. `note_request` is called before each round, and may raise.
    Close the iterator to end what goes on, at once. Raises `HolySheepError`; what came before stands.
    """
    left = list(lines)
    while left:
        line = left.pop(0)
        has_begun = False
        patience = _Patience(retries, bool(left) and not left[0].is_fallback)
        events = _converse(line, calls, max_rounds, patience, first_index, note_request)
        try:
            async with contextlib.aclosing(events):
                async for event in events:
                    has_begun = has_begun or not isinstance(event, RetryScheduled)
                    yield event
            return
        except HolySheepError as error:
            while left and not (_may_fall_back(error) if left[0].is_fallback else _is_about_the_line(error)):
                left.pop(0)
            if has_begun or not left:
                raise
            yield RouteChanged(left[0].name, str(error), left[0].model if left[0].is_fallback else "")
        finally:
            await line.transport.hang_up()


@dataclass(frozen=True)
class _Patience:
    """Whether a request is made again: not if there is another way to the same model, and that was the trouble."""

    retries: Retries | None
    has_other_way: bool

    def after(self, error: HolySheepError, attempt: int) -> RetryScheduled | None:
        if self.retries is None or (self.has_other_way and _is_about_the_line(error)):
            return None
        return self.retries.after(error, attempt)


async def _respond_patiently(
    line: Line, messages: Sequence[dict[str, Any]], patience: _Patience
) -> AsyncGenerator[Event, None]:
    """One round, its request made again while nothing has come of it."""
    for attempt in itertools.count(1):
        has_begun = False
        events = respond(line.transport, *messages, new_decoder=line.new_decoder, model=line.model)
        try:
            async with contextlib.aclosing(events):
                async for event in events:
                    has_begun = True
                    yield event
            return
        except HolySheepError as error:
            retry = None if has_begun else patience.after(error, attempt)
            if retry is None:
                raise
        await line.transport.hang_up()
        yield retry
        await asyncio.sleep(retry.seconds)


async def _converse(
    line: Line,
    calls: ToolCalls | None,
    max_rounds: int,
    patience: _Patience,
    first_index: int,
    note_request: Callable[[], None],
) -> AsyncGenerator[Event, None]:
    messages = [line.first]
    usage = UsageReported(0, 0)
    ids = _CallIds()
    for rounds_left in range(max_rounds - 1, -1, -1):
        answer = Turn("assistant")
        finished = TurnFinished("tool_calls")
        spent = usage
        note_request()
        async for event in _respond_patiently(line, messages, patience):
            if isinstance(event, ToolCallDelta):
                index = first_index + event.index
                event = replace(event, index=index, call_id=ids.name(index, event.call_id))
                answer.apply(replace(event, index=index - first_index))
            elif isinstance(event, UsageReported):
                usage = event = UsageReported(
                    spent.input_tokens + event.input_tokens, spent.output_tokens + event.output_tokens
                )
            elif isinstance(event, TurnFinished):
                finished = event
                continue
            else:
                answer.apply(event)
            yield event
        asked = [(first_index + index, call) for index, call in answer.calls.items()]
        if not asked or calls is None:
            yield finished
            return
        unmade = _why_unmade(finished.reason, rounds_left, max_rounds)
        if unmade is not None:
            for index, _ in asked:
                yield ToolFinished(index, unmade[0], "stopped")
            yield TurnFinished(unmade[1])
            return
        async with contextlib.aclosing(calls.make(asked)) as made:
            async for event in made:
                yield event
                if isinstance(event, ToolStarted | ToolFinished):
                    answer.apply(replace(event, index=event.index - first_index))
                if isinstance(event, ToolFinished) and event.outcome == "stopped":
                    raise asyncio.CancelledError
        parts = answer.parts
        if not line.transport.is_reusable:
            # The results belong to the connection that the calls came over, where they have the server's ids.
            patience = _Patience(None, False)
            parts = [ids.given(part) for part in parts]
        messages = line.follow_up(messages[0], parts)
        first_index += len(asked)


class _CallIds:
    """An id for each call of a run. Some servers give none, some the same ones in each round."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        self._given: dict[str, str] = {}

    def name(self, index: int, given: str) -> str:
        """What a delta of call `index` says of its id, of which the server says `given`: "" for nothing new."""
        if index in self._names and not given:
            return ""
        others = [name for other, name in self._names.items() if other != index]
        name = given or f"call_{index + 1}"
        while name in others:
            name = f"{name}_{index + 1}"
        self._names[index] = name
        self._given[name] = given or name
        return name

    def given(self, part: Part) -> Part:
        """The same part, with the id that the server gave."""
        if not isinstance(part, ToolCallPart | ToolResultPart) or self._given.get(part.call_id) == part.call_id:
            return part
        return part_from_dict({**part.to_dict(), "call_id": self._given.get(part.call_id, part.call_id)})


def _why_unmade(reason: str, rounds_left: int, max_rounds: int) -> tuple[str, str] | None:
    """What the model is told about calls that are not made, and how the turn ends; None if they are made."""
    if reason not in CALLS_MADE:
        return f"The call was not made: the answer was cut off ({reason}) while it was written.", reason
    if not rounds_left:
        return f"The call was not made: this run has had its {max_rounds} rounds.", "max_rounds"
    return None


def _may_fall_back(error: HolySheepError) -> bool:
    """True if another model or endpoint may do better."""
    return not isinstance(error, BadRequestError | BudgetError | ConfigurationError | UsageError)


def _is_about_the_line(error: HolySheepError) -> bool:
    """True if another way to the same model may do better."""
    if isinstance(error, APIError):
        return error.status_code in (404, 405, 426, 501)
    return isinstance(error, ConnectionFailedError | DisconnectedError | ProtocolError)


async def respond(
    transport: Transport,
    *messages: dict[str, Any],
    new_decoder: Callable[[], Decoder] = chat_completions.Decoder,
    model: str = "",
) -> AsyncGenerator[Event, None]:
    """The events of one round, ending in `TurnFinished` unless the server waits for the results of calls.

    `new_decoder` is that of the wire which `messages` are written for. Close the iterator to end the round at
    once. Raises `HolySheepError`; what came before stands.
    """
    decoder = without_keys(new_decoder())
    model = model or str(messages[0].get("model"))
    async with contextlib.aclosing(transport.stream(*messages)) as payloads:
        try:
            async for payload in payloads:
                for event in decoder.feed(payload):
                    yield event
                if decoder.finish_reason is not None or decoder.is_finished or decoder.may_wait:
                    break
            while not decoder.is_finished:
                grace_s = _CALLS_GRACE_S if decoder.may_wait else _FINISH_GRACE_S
                payload = await asyncio.wait_for(anext(payloads), grace_s)
                for event in decoder.feed(payload):
                    yield event
            if transport.is_reusable:
                await asyncio.wait_for(anext(payloads), _DRAIN_GRACE_S)
        except StatusError as error:
            raise await _explain(error, transport, model) from error
        except ModelNotFoundError as error:
            raise await _advise(error, transport, model) from error.__cause__
        except (StalledError, DisconnectedError):
            if decoder.finish_reason is None and not decoder.is_finished:
                raise
        except asyncio.TimeoutError:
            if decoder.may_wait:
                return
        except StopAsyncIteration:
            pass
    for event in decoder.end():
        yield event
    if not decoder.is_finished:
        raise DisconnectedError(f"{transport.host} ended the stream before the answer was complete.")


async def list_models(transport: Transport) -> list[str]:
    """The names of the models the endpoint offers. Raises `HolySheepError`."""
    try:
        return chat_completions.models_from_body(mask(await transport.list_models()))
    except StatusError as error:
        raise chat_completions.error_from_status(error, transport.host, "", transport.key_name) from error


async def _explain(error: StatusError, transport: Transport, model: str) -> APIError | ProtocolError:
    explained = chat_completions.error_from_status(error, transport.host, model, transport.key_name, transport.url_name)
    return await _advise(explained, transport, model) if isinstance(explained, ModelNotFoundError) else explained


async def _advise(error: ModelNotFoundError, transport: Transport, model: str) -> ModelNotFoundError:
    """The error, with the name that may have been meant."""
    try:
        offered = await list_models(transport)
    except HolySheepError as unlisted:
        _log.debug("no list of models to suggest from: %s", unlisted)
        return error
    nearest = difflib.get_close_matches(model, offered, n=1, cutoff=0.4) or offered[:1]
    advice = f" Did you mean {nearest[0]!r}?" if nearest else ""
    return ModelNotFoundError(
        f"{error}{advice} `%holysheep models` lists what there is.",
        status_code=error.status_code,
        code=error.code,
        details=error.details,
    )
