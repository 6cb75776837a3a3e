"""`%holysheep VERB`: what can be done besides asking."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from IPython.core.interactiveshell import InteractiveShell

from .aliases import do_alias_line, read_aliases, resolve_alias
from .chat import Chat
from .config import DEFAULT_KEY_NAME, Settings
from .errors import UsageError
from .history import Memory
from .history.verb import HistoryVerbs
from .keys import find_key
from .login import log_in, log_out
from .manual import manual
from .mcp.servers import servers
from .mcp.verb import read_mcp_line
from .options import nearest
from .pricing import Prices
from .pricing.verb import cell_total, changed_prices, cost_table, models_table, prices_table
from .profiles import HOLYSHEEP
from .profiles.verb import do_profile_line, leave_profile
from .version import __version__
from .view import Page, open_view, show_run, show_text

if TYPE_CHECKING:
    from .local.process import EngineName, Gateway

_LOCAL_KEY_NAME = "HOLYSHEEP_LOCAL_KEY"
_PROGRESS_STEP_BYTES = 2_000_000
_TAKES_QUOTES = frozenset(["mcp", "migrate", "shadow"])


@dataclass(frozen=True, slots=True)
class Later:
    """What a verb does on the stream thread, what it does here with the result, and when the wait is interrupted."""

    work: Coroutine[Any, Any, Any]
    then: Callable[[Any], None]
    interrupted: Callable[[], None] = lambda: None


class Verbs:
    """The verbs of one shell."""

    def __init__(self, shell: InteractiveShell, chat: Chat, settings: Settings, memory: Memory) -> None:
        self._shell = shell
        self._chat = chat
        self._settings = settings
        self._memory = memory
        self._history = HistoryVerbs(Page(shell), chat, memory)
        self._gateway: Gateway | None = None
        self._settings_before_local: dict[str, str] = {}

    def close(self) -> None:
        """Ends what a verb has started."""
        servers.close()
        self._leave_local(quietly=True)
        leave_profile(self._settings)

    def do(self, line: str) -> Later | None:
        """Does what the line says, or says how to finish it. Raises `UsageError`."""
        verb, *words = line.split() or ["help"]
        verbs = self._all()
        if verb not in verbs:
            raise UsageError(
                f"There is no %holysheep {verb}.{nearest(verb, sorted(verbs))} `%holysheep help` lists the verbs."
            )
        # What is in quotes stays as it is.
        return verbs[verb](line.split(maxsplit=1)[1:] if verb in _TAKES_QUOTES else words)

    def _all(self) -> dict[str, Callable[[list[str]], Later | None]]:
        """What `%holysheep` can do, by name. The first line of each docstring is its help."""
        return {
            "help": self._help,
            "config": self._config,
            "models": self._models,
            "alias": self._alias,
            "prices": self._prices,
            "cost": self._cost,
            "stop": self._stop,
            "wait": self._wait,
            "show": self._show,
            "resume": self._resume,
            "history": self._history.history,
            "branches": self._history.branches,
            "checkout": self._history.check_out,
            "reset": self._reset,
            "login": self._login,
            "logout": self._logout,
            "local": self._local,
            "mcp": self._mcp,
            "profile": self._profile,
            "migrate": self._migrate,
            "shadow": self._shadow,
            "version": self._version,
        }

    def _help(self, _words: list[str]) -> None:
        """this page"""
        show_text(self._shell, self.page())

    def page(self) -> str:
        """What there is: examples, options and verbs."""
        verbs = {name: verb.__doc__ or "" for name, verb in self._all().items()}
        return manual(verbs, resolve_alias(self._settings.resolved_model()), read_aliases())

    @property
    def names(self) -> list[str]:
        """Every verb."""
        return list(self._all())

    def _config(self, _words: list[str]) -> None:
        """the settings, and where they come from"""
        has_key = "set" if find_key(self._settings.resolved_api_key_name()) else "not set"
        rows = [
            ("model", self._settings.resolved_model()),
            ("base_url", self._settings.resolved_base_url()),
            ("ws_url", self._settings.resolved_ws_url() if self._settings.active_profile() is None else None),
            ("transport", self._settings.resolved_transport()),
            (f"key ({self._settings.resolved_api_key_name()})", has_key),
            *(
                (name, getattr(self._settings, name))
                for name in ("system", "max_tokens", "temperature", "connect_timeout_s", "idle_timeout_s")
            ),
        ]
        table = "\n".join(f"{name:<26}{value if value not in (None, '') else '-'}" for name, value in rows)
        show_text(self._shell, f'{table}\n\nChange one with %config HolySheepMagics.model = "..."')

    def _models(self, _words: list[str]) -> Later:
        """the models the endpoint offers, with prices"""
        host = urlsplit(self._settings.resolved_base_url()).netloc
        chosen, aliases = resolve_alias(self._settings.resolved_model()), read_aliases()

        def show(models: list[str]) -> None:
            table = models_table(models, lambda model: self._settings.price(model, host), chosen, aliases)
            show_text(self._shell, table if models else "The endpoint lists no models.")

        return Later(self._chat.list_models(), show)

    def _alias(self, words: list[str]) -> None:
        """[NAME MODEL|--remove NAME] short names for models, in every notebook"""
        show_text(self._shell, do_alias_line(words))

    def _prices(self, words: list[str]) -> None:
        """[MODEL INPUT OUTPUT|--remove MODEL] prices in USD per million tokens"""
        changed = changed_prices(words, self._settings.prices)
        if changed is not None:
            self._settings.prices = changed
        show_text(self._shell, prices_table(Prices(self._settings.prices)))

    def _cost(self, words: list[str]) -> None:
        """what the last cell, this notebook and today have cost"""
        if words:
            raise UsageError("%holysheep cost takes nothing.")
        show_text(self._shell, cost_table(cell_total(self._chat.runs)))

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
        if not runs and (label or self._chat.chosen is None):
            raise UsageError(f"No answer has the label {label!r}." if label else "There is no answer yet.")
        show_run(self._shell, self._chat.chosen if self._chat.chosen is not None and not label else runs[-1])

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
        count = sum(bool(exchange.turns) for exchange in self._chat.conversation.exchanges)
        self._chat.reset()
        self._memory.close()
        show_text(self._shell, f"Forgot {count} exchange(s). The next cell starts afresh.")

    def _login(self, words: list[str]) -> None:
        """[--save] type the API key, unseen; --save keeps it in the keyring"""
        show_text(self._shell, log_in(self._shell, words, self._settings.resolved_api_key_name()))

    def _logout(self, words: list[str]) -> None:
        """forget the key that was typed"""
        show_text(self._shell, log_out(words, self._settings.resolved_api_key_name()))

    def _version(self, _words: list[str]) -> None:
        """the version of this extension"""
        show_text(self._shell, f"holysheep_nb {__version__}")

    def _mcp(self, words: list[str]) -> Later:
        """[add|list|remove|restart] servers whose tools `-T NAME` offers to a model"""
        profiles = self._settings.known_profiles().values()
        keys = {DEFAULT_KEY_NAME, _LOCAL_KEY_NAME, self._settings.api_key_name}
        keys |= {profile.api_key_name for profile in profiles}

        def show(text: str) -> None:
            show_text(self._shell, text)

        return Later(read_mcp_line(" ".join(words), keys), show)

    def _profile(self, words: list[str]) -> None:
        """[NAME|add NAME BASE_URL KEY_NAME] switch the whole notebook to another endpoint, and back"""
        if words[:1] == [HOLYSHEEP] or (len(words) == 1 and words[0] in self._settings.known_profiles()):
            self._leave_local(quietly=True)
        show_text(self._shell, do_profile_line(words, self._settings))

    def _migrate(self, words: list[str]) -> Later:
        """PATH ... [--write] what would change in code for other model APIs; --rollback goes back"""
        from .migrate.verb import MigrateLine

        line = MigrateLine(" ".join(words), self._settings, Page(self._shell))
        return Later(line.work(), line.show)

    def _shadow(self, words: list[str]) -> Later:
        """FILE [options] the same prompts to another endpoint and to HolySheep, with a report"""
        from .shadow.verb import ShadowLine

        line = ShadowLine(" ".join(words), self._settings, Page(self._shell))
        return Later(line.work(), line.show, line.interrupted)

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
                "profile": HOLYSHEEP,
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
