"""The calls of one round: checked, approved, made. Each ends in a `ToolFinished`, whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from .approvals import Approvals, Decision
from .errors import ToolArgumentsError
from .events import ApprovalRequested, CallQueued, Event, ToolFinished, ToolOutcome, ToolStarted
from .parts import ToolCallPart
from .tools import Tool


@dataclass(frozen=True, slots=True)
class Result:
    """What came of making a call: the fields of `ToolFinished`, without the call."""

    text: str
    outcome: ToolOutcome = "ok"
    seconds: float = 0.0
    details: str = ""
    images: tuple[str, ...] = ()
    shown: tuple[dict[str, Any], ...] = ()


Execute: TypeAlias = Callable[[Tool, tuple[Any, ...], dict[str, Any]], Awaitable[Result]]


class ToolCalls:
    """Makes the calls of a run.

    tools      by name
    approvals  who decides
    execute    calls the function where it belongs; raises nothing but `CancelledError`
    """

    def __init__(self, tools: Mapping[str, Tool], approvals: Approvals, execute: Execute) -> None:
        self.tools = tools
        self._approvals = approvals
        self._execute = execute

    async def make(self, calls: Sequence[tuple[int, ToolCallPart]]) -> AsyncGenerator[Event, None]:
        """What happens to the calls of a round, each given with its index.

        Approval is asked for all of them at once. Those that need the main thread run one after the other in
        the order given; asynchronous ones and those with a thread of their own run beside them.
        """
        events: asyncio.Queue[Event | None] = asyncio.Queue()
        tasks: list[asyncio.Task[None]] = []
        before: asyncio.Task[None] | None = None
        for index, call in calls:
            tool = self.tools.get(call.name)
            needs_main_thread = tool is not None and not (tool.is_async or tool.runs_in_thread)
            earlier = before if needs_main_thread else None
            task = asyncio.ensure_future(self._make(index, call, tool, events.put_nowait, earlier))
            tasks.append(task)
            if needs_main_thread:
                before = task
        everything = asyncio.gather(*tasks)
        everything.add_done_callback(lambda _: events.put_nowait(None))
        try:
            while (event := await events.get()) is not None:
                yield event
            await everything
        finally:
            everything.cancel()
            await asyncio.gather(everything, *tasks, return_exceptions=True)

    async def _make(
        self,
        index: int,
        call: ToolCallPart,
        tool: Tool | None,
        tell: Callable[[Event], None],
        before: asyncio.Task[None] | None,
    ) -> None:
        if tool is None:
            there = ", ".join(self.tools) or "none"
            tell(ToolFinished(index, f"There is no tool {call.name!r}; there are: {there}.", "invalid"))
            return
        try:
            arguments, named = tool.read_arguments(call.arguments)
        except ToolArgumentsError as error:
            tell(ToolFinished(index, str(error), "invalid"))
            return
        edited = ""
        if not tool.is_safe:
            decision = self._approvals.decide_alone(tool.name)
            problem = refused = ""
            while decision is None:
                tell(ApprovalRequested(index, tool.parameters, tool.description, problem, refused))
                decision = await self._approvals.ask(call.call_id, tool.name)
                if decision.is_approved and decision.arguments is not None:
                    try:
                        arguments, named = tool.read_arguments(decision.arguments)
                        edited = decision.arguments
                    except ToolArgumentsError as error:
                        problem, refused, decision = str(error), decision.arguments, None
            if not decision.is_approved:
                tell(ToolFinished(index, _denial(decision), "denied"))
                return
        if before is not None and not before.done():
            tell(CallQueued(index, edited))
            await asyncio.wait({before})
        tell(ToolStarted(index, edited))
        result = await self._execute(tool, arguments, named)
        told = f"(The person changed the arguments to {edited}.)\n{result.text}" if edited else result.text
        tell(ToolFinished(index, told, result.outcome, result.seconds, result.details, result.images, result.shown))


def _denial(decision: Decision) -> str:
    reason = decision.reason.strip()
    return f"The call was denied: {reason}" if reason else "The call was denied."
