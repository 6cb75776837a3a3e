"""The report: what it says, where it ends, and what it admits not to know."""

from __future__ import annotations

import html
import re
import subprocess
import sys

import pytest
from raw_server import answer, json_answer
from two_ends import TwoEnds

from holysheep_nb.errors import HolySheepError
from holysheep_nb.shadow.report import change, seconds


def table(markdown: str) -> dict[str, list[str]]:
    """The rows of the tables by their first cell."""
    rows = [line.strip("| ").split(" | ") for line in markdown.splitlines() if line.startswith("| ")]
    return {row[0]: [cell.strip() for cell in row[1:]] for row in rows}


def test_the_report_ends_in_the_figures_that_a_decision_needs(ends: TwoEnds) -> None:
    ends.write(["one", "two", "three"])
    for steps in (answer("yes it is"), answer("no"), json_answer({"error": {"message": "no"}}, status="400 Bad")):
        ends.old.play(steps)
    ends.new.play(answer("yes it is"))
    comparison = ends.compare("--concurrency", "1", "--old-price", "3,30", "--price", "1,10")
    decision = html.unescape(comparison.report().to_markdown()).split("## What it comes to\n\n")[1].splitlines()
    time = r"\d+(?:\.\d+)? m?s"
    step = rf"{time} → {time} \([+−±]\d+ %\)"
    assert re.fullmatch(f"- Median time to first token: {step}", decision[0])
    assert re.fullmatch(f"- Median total time: {step}", decision[1])
    assert decision[2] == "- Cost: 0.00032 USD → 0.00011 USD (−67 %)"
    assert decision[3].startswith("- Answers that agree: 1 of 2 (50 %); their texts are 50 % alike.")
    assert decision[4:] == ["- Failures: old 1 of 3, HolySheep 0 of 3"]


def test_prices_that_are_unknown_are_called_so_and_never_made_up(ends: TwoEnds) -> None:
    ends.write(["one"])
    for server in (ends.old, ends.new):
        server.play(answer("yes"))
    markdown = ends.compare("--model", "gpt-4.1").report().to_markdown()
    # A pair of dollar signs is a formula in Jupyter.
    assert "$" not in markdown
    report = html.unescape(markdown)
    assert table(report)["cost"] == ["unknown", "≥ 0.00004 USD, input price unknown", "change unknown"]
    assert "- Cost: unknown → ≥ 0.00004 USD, input price unknown (change unknown)" in report
    assert "- old, old-large: input unknown, output unknown USD per million tokens (give it with --old-price)" in report
    assert re.search(
        r"- HolySheep, gpt-4\.1: input unknown, output 8 USD per million tokens \(https://\S+, 2\d+-", report
    )


def test_the_old_endpoint_is_not_charged_at_holysheep_s_prices(ends: TwoEnds) -> None:
    ends.write(["one"])
    for server in (ends.old, ends.new):
        server.play(answer("yes"))
    report = ends.compare("--old-model", "gpt-4.1", "--model", "gpt-4.1").report()
    (row,) = report.figures.rows
    assert (row.old_cost.usd, row.new_cost.usd) == (None, pytest.approx(0.00004))


def test_two_plots_stand_beside_the_markdown(ends: TwoEnds) -> None:
    ends.write(["one", "two"])
    for server in (ends.old, ends.new):
        server.play(answer("yes"))
    comparison = ends.compare()
    comparison.report().save(ends.folder / "page.md")
    text = (ends.folder / "page.md").read_text("utf-8")
    names = re.findall(r"!\[.*?\]\((.*?)\)", text)
    assert names == ["page-times.png", "page-tokens.png"]
    for name in names:
        assert (ends.folder / name).read_bytes().startswith(b"\x89PNG\r\n")
    with pytest.raises(HolySheepError, match=r"The report .* cannot be written"):
        comparison.report().save(ends.folder / "none" / "page.md")


def test_a_report_without_an_answer_can_be_drawn_and_says_what_failed(ends: TwoEnds) -> None:
    ends.write(["a | b <script>"])
    ends.old.play(answer("yes"))
    ends.new.play(json_answer({"error": {"message": "<b>no</b>"}}, status="400 Bad Request"))
    comparison = ends.compare()
    comparison.report().save(comparison.report_path)
    text = comparison.report_path.read_text("utf-8")
    assert "- a \\| b &lt;script&gt; (HolySheep): " in text
    assert "&lt;b&gt;no&lt;/b&gt;" in text
    assert "- Median total time: – → – (unknown)" in text
    assert "- Answers that agree: 0 of 0." in text


def test_drawing_leaves_the_notebook_s_own_pyplot_alone() -> None:
    code = (
        "import sys; from holysheep_nb.shadow.figures import *; from holysheep_nb.shadow.plots import *;"
        "none = SideFigures(0, *[None] * 5, 0.0, None, None, False, None);"
        "draw_latency(Figures([], none, none)); draw_spending(Figures([], none, none));"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [(2.0, 1.0, "−50 %"), (1.0, 1.5, "+50 %"), (1.0, 1.0, "±0 %"), (0.0, 1.0, "unknown"), (None, 1.0, "unknown")],
)
def test_a_change_is_a_share_of_the_old(old: float | None, new: float, said: str) -> None:
    assert change(old, new) == said


def test_times_are_readable() -> None:
    assert [seconds(value) for value in (None, 0.0421, 0.9, 12.345)] == ["–", "42 ms", "900 ms", "12.35 s"]
