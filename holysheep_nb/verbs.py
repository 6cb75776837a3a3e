"""`%holysheep VERB`: what can be done besides asking."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.interactiveshell import InteractiveShell

from .chat import Chat
from .config import DEFAULT_KEY_NAME, Settings
from .errors import UsageError
from .keys import find_key
from .login import log_in, log_out
from .mcp.servers import servers
from .mcp.verb import read_mcp_line
from .options import nearest, usage
from .version import __version__
from .view import open_view, show_run, show_text

if TYPE_CHECKING:
    from .local.process import EngineName, Gateway

_LOCAL_KEY_NAME = "HOLYSHEEP_LOCAL_KEY"
_PROGRESS_STEP_BYTES = 2_000_000


@dataclass(frozen=True, slots=True)
class Later:
    """What a verb does on the stream thread, what it does here with the result, and when the wait is interrupted."""

    work: Coroutine[Any, Any, Any]
    then: Callable[[Any], None]
    interrupted: Callable[[], None] = lambda: None


class Verbs:
    """The verbs of one shell."""

    def __init__(self, shell: InteractiveShell, chat: Chat, settings: Settings) -> None:
        self._shell = shell
        self._chat = chat
        self._settings = settings
        self._gateway: Gateway | None = None
        self._settings_before_local: dict[str, str] = {}

    def close(self) -> None:
        """Ends what a verb has started."""
        servers.close()
        self._leave_local(quietly=True)

    def do(self, line: str) -> Later | None:
        """Does what the line says, or says how to finish it. Raises `UsageError`."""
        verb, *words = line.split() or ["help"]
        verbs = self._all()
        if verb not in verbs:
            raise UsageError(
                f"There is no %holysheep {verb}.{nearest(verb, sorted(verbs))} `%holysheep help` lists the verbs."
            )
        # What is in quotes stays as it is.
        return verbs[verb](line.split(maxsplit=1)[1:] if verb == "mcp" else words)

    def _all(self) -> dict[str, Callable[[list[str]], Later | None]]:
        """What `%holysheep` can do, by name. The first line of each docstring is its help."""
        return {
            "help": self._help,
            "config": self._config,
            "models": self._models,
            "stop": self._stop,
            "wait": self._wait,
            "show": self._show,
            "resume": self._resume,
            "reset": self._reset,
            "login": self._login,
            "logout": self._logout,
            "local": self._local,
            "mcp": self._mcp,
            "version": self._version,
        }

    def _help(self, _words: list[str]) -> None:
        """this page"""
        verbs = "\n".join(f"  %holysheep {name:<9}{verb.__doc__}" for name, verb in self._all().items())
        show_text(
            self._shell,
            f"%%holysheep [MODEL] [options]      the prompt is the cell's body\n\n{usage()}\n\n{verbs}",
        )

    def _config(self, _words: list[str]) -> None:
        """the settings, and where they come from"""
        has_key = "set" if find_key(self._settings.api_key_name) else "not set"
        rows = [
            ("model", self._settings.resolved_model()),
            ("base_url", self._settings.resolved_base_url()),
            ("ws_url", self._settings.resolved_ws_url()),
            ("transport", self._settings.transport),
            (f"key ({self._settings.api_key_name})", has_key),
            *(
                (name, getattr(self._settings, name))
                for name in ("system", "max_tokens", "temperature", "connect_timeout_s", "idle_timeout_s")
            ),
        ]
        table = "\n".join(f"{name:<26}{value if value not in (None, '') else '-'}" for name, value in rows)
        show_text(self._shell, f'{table}\n\nChange one with %config HolySheepMagics.model = "..."')

    def _models(self, _words: list[str]) -> Later:
        """the models the endpoint offers"""
        chosen = self._settings.resolved_model()

        def show(models: list[str]) -> None:
            lines = [f"{model}{'   (the one that answers)' if model == chosen else ''}" for model in models]
            show_text(self._shell, "\n".join(lines) or "The endpoint lists no models.")

        return Later(self._chat.list_models(), show)

    def _stop(self, _words: list[str]) -> None:
        """stop every answer that still streams"""
        count = self._chat.stop()
        show_text(self._shell, f"Stopped {count} answer(s)." if count else "No answer is streaming.")

    def _wait(self, words: list[str]) -> Later:
        """[SECONDS] wait until no answer streams any more"""
        try:
            timeout_s = float(words[0]) if words else None
        except ValueError:
            raise UsageError(f"%holysheep wait takes a number of seconds, and {words[0]!r} is none.") from None
        going = self._chat.going()

        async def work() -> None:
            if going:
                await asyncio.wait([asyncio.wrap_future(run.ended) for run in going], timeout=timeout_s)

        def say(_: None) -> None:
            states = [f"{run.model}: {run.status}" for run in going]
            show_text(self._shell, "\n".join(states) or "No answer is streaming.")

        return Later(work(), say)

    def _show(self, words: list[str]) -> None:
        """[LABEL] put an answer into this cell's output, the last one if none is named"""
        label = " ".join(words)
        runs = [run for run in self._chat.runs if not label or run.request.label == label]
        if not runs:
            raise UsageError(f"No answer has the label {label!r}." if label else "There is no answer yet.")
        show_run(self._shell, runs[-1])

    def _resume(self, words: list[str]) -> Later:
        """[LABEL] go on with an answer that was cut off or stopped"""
        label = " ".join(words)
        runs = [run for run in self._chat.runs if not label or run.request.label == label]
        cut = [run for run in runs if run.is_finished and not run.complete]
        if not cut:
            raise UsageError(f"No answer {f'with the label {label!r} ' if label else ''}was cut off.")
        run = cut[-1]
        view = open_view()
        run.resume(*([view] if view is not None else []))

        async def work() -> None:
            await asyncio.wrap_future(run.ended)

        def conclude(_: None) -> None:
            run.conclude()
            run.raise_error()

        return Later(work(), conclude, run.stop)

    def _reset(self, _words: list[str]) -> None:
        """forget the conversation; outputs stay"""
        count = len(self._chat.conversation.exchanges)
        self._chat.reset()
        show_text(self._shell, f"Forgot {count} exchange(s). The next cell starts afresh.")

    def _login(self, words: list[str]) -> None:
        """[--save] type the API key, unseen; --save keeps it in the keyring"""
        show_text(self._shell, log_in(self._shell, words, self._settings.api_key_name))

    def _logout(self, words: list[str]) -> None:
        """forget the key that was typed"""
        show_text(self._shell, log_out(words, self._settings.api_key_name))

    def _version(self, _words: list[str]) -> None:
        """the version of this extension"""
        show_text(self._shell, f"holysheep_nb {__version__}")

    def _mcp(self, words: list[str]) -> Later:
        """[add|list|remove|restart] servers whose tools `-T NAME` offers to a model"""
        keys = {DEFAULT_KEY_NAME, _LOCAL_KEY_NAME, self._settings.api_key_name}

        def show(text: str) -> None:
            show_text(self._shell, text)

        return Later(read_mcp_line(" ".join(words), keys), show)

    def _local(self, words: list[str]) -> Later | None:
        """[script [FILE]|stop] answer with the small built-in model, or play a script, without a key"""
        engine: EngineName = "smollm2"
        script: Path | None = None
        match words:
            case []:
                pass
            case ["script", *parts]:
                engine = "script"
                script = Path(" ".join(parts).strip("\"'")).expanduser() if parts else None
            case ["stop"]:
                self._leave_local()
                return None
            case _:
                raise UsageError(f"%holysheep local takes script or stop, and {' '.join(words)!r} is neither.")
        progress = show_text(self._shell, f"Starting the {'script' if engine == 'script' else 'built-in model'} ...")
        noted = [-_PROGRESS_STEP_BYTES]

        def note(done: int, total: int) -> None:
            if done - noted[0] >= _PROGRESS_STEP_BYTES or done == total:
                noted[0] = done
                progress(f"Fetching the built-in model: {done / 1e6:.0f} of {total / 1e6:.0f} MB")

        def use(gateway: Any) -> None:
            self._leave_local(quietly=True)
            self._gateway = gateway
            os.environ[_LOCAL_KEY_NAME] = gateway.key
            local = {
                "base_url": gateway.base_url,
                "ws_url": gateway.ws_url,
                "api_key_name": _LOCAL_KEY_NAME,
                "model": gateway.models[0],
            }
            self._settings_before_local = {name: getattr(self._settings, name) for name in local}
            self._change_settings(local)
            answers = "answers" if script is None else f"plays {script.name}"
            progress(f"{self._settings.model} {answers} from this machine. `%holysheep local stop` ends that.")

        async def work() -> Any:
            from .local.process import start_gateway

            return await asyncio.to_thread(start_gateway, engine, script=script, on_progress=note)

        return Later(work(), use)

    def _leave_local(self, *, quietly: bool = False) -> None:
        if self._gateway is None:
            if not quietly:
                show_text(self._shell, "The built-in model is not running.")
            return
        self._gateway.stop()
        self._gateway = None
        os.environ.pop(_LOCAL_KEY_NAME, None)
        self._change_settings(self._settings_before_local)
        if not quietly:
            show_text(self._shell, f"{self._settings.resolved_base_url()} answers again.")

    def _change_settings(self, values: dict[str, str]) -> None:
        for name, value in values.items():
            setattr(self._settings, name, value)
