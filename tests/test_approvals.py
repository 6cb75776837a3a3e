from __future__ import annotations

import asyncio

import pytest

from holysheep_nb.approvals import NOBODY_THERE, Approvals, Decision


def test_auto_approves_and_deny_denies_without_a_question() -> None:
    assert Approvals("auto").decide_alone("f") == Decision(True)
    denied = Approvals("deny", can_ask=lambda: True).decide_alone("f")
    assert denied is not None
    assert (denied.is_approved, bool(denied.reason)) == (False, True)


def test_ask_asks_where_somebody_is_and_denies_at_once_where_nobody_is() -> None:
    assert Approvals("ask", can_ask=lambda: True).decide_alone("f") is None
    assert Approvals("ask", can_ask=lambda: False).decide_alone("f") == Decision(False, reason=NOBODY_THERE)


def test_a_tool_approved_for_always_needs_no_question_in_any_run_of_the_chat() -> None:
    always: set[str] = set()

    async def ask() -> None:
        approvals = Approvals("ask", always, can_ask=lambda: True)
        asking = asyncio.ensure_future(approvals.ask("c1", "f"))
        await asyncio.sleep(0)
        assert approvals.answer("c1", Decision(True, is_for_always=True))
        assert (await asking).is_approved

    asyncio.run(ask())
    later = Approvals("ask", always, can_ask=lambda: False)
    assert later.decide_alone("f") == Decision(True)
    assert later.decide_alone("g") == Decision(False, reason=NOBODY_THERE)


def test_a_call_that_nobody_approves_is_denied_after_the_timeout() -> None:
    approvals = Approvals("ask", timeout_s=0.02, can_ask=lambda: True)
    assert asyncio.run(approvals.ask("c1", "f")) == Decision(False, reason="Nobody approved the call within 0.02 s.")
    assert approvals.waiting == []


def test_a_decision_counts_once_and_only_for_a_call_that_waits() -> None:
    async def ask() -> Decision:
        approvals = Approvals("ask", can_ask=lambda: True)
        assert not approvals.answer("c1", Decision(True))
        asking = asyncio.ensure_future(approvals.ask("c1", "f"))
        await asyncio.sleep(0)
        assert not approvals.answer("c2", Decision(True))
        assert approvals.answer("c1", Decision(False, reason="no"))
        assert not approvals.answer("c1", Decision(True))
        return await asking

    assert asyncio.run(ask()) == Decision(False, reason="no")


def test_deny_all_denies_whatever_waits() -> None:
    async def ask() -> list[Decision]:
        approvals = Approvals("ask", can_ask=lambda: True)
        asking = [asyncio.ensure_future(approvals.ask(f"c{i}", "f")) for i in range(3)]
        await asyncio.sleep(0)
        approvals.deny_all("gone")
        return await asyncio.gather(*asking)

    assert asyncio.run(ask()) == [Decision(False, reason="gone")] * 3


def test_a_run_that_is_stopped_leaves_no_question_behind() -> None:
    async def ask() -> list[str]:
        approvals = Approvals("ask", can_ask=lambda: True)
        asking = asyncio.ensure_future(approvals.ask("c1", "f"))
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        return approvals.waiting

    assert asyncio.run(ask()) == []
