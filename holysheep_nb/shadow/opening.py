"""A comparison from what was asked for: both sides, the prompts, and the results that are there already."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..aliases import resolve_alias
from ..config import Endpoint, Settings, check_base_url
from ..errors import UsageError
from ..kernel import stream_thread
from .figures import figures_of
from .likeness import DEFAULT_AGREE_AT
from .options import DEFAULT_OLD_PROFILE
from .plots import require_extra
from .prompts import ShadowPrompt, read_prompts
from .report import Report
from .results import Results
from .shadow import DEFAULT_CONCURRENCY, Shadow
from .sides import Side, open_side


@dataclass
class ShadowTask:
    """A comparison, and where its report goes. What came is kept, however it ends."""

    shadow: Shadow
    report_path: Path
    agree_at: float
    _task: asyncio.Task[None] | None = None

    async def run(self, on_progress: Callable[[str], None]) -> None:
        """Sends what has not been sent, on the stream thread, and says how far it is. Raises `HolySheepError`."""
        self._task = asyncio.current_task()
        await self.shadow.run(lambda: on_progress(self.progress))

    def stop(self) -> None:
        """Ends the requests that are underway, from any thread."""
        stream_thread.call(self._cancel)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def report(self) -> Report:
        """The report of what has come so far."""
        return Report(self.shadow, figures_of(self.shadow, self.agree_at), self.agree_at)

    @property
    def progress(self) -> str:
        """One line."""
        return f"{self.shadow.done} of {len(self.shadow.prompts)} prompts are compared."

    @property
    def interrupted(self) -> str:
        """The sentence for an interrupt."""
        left = len(self.shadow.prompts) - self.shadow.done
        return f"Interrupted; {self.progress} What came is kept: the same line again sends the other {left}."


def open_shadow(given: argparse.Namespace, settings: Settings) -> ShadowTask:
    """The comparison that `options` describe, of another endpoint with the settings'. Sends nothing.

    Raises `UsageError` and `ConfigurationError`.
    """
    require_extra()
    prompts = read_prompts(given.prompts)
    old, new = _old_side(given, settings, prompts), _new_side(given, settings, prompts)
    _keep_apart(old, new)
    results = Results(given.results or given.prompts.with_suffix(".shadow.jsonl"), _compared(old, new))
    shadow = Shadow(
        prompts,
        old,
        new,
        results,
        concurrency=DEFAULT_CONCURRENCY if given.concurrency is None else given.concurrency,
        budget_usd=given.budget,
        sends_failed_again=given.again,
    )
    agree_at = DEFAULT_AGREE_AT if given.agree_at is None else given.agree_at
    return ShadowTask(shadow, given.report or given.prompts.with_suffix(".shadow.md"), agree_at)


def _old_side(given: argparse.Namespace, settings: Settings, prompts: Sequence[ShadowPrompt]) -> Side:
    endpoint = _old_endpoint(given, settings)
    # The table of the package holds HolySheep's prices, which are not those of another endpoint.
    price = _price(given.old_price, "--old-price") or {"source": "give it with --old-price"}
    return open_side(settings, endpoint, given.old_model, _for_all(price, given.old_model, prompts))


def _old_endpoint(given: argparse.Namespace, settings: Settings) -> Endpoint:
    if given.old_base_url is None:
        name = given.old_profile or DEFAULT_OLD_PROFILE
        profile = settings.known_profiles().get(name)
        if profile is None:
            raise UsageError(f"There is no profile {name!r}: name the old endpoint with --old-base-url.")
        return Endpoint(check_base_url(profile.base_url), given.old_key_name or profile.api_key_name)
    base_url = check_base_url(given.old_base_url)
    if given.old_profile is not None:
        raise UsageError("The old endpoint is named by --old-profile or by --old-base-url: leave one out.")
    if not given.old_key_name:
        raise UsageError(f"Name the variable that holds the key of {urlsplit(base_url).netloc} with --old-key-name.")
    return Endpoint(base_url, given.old_key_name)


def _new_side(given: argparse.Namespace, settings: Settings, prompts: Sequence[ShadowPrompt]) -> Side:
    price, default = _price(given.price, "--price"), resolve_alias(settings.resolved_model())
    prices = {**settings.prices, **(_for_all(price, given.model or default, prompts) if price else {})}
    return open_side(settings, settings.own_endpoint(), resolve_alias(given.model), prices, default)


def _price(pair: tuple[float, float] | None, option: str) -> dict[str, Any] | None:
    return None if pair is None else {"input": pair[0], "output": pair[1], "source": f"given with {option}"}


def _for_all(price: dict[str, Any], model: str, prompts: Sequence[ShadowPrompt]) -> dict[str, Any]:
    """The same price for whatever is asked."""
    return {name: price for name in (model, *(prompt.model for prompt in prompts)) if name}


def _keep_apart(old: Side, new: Side) -> None:
    """Raises `UsageError` if one key would go to two hosts."""
    if old.endpoint.api_key_name == new.endpoint.api_key_name and old.host != new.host:
        raise UsageError(
            f"{new.endpoint.api_key_name} belongs to {new.host}: name another variable for {old.host} with "
            "--old-key-name."
        )


def _compared(old: Side, new: Side) -> dict[str, str]:
    return {
        f"{name}_{what}": value
        for name, side in (("old", old), ("new", new))
        for what, value in (
            ("address", side.endpoint.base_url),
            ("key_name", side.endpoint.api_key_name),
            ("model", side.model),
        )
    }
