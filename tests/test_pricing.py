"""Prices as data, what tokens cost, and the sums that are kept."""

from __future__ import annotations

import json
import logging
import multiprocessing
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from traitlets import TraitError

from holysheep_nb.config import Settings
from holysheep_nb.conversation import Usage
from holysheep_nb.pricing import FREE, UNKNOWN, Cost, Price, Prices, format_usd, ledger
from holysheep_nb.pricing.spending import Total

GPT = "gpt-4.1"

# Which price belongs to a name


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("gpt-4.1", "gpt-4.1"),
        ("gpt-4.1-2025-04-14", "gpt-4.1"),
        ("GPT-4.1", "gpt-4.1"),
        ("openai/gpt-4.1", "gpt-4.1"),
        ("gpt-4.1-latest", "gpt-4.1"),
        ("claude-sonnet-4.5", "claude-sonnet-4.5"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4.5"),
        ("claude-sonnet-4-5@20250929", "claude-sonnet-4.5"),
        ("Claude Sonnet 4.5", "claude-sonnet-4.5"),
        ("gemini-2.5-flash", "gemini-2.5-flash"),
        ("deepseek-ai/DeepSeek-V3.2", "deepseek-v3.2"),
        ("deepseek-v3.2:latest", "deepseek-v3.2"),
    ],
)
def test_a_price_is_found_by_the_names_that_servers_use(name: str, known: str) -> None:
    assert Prices().find(name).model == known


@pytest.mark.parametrize(
    "name",
    [
        *(
            "gpt-4.1-mini",
            "gpt-4.1-mini-2025-04-14",
            "gpt-4.1-nano",
            "gpt-4",
            "gpt-4.10",
            "gpt-4.1-preview",
            "my-gpt-4.1",
        ),
        *("gemini-2.5-flash-lite", "gemini-2.5-flash-preview-04-17", "deepseek-v3.2-exp", "claude-sonnet-4", "", "raw"),
    ],
)
def test_the_price_of_another_model_is_not_taken(name: str) -> None:
    assert Prices().find(name) is UNKNOWN


def test_published_prices_are_of_output_alone_and_say_where_and_when() -> None:
    prices = {price.model: price for price in Prices().all()}
    assert {name: price.output_usd for name, price in prices.items()} == {
        "gpt-4.1": 8.0,
        "claude-sonnet-4.5": 15.0,
        "gemini-2.5-flash": 2.5,
        "deepseek-v3.2": 0.42,
    }
    for price in prices.values():
        assert price.input_usd is None
        assert price.source.startswith("https://www.holysheep.ai/")
        date.fromisoformat(price.date)


def test_a_price_that_was_set_comes_before_the_published_one() -> None:
    prices = Prices(
        {"GPT-4.1": (2, 8.5), "raw": {"input": None, "output": 1, "source": "contract", "date": "2026-01-02"}}
    )
    assert prices.find("gpt-4.1-2025-04-14") == Price("GPT-4.1", 2.0, 8.5, "set here")
    assert prices.find("raw") == Price("raw", None, 1.0, "contract", "2026-01-02")
    assert [price.model for price in prices.all()][:2] == ["GPT-4.1", "raw"]
    assert len(prices.all()) == 5


def test_only_the_built_in_models_are_free_and_only_on_this_machine() -> None:
    settings = Settings()
    for model in ("smollm2-135m-instruct", "script", "script-shop"):
        assert settings.price(model, "127.0.0.1:8123") is FREE
        assert settings.price(model, "api.holysheep.ai") is UNKNOWN
    assert settings.price("llama3", "localhost:11434") is UNKNOWN
    assert settings.price(GPT, "127.0.0.1:8123").output_usd == 8.0
    settings.prices = {"script-shop": (1, 1)}
    assert settings.price("script-shop", "127.0.0.1:8123").input_usd == 1.0


@pytest.mark.parametrize(
    ("prices", "problem"),
    [
        ({GPT: 8.0}, "the price of gpt-4.1 is no pair of input and output"),
        ({GPT: (1, 2, 3)}, "the price of gpt-4.1 is no pair"),
        ({GPT: (1, "2")}, "is no number of US dollars per million tokens: '2'"),
        ({GPT: (-1, 2)}, "is no number of US dollars per million tokens: -1"),
        ({GPT: (True, 2)}, "is no number of US dollars per million tokens: True"),
        ({GPT: (float("nan"), 2)}, "is no number"),
        ({GPT: {"inptu": 1}}, "has a field 'inptu'"),
        ({"": (1, 2)}, "a price needs the name of its model"),
    ],
)
def test_prices_that_cannot_be_are_refused_when_they_are_set(prices: dict[str, Any], problem: str) -> None:
    settings = Settings()
    with pytest.raises(TraitError, match=f"^These prices cannot be used: .*{problem}"):
        settings.prices = prices
    assert settings.prices == {}


# What tokens cost


@pytest.mark.parametrize(
    ("price", "usage", "cost", "text"),
    [
        ((2.0, 8.0), (1000, 210), Cost(0.00368), "$0.0037"),
        ((None, 8.0), (1000, 210), Cost(0.00168, ("input",)), "≥ $0.0017, input price unknown"),
        ((2.0, None), (1000, 210), Cost(0.002, ("output",)), "≥ $0.002, output price unknown"),
        ((None, 8.0), (0, 210), Cost(0.00168), "$0.0017"),
        ((None, 8.0), (10, 0), Cost(None, ("input",)), "cost unknown"),
        ((None, None), (10, 20), Cost(None, ("input", "output")), "cost unknown"),
        ((0.0, 0.0), (10, 20), Cost(0.0), "free"),
    ],
)
def test_a_cost_says_what_it_does_not_hold(
    price: tuple[float | None, float | None], usage: tuple[int, int], cost: Cost, text: str
) -> None:
    found = Price("m", *price).cost(Usage(*usage))
    assert (found.usd is None) == (cost.usd is None)
    assert found.usd == pytest.approx(cost.usd)
    assert (found.missing, found.is_estimate, str(found)) == (cost.missing, cost.is_estimate, text)


def test_the_cost_of_an_estimate_is_one() -> None:
    assert str(Price("m", 1.0, 1.0).cost(Usage(50, 50, is_estimate=True))) == "≈ $0.0001"
    assert str(Price("m", None, 8.0).cost(Usage(50, 210, is_estimate=True))) == "≈ $0.0017 or more, input price unknown"


def test_a_sum_with_something_unknown_is_a_lower_bound() -> None:
    total = Cost(0.5) + Cost(None, ("input", "output")) + Cost(0.25, is_estimate=True)
    assert total == Cost(0.75, ("input", "output"), True)
    assert str(total) == "≈ $0.75 or more, prices unknown"
    assert Cost(None, ("input",)) + Cost(None, ("output",)) == Cost(None, ("input", "output"))
    assert total.is_lower_bound
    assert not Cost(None, ("input",)).is_lower_bound


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        *[(0, "$0"), (0.00168, "$0.0017"), (0.000034, "$0.000034"), (1e-7, "$0.0000001"), (0.05, "$0.05")],
        *[(0.0501, "$0.05"), (0.051, "$0.051"), (0.5, "$0.50"), (0.123, "$0.123"), (1, "$1.00"), (1234.5, "$1,234.50")],
    ],
)
def test_small_amounts_keep_two_digits(usd: float, text: str) -> None:
    assert format_usd(usd) == text


# What was spent today


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(ledger, "ledger_folder", lambda: tmp_path / "spending")
    return tmp_path / "spending"


def test_a_line_holds_time_model_tokens_and_cost(folder: Path) -> None:
    ledger.record("m", Usage(3, 5), Cost(0.25, ("input",)))
    (file,) = folder.iterdir()
    (line,) = file.read_text("utf-8").splitlines()
    entry = json.loads(line)
    assert entry.pop("time").startswith(file.stem)
    assert entry == {
        "model": "m",
        "input_tokens": 3,
        "output_tokens": 5,
        "cost": {"usd": 0.25, "missing": ["input"], "is_estimate": False},
    }
    assert file.stat().st_mode & 0o777 == 0o600


def test_what_was_recorded_today_is_summed(folder: Path) -> None:
    assert ledger.read_today() == Total()
    ledger.record("m", Usage(3, 5), Cost(0.25))
    ledger.record("n", Usage(1, 1, is_estimate=True), Cost(None, ("input", "output"), True))
    assert ledger.read_today() == Total(2, 4, 6, Cost(0.25, ("input", "output"), True))


def test_a_line_that_cannot_be_read_is_left_out_and_logged(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    ledger.record("m", Usage(3, 5), Cost(0.25))
    (file,) = folder.iterdir()
    with file.open("a") as lines:
        lines.write('{"cut\n[1]\n{"cost": 3}\n')
    ledger.record("m", Usage(3, 5), Cost(0.25))
    assert ledger.read_today() == Total(2, 6, 10, Cost(0.5))
    assert len(caplog.records) == 2


def test_files_older_than_a_month_are_deleted_with_the_first_run_of_a_day(folder: Path) -> None:
    folder.mkdir()
    today = date.today()
    kept = [(today - timedelta(days=days)).isoformat() for days in (1, 30)]
    for name in (*kept, (today - timedelta(days=40)).isoformat()):
        (folder / f"{name}.jsonl").write_text("")
    (folder / "notes.jsonl").write_text("")
    ledger.record("m", Usage(3, 5), Cost(0.25))
    assert {path.stem for path in folder.iterdir()} == {*kept, today.isoformat(), "notes"}


def test_what_cannot_be_written_is_logged_and_fails_nothing(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder.write_text("a file where the folder should be")
    with caplog.at_level(logging.WARNING):
        ledger.record("m", Usage(3, 5), Cost(0.25))
    assert "what a run cost cannot be added to" in caplog.text


def test_a_file_does_not_grow_without_end(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ledger, "MAX_FILE_BYTES", 200)
    for _ in range(5):
        ledger.record("m", Usage(3, 5), Cost(0.25))
    assert ledger.read_today().runs == 2
    assert "it is larger than" in caplog.text


def _record_many(folder: str, model: str) -> None:
    ledger.ledger_folder = lambda: Path(folder)
    for _ in range(200):
        ledger.record(model * 50, Usage(1, 1), Cost(1.0))


def test_kernels_that_write_at_the_same_time_lose_no_line(folder: Path) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_record_many, args=(str(folder), name)) for name in "abc"]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert ledger.read_today() == Total(600, 600, 600, Cost(600.0))
