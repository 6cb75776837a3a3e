"""One of the two endpoints that are compared, asked the way a cell asks."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ..chat import plain_run
from ..config import Endpoint, Settings
from ..errors import HolySheepError, UsageError
from ..events import Event, ReasoningDelta, TextDelta, ToolCallDelta
from ..pricing import Cost, Price
from ..route import open_route
from ..run import Run
from .answers import Answer
from .prompts import ShadowPrompt

_KEPT = ("connect_timeout_s", "idle_timeout_s", "max_attempts", "max_retry_wait_s", "budget")


@dataclass(frozen=True)
class Side:
    """An endpoint, the model that is asked there, and how. Where `model` is "", a prompt's own is asked."""

    endpoint: Endpoint
    model: str
    settings: Settings

    @property
    def host(self) -> str:
        """Whom the prompts go to."""
        return urlsplit(self.endpoint.base_url).netloc

    def model_for(self, prompt: ShadowPrompt) -> str:
        """The model that is asked. Raises `UsageError` if nobody names one."""
        model: str = self.model or prompt.model or self.settings.model
        if not model:
            raise UsageError(f"The prompt {prompt.label!r} names no model for {self.host}: name one with --old-model.")
        return model

    def price_for(self, prompt: ShadowPrompt) -> Price:
        """What the model costs that is asked."""
        return self.settings.price(self.model_for(prompt), self.host)

    def cost(self, prompt: ShadowPrompt, answer: Answer) -> Cost:
        """What an answer has cost, as far as it is known."""
        usage = answer.usage
        return self.price_for(prompt).cost(usage) if usage is not None else Cost(None, ("input", "output"))

    async def connect(self) -> None:
        """Opens a connection ahead, so that the first prompt is not slower than the others. For the stream thread."""
        route = open_route(self.settings, "sse")
        with contextlib.suppress(HolySheepError, asyncio.TimeoutError):
            await asyncio.wait_for(route.list_models(), self.settings.connect_timeout_s)

    async def ask(self, prompt: ShadowPrompt) -> Answer:
        """The answer to a prompt, whatever its end. For the stream thread; cancelling it stops the request."""
        run = plain_run("sse", self.settings, self.model_for(prompt), prompt.messages, prompt.parameters)
        arrivals: list[float] = []

        def note(event: Event | None) -> None:
            if isinstance(event, TextDelta | ReasoningDelta | ToolCallDelta):
                arrivals.append(time.monotonic())

        run.subscribe(note)
        run.start()
        try:
            await asyncio.wait({asyncio.wrap_future(run.ended)})
        finally:
            run.stop()
        return _answer(run, arrivals)


def open_side(
    settings: Settings, endpoint: Endpoint, model: str, prices: Mapping[str, Any], default_model: str = ""
) -> Side:
    """A side that asks `endpoint`, patient as `settings` are, with nowhere else to turn to.

    model    what is asked, whatever a prompt names; `default_model` is for prompts that name none
    prices   what its models cost, as the trait `prices` takes it; others are looked up in the table of this package
    """
    kept = {name: getattr(settings, name) for name in _KEPT}
    own = Settings(
        base_url=endpoint.base_url,
        api_key_name=endpoint.api_key_name,
        model=default_model,
        transport="sse",
        prices=dict(prices),
        **kept,
    )
    return Side(endpoint, model, own)


def _answer(run: Run, arrivals: list[float]) -> Answer:
    problem = str(run.error) if run.error is not None else "" if run.complete else f"The answer was {run.status}."
    usage = run.usage
    return Answer(
        model=run.model,
        text=run.text,
        calls=[{"name": call.name, "arguments": call.arguments} for call in run.tool_calls],
        problem=problem,
        first_delta_s=_rounded(run.timing.first_delta_s),
        gaps_s=[round(after - before, 4) for before, after in itertools.pairwise(arrivals)],
        total_s=round(run.timing.seconds, 4),
        input_tokens=usage.input_tokens if usage is not None else None,
        output_tokens=usage.output_tokens if usage is not None else None,
        is_estimate=usage is not None and usage.is_estimate,
        retries=len(run.retries),
    )


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)
