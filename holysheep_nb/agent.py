"""The loop between the model and the caller. One round: ask, and give the events of the answer."""

from __future__ import annotations

import asyncio
import contextlib
import difflib
import logging
from collections.abc import AsyncGenerator, Callable
from typing import Any

from .errors import (
    APIError,
    DisconnectedError,
    HolySheepError,
    ModelNotFoundError,
    ProtocolError,
    StalledError,
    StatusError,
)
from .events import Event
from .transports.base import Transport
from .wire import chat_completions
from .wire.base import Decoder

_log = logging.getLogger(__name__)

# A finish_reason has come: how long [DONE] and the usage may take.
_FINISH_GRACE_S = 5.0
# [DONE] has come: how long the end of the body may take, which keeps the connection for the next request.
_DRAIN_GRACE_S = 0.1


async def respond(
    transport: Transport,
    body: dict[str, Any],
    new_decoder: Callable[[], Decoder] = chat_completions.Decoder,
) -> AsyncGenerator[Event, None]:
    """The events of one answer, ending in `TurnFinished`.

    `new_decoder` is that of the wire which `body` is written for. Close the iterator to end the request at
    once. Raises `HolySheepError`; what came before stands.
    """
    decoder = new_decoder()
    model = str(body.get("model"))
    async with contextlib.aclosing(transport.stream(body)) as payloads:
        try:
            async for payload in payloads:
                for event in decoder.feed(payload):
                    yield event
                if decoder.finish_reason is not None or decoder.is_finished:
                    break
            while not decoder.is_finished:
                payload = await asyncio.wait_for(anext(payloads), _FINISH_GRACE_S)
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
        except (StopAsyncIteration, asyncio.TimeoutError):
            pass
    for event in decoder.end():
        yield event
    if not decoder.is_finished:
        raise DisconnectedError(f"{transport.host} ended the stream before the answer was complete.")


async def list_models(transport: Transport) -> list[str]:
    """The names of the models the endpoint offers. Raises `HolySheepError`."""
    try:
        return chat_completions.models_from_body(await transport.list_models())
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
