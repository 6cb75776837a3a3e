"""A version of a cell as a run, which is what views show."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from dataclasses import replace

from ..conversation import Exchange, Turn
from ..errors import UsageError
from ..events import Event
from ..pricing import Meter
from ..run import TERMINAL_STATES, Request, Run, State
from ..timing import Timing, iso_now


def state_of(version: list[Turn], runs: Iterable[Run]) -> State:
    """How a version's run has ended, or how it goes."""
    run = _run_of(version, runs)
    if run is not None:
        return run.status
    reason = version[-1].finish_reason
    endings: dict[str | None, State] = {None: "truncated", "max_rounds": "truncated"}
    endings |= {state: state for state in TERMINAL_STATES}
    return endings.get(reason, "complete")


def chosen_run(exchange: Exchange, runs: Iterable[Run], meter: Meter) -> Run:
    """The run of the version that is current, which a person has put there now: one of `runs`, or what is known of it.

    Its request says which version it is.
    """
    runs = list(runs)
    run = _run_of(exchange.turns, runs) or _read_run(exchange, state_of(exchange.turns, runs), meter)
    run.request = replace(
        run.request, branches=tuple(exchange.branches), version=exchange.number, remark="", chosen_at=iso_now()
    )
    return run


def _run_of(version: list[Turn], runs: Iterable[Run]) -> Run | None:
    return next((run for run in runs if run.turns is version), None)


def _read_run(exchange: Exchange, state: State, meter: Meter) -> Run:
    prompt, answer = exchange.turns
    request = Request(
        prompt.text,
        answer.model,
        body={},
        host="",
        label=exchange.label,
        cell=exchange.key,
        starts_afresh=exchange.starts_afresh,
    )
    run = Run(request, exchange.turns, _refuse, meter=meter)
    run.status = state
    run.timing = Timing(total_s=0.0)
    run.ended.set_result(None)
    return run


async def _refuse(_turn: Turn) -> AsyncGenerator[Event, None]:
    raise UsageError("This answer was read from the saved notebook and cannot be resumed: run its cell again.")
    yield
