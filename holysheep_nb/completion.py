"""Tab completion on the lines of `%%holysheep` and `%holysheep`: from what is known here, never from the network."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from typing import Any

from IPython.core.completer import SimpleCompletion, context_matcher
from IPython.core.interactiveshell import InteractiveShell

from .aliases import read_aliases
from .chat import Chat
from .config import Settings
from .errors import ConfigurationError
from .mcp.servers import servers
from .options import option_names, option_values
from .pricing import Prices
from .tools import Tool

_CELL_LINE = re.compile(r"[ \t]*%%holysheep[ \t](.*)")
_LINE = re.compile(r"[ \t]*%holysheep[ \t](.*)")
# Before what others offer, such as names of files.
_PRIORITY = 1000.0


class LineCompletion:
    """Offers options, models, tools and verbs while it is registered with the shell."""

    def __init__(self, shell: InteractiveShell, chat: Chat, settings: Settings, verbs: Iterable[str]) -> None:
        self._shell = shell
        self._chat = chat
        self._settings = settings
        self._verbs = sorted(verbs)

        def matcher(context: Any) -> dict[str, Any]:
            return self.complete(context.full_text, context.cursor_line, context.text_until_cursor)

        self._matcher = context_matcher(identifier="holysheep", priority=_PRIORITY)(matcher)
        shell.Completer.custom_matchers.append(self._matcher)

    def close(self) -> None:
        """Takes it out again."""
        if self._matcher in self._shell.Completer.custom_matchers:
            self._shell.Completer.custom_matchers.remove(self._matcher)

    def complete(self, cell: str, line_number: int, before: str) -> dict[str, Any]:
        """IPython's `SimpleMatcherResult`. `before` is what stands before the cursor on its line."""
        found = _LINE.fullmatch(before)
        is_cell_line = found is None and not "".join(cell.splitlines()[:line_number]).strip()
        found = _CELL_LINE.fullmatch(before) if is_cell_line else found
        # Within quotes there are texts, not names.
        if found is None or found[1].count('"') % 2 or found[1].count("'") % 2:
            return {"completions": []}
        words, fragment = found[1].split(), ""
        if words and not found[1][-1].isspace():
            fragment = words.pop()
        if is_cell_line and fragment.startswith("--") and "=" in fragment:
            option, _, fragment = fragment.partition("=")
            words.append(option)
        offered = self._for_cell(words, fragment) if is_cell_line else self._for_verb(words)
        fitting = [SimpleCompletion(name, type=kind) for name, kind in offered.items() if name.startswith(fragment)]
        return {
            "completions": fitting,
            "matched_fragment": fragment,
            "suppress": bool(fitting) and "file" not in offered.values(),
            "ordered": True,
        }

    def _for_cell(self, words: list[str], fragment: str) -> dict[str, str]:
        """What may come next, each with its kind."""
        has_model, left, field = False, 0, ""
        choices: tuple[str, ...] = ()
        for word in words:
            if left:
                left -= 1
            elif word.startswith("-"):
                field, left, choices = option_values(word)
                has_model = has_model or field == "model_option"
            else:
                has_model = True
        if left:
            return self._values(field, choices, fragment)
        options = dict.fromkeys(option_names(), "option")
        return options if has_model or fragment.startswith("-") else {**self._models(), **options}

    def _values(self, field: str, choices: Iterable[str], fragment: str) -> dict[str, str]:
        match field:
            case "model_option" | "fallback":
                return self._models()
            case "tool":
                return self._tools(fragment)
            case "attach":
                return dict.fromkeys(self._variables(), "instance")
        return dict.fromkeys(choices, "choice")

    def _for_verb(self, words: list[str]) -> dict[str, str]:
        match words:
            case []:
                return dict.fromkeys(self._verbs, "verb")
            case ["alias"]:
                return {**dict.fromkeys(self._aliases(), "alias"), "--remove": "option"}
            case ["alias", "--remove"]:
                return dict.fromkeys(self._aliases(), "alias")
            case ["alias", _]:
                return {name: kind for name, kind in self._models().items() if kind == "model"}
            case ["prices"]:
                return {**self._models(), "--remove": "option"}
            case ["prices", "--remove"]:
                return dict.fromkeys(self._settings.prices, "model")
            case ["show" | "resume" | "branches" | "checkout"]:
                return dict.fromkeys((run.request.label for run in self._chat.runs if run.request.label), "label")
            case ["local"]:
                return dict.fromkeys(("script", "stop"), "verb")
            case ["mcp"]:
                return dict.fromkeys(("add", "list", "remove", "restart"), "verb")
            case ["mcp", "remove" | "restart"]:
                return dict.fromkeys(servers, "server")
            case ["login"]:
                return {"--save": "option"}
        return {}

    def _aliases(self) -> list[str]:
        try:
            return sorted(read_aliases())
        except ConfigurationError:
            # Whoever asks is told; here it would be in the way.
            return []

    def _models(self) -> dict[str, str]:
        """Short names, and the models that have a price, were listed, or have answered."""
        models = {
            self._settings.resolved_model(),
            *(price.model for price in Prices(self._settings.prices).all()),
            *self._chat.listed_models,
            *(run.request.model for run in self._chat.runs),
        }
        aliases = self._aliases()
        return {**dict.fromkeys(aliases, "alias"), **dict.fromkeys(sorted(models - set(aliases)), "model")}

    def _variables(self) -> list[str]:
        hidden = self._shell.user_ns_hidden
        names = self._shell.user_ns
        return sorted(name for name in names if not name.startswith("_") and name not in hidden)

    def _tools(self, fragment: str) -> dict[str, str]:
        """Functions of the notebook, MCP servers, and the tools of the one that is named."""
        values = {name: self._shell.user_ns[name] for name in self._variables()}
        tools = [name for name, value in values.items() if inspect.isfunction(value) or isinstance(value, Tool)]
        names = [*tools, *servers]
        server, dot, _ = fragment.partition(".")
        if dot and server in servers:
            names += [f"{server}.{tool}" for tool in servers[server].tool_names]
        return dict.fromkeys(names, "function")
