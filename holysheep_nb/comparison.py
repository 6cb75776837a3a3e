"""The handle on one prompt that several models answer at once: wait for it, compare, keep one."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, Protocol, TypeAlias

from .errors import HolySheepError, UsageError, show_briefly
from .kernel import stream_thread, wait_blocking, wait_ticking
from .masks import open_log
from .run import Run, View

_log = open_log(__name__)

MOST_MODELS = 8
_INTERRUPTED = "Interrupted; what came is kept."

# Each figure of a run, and whether more of it is better.
_FIGURES: dict[str, tuple[Callable[[Run], float | None], bool]] = {
    "first_delta_s": (lambda run: run.timing.first_delta_s, False),
    "deltas_per_s": (lambda run: run.timing.deltas_per_s, True),
    "seconds": (lambda run: run.timing.seconds, False),
    "tokens": (lambda run: run.usage.output_tokens if run.usage else None, False),
    "cost": (lambda run: run.cost.usd if run.cost else None, False),
}


class ComparisonView(Protocol):
    """What shows a comparison. `update` is called on the stream thread, the rest on the asker's."""

    def open_columns(self, count: int) -> Sequence[View]:
        """The views of the runs."""
        ...

    def begin(self, comparison: Comparison) -> None:
        """The runs have begun."""

    def update(self, comparison: Comparison) -> None:
        """A run has ended, or one is kept."""

    def conclude(self, comparison: Comparison) -> None:
        """The cell that waited for all of them goes on."""

    def show(self, comparison: Comparison) -> None:
        """The comparison is evaluated by a cell."""


Which: TypeAlias = int | str | Run


class Comparison:
    """Several models' answers to one prompt, side by side.

    Await it, or call `result()` in synchronous code; `stop()` ends all that still stream. `runs` are the answers in
    the order in which the models were named, each a `Run`. `keep(n)` makes one of them the conversation's; until then
    `answer`, the first that is complete, is what later prompts go on from. `comparison[0]` and `comparison["gpt-4.1"]`
    are runs too.

    `choose` is called with the run that is the conversation's from now on, on any thread.
    """

    def __init__(self, runs: Sequence[Run], choose: Callable[[Run], None]) -> None:
        self.runs = tuple(runs)
        self.kept: Run | None = None
        self.ended: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._choose = choose
        self._view: ComparisonView | None = None

    # What it gave

    @property
    def answer(self) -> Run | None:
        """What later prompts go on from: the kept run, else the first in order that is complete; None if none is."""
        return self.kept or next((run for run in self.runs if run.complete and run.text), None)

    @property
    def names(self) -> list[str]:
        """What the runs are called: their models as they were asked for, counted where one is named twice."""
        models = [run.request.model for run in self.runs]
        return [
            model if models.count(model) == 1 else f"{model} ({models[: index + 1].count(model)})"
            for index, model in enumerate(models)
        ]

    @property
    def is_finished(self) -> bool:
        """True once every run has ended."""
        return all(run.is_finished for run in self.runs)

    @property
    def error(self) -> HolySheepError | None:
        """There only if every run failed: that of the first names them all."""
        errors = [run.error for run in self.runs if run.error is not None]
        if len(errors) < len(self.runs):
            return None
        error = HolySheepError(f"None of {len(errors)} models answered. {self.names[0]}: {errors[0]}")
        error.__cause__ = errors[0]
        return error

    @property
    def what_is_kept(self) -> str:
        """The sentence for an interrupt."""
        return _INTERRUPTED

    def best(self, key: str | Callable[[Run], float | None] = "seconds") -> Run:
        """The complete run that is best by a figure.

        key   "first_delta_s", "seconds", "tokens" and "cost" are best when they are least, "deltas_per_s" when it is
              most; or a function that gives a run's number, the greater the better, or None to leave the run out

        Raises `UsageError` if there is no such figure, or no complete run has it.
        """
        if isinstance(key, str) and key not in _FIGURES:
            raise UsageError(f"There is no figure {key!r}: it is one of {', '.join(_FIGURES)}, or a function.")
        read, is_most = _FIGURES[key] if isinstance(key, str) else (key, True)
        found = [(number, run) for run in self.runs if run.complete and (number := read(run)) is not None]
        if not found:
            raise UsageError("No complete answer has this figure: there is nothing to compare.")
        return (max if is_most else min)(found, key=lambda pair: pair[0])[1]

    def figures(self) -> list[dict[str, Any]]:
        """What is known of each run so far: one row for a run, None where a figure is not known."""
        return [
            {
                "model": name,
                "state": run.status,
                **{key: read(run) for key, (read, _) in _FIGURES.items()},
                "is_kept": run is self.kept,
                "text": run.text,
            }
            for name, run in zip(self.names, self.runs, strict=True)
        ]

    def to_frame(self) -> Any:
        """The figures as a pandas DataFrame, a row for each run. `cost` is in US dollars, `tokens` are the answer's.

        Raises `UsageError` where pandas is not installed.
        """
        try:
            import pandas  # type: ignore[import-untyped, unused-ignore]
        except ImportError:
            raise UsageError("to_frame() needs pandas: run `%pip install pandas`.") from None
        return pandas.DataFrame(self.figures())

    def keep(self, which: Which) -> Run:
        """Makes a run's answer the conversation's: later prompts go on from it, and from no other of these.

        which   its place, counted from 0, or the name of its model, or the run itself

        Returns the run. Raises `UsageError` if there is none, or it has no answer yet.
        """
        run = self[which]
        if not (run.is_finished and run.text):
            raise UsageError("There is no answer to keep: it still streams, or it failed.")
        self.kept = run
        self._choose(run)
        stream_thread.call(self._update_view)
        return run

    def __getitem__(self, which: Which) -> Run:
        names = self.names
        if isinstance(which, Run) and which in self.runs:
            return which
        if isinstance(which, int) and -len(names) <= which < len(names):
            return self.runs[which]
        for index, run in enumerate(self.runs):
            if which in (names[index], run.model, run.request.model):
                return run
        raise UsageError(f"There is no {which!r} in this comparison: it is a place from 0, or {', '.join(names)}.")

    def __iter__(self) -> Iterator[Run]:
        return iter(self.runs)

    def __len__(self) -> int:
        return len(self.runs)

    def __repr__(self) -> str:
        each = ", ".join(f"{name} {run.status}" for name, run in zip(self.names, self.runs, strict=True))
        return f"<Comparison {each}>"

    def _ipython_display_(self) -> None:
        if self._view is not None:
            self._view.show(self)
        else:
            print(repr(self))

    # Waiting and stopping

    def start(self, view: ComparisonView | None = None) -> Comparison:
        """Begins all of them. Returns itself."""
        self._view = view
        columns = view.open_columns(len(self.runs)) if view is not None else ()
        for index, run in enumerate(self.runs):
            run.start(*columns[index : index + 1])
        if view is not None:
            view.begin(self)
        for run in self.runs:
            run.ended.add_done_callback(self._note_end)
        return self

    def stop(self) -> None:
        """Ends every run that is still going, from any thread; what came is kept."""
        for run in self.runs:
            run.stop()

    def result(self) -> Comparison:
        """Waits until all have ended, in synchronous code. Raises `error`, if there is one."""
        try:
            wait_blocking(self.ended)
        except (KeyboardInterrupt, asyncio.CancelledError) as interrupt:
            self.stop()
            wait_blocking(self.ended)
            show_briefly(interrupt, f"KeyboardInterrupt: {self.what_is_kept}")
            raise
        finally:
            self.conclude()
        return self.raise_error()

    def __await__(self) -> Generator[Any, None, Comparison]:
        return self._wait().__await__()

    async def _wait(self) -> Comparison:
        await self.wait()
        return self.raise_error()

    async def wait(self) -> None:
        """Waits until all have ended, whatever their ends. Cancelling the wait stops them first."""
        try:
            await wait_ticking(self.ended)
        except asyncio.CancelledError as interrupt:
            self.stop()
            await wait_ticking(self.ended)
            show_briefly(interrupt, f"KeyboardInterrupt: {self.what_is_kept}")
            raise
        finally:
            self.conclude()

    def conclude(self) -> None:
        """Whoever waited goes on. Called on the waiter's thread, after the end."""
        if self._view is not None:
            self._view.conclude(self)

    def raise_error(self) -> Comparison:
        """Raises `error`; returns the comparison if there is none."""
        if self.error is not None:
            raise self.error
        return self

    def _note_end(self, _ended: concurrent.futures.Future[None]) -> None:
        stream_thread.call(self._settle)

    def _settle(self) -> None:
        """A run has ended: on the stream thread, so one after the other."""
        if self.ended.done():
            return
        if self.kept is None and (answer := self.answer) is not None:
            self._choose(answer)
        self._update_view()
        if self.is_finished:
            self.ended.set_result(None)

    def _update_view(self) -> None:
        if self._view is None:
            return
        try:
            self._view.update(self)
        except Exception:
            _log.exception("the view of a comparison failed and is left out; the runs go on")
            self._view = None
