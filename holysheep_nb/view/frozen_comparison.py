"""The static output of a comparison: a table of the figures, and the answers under headings."""

from __future__ import annotations

from typing import Any

from ..comparison import Comparison
from ..masks import mask_all
from ..run import Run
from .frozen import answer_markdown, context_note, cost_note, ending_note, frozen_text, join_blocks, run_metadata
from .markdown import fenced, one_line, plain

_HEAD = "| model | first token | tokens/s | tokens | cost | time | state |\n|---|--:|--:|--:|--:|--:|---|"
_NOTHING = "–"


def frozen_comparison(comparison: Comparison) -> tuple[dict[str, Any], dict[str, Any]]:
    """The MIME bundle and the metadata.

    The metadata's `turns` are what later cells go on from, as those of a run are; `columns` holds the data of
    every run, whose `turns` are empty where they are those.
    """
    data = {"text/plain": comparison_text(comparison), "text/markdown": comparison_markdown(comparison)}
    chosen = comparison.answer or comparison.runs[0]
    metadata = {
        **run_metadata(chosen),
        "kept": None if comparison.kept is None else comparison.runs.index(comparison.kept),
        "columns": [
            {**run_metadata(run), **({"turns": []} if run is chosen else {}), "name": name}
            for name, run in zip(comparison.names, comparison.runs, strict=True)
        ],
    }
    return mask_all(data), {"holysheep": mask_all(metadata)}


def comparison_markdown(comparison: Comparison) -> str:
    """The figures and the answers, as markdown that loads nothing and runs nothing."""
    rows = [_row(name, run, comparison) for name, run in zip(comparison.names, comparison.runs, strict=True)]
    blocks = ["\n".join([_HEAD, *rows])]
    if note := choice_note(comparison, is_live=False):
        blocks.append(f"<sub>{plain(note)}</sub>")
    for name, run in zip(comparison.names, comparison.runs, strict=True):
        blocks.append(f"### {plain(name)}{' · kept' if run is comparison.kept else ''}")
        blocks.append(_answer(run))
        if context := context_note(run):
            blocks.append(f"<sub>{plain(context)}</sub>")
    return join_blocks(blocks)


def comparison_text(comparison: Comparison) -> str:
    """The answers as plain text, each below its name."""
    named = zip(comparison.names, comparison.runs, strict=True)
    return "\n\n".join(
        f"{name}{' (kept)' if run is comparison.kept else ''}:\n{frozen_text(run)}" for name, run in named
    )


def choice_note(comparison: Comparison, *, is_live: bool) -> str:
    """What later cells go on from, and how to change that; or ""."""
    answer = comparison.answer
    if answer is None:
        return (
            "" if comparison.is_finished else "Later cells go on from the first complete answer, or the one you keep."
        )
    name = comparison.names[comparison.runs.index(answer)]
    if comparison.kept is not None:
        return f"Later cells go on from {name}, which was kept."
    other = "unless you keep another" if is_live else "as none was kept: keep(…) of the comparison changes that"
    return f"Later cells go on from {name}, {other}."


def _row(name: str, run: Run, comparison: Comparison) -> str:
    first, rate, usage = run.timing.first_delta_s, run.timing.deltas_per_s, run.usage
    cells = [
        f"**{_cell(name)}**" if run is comparison.kept else _cell(name),
        _NOTHING if first is None else f"{first:.2f} s",
        _NOTHING if rate is None else f"{rate:,.0f}",
        f"{'≈ ' if usage.is_estimate else ''}{usage.input_tokens:,} + {usage.output_tokens:,}" if usage else _NOTHING,
        _cell(cost_note(run)) or _NOTHING,
        f"{run.timing.seconds:.1f} s",
        _cell(f"{run.status}, {note}" if (note := ending_note(run)) else run.status),
    ]
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    return plain(text).replace("|", "&#124;")


def _answer(run: Run) -> str:
    if run.request.answer_format != "text":
        return answer_markdown(run)
    return join_blocks([fenced(run.text, "") if run.text else "", "" if run.error is None else f"> {_error(run)}"])


def _error(run: Run) -> str:
    return plain(one_line(str(run.error)))
