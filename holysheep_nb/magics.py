"""`%%holysheep` and `%holysheep`: read the line, call Chat. Nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from IPython.core.getipython import get_ipython
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, line_cell_magic, magics_class, no_var_expand

from .attachments import find_attachments
from .chat import Chat
from .comparison import Comparison
from .completion import LineCompletion
from .config import Settings
from .errors import HolySheepError, UsageError, show_briefly
from .failures import Failures
from .history import Memory
from .kernel import MagicAwaiter, stream_thread, wait_blocking, wait_ticking
from .mcp.servers import servers
from .options import CellOptions, nearest, parse_cell_line
from .preview import Preview
from .prompts import interpolate
from .run import Run
from .verbs import Verbs
from .view import clean_up, prepare
from .view.markdown import strip_fence

_TARGET = "get_ipython().magics_manager.registry['HolySheepMagics']"


class Interrupted(KeyboardInterrupt):
    """The kernel was interrupted while an answer streamed; what came is kept."""

    def _render_traceback_(self) -> list[str]:
        return [f"KeyboardInterrupt: {self}"]


@magics_class
class HolySheepMagics(Magics, Settings):
    """Answers of HolySheep AI in cells. Its traits are the settings."""

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell=shell)
        self.chat = Chat(settings=self)
        self._cell_id: str | None = None
        self.memory = Memory(self.chat.conversation, self)
        self.verbs = Verbs(shell, self.chat, self, self.memory)
        self._completion = LineCompletion(shell, self.chat, self, self.verbs.names)
        self._awaiter = MagicAwaiter(shell, "holysheep", _TARGET) if hasattr(shell, "kernel") else None
        if self._awaiter is not None:
            shell.input_transformers_post.append(self._awaiter)
        self._failures = Failures()
        shell.events.register("pre_run_cell", self._note_cell)
        shell.events.register("post_run_cell", self._failures.note)

    def unload(self) -> None:
        """Leaves the shell as it was: no transformer, no callback, no run, no thread, no gateway."""
        self.chat.stop()
        if self._awaiter in self.shell.input_transformers_post:
            self.shell.input_transformers_post.remove(self._awaiter)
        for event, callback in (("pre_run_cell", self._note_cell), ("post_run_cell", self._failures.note)):
            with contextlib.suppress(ValueError):
                self.shell.events.unregister(event, callback)
        with contextlib.suppress(ValueError):
            self.shell.configurables.remove(self)
        self._completion.close()
        self.verbs.close()
        for kind in ("line", "cell"):
            self.shell.magics_manager.magics[kind].pop("holysheep", None)
        self.shell.magics_manager.registry.pop("HolySheepMagics", None)
        clean_up()
        stream_thread.stop()

    @no_var_expand
    @line_cell_magic
    def holysheep(self, line: str, cell: str | None = None) -> Run | Comparison | Preview | None:
        """Asks a model; the answer streams into the cell.

            %%holysheep [MODEL] [options]
            The prompt.

            %holysheep help

        In the prompt, `{{expression}}` is its value in the notebook; single braces are text.
        The cell gives a `Run` (`_`, `Out[n]`, `--out NAME`): `.text .status .usage .timing .turns`. With several
        models it gives a `Comparison`: `.runs .to_frame() .best("cost") .keep("gpt-4.1")`.
        """
        with _briefly():
            if cell is None:
                later = self.verbs.do(line)
                if later is not None:
                    try:
                        result = wait_blocking(stream_thread.submit(later.work))
                    except (KeyboardInterrupt, asyncio.CancelledError):
                        later.interrupted()
                        raise
                    later.then(result)
                return None
            options = parse_cell_line(line)
            if options.is_dry_run:
                return self._preview(options, cell)
            run = self._ask(options, cell)
            if not options.is_background:
                try:
                    wait_blocking(run.ended)
                except (KeyboardInterrupt, asyncio.CancelledError):
                    run.stop()
                    wait_blocking(run.ended)
                    raise self._interrupted(run) from None
                finally:
                    run.conclude()
                self._conclude(run, options)
            return run

    async def run_cell_awaited(self, _name: str, line: str, cell: str) -> Run | Comparison | Preview:
        """What a `%%holysheep` cell runs where it may await: the main loop stays free meanwhile."""
        with _briefly():
            options = parse_cell_line(line)
            if options.is_dry_run:
                return self._preview(options, cell)
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
            later = self.verbs.do(line)
            if later is None:
                return
            try:
                result = await wait_ticking(stream_thread.submit(later.work))
            except asyncio.CancelledError:
                later.interrupted()
                raise Interrupted("The wait was interrupted.") from None
            later.then(result)

    def _note_cell(self, info: Any = None) -> None:
        cell_id = getattr(info, "cell_id", None)
        if cell_id is not None or not getattr(info, "silent", False):
            self._cell_id = self.memory.cell = cell_id

    def _ask(self, options: CellOptions, prompt: str) -> Run | Comparison:
        names = self._names()
        is_comparison = bool(options.models)
        ask: Callable[..., Run | Comparison] = self.chat.compare if is_comparison else self.chat.ask
        asked = {"models": options.models} if is_comparison else {"model": options.model}
        run = ask(
            interpolate(prompt.strip("\n"), names),
            attach=find_attachments(options.attach, names),
            **asked,
            system=options.system,
            base_url=options.api_base,
            api_key_name=options.api_key_name,
            transport=options.transport,
            tools=self._tools(options.tools),
            approve=options.approve,
            max_rounds=options.max_rounds,
            max_cost=options.max_cost,
            fallback=options.fallback,
            record=options.record,
            replay=options.replay,
            answer_format=options.answer_format,
            cell=self._cell_id,
            afresh=options.is_new,
            live=options.is_live,
            label=options.label,
            remark=self.memory.recall(afresh=options.is_new),
            shows_error=options.is_background or not options.raises,
            **options.parameters,
        )
        if options.out:
            self.shell.user_ns[options.out] = run
        return run

    def _preview(self, options: CellOptions, prompt: str) -> Preview:
        names = self._names()
        self.memory.recall(afresh=options.is_new)
        preview = self.chat.preview(
            interpolate(prompt.strip("\n"), names),
            attach=find_attachments(options.attach, names),
            model=options.model,
            system=options.system,
            base_url=options.api_base,
            api_key_name=options.api_key_name,
            transport=options.transport,
            tools=self._tools(options.tools),
            cell=self._cell_id,
            afresh=options.is_new,
            **options.parameters,
        )
        if options.out:
            self.shell.user_ns[options.out] = preview
        return preview

    def _names(self) -> dict[str, Any]:
        """What a prompt may name: the notebook's variables, `In` as it was typed, `Out`, and `Err`."""
        names = {"Err": self._failures, **self.shell.user_ns}
        history = self.shell.history_manager
        if history is not None and names.get("In") is history.input_hist_parsed:
            names["In"] = history.input_hist_raw
        return names

    def _tools(self, names: Iterable[str]) -> list[Any]:
        """What the names stand for, each tool once: functions of the notebook, and tools of MCP servers."""
        found: list[Any] = []
        for name in names:
            of_server = servers.find_tools(name)
            offered = [self._function(name)] if of_server is None else of_server
            if of_server is not None and self._is_function(name):
                raise UsageError(
                    f"{name!r} is a function of this notebook and an MCP server's too: give one of them another name."
                )
            found += [each for each in offered if not any(each is other for other in found)]
        return found

    def _is_function(self, name: str) -> bool:
        try:
            return callable(self._function(name))
        except UsageError:
            return False

    def _function(self, name: str) -> Any:
        """The function of the notebook, or of a module or object in it, that is called `name`."""
        root, *rest = name.split(".")
        try:
            return functools.reduce(getattr, rest, self.shell.user_ns[root])
        except (KeyError, AttributeError):
            functions = [key for key, value in self.shell.user_ns.items() if callable(value) and key[0] != "_"]
            raise UsageError(
                f"There is no function {name!r} in this notebook: run the cell that defines it."
                f"{nearest(name, [*functions, *servers])}"
            ) from None

    def _conclude(self, run: Run | Comparison, options: CellOptions) -> None:
        if (error := run.error) is not None and options.raises:
            self._keep(run)
            raise error
        if isinstance(run, Run) and options.answer_format == "code" and run.text:
            self.shell.set_next_input(strip_fence(run.text).rstrip("\n"), replace=False)

    def _interrupted(self, run: Run | Comparison) -> Interrupted:
        self._keep(run)
        return Interrupted(run.what_is_kept)

    def _keep(self, run: Run | Comparison) -> None:
        """A cell that raises has no value: `_` and `Out` get the run all the same."""
        self.shell.displayhook.update_user_ns(run)


def _page() -> str:
    """What `%%holysheep?` shows: IPython asks for it by the name `getdoc`."""
    page: str = get_ipython().magics_manager.registry["HolySheepMagics"].verbs.page()
    return page


HolySheepMagics.holysheep.getdoc = _page


@contextlib.contextmanager
def _briefly() -> Iterator[None]:
    """Lets an error of ours show as its one sentence instead of a page of traceback."""
    try:
        yield
    except HolySheepError as error:
        show_briefly(error, f"{type(error).__name__}: {error}")
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
