"""The page that `%%holysheep?` and `%holysheep help` show: examples first, then options and verbs."""

from __future__ import annotations

from collections.abc import Mapping

from .options import usage

_EXAMPLES = """\
Asks a model; the answer streams into the cell.

    %%holysheep
    Why is the sky blue?

    %%holysheep gpt-4.1 -t 0.2 --out answer       another model, a parameter, a variable for the run
    %%holysheep -T find_order --approve ask       a function of the notebook that the model may call
    %%holysheep -f code                           the code of the answer goes into a new cell
    %%holysheep --bg                              streams on while other cells run
    %%holysheep --max-cost 0.05                   ends at five cents, and keeps what came

The cell gives a `Run` (`_`, `Out[n]`, `--out NAME`): .text .status .usage .cost .timing .turns .tool_calls .error
Cells share one conversation: a cell sends what the cells above it said, and running it again replaces its part of it.
What it said before is kept: see %holysheep branches.
In the prompt, {{expression}} is its value in the notebook; single braces are text."""


def manual(verbs: Mapping[str, str], model: str, aliases: Mapping[str, str]) -> str:
    """The page. `verbs` are the verbs with what they do, `model` is the one that answers."""
    width = max(map(len, verbs), default=0) + 2
    lines = [f"  %holysheep {name:<{width}}{text}" for name, text in verbs.items()]
    names = ", ".join(f"{name} ({of})" for name, of in sorted(aliases.items()))
    short = f" Short names: {names}." if names else ""
    chapters = [_EXAMPLES, f"{model} answers unless another is named.{short}", f"Options\n{usage()}"]
    return "\n\n".join([*chapters, "\n".join(["Verbs", *lines])])
