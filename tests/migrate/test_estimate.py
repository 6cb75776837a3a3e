"""What a month costs: from prices that somebody has given or published, and from no others."""

from __future__ import annotations

import json

import pytest

from holysheep_nb import cli

MONTH = ["migrate", "--roi", "--monthly-tokens"]


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOLYSHEEP_MODEL", "HOLYSHEEP_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def estimate(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert cli.main([*MONTH, *words]) == 0
    return capsys.readouterr().out


def test_known_prices_give_what_is_saved(capsys: pytest.CaptureFixture[str]) -> None:
    said = estimate(capsys, "30M,5M", "--old-model", "gpt-4o", "--old-price", "2.5,10", "--price", "1,8")
    assert said.startswith("A month of 30,000,000 tokens in and 5,000,000 out:\n")
    assert (
        "| old | gpt-4o | 125.00 USD | input 2.5, output 10 USD per million tokens (given with --old-price) |" in said
    )
    assert "| HolySheep | gpt-4.1 | 70.00 USD | input 1, output 8 USD per million tokens (given with --price) |" in said
    assert "Saved: 55.00 USD a month, 660.00 USD a year (−44 %)," in said


def test_what_becomes_dearer_is_called_so(capsys: pytest.CaptureFixture[str]) -> None:
    said = estimate(capsys, "1M,1M", "--old-price", "1,1", "--price", "2,2")
    assert "Dearer by: 2.00 USD a month, 24.00 USD a year (+100 %)," in said


def test_an_unknown_price_is_asked_for_and_the_known_one_has_source_and_date(
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = estimate(capsys, "1M,1M", "--model", "deepseek-v3.2")
    assert "| old | the old model | unknown | input unknown, output unknown USD per million tokens |" in said
    assert "≥ 0.42 USD, input price unknown | input unknown, output 0.42 USD per million tokens (https://" in said
    assert (
        "What is saved is unknown: give the input and output price of the old model with --old-price IN,OUT, "
        "and the input price of deepseek-v3.2 with --price IN,OUT." in said
    )
    assert "Saved" not in said


def test_output_alone_needs_no_price_of_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert "Saved: 2.00 USD a month" in estimate(capsys, "0,1m", "--old-price", "2.5,10", "--model", "gpt-4.1")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["migrate", "--roi"], "--roi needs the tokens of a month: --monthly-tokens IN,OUT"),
        (["migrate", "--roi", "--rollback"], "--rollback takes a journal, and neither paths nor"),
        (["migrate", "--write"], "--write needs the files or folders to rewrite."),
    ],
)
def test_what_does_not_go_together_is_said(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(words) == 2
    assert said in capsys.readouterr().err


def test_json_and_the_table_do_not_go_together(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*MONTH, "1,1", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"] == "--roi writes a table: leave out --json."


@pytest.mark.parametrize("tokens", ["1", "1,2,3", "a,b", "-1,1", "inf,1", ","])
def test_counts_that_cannot_be_read_are_said(tokens: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main([*MONTH[:-1], f"{MONTH[-1]}={tokens}"])
    assert "two counts are needed, as in 30M,5M" in capsys.readouterr().err
