"""A run in terminal IPython: the text as it arrives, questions about tools, and one line when it is done."""

from __future__ import annotations

import asyncio
import sys

from ..conversation import Op
from ..kernel import InterruptedCallError, main_thread
from ..parts import Part, ReasoningPart, ToolCallPart, ToolResultPart
from ..run import Run
from .frozen import footer, frozen_text

_DIM, _RESET = "\x1b[2m", "\x1b[0m"
_RESULT_CHARACTERS = 300
_QUESTION = "Call it? [y]es, [n]o, [e]dit, [a]lways: "


class TerminalView:
    """Prints what comes, reasoning and tools dimmed, and asks on the command line."""

    def __init__(self, *, shows_error: bool = True) -> None:
        self._shows_error = shows_error
        self._is_colourful = sys.stdout.isatty()
        self._part = -1
        self._questions: set[asyncio.Task[None]] = set()
        self._asking = asyncio.Lock()

    @property
    def can_ask(self) -> bool:
        """True if somebody types."""
        return sys.stdin.isatty()

    def begin(self, run: Run) -> None:
        """Nothing to print yet."""

    def update(self, run: Run, ops: list[Op]) -> None:
        """Prints what was appended, and asks what a call waits for."""
        for kind, index, what in ops:
            part = run.turn.parts[index]
            if isinstance(part, ToolCallPart):
                if kind == "part" and what["question"] is not None:
                    self._ask_soon(run, part, what["question"]["problem"])
                continue
            text = _result_line(run, part) if isinstance(part, ToolResultPart) else _text_of(kind, what)
            if not text:
                continue
            if self._part not in (-1, index):
                print("\n")
            self._part = index
            print(text if not isinstance(part, ReasoningPart | ToolResultPart) else self._dim(text), end="")
        sys.stdout.flush()

    def change_status(self, run: Run) -> None:
        """Says why nothing comes; else the text speaks for itself."""
        if run.status == "retrying":
            retry = run.retries[-1]
            again = f"{retry.problem}: again in {retry.seconds:.1f} s, try {retry.attempt} of {retry.attempts}"
            print(self._dim(again), flush=True)

    def end(self, run: Run) -> None:
        """Prints the footer, and the error's sentence unless the prompt is going to."""
        if run.turn.parts:
            print()
        if self._shows_error and run.error is not None:
            print(run.error)
        print(self._dim(footer(run)), flush=True)

    def leave(self, run: Run) -> None:
        """What is printed is printed."""

    def conclude(self, run: Run) -> None:
        """A terminal shows no images."""

    def show(self, run: Run) -> None:
        """Evaluating a finished run prints its text once more; the line that made it has done so."""
        if run.is_finished and self._part == -1:
            print(frozen_text(run))
        self._part = -1

    def _dim(self, text: str) -> str:
        return f"{_DIM}{text}{_RESET}" if self._is_colourful else text

    def _ask_soon(self, run: Run, call: ToolCallPart, problem: str) -> None:
        question = asyncio.ensure_future(self._ask(run, call, problem))
        self._questions.add(question)
        question.add_done_callback(self._questions.discard)

    async def _ask(self, run: Run, call: ToolCallPart, problem: str) -> None:
        """One question at a time, on the main thread, which the command line belongs to."""

        def ask() -> tuple[str, str]:
            print(f"\n{problem}\n" if problem else "", end="")
            print(f"\n{call.name}({call.arguments})")
            answer = input(_QUESTION).strip().lower()[:1]
            if answer == "e":
                return answer, input("Arguments as JSON: ")
            return answer, "" if answer in ("y", "a") else input("Why not? ")

        async with self._asking:
            try:
                answer, more = await main_thread.run(ask)
            except (InterruptedCallError, EOFError):
                run.stop()
                return
        if answer in ("y", "a", "e"):
            run.approve(call.call_id, more or None, always=answer == "a")
        else:
            run.deny(call.call_id, more)


def _text_of(kind: str, what: object) -> str:
    if kind == "append":
        return str(what)
    return str(what.get("text", "")) if isinstance(what, dict) else ""


def _result_line(run: Run, result: Part) -> str:
    assert isinstance(result, ToolResultPart)
    call = next(call for call in run.tool_calls if call.call_id == result.call_id)
    text = " ".join(result.text.split())
    text = text if len(text) <= _RESULT_CHARACTERS else text[:_RESULT_CHARACTERS] + "…"
    return f"{call.name}({call.edited or call.arguments}) → {text}"
