"""One of the two endpoints that are compared, asked the way a cell asks."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

from ..chat import plain_run
from ..config import Endpoint, Settings
from ..errors import UsageError
from ..events import Event, ReasoningDelta, TextDelta, ToolCallDelta
from ..run import Run
from .answers import Answer
from .prompts import ShadowPrompt

_KEPT = ("connect_timeout_s", "idle_timeout_s", "max_attempts", "max_retry_wait_s", "max_tokens", "temperature")


@dataclass(frozen=True)
class Side:
    """An endpoint and the model that is asked there: `model`, or the one that the prompt names where it is ""."""

    endpoint: Endpoint
    model: str
    settings: Settings

    @property
    def host(self) -> str:
        """Whom the prompts go to."""
        return urlsplit(self.endpoint.base_url).netloc

    def model_for(self, prompt: ShadowPrompt) -> str:
        """The model that is asked. Raises `UsageError` if neither the side nor the prompt names one."""
        if not (self.model or prompt.model):
            raise UsageError(f"The prompt {prompt.label!r} names no model for {self.host}: name one with --old-model.")
        return self.model or prompt.model

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


def open_side(settings: Settings, endpoint: Endpoint, model: str) -> Side:
    """A side that asks `endpoint`, patient as `settings` are, with nowhere else to turn to."""
    kept = {name: getattr(settings, name) for name in _KEPT}
    own = Settings(base_url=endpoint.base_url, api_key_name=endpoint.api_key_name, transport="sse", **kept)
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
        gaps_s=[round(after - before, 4) for before, after in zip(arrivals, arrivals[1:], strict=False)],
        total_s=round(run.timing.seconds, 4),
        input_tokens=usage.input_tokens if usage is not None else None,
        output_tokens=usage.output_tokens if usage is not None else None,
        is_estimate=usage is not None and usage.is_estimate,
        retries=len(run.retries),
    )


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)
