"""`%%holysheep` and `%holysheep`: read the line, call Chat. Nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand

from .chat import Chat
from .config import Settings
from .errors import HolySheepError, UsageError
from .kernel import MagicAwaiter, stream_thread, wait_blocking, wait_ticking
from .options import CellOptions, nearest, parse_cell_line, usage
from .run import Run
from .version import __version__
from .view import clean_up, prepare, show_run, show_text
from .view.markdown import strip_fence

if TYPE_CHECKING:
    from .local.process import EngineName

_TARGET = "get_ipython().magics_manager.registry['HolySheepMagics']"
_LOCAL_KEY_NAME = "HOLYSHEEP_LOCAL_KEY"
_PROGRESS_STEP_BYTES = 2_000_000


class Interrupted(KeyboardInterrupt):
    """The kernel was interrupted while an answer streamed; what came is kept."""

    def _render_traceback_(self) -> list[str]:
        return [f"KeyboardInterrupt: {self}"]


@dataclass(frozen=True, slots=True)
class _Later:
    """What a verb does on the stream thread, and what it does here with the result."""

    work: Coroutine[Any, Any, Any]
    then: Callable[[Any], None]


@magics_class
class HolySheepMagics(Magics, Settings):
    """Answers of HolySheep AI in cells. Its traits are the settings."""

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell=shell)
        self.chat = Chat(settings=self)
        self._cell_id: str | None = None
        self._gateway: Any = None
        self._settings_before_local: tuple[str, str, str] | None = None
        self._awaiter = MagicAwaiter(shell, "holysheep", _TARGET) if hasattr(shell, "kernel") else None
        if self._awaiter is not None:
            shell.input_transformers_post.append(self._awaiter)
        shell.events.register("pre_run_cell", self._note_cell)

    def unload(self) -> None:
        """Leaves the shell as it was: no transformer, no callback, no run, no thread, no gateway."""
        self.chat.stop()
        if self._awaiter in self.shell.input_transformers_post:
            self.shell.input_transformers_post.remove(self._awaiter)
        with contextlib.suppress(ValueError):
            self.shell.events.unregister("pre_run_cell", self._note_cell)
        with contextlib.suppress(ValueError):
            self.shell.configurables.remove(self)
        if self._gateway is not None:
            self._gateway.stop()
        for kind in ("line", "cell"):
            self.shell.magics_manager.magics[kind].pop("holysheep", None)
        self.shell.magics_manager.registry.pop("HolySheepMagics", None)
        clean_up()
        stream_thread.stop()

    @no_var_expand
    @line_cell_magic
    def holysheep(self, line: str, cell: str | None = None) -> Run | None:
        """Asks a model; the answer streams into the cell.

            %%holysheep [MODEL] [options]
            The prompt.

            %holysheep help

        The cell gives a `Run` (`_`, `Out[n]`, `--out NAME`): `.text .status .usage .timing .turns`.
        """
        with _briefly():
            if cell is None:
                later = self._do(line)
                if later is not None:
                    later.then(wait_blocking(stream_thread.submit(later.work)))
                return None
            options = parse_cell_line(line)
            run = self._ask(options, cell)
            if not options.is_background:
                try:
                    wait_blocking(run.ended)
                except (KeyboardInterrupt, asyncio.CancelledError):
                    run.stop()
                    wait_blocking(run.ended)
                    raise self._interrupted(run) from None
                self._conclude(run, options)
            return run

    async def run_cell_awaited(self, _name: str, line: str, cell: str) -> Run:
        """What a `%%holysheep` cell runs where it may await: the main loop stays free meanwhile."""
        with _briefly():
            options = parse_cell_line(line)
            run = self._ask(options, cell)
            if not options.is_background:
                try:
                    await run.wait()
                except asyncio.CancelledError:
                    raise self._interrupted(run) from None
                self._conclude(run, options)
            return run

    async def run_line_awaited(self, _name: str, line: str) -> None:
        """What a `%holysheep` line runs where it may await."""
        with _briefly():
            later = self._do(line)
            if later is None:
                return
            try:
                result = await wait_ticking(stream_thread.submit(later.work))
            except asyncio.CancelledError:
                raise Interrupted("The wait was interrupted.") from None
            later.then(result)

    def _note_cell(self, info: Any = None) -> None:
        cell_id = getattr(info, "cell_id", None)
        if cell_id is not None or not getattr(info, "silent", False):
            self._cell_id = cell_id

    def _ask(self, options: CellOptions, prompt: str) -> Run:
        run = self.chat.ask(
            prompt.strip("\n"),
            model=options.model,
            system=options.system,
            base_url=options.api_base,
            api_key_name=options.api_key_name,
            answer_format=options.answer_format,
            cell=self._cell_id,
            afresh=options.is_new,
            live=options.is_live,
            label=options.label,
            shows_error=options.is_background or not options.raises,
            **options.parameters,
        )
        if options.out:
            self.shell.user_ns[options.out] = run
        return run

    def _conclude(self, run: Run, options: CellOptions) -> None:
        if run.error is not None and options.raises:
            self._keep(run)
            raise run.error
        if options.answer_format == "code" and run.text:
            self.shell.set_next_input(strip_fence(run.text).rstrip("\n"), replace=False)

    def _interrupted(self, run: Run) -> Interrupted:
        self._keep(run)
        return Interrupted(f"Interrupted after {run.timing.deltas} deltas, which are kept.")

    def _keep(self, run: Run) -> None:
        """A cell that raises has no value: `_` and `Out` get the run all the same."""
        self.shell.displayhook.update_user_ns(run)

    # %holysheep VERB

    def _do(self, line: str) -> _Later | None:
        verb, *words = line.split() or ["help"]
        verbs = self.verbs()
        if verb not in verbs:
            raise UsageError(
                f"There is no %holysheep {verb}.{nearest(verb, sorted(verbs))} `%holysheep help` lists the verbs."
            )
        return verbs[verb](words)

    def verbs(self) -> dict[str, Callable[[list[str]], _Later | None]]:
        """What `%holysheep` can do, by name. The first line of each docstring is its help."""
        return {
            "help": self._help,
            "config": self._config,
            "models": self._models,
            "stop": self._stop,
            "wait": self._wait,
            "show": self._show,
            "reset": self._reset,
            "local": self._local,
            "version": self._version,
        }

    def _help(self, _words: list[str]) -> None:
        """this page"""
        verbs = "\n".join(f"  %holysheep {name:<9}{verb.__doc__}" for name, verb in self.verbs().items())
        show_text(
            self.shell,
            f"%%holysheep [MODEL] [options]      the prompt is the cell's body\n\n{usage()}\n\n{verbs}",
        )

    def _config(self, _words: list[str]) -> None:
        """the settings, and where they come from"""
        has_key = "set" if os.environ.get(self.api_key_name) else "not set"
        rows = [
            ("model", self.resolved_model()),
            ("base_url", self.resolved_base_url()),
            (f"key ({self.api_key_name})", has_key),
            *(
                (name, getattr(self, name))
                for name in ("system", "max_tokens", "temperature", "connect_timeout_s", "idle_timeout_s")
            ),
        ]
        table = "\n".join(f"{name:<26}{value if value not in (None, '') else '-'}" for name, value in rows)
        show_text(self.shell, f'{table}\n\nChange one with %config HolySheepMagics.model = "..."')

    def _models(self, _words: list[str]) -> _Later:
        """the models the endpoint offers"""
        chosen = self.resolved_model()

        def show(models: list[str]) -> None:
            lines = [f"{model}{'   (the one that answers)' if model == chosen else ''}" for model in models]
            show_text(self.shell, "\n".join(lines) or "The endpoint lists no models.")

        return _Later(self.chat.list_models(), show)

    def _stop(self, _words: list[str]) -> None:
        """stop every answer that still streams"""
        count = self.chat.stop()
        show_text(self.shell, f"Stopped {count} answer(s)." if count else "No answer is streaming.")

    def _wait(self, words: list[str]) -> _Later:
        """[SECONDS] wait until no answer streams any more"""
        try:
            timeout_s = float(words[0]) if words else None
        except ValueError:
            raise UsageError(f"%holysheep wait takes a number of seconds, and {words[0]!r} is none.") from None
        going = self.chat.going()

        async def work() -> None:
            if going:
                await asyncio.wait([asyncio.wrap_future(run.ended) for run in going], timeout=timeout_s)

        def say(_: None) -> None:
            still = [run for run in going if not run.is_finished]
            show_text(self.shell, "; ".join(map(repr, still)) or "No answer is streaming.")

        return _Later(work(), say)

    def _show(self, words: list[str]) -> None:
        """[LABEL] put an answer into this cell's output, the last one if none is named"""
        label = " ".join(words)
        runs = [run for run in self.chat.runs if not label or run.request.label == label]
        if not runs:
            raise UsageError(f"No answer has the label {label!r}." if label else "There is no answer yet.")
        show_run(self.shell, runs[-1])

    def _reset(self, _words: list[str]) -> None:
        """forget the conversation; outputs stay"""
        count = len(self.chat.conversation.exchanges)
        self.chat.reset()
        show_text(self.shell, f"Forgot {count} exchange(s). The next cell starts afresh.")

    def _version(self, _words: list[str]) -> None:
        """the version of this extension"""
        show_text(self.shell, f"holysheep_nb {__version__}")

    def _local(self, words: list[str]) -> _Later | None:
        """[script|stop] answer with the small built-in model, on this machine, without a key"""
        match words:
            case []:
                engine: EngineName = "smollm2"
            case ["script"]:
                engine = "script"
            case ["stop"]:
                self._leave_local()
                return None
            case _:
                raise UsageError(f"%holysheep local takes script or stop, and {' '.join(words)!r} is neither.")
        progress = show_text(self.shell, "Starting the built-in model ...")
        noted = [-_PROGRESS_STEP_BYTES]

        def note(done: int, total: int) -> None:
            if done - noted[0] >= _PROGRESS_STEP_BYTES or done == total:
                noted[0] = done
                progress(f"Fetching the built-in model: {done / 1e6:.0f} of {total / 1e6:.0f} MB")

        def use(gateway: Any) -> None:
            self._leave_local(quietly=True)
            self._gateway = gateway
            self._settings_before_local = (self.base_url, self.api_key_name, self.model)
            os.environ[_LOCAL_KEY_NAME] = gateway.key
            self.base_url, self.api_key_name, self.model = (
                gateway.base_url,
                _LOCAL_KEY_NAME,
                gateway.models[0],
            )
            progress(f"{self.model} answers from this machine. `%holysheep local stop` ends that.")

        async def work() -> Any:
            from .local.process import start_gateway

            return await asyncio.to_thread(start_gateway, engine, on_progress=note)

        return _Later(work(), use)

    def _leave_local(self, *, quietly: bool = False) -> None:
        if self._gateway is None:
            if not quietly:
                show_text(self.shell, "The built-in model is not running.")
            return
        self._gateway.stop()
        self._gateway = None
        os.environ.pop(_LOCAL_KEY_NAME, None)
        assert self._settings_before_local is not None
        self.base_url, self.api_key_name, self.model = self._settings_before_local
        if not quietly:
            show_text(self.shell, f"{self.resolved_base_url()} answers again.")


@contextlib.contextmanager
def _briefly() -> Iterator[None]:
    """Lets an error of ours show as its one sentence instead of a page of traceback."""
    try:
        yield
    except HolySheepError as error:
        sentence = f"{type(error).__name__}: {error}"
        error._render_traceback_ = lambda: [sentence]  # type: ignore[attr-defined]
        raise


def load(shell: InteractiveShell) -> None:
    """Registers the magics, once."""
    unload(shell)
    shell.register_magics(HolySheepMagics(shell))
    prepare(shell)


def unload(shell: InteractiveShell) -> None:
    """Takes the magics out again, if they are there."""
    loaded = shell.magics_manager.registry.get("HolySheepMagics")
    if loaded is not None:
        loaded.unload()
