"""The static output that stays: markdown anyone can read anywhere, with the run's data in its metadata."""

from __future__ import annotations

import html
import json
import re
import uuid
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from ..conversation import Op, ReasoningPart, TextPart, ToolCallPart
from ..run import Run

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})(.*)$")
_CODE_SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.S)
_SAFE_TAG = re.compile(r"</?(?:b|br|code|del|details|em|hr|i|kbd|p|s|strong|sub|summary|sup|u)\s*/?>", re.I)


def frozen_bundle(run: Run, *, shows_error: bool = True) -> tuple[dict[str, Any], dict[str, Any]]:
    """The MIME bundle and the metadata of a run's static output."""
    data = {"text/plain": frozen_text(run, shows_error=shows_error)}
    if run.request.answer_format != "text":
        data["text/markdown"] = frozen_markdown(run, shows_error=shows_error)
    return data, {"holysheep": run_metadata(run)}


def frozen_markdown(run: Run, *, shows_error: bool = True) -> str:
    """Answer, reasoning, tool calls and footer as markdown that loads nothing and runs nothing."""
    blocks = []
    for part in run.turn.parts:
        match part:
            case TextPart():
                blocks.append(_answer_markdown(part.text, run.request.answer_format))
            case ReasoningPart():
                blocks.append(_details(f"Thought for {part.seconds or 0:g} s", safe_markdown(part.text)))
            case ToolCallPart():
                blocks.append(_details(f"Called {html.escape(part.name)}", _fenced(part.arguments, "json")))
    if shows_error and run.error is not None:
        blocks.append("> " + safe_markdown(str(run.error)).replace("\n", " "))
    blocks.append(f"<sub>{html.escape(footer(run))}</sub>")
    return "\n\n".join(block.strip("\n") for block in blocks if block.strip())


def frozen_text(run: Run, *, shows_error: bool = True) -> str:
    """The answer as plain text, and the sentence of what ended it."""
    lines = [run.text] if run.text else []
    if shows_error and run.error is not None:
        lines.append(str(run.error))
    return "\n\n".join(lines) or f"({footer(run)})"


def footer(run: Run) -> str:
    """One line: model, state if not complete, tokens, seconds, what context was sent."""
    items = [run.model]
    if run.status == "truncated":
        items.append("cut off")
    elif run.status != "complete":
        items.append(run.status)
    elif run.turn.finish_reason == "length":
        items.append("reached the token limit")
    elif run.turn.finish_reason == "content_filter":
        items.append("ended by a content filter")
    if run.usage:
        items.append(f"{run.usage.input_tokens:,} + {run.usage.output_tokens:,} tokens")
    timing = f"{run.timing.seconds:.1f} s"
    if run.timing.first_delta_s is not None:
        timing += f", first after {run.timing.first_delta_s:.2f} s"
    items.append(timing)
    if context := context_note(run):
        items.append(context)
    if run.turn.skipped:
        items.append(f"{len(run.turn.skipped)} unreadable payload(s) left out")
    return " · ".join(items)


def context_note(run: Run) -> str:
    """What was sent besides the prompt, or ""."""
    count = run.request.earlier_cells
    return f"with {count} earlier cell{'s' if count > 1 else ''}" if count else ""


def run_metadata(run: Run) -> dict[str, Any]:
    """The run as JSON, for the output's metadata. It holds no key."""
    return {
        "version": 1,
        "cell": run.request.cell,
        "status": run.status,
        "model": run.model,
        "host": run.request.host,
        "turns": [turn.to_dict() for turn in run.turns],
        "error": str(run.error) if run.error else None,
        "timing": {
            "seconds": round(run.timing.seconds, 3),
            "first_delta_s": _rounded(run.timing.first_delta_s),
            "deltas": run.timing.deltas,
        },
    }


def safe_markdown(text: str) -> str:
    """Markdown in which images are links and raw HTML is text, but for a few tags without attributes."""
    lines: list[str] = []
    prose: list[str] = []
    fence = ""

    def flush() -> None:
        if prose:
            lines.append(_safe_prose("\n".join(prose)))
            prose.clear()

    for line in text.split("\n"):
        opening = _FENCE.match(line)
        if fence:
            lines.append(line)
            if opening and opening[1].startswith(fence) and not opening[2].strip():
                fence = ""
        elif opening and not (opening[1][0] == "`" and "`" in opening[2]):
            flush()
            fence = opening[1]
            lines.append(line)
        else:
            prose.append(line)
    flush()
    if fence:
        lines.append(fence)
    return "\n".join(lines)


def _safe_prose(text: str) -> str:
    pieces, end = [], 0
    for span in _CODE_SPAN.finditer(text):
        pieces += [_safe_inline(text[end : span.start()]), span[0]]
        end = span.end()
    return "".join([*pieces, _safe_inline(text[end:])])


def _safe_inline(text: str) -> str:
    text = re.sub(r"!(?=\s*\[)", "", text)
    pieces, end = [], 0
    for tag in _SAFE_TAG.finditer(text):
        pieces += [_escape(text[end : tag.start()]), tag[0]]
        end = tag.end()
    return "".join([*pieces, _escape(text[end:])])


def _escape(text: str) -> str:
    return re.sub(r"<(?!https?://[^\s<>]*>|mailto:[^\s<>]*>)", "&lt;", text)


def _answer_markdown(text: str, answer_format: str) -> str:
    if answer_format == "json":
        try:
            return _fenced(json.dumps(json.loads(strip_fence(text)), indent=2, ensure_ascii=False), "json")
        except ValueError:
            return _fenced(text, "")
    return safe_markdown(text)


def strip_fence(text: str) -> str:
    """The content of the first fenced block of an answer, or the whole answer if it has none."""
    found = re.search(r"^ {0,3}(`{3,}|~{3,})[^\n`]*\n(.*?)(?:^ {0,3}\1[ \t]*$|\Z)", text, re.S | re.M)
    return found[2] if found else text


def _fenced(text: str, language: str) -> str:
    ticks = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, ticks + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def _details(summary: str, body: str) -> str:
    return f"<details><summary>{summary}</summary>\n\n{body}\n\n</details>"


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


class Output:
    """One output of a cell, which can be replaced from any thread, also after its cell has ended."""

    def __init__(self, shell: InteractiveShell) -> None:
        # Taken now: `%%capture` and its like swap the publisher for the time of another cell.
        self._publisher = shell.display_pub
        self._display_id = uuid.uuid4().hex
        self._is_shown = False

    def show(self, data: dict[str, Any], metadata: dict[str, Any] | None = None) -> None:
        """Shows a MIME bundle, in place of the one before."""
        self._publisher.publish(
            data=data,
            metadata=metadata or {},
            transient={"display_id": self._display_id},
            update=self._is_shown,
        )
        self._is_shown = True


class HiddenView:
    """Shows nothing until the run is evaluated: then its frozen output."""

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell
        self._born_in = -1

    def begin(self, run: Run) -> None:
        """Nothing to show yet."""

    def update(self, run: Run, ops: list[Op]) -> None:
        """Nothing to show yet."""

    def change_status(self, run: Run) -> None:
        """Nothing to show yet."""

    def end(self, run: Run) -> None:
        """Nothing to show yet."""

    def show(self, run: Run) -> None:
        """The frozen output, unless the cell that made the run shows it already."""
        if self._shell.execution_count != self._born_in:
            Output(self._shell).show(*frozen_bundle(run))


class HeadlessView(HiddenView):
    """For notebooks run by a program: the frozen output when the run has ended, and no widget."""

    def __init__(self, shell: InteractiveShell, *, shows_error: bool = True) -> None:
        super().__init__(shell)
        self._shows_error = shows_error
        self._output = Output(shell)

    def begin(self, run: Run) -> None:
        """Takes the place where the output will be."""
        self._born_in = self._shell.execution_count
        self._output.show({"text/plain": f"({run.request.model} …)"})

    def end(self, run: Run) -> None:
        """Shows the frozen output."""
        self._output.show(*frozen_bundle(run, shows_error=self._shows_error))
