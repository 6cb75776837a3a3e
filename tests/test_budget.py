"""A run ends before it costs more than it may, in mid-stream or before a request."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from raw_server import HANG, RawServer, answer, calling, chunk, sse_head
from traitlets import TraitError

from holysheep_nb import Chat, Run, tool
from holysheep_nb.config import Settings
from holysheep_nb.conversation import Usage
from holysheep_nb.errors import BudgetError, UsageError
from holysheep_nb.pricing import ledger
from holysheep_nb.pricing.spending import Spending
from holysheep_nb.timing import estimate_request_tokens
from holysheep_nb.view.frozen import footer, frozen_markdown, run_metadata

# 1 USD per 1,000 tokens.
PRICE = (1000.0, 1000.0)
OUTPUT_ONLY = (0.0, 1000.0)


@pytest.fixture(autouse=True)
def nothing_spent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Spending]:
    """Sums that begin with this test."""
    from holysheep_nb import tally
    from holysheep_nb.pricing import meter

    fresh = Spending()
    monkeypatch.setattr(tally, "spending", fresh)
    monkeypatch.setattr(meter, "spending", fresh)
    return fresh  # type: ignore[return-value]


def chat_at(price: Any = PRICE, **settings: Any) -> Chat:
    return Chat(settings=Settings(prices={"raw": price}, **settings))


def endless(count: int = 500) -> list[Any]:
    return [sse_head(), *(chunk(f" w{number}") for number in range(count)), HANG]


def ended(run: Run) -> Run:
    """The run, when it has ended, however it did."""
    run.ended.result(10)
    return run


# In mid-stream


@pytest.mark.parametrize("price", [PRICE, OUTPUT_ONLY])
def test_a_run_ends_where_it_costs_its_limit_and_the_connection_is_closed(at_server: RawServer, price: Any) -> None:
    at_server.play(*endless())
    run = ended(chat_at(price).ask("Hi", max_cost=0.05))
    at_server.wait_for_disconnect(at_server.asked[0])
    assert run.status == "budget"
    assert run.usage is not None
    assert run.usage.is_estimate
    tokens = run.text.count(" w")
    assert 30 <= tokens <= 55
    assert run.usage.output_tokens == tokens
    assert run.cost is not None
    assert run.cost.usd == pytest.approx(0.05)
    assert isinstance(run.error, BudgetError)
    assert str(run.error) == (
        f"This run has reached its limit of $0.05: the answer is cut off, and what came is kept ({len(run.text)} "
        "characters). `run.resume(max_cost=USD)` goes on with a higher one."
    )
    assert run.turn.finish_reason == "budget"


def test_the_notebook_s_budget_ends_a_run_and_refuses_the_next_before_a_request(at_server: RawServer) -> None:
    at_server.play(*endless())
    chat = chat_at(budget=0.05)
    run = ended(chat.ask("Hi"))
    assert run.status == "budget"
    assert run.text.count(" w") <= 55
    assert str(run.error).startswith("The notebook's budget of $0.05 is used up ($0.05 spent): the answer is cut off")
    before = len(chat.conversation.exchanges)
    with pytest.raises(UsageError) as raised:
        chat.ask("And now?")
    assert str(raised.value) == (
        "The notebook's budget of $0.05 is used up ($0.05 spent): nothing was sent. "
        "`%config HolySheepMagics.budget = USD` sets another."
    )
    assert len(at_server.requests) == 1
    assert len(chat.conversation.exchanges) == before
    assert len(chat.runs) == 1


def test_one_budget_holds_for_runs_that_go_on_at_the_same_time(at_server: RawServer) -> None:
    slow = [sse_head(), *(step for number in range(500) for step in (chunk(f" w{number}"), 0.001)), HANG]
    at_server.play(*slow)
    at_server.play(*slow)
    chat = chat_at(OUTPUT_ONLY, budget=0.05)
    runs = [chat.ask("Hi"), chat.ask("Ho")]
    assert {ended(run).status for run in runs} == {"budget"}
    assert sum(run.text.count(" w") for run in runs) <= 60


def test_reasoning_and_the_arguments_of_calls_cost_too(at_server: RawServer) -> None:
    at_server.play(sse_head(), *(chunk(reasoning_content=" w") for _ in range(100)), HANG)
    run = ended(chat_at(OUTPUT_ONLY).ask("Hi", max_cost=0.05))
    assert run.status == "budget"
    assert run.text == ""
    assert len(run.turn.parts) == 1


def test_a_delta_of_many_tokens_is_counted_by_its_length(at_server: RawServer) -> None:
    at_server.play(sse_head(), *(chunk("word " * 16) for _ in range(20)), HANG)
    run = ended(chat_at(OUTPUT_ONLY).ask("Hi", max_cost=0.05))
    assert run.text == "word " * 16 * 3


def test_an_answer_that_ends_below_its_limit_is_complete(at_server: RawServer) -> None:
    at_server.play(answer("a", "b", usage=(3, 2)))
    run = chat_at().ask("Hi", max_cost=0.05).result()
    assert (run.status, str(run.cost)) == ("complete", "$0.005")


def test_an_answer_that_is_whole_is_complete_whatever_it_turns_out_to_cost(at_server: RawServer) -> None:
    at_server.play(answer("a", usage=(3000, 2000)))
    assert chat_at().ask("Hi", max_cost=0.05).result().status == "complete"


# Before a request


@tool(safe=True)
def look() -> str:
    """Looks."""
    return "seen"


def test_a_second_round_that_would_cost_too_much_is_not_sent(at_server: RawServer) -> None:
    at_server.play(calling(("look", {})))
    run = chat_at((1000.0, 0.0)).ask("Hi", tools=[look], max_cost=0.08)
    with pytest.raises(BudgetError):
        run.result()
    assert run.status == "budget"
    assert len(at_server.asked) == 1
    assert [part.type for part in run.turn.parts] == ["tool_call", "tool_result"]


def test_a_prompt_that_alone_costs_the_limit_is_not_sent(at_server: RawServer) -> None:
    with pytest.raises(UsageError) as raised:
        chat_at().ask("Hi " * 200, max_cost=0.05)
    assert str(raised.value).startswith("The prompt alone costs about $0.1")
    assert str(raised.value).endswith("and the limit is $0.05: nothing was sent. --max-cost USD sets another.")
    assert at_server.requests == []


@pytest.mark.parametrize(
    ("price", "sentence"),
    [
        (None, "The price of raw is unknown, so that no limit can be kept: set it with `{}`"),
        ((None, 8.0), "The input price of raw is unknown, so that no limit can be kept: set it with `{}`"),
    ],
)
@pytest.mark.parametrize(("budget", "max_cost"), [(None, 0.05), (1.0, None)])
def test_a_limit_that_cannot_be_kept_is_refused(
    at_server: RawServer, price: Any, sentence: str, budget: float | None, max_cost: float | None
) -> None:
    chat = Chat(settings=Settings(prices={"raw": price} if price else {}, budget=budget))
    with pytest.raises(UsageError) as raised:
        chat.ask("Hi", max_cost=max_cost)
    line = f"%holysheep prices raw {'INPUT 8' if price else 'INPUT OUTPUT'}"
    assert str(raised.value) == f"{sentence.format(line)}, in USD per million tokens."
    assert at_server.requests == []


def test_a_fallback_of_unknown_price_is_refused_too(at_server: RawServer) -> None:
    with pytest.raises(UsageError, match=r"^The price of other is unknown"):
        chat_at().ask("Hi", max_cost=0.05, fallback="other")


def test_what_is_free_has_no_limit(at_server: RawServer) -> None:
    at_server.play(answer(*("w" for _ in range(100))))
    run = chat_at((0, 0), budget=0.0).ask("Hi", max_cost=0.01).result()
    assert (run.status, str(run.cost)) == ("complete", "free")


def test_a_replayed_run_costs_nothing_and_has_no_limit(
    at_server: RawServer, tmp_path: Any, nothing_spent: Spending
) -> None:
    at_server.play(answer("a"))
    chat_at().ask("Hi", record=tmp_path / "f.json").result()
    spent, today = nothing_spent.usd, ledger.read_today().runs
    run = Chat(settings=Settings(budget=0.001)).ask("Hi", replay=tmp_path / "f.json", max_cost=0.001).result()
    assert (str(run.cost), nothing_spent.usd, ledger.read_today().runs) == ("free", spent, today)
    assert "free" not in footer(run)


@pytest.mark.parametrize("budget", [-1.0, "much"])
def test_a_budget_is_a_number_of_dollars(budget: Any) -> None:
    with pytest.raises(TraitError):
        Settings(budget=budget)


# Going on


def test_a_run_goes_on_only_with_another_limit(at_server: RawServer) -> None:
    at_server.play(*endless())
    run = ended(chat_at(OUTPUT_ONLY).ask("Hi", max_cost=0.05))
    with pytest.raises(UsageError, match=r"^This run has reached its limit of \$0\.05: nothing was sent\. "):
        run.resume()
    assert (run.status, len(at_server.requests)) == ("budget", 1)
    at_server.play(answer(" end.", usage=(80, 2)))
    run.resume(max_cost=0.5).result()
    assert (run.status, run.text[-5:]) == ("complete", " end.")
    assert run.usage is not None
    assert run.usage.is_estimate


def test_a_run_goes_on_once_the_notebook_s_budget_is_raised(at_server: RawServer) -> None:
    at_server.play(*endless())
    chat = chat_at(OUTPUT_ONLY, budget=0.05)
    run = ended(chat.ask("Hi"))
    with pytest.raises(UsageError, match="budget"):
        run.resume()
    chat.settings.budget = 1.0
    at_server.play(answer(" end."))
    assert run.resume().result().complete


# What is shown and kept


def test_what_a_run_cost_is_in_its_footer_and_its_metadata(at_server: RawServer) -> None:
    at_server.play(*endless())
    run = ended(chat_at(OUTPUT_ONLY).ask("Hi", max_cost=0.05))
    assert run.usage is not None
    assert footer(run).startswith(f"raw · ended by its budget · {run.usage} · ≈ $0.05 · ")
    assert "> This run has reached its limit of" in frozen_markdown(run)
    assert run_metadata(run)["cost"] == {"usd": pytest.approx(0.05), "missing": [], "is_estimate": True}


def test_a_stopped_run_has_a_cost(at_server: RawServer) -> None:
    at_server.play(sse_head(), chunk("a"), chunk("b"), HANG)
    run = chat_at().ask("Hi")
    while run.timing.deltas < 2:
        time.sleep(0.01)
    assert run.cost is not None
    run.stop()
    ended(run)
    assert run.usage == Usage(9, 2, is_estimate=True)
    assert str(run.cost) == "≈ $0.011"
    assert "≈ 9 + 2 tokens · ≈ $0.011" in footer(run)


def test_a_run_of_which_nothing_came_has_no_cost(at_server: RawServer) -> None:
    at_server.play([sse_head("application/json", status="400 Bad Request"), b"{}"])
    run = ended(chat_at().ask("Hi"))
    assert (run.status, run.usage, run.cost) == ("failed", None, None)


def test_the_price_is_that_of_the_model_that_answers(at_server: RawServer) -> None:
    dated = [sse_head(), b'data: {"model": "raw-2026-01-02", "choices": [{"delta": {"content": "a"}}]}\n\n']
    dated += [b'data: {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 5}}\n\n', b"data: [DONE]\n\n"]
    at_server.play(*dated)
    run = chat_at().ask("Hi").result()
    assert (run.model, str(run.cost)) == ("raw-2026-01-02", "$0.008")
    at_server.play(*(step.replace(b"raw-2026-01-02", b"another-name") for step in dated))
    run = chat_at().ask("Hi").result()
    assert (run.model, str(run.cost)) == ("another-name", "$0.008")


def test_sums_hold_each_token_once_when_a_run_is_resumed(at_server: RawServer, nothing_spent: Spending) -> None:
    before = ledger.read_today()
    at_server.play(*endless(20))
    run = chat_at().ask("Hi")
    while run.timing.deltas < 20:
        time.sleep(0.01)
    assert nothing_spent.total.output_tokens == 20
    run.stop()
    ended(run)
    at_server.play(answer(" end.", usage=(30, 2)))
    run.resume().result()
    assert run.usage is not None
    total, today = nothing_spent.total, ledger.read_today()
    assert (total.input_tokens, total.output_tokens) == (run.usage.input_tokens, run.usage.output_tokens) == (39, 22)
    assert total.cost is not None
    assert total.cost.usd == pytest.approx(0.061)
    assert today.output_tokens - before.output_tokens == 22


def test_a_request_is_estimated_by_its_texts_images_and_tools() -> None:
    messages = [{"role": "user", "content": [{"type": "text", "text": "x" * 400}]}]
    texts = estimate_request_tokens({"model": "m" * 9999, "messages": messages})
    assert 100 < texts < 150
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 1_000_000}}
    messages[0]["content"].append(image)  # type: ignore[attr-defined]
    assert 1000 <= estimate_request_tokens({"messages": messages}) - texts <= 1010
    assert estimate_request_tokens({"messages": messages, "tools": [{"name": "n" * 400}]}) > texts + 1100
