"""The report: one page of markdown with two plots, which ends in the figures that a decision needs."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from pathlib import Path

from ..errors import HolySheepError
from ..masks import mask
from ..pricing import Cost, Price, format_usd
from ..view.markdown import plain
from .figures import Figures, Row, SideFigures
from .plots import draw_latency, draw_spending
from .shadow import Shadow

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Report:
    """What a comparison came to, of what has come so far.

    agree_at   the similarity from which on texts agree
    """

    shadow: Shadow
    figures: Figures
    agree_at: float

    def to_markdown(self, plots: tuple[str, str] | None = None) -> str:
        """The whole report; `plots` are the names of the two images beside it, which it leaves out where None."""
        images = [] if plots is None else [f"![Times]({plots[0]})\n\n![Tokens and cost]({plots[1]})"]
        return "\n\n".join([self.head(), *images, self.tail()]) + "\n"

    def head(self) -> str:
        """What was compared, and the figures of both sides."""
        return mask("\n\n".join([f"# Shadow: {self._title()}", self._scope(), self._table()]))

    def tail(self) -> str:
        """Each prompt, what failed, and what a decision needs."""
        parts = [self._prompts(), *self._failures(), self._prices(), self.decision()]
        return mask("\n\n".join(parts))

    @functools.cached_property
    def plots(self) -> tuple[bytes, bytes]:
        """Two PNG images: how the times are distributed, and the tokens with what they cost."""
        return draw_latency(self.figures), draw_spending(self.figures)

    def save(self, path: Path) -> None:
        """Writes the markdown, and both images beside it. Raises `HolySheepError` if it cannot be written."""
        names = (f"{path.stem}-times.png", f"{path.stem}-tokens.png")
        try:
            for name, image in zip(names, self.plots, strict=True):
                path.with_name(name).write_bytes(image)
            path.write_text(self.to_markdown(names), "utf-8")
        except OSError as error:
            raise HolySheepError(f"The report {path} cannot be written ({error.strerror}).") from None

    def _title(self) -> str:
        return f"{plain(self.shadow.old.host)} and HolySheep"

    def _scope(self) -> str:
        shadow, rows = self.shadow, self.figures.rows
        sentences = [
            f"{_count(len(rows), 'prompt')} of {len(shadow.prompts)}, each sent to both sides at once and streamed; "
            f"{len(self.figures.answered)} answered by both, which the figures are of."
        ]
        if shadow.is_used_up:
            sentences.append("The others were not sent: the budget is used up.")
        elif len(rows) < len(shadow.prompts):
            sentences.append("The others were not sent yet.")
        return " ".join(sentences)

    def _table(self) -> str:
        old, new = self.figures.old, self.figures.new
        rows = [
            ("endpoint", self.shadow.old.host, self.shadow.new.host, ""),
            ("model", _models(self.figures, "old"), _models(self.figures, "new"), ""),
            ("failures", str(old.failures), str(new.failures), ""),
            _timed("time to first token, median", old.first_delta_s, new.first_delta_s),
            _timed("time to first token, p95", old.first_delta_p95_s, new.first_delta_p95_s),
            _timed("gap between tokens, p95", old.gap_p95_s, new.gap_p95_s),
            _timed("total time, median", old.total_s, new.total_s),
            _timed("total time, p95", old.total_p95_s, new.total_p95_s),
            _timed("total time, sum", old.all_s, new.all_s),
            ("tokens in", _tokens(old, old.input_tokens), _tokens(new, new.input_tokens), ""),
            ("tokens out", _tokens(old, old.output_tokens), _tokens(new, new.output_tokens), ""),
            ("cost", _cost(old.cost), _cost(new.cost), _cost_change(old, new)),
        ]
        lines = ["| | old | HolySheep | change |", "|---|---:|---:|---:|"]
        return "\n".join([*lines, *(f"| {' | '.join([row[0], *map(_cell, row[1:])])} |" for row in rows)])

    def _prompts(self) -> str:
        head = ["prompt", "first token", "gap p95", "total", "tokens out", "cost", "alike", "agree"]
        lines = [f"| {' | '.join(head)} |", f"|---|{'---:|' * 6}---|"]
        lines += [f"| {' | '.join(map(_cell, _prompt_cells(row)))} |" for row in self.figures.rows]
        table = "\n".join(lines)
        return f"<details><summary>Each prompt, old → HolySheep</summary>\n\n{table}\n\n</details>"

    def _failures(self) -> list[str]:
        lines = [
            f"- {_cell(row.prompt.label)} ({name}): {plain(answer.problem)}"
            for row in self.figures.rows
            for name, answer in (("old", row.pair.old), ("HolySheep", row.pair.new))
            if not answer.is_whole
        ]
        return ["## Failures\n\n" + "\n".join(lines)] if lines else []

    def _prices(self) -> str:
        found: dict[str, None] = {}
        for name, side in (("old", self.shadow.old), ("HolySheep", self.shadow.new)):
            for row in self.figures.rows:
                model = plain(side.model_for(row.prompt))
                found[f"- {name}, {model}: {describe_price(side.price_for(row.prompt))}"] = None
        return "## Prices\n\n" + "\n".join(found)

    def decision(self) -> str:
        """The figures that a decision needs."""
        old, new = self.figures.old, self.figures.new
        count, agreeing = len(self.figures.answered), self.figures.agreeing
        sent = len(self.figures.rows)
        alike = (
            "" if self.figures.similarity is None else f"; their texts are {_percent(self.figures.similarity)} alike"
        )
        lines = [
            f"- Median time to first token: {_step(old.first_delta_s, new.first_delta_s)}",
            f"- Median total time: {_step(old.total_s, new.total_s)}",
            f"- Cost: {_cost(old.cost)} → {_cost(new.cost)} ({_cost_change(old, new)})",
            f"- Answers that agree: {agreeing} of {count}"
            + (f" ({_percent(agreeing / count)}){alike}" if count else "")
            + f". Equal calls and equal JSON agree, and texts that are {_percent(self.agree_at)} alike word by word; "
            "good answers in other words do not.",
            f"- Failures: old {old.failures} of {sent}, HolySheep {new.failures} of {sent}",
        ]
        return "## What it comes to\n\n" + "\n".join(lines)


def describe_price(price: Price) -> str:
    """The price with its source and date, and what of it is unknown."""
    values = ", ".join(
        f"{name} {UNKNOWN if usd is None else f'{usd:g}'}"
        for name, usd in (("input", price.input_usd), ("output", price.output_usd))
    )
    origin = ", ".join(plain(text) for text in (price.source, price.date) if text)
    return f"{values} USD per million tokens" + (f" ({origin})" if origin else "")


def change(old: float | None, new: float | None) -> str:
    """+12 %, −50 %, or unknown."""
    if old is None or new is None or old <= 0:
        return UNKNOWN
    share = round(100 * (new - old) / old)
    return f"{'+' if share > 0 else '−' if share < 0 else '±'}{abs(share)} %"


def seconds(value: float | None) -> str:
    """0.042 → 42 ms, 1.234 → 1.23 s."""
    if value is None:
        return "–"
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.2f} s"


def _prompt_cells(row: Row) -> list[str]:
    old, new, likeness = row.pair.old, row.pair.new, row.likeness
    return [
        row.prompt.label,
        f"{seconds(old.first_delta_s)} → {seconds(new.first_delta_s)}",
        f"{seconds(old.gap_p95_s)} → {seconds(new.gap_p95_s)}",
        f"{seconds(old.total_s)} → {seconds(new.total_s)}",
        f"{_count_or_dash(old.output_tokens)} → {_count_or_dash(new.output_tokens)}",
        f"{_brief_cost(row.old_cost)} → {_brief_cost(row.new_cost)}",
        "–" if likeness is None else _percent(likeness.similarity),
        "failed" if likeness is None else f"{'yes' if likeness.agrees else 'no'} ({likeness.kind})",
    ]


def _models(figures: Figures, side: str) -> str:
    return ", ".join(dict.fromkeys(getattr(row.pair, side).model for row in figures.rows)) or "–"


def _timed(name: str, old: float | None, new: float | None) -> tuple[str, str, str, str]:
    return name, seconds(old), seconds(new), change(old, new)


def _step(old: float | None, new: float | None) -> str:
    return f"{seconds(old)} → {seconds(new)} ({change(old, new)})"


def _tokens(side: SideFigures, count: int | None) -> str:
    return "–" if count is None else f"{'≈ ' if side.is_estimate else ''}{count:,}"


def _cost(cost: Cost | None) -> str:
    return "–" if cost is None else UNKNOWN if cost.usd is None else in_words(str(cost))


def _brief_cost(cost: Cost) -> str:
    return "–" if cost.usd is None else in_words(f"{'≥ ' if cost.missing else ''}{format_usd(cost.usd)}")


def in_words(text: str) -> str:
    """The text with USD for each dollar sign: of two, Jupyter makes a formula, however they are written."""
    return re.sub(r"\$([\d.,]*\d)", r"\1 USD", text)


def _cost_change(old: SideFigures, new: SideFigures) -> str:
    if old.cost is None or new.cost is None or old.cost.missing or new.cost.missing:
        return f"change {UNKNOWN}"
    return change(old.cost.usd, new.cost.usd)


def _count_or_dash(count: int | None) -> str:
    return "–" if count is None else f"{count:,}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _cell(text: str) -> str:
    return plain(text).replace("|", "\\|")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
