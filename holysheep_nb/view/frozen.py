"""The static output that stays: markdown anyone can read anywhere, with the run's data in its metadata."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable
from typing import Any

from ..conversation import Turn
from ..masks import mask_all
from ..parts import ReasoningPart, SeamPart, TextPart, ToolCallPart, ToolResultPart
from ..run import Request, Run
from .markdown import fenced, one_line, plain, safe_line, safe_markdown, strip_fence
from .versions import version_note, versions_metadata


def frozen_bundle(run: Run, *, shows_error: bool = True) -> tuple[dict[str, Any], dict[str, Any]]:
    """The MIME bundle and the metadata of a run's static output."""
    data = {"text/plain": frozen_text(run, shows_error=shows_error)}
    if run.request.answer_format != "text":
        data["text/markdown"] = frozen_markdown(run, shows_error=shows_error)
    metadata = _without_text(run_metadata(run), data["text/plain"])
    return mask_all(data), {"holysheep": mask_all(metadata)}


def frozen_markdown(run: Run, *, shows_error: bool = True) -> str:
    """Answer, reasoning, tool calls and footer as markdown that loads nothing and runs nothing."""
    return join_blocks([answer_markdown(run, shows_error=shows_error), f"<sub>{plain(footer(run))}</sub>"])


def answer_markdown(run: Run, *, shows_error: bool = True) -> str:
    """The same without the footer."""
    blocks = []
    results = {part.call_id: part for part in run.turn.parts if isinstance(part, ToolResultPart)}
    for part in run.turn.parts:
        match part:
            case TextPart():
                blocks.append(_answer_markdown(part.text, run.request.answer_format))
            case ReasoningPart():
                blocks.append(_details(f"Thought for {part.seconds or 0:g} s", safe_markdown(part.text)))
            case SeamPart():
                blocks.append(f"<sub>{plain(one_line(part.text))} — resumed</sub>")
            case ToolCallPart():
                blocks.append(_call_markdown(part, results.get(part.call_id)))
    if shows_error and run.error is not None:
        blocks.append("> " + safe_line(one_line(str(run.error))))
    return join_blocks(blocks)


def join_blocks(blocks: Iterable[str]) -> str:
    """One block of markdown below the other."""
    return "\n\n".join(block.strip("\n") for block in blocks if block.strip())


def frozen_text(run: Run, *, shows_error: bool = True) -> str:
    """The answer as plain text, and the sentence of what ended it."""
    lines = [run.text] if run.text else []
    if shows_error and run.error is not None:
        lines.append(str(run.error))
    return "\n\n".join(lines) or f"({footer(run)})"


def footer(run: Run) -> str:
    """One line: model, state if not complete, tokens, cost, seconds, what context was sent."""
    items = [run.model]
    if note := ending_note(run):
        items.append(note)
    elif run.status != "complete":
        items.append(_ENDINGS.get(run.status, run.status))
    if run.usage:
        items.append(str(run.usage))
    if cost := cost_note(run):
        items.append(cost)
    timing = f"{run.timing.seconds:.1f} s"
    if run.timing.first_delta_s is not None:
        timing += f", first after {run.timing.first_delta_s:.2f} s"
    # Of an answer that was read back, nobody knows.
    items += [timing] if run.timing.seconds else []
    if context := context_note(run):
        items.append(context)
    if run.turn.skipped:
        items.append(f"{len(run.turn.skipped)} unreadable payload(s) left out")
    return " · ".join(items)


_ENDINGS = {"truncated": "cut off", "budget": "ended by its budget"}


def cost_note(run: Run) -> str:
    """What it costs, in words; "" where there are no tokens yet, or nothing was asked of anybody."""
    return str(run.cost) if run.usage and not run.request.replayed_from else ""


def ending_note(run: Run) -> str:
    """Why an answer without an error ended before the model was done, or ""."""
    notes = {
        "length": "reached the token limit",
        "content_filter": "ended by a content filter",
        "max_rounds": "ended after its last round: --max-rounds allows more",
    }
    return notes.get(run.turn.finish_reason or "", "")


def context_note(run: Run) -> str:
    """What was sent besides the prompt, and how, if not the way it should have been; or ""."""
    count = run.request.earlier_cells
    notes = [f"with {count} earlier cell{'s' if count > 1 else ''}{_source(run.request)}"] if count else []
    notes += [note for note in (run.request.remark, version_note(run.request)) if note]
    if run.request.replayed_from:
        notes.append(f"replayed from {run.request.replayed_from}")
    if run.retries and run.status != "retrying":
        notes.append(
            f"after {len(run.retries)} {'retry' if len(run.retries) == 1 else 'retries'} ({run.retries[-1].problem})"
        )
    if run.turn.route_changed:
        notes.append(run.turn.route_changed.rstrip("."))
    return " · ".join(notes)


def _source(request: Request) -> str:
    if not request.earlier_read:
        return ""
    some = "" if request.earlier_read == request.earlier_cells else f" {request.earlier_read} of them"
    return f",{some} read from {request.earlier_source}"


def retry_note(run: Run) -> dict[str, Any] | None:
    """What is waited for while a request is about to be made again, else None."""
    if run.status != "retrying" or run.next_attempt_s is None:
        return None
    last = run.retries[-1]
    return {
        "problem": last.problem,
        "at_s": round(run.next_attempt_s, 2),
        "attempt": last.attempt,
        "attempts": last.attempts,
    }


def run_metadata(run: Run) -> dict[str, Any]:
    """The run as JSON, for the output's metadata. It holds no key."""
    return {
        "version": 1,
        "cell": run.request.cell,
        "status": run.status,
        "model": run.model,
        "host": run.request.host,
        "label": run.request.label,
        "afresh": run.request.starts_afresh,
        "asked_at": run.request.asked_at,
        "chosen_at": run.request.chosen_at,
        **versions_metadata(run.request),
        "turns": [turn.to_dict() for turn in run.turns],
        "error": str(run.error) if run.error else None,
        "cost": run.cost.to_dict() if run.cost else None,
        "timing": {
            "seconds": round(run.timing.seconds, 3),
            "first_delta_s": _rounded(run.timing.first_delta_s),
            "deltas": run.timing.deltas,
        },
    }


def _answer_markdown(text: str, answer_format: str) -> str:
    if answer_format == "json":
        try:
            return fenced(json.dumps(json.loads(strip_fence(text)), indent=2, ensure_ascii=False), "json")
        except ValueError:
            return fenced(text, "")
    return safe_markdown(text)


_OUTCOMES = {"error": "failed", "invalid": "wrong arguments", "denied": "denied", "stopped": "stopped"}
# As in the page: what went wrong is seen without a click, and nothing jumps when the answer is frozen.
_OPEN_OUTCOMES = {"error", "invalid", "denied"}
_NAME_CHARACTERS = 80
_SHOWN_FROM_S = 0.05
_SUMMARY_CHARACTERS = 60


def _call_markdown(call: ToolCallPart, result: ToolResultPart | None) -> str:
    """A call and what came of it: one line, which opens."""
    name = html.escape(one_line(call.name)[:_NAME_CHARACTERS])
    arguments = one_line(call.edited or call.arguments)
    if len(arguments) > _SUMMARY_CHARACTERS:
        arguments = arguments[:_SUMMARY_CHARACTERS] + "…"
    items = [
        f"<code>{name}({html.escape(arguments)})</code>" if arguments not in ("", "{}") else f"<code>{name}()</code>"
    ]
    if result is None:
        items.append("stopped" if call.state == "stopped" else "not called")
    elif result.outcome in _OUTCOMES:
        items.append(_OUTCOMES[result.outcome])
    if result is not None and result.seconds >= _SHOWN_FROM_S:
        items.append(f"{result.seconds:.1f} s")
    body = _arguments_markdown(call.arguments)
    if call.edited:
        body += ["Changed by you to", *_arguments_markdown(call.edited)]
    if result is not None:
        body += [fenced(each["text/plain"], "") for each in result.shown if "text/plain" in each]
        body.append(fenced(result.text, ""))
        if result.details:
            body.append(_details("Details, for you only", fenced(result.details, "")))
    is_open = result is not None and result.outcome in _OPEN_OUTCOMES
    return _details(" · ".join(items), "\n\n".join(body), is_open=is_open)


def _arguments_markdown(text: str) -> list[str]:
    """The arguments as JSON; texts of several lines, such as code, each as it is."""
    try:
        arguments = json.loads(text)
        long = {name: value for name, value in arguments.items() if isinstance(value, str) and "\n" in value}
        rest = {name: value for name, value in arguments.items() if name not in long}
        blocks = [fenced(json.dumps(rest, indent=2, ensure_ascii=False), "json")] if rest or not long else []
    except (ValueError, RecursionError, AttributeError):
        return [fenced(text, "json")]
    for name, value in long.items():
        blocks += [f"<code>{plain(name)}</code>", fenced(value.strip("\n"), "")]
    return blocks


def result_images(turn: Turn) -> list[tuple[str, str]]:
    """The images that tools returned or displayed: MIME type and base64 text."""
    images = []
    for part in turn.parts:
        if isinstance(part, ToolResultPart):
            urls = [url for url in part.images if url.startswith("data:image/")]
            images += [(url[len("data:") : url.index(";")], url.partition(",")[2]) for url in urls]
            images += [
                (kind, data)
                for bundle in part.shown
                for kind, data in bundle.items()
                if kind in ("image/png", "image/jpeg") and isinstance(data, str)
            ]
    return images


def _details(summary: str, body: str, *, is_open: bool = False) -> str:
    return f"<details{' open' if is_open else ''}><summary>{summary}</summary>\n\n{body}\n\n</details>"


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def _without_text(metadata: dict[str, Any], text: str) -> dict[str, Any]:
    """The same, without what stands in the notebook anyway: the answer is named instead, images are outputs.

    Of a prompt's images only their places stay.
    """
    for part in (part for turn in metadata["turns"] for part in turn["parts"] if part["type"] == "image"):
        part["url"] = ""
    for part in metadata["turns"][-1]["parts"]:
        if part["type"] == "tool_result":
            part["images"] = []
            part["shown"] = [{"text/plain": each["text/plain"]} for each in part["shown"] if "text/plain" in each]
        if part["type"] == "text" and part["text"] == text:
            del part["text"]
            part["text_from"] = "text/plain"
    return metadata


def turns_from_output(data: dict[str, Any], metadata: dict[str, Any]) -> list[Turn]:
    """The turns of a saved output: what `frozen_bundle` was made from."""
    turns = metadata["holysheep"]["turns"]
    return [Turn.from_dict({**turn, "parts": [_with_text(part, data) for part in turn["parts"]]}) for turn in turns]


def _with_text(part: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    if "text_from" not in part:
        return part
    return {"type": part["type"], "text": data[part["text_from"]]}
