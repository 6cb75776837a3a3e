"""What waits for a person: may this tool be called with these arguments?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

Policy: TypeAlias = Literal["ask", "auto", "deny"]
POLICIES: tuple[Policy, ...] = ("ask", "auto", "deny")

NOBODY_THERE = (
    "Nobody is here to approve this call, so it was not made: a person who reads this can mark the tool as safe, "
    "or run with approve='auto'."
)


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided about one call. `arguments` is JSON text if the person changed them, else None."""

    is_approved: bool
    arguments: str | None = None
    is_for_always: bool = False
    reason: str = ""


class Approvals:
    """The calls of a run that wait for a decision. Belongs to the stream thread.

    policy       "ask" a person, "auto" approves everything, "deny" nothing; safe tools need no approval
    always       names of tools that were approved for good; shared by the runs of a chat
    timeout_s    how long a call waits before it is denied
    can_ask      True if somebody can be asked; looked at for each call
    """

    def __init__(
        self,
        policy: Policy = "ask",
        always: set[str] | None = None,
        timeout_s: float = 600.0,
        can_ask: Callable[[], bool] = lambda: False,
    ) -> None:
        self.policy = policy
        self.always = set() if always is None else always
        self.timeout_s = timeout_s
        self.can_ask = can_ask
        self._waiting: dict[str, asyncio.Future[Decision]] = {}

    @property
    def waiting(self) -> list[str]:
        """The ids of the calls that wait."""
        return list(self._waiting)

    def decide_alone(self, tool_name: str) -> Decision | None:
        """The decision, where none has to be asked for; None if a person has to say."""
        if self.policy == "auto" or tool_name in self.always:
            return Decision(True)
        if self.policy == "deny":
            return Decision(False, reason="Tools that are not marked as safe are not called in this run.")
        if not self.can_ask():
            return Decision(False, reason=NOBODY_THERE)
        return None

    async def ask(self, call_id: str, tool_name: str) -> Decision:
        """Waits for what the person says about a call."""
        future = self._waiting[call_id] = asyncio.get_running_loop().create_future()
        try:
            decision: Decision = await asyncio.wait_for(future, self.timeout_s)
        except asyncio.TimeoutError:
            return Decision(False, reason=f"Nobody approved the call within {self.timeout_s:g} s.")
        finally:
            del self._waiting[call_id]
        if decision.is_approved and decision.is_for_always:
            self.always.add(tool_name)
        return decision

    def answer(self, call_id: str, decision: Decision) -> bool:
        """Gives the decision about a call. False if it does not wait, or not any more."""
        future = self._waiting.get(call_id)
        if future is None or future.done():
            return False
        future.set_result(decision)
        return True

    def deny_all(self, reason: str) -> None:
        """Denies whatever waits now."""
        for call_id in self.waiting:
            self.answer(call_id, Decision(False, reason=reason))
