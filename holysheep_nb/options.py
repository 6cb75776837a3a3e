"""The line of `%%holysheep`, read: options as people type them, refused in one sentence that helps."""

from __future__ import annotations

import argparse
import difflib
import json
import keyword
import math
import shlex
from dataclasses import dataclass, field
from typing import Any, NoReturn

from .errors import UsageError

FORMATS = ("markdown", "text", "code", "json")
APPROVALS = ("ask", "auto", "deny")
TRANSPORTS = ("sse", "ws", "auto")

# What `Chat.ask` or the request itself keeps for its own: `-o` would hide or break it.
_NOT_PARAMETERS = frozenset(
    [
        "self",
        "prompt",
        "attach",
        "model",
        "system",
        "base_url",
        "api_key_name",
        "transport",
        "tools",
        "approve",
        "max_rounds",
        "max_cost",
        "fallback",
        "record",
        "replay",
        "answer_format",
        "cell",
        "afresh",
        "live",
        "label",
        "remark",
        "show",
        "shows_error",
        "listener",
        "start",
        "messages",
        "stream",
        "stream_options",
    ]
)


@dataclass(frozen=True, slots=True)
class CellOptions:
    """What the line of a cell asks for. None means: as the settings say. `models` are those to compare, if any."""

    model: str | None = None
    models: tuple[str | None, ...] = ()
    system: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    transport: str | None = None
    tools: tuple[str, ...] = ()
    attach: tuple[str, ...] = ()
    approve: str | None = None
    max_rounds: int | None = None
    max_cost: float | None = None
    answer_format: str = "markdown"
    out: str | None = None
    api_base: str | None = None
    api_key_name: str | None = None
    label: str = ""
    fallback: str | None = None
    record: str | None = None
    replay: str | None = None
    is_background: bool = False
    is_new: bool = False
    is_live: bool = False
    is_dry_run: bool = False
    raises: bool = True


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(_sentence(message))


def _build_parser() -> _Parser:
    parser = _Parser(prog="%%holysheep", add_help=False, allow_abbrev=False)
    add = parser.add_argument
    add("model", nargs="?", metavar="MODEL", help="the model that answers")
    add(
        "-m",
        "--model",
        dest="model_option",
        action="append",
        default=[],
        metavar="MODEL",
        help="the same, as an option; repeat it to compare models side by side",
    )
    add("--compare", metavar="MODELS", default="", help="ask these as well, side by side; commas part them")
    add("-s", "--system", metavar="TEXT", help="system prompt")
    add("-t", "--temperature", type=float, metavar="X", help="sampling temperature")
    add("--max-tokens", type=int, metavar="N", help="most tokens of the answer")
    add(
        "-o",
        "--option",
        nargs=2,
        action="append",
        default=[],
        metavar=("KEY", "VALUE"),
        help="any other parameter of the request; VALUE is JSON, or else text",
    )
    add(
        "-T",
        "--tool",
        action="append",
        default=[],
        metavar="NAME",
        help="a function, or an MCP server, the model may call; repeat it",
    )
    add(
        "-a",
        "--attach",
        action="append",
        default=[],
        metavar="WHAT",
        help="a variable, expression, file or pattern such as 'data/*.csv' that goes with the prompt; repeat it",
    )
    add("--approve", choices=APPROVALS, help="calls of tools that are not safe: ask you, auto makes them, deny")
    add("--max-rounds", type=int, metavar="N", help="most rounds: the model answers, its calls are made, and again")
    add("--max-cost", type=float, metavar="USD", help="most that this answer may cost; it ends there, and is kept")
    add(
        "-f",
        "--format",
        choices=FORMATS,
        default="markdown",
        dest="answer_format",
        help="code: the answer's code goes into a new cell below; json: it is parsed, see run.value",
    )
    add("--out", metavar="NAME", help="variable that gets the run")
    add("-l", "--label", metavar="TEXT", default="", help="a name for %%holysheep show")
    add("--bg", action="store_true", help="stream on while other cells run")
    add("--new", action="store_true", help="leave out the cells above")
    add("--live", action="store_true", help="keep the widget instead of freezing it into markdown")
    add("--dry-run", action="store_true", help="show what would be sent, and how large it is, and send nothing")
    add("--no-raise", action="store_true", help="an error does not fail the cell")
    add("--fallback", metavar="MODEL", help="the model that is asked where this one cannot answer")
    add("--record", metavar="FILE", help="write what is sent and what comes into a file, without the key")
    add("--replay", metavar="FILE", help="play such a file instead of asking; needs neither key nor network")
    add("--transport", choices=TRANSPORTS, help="how the answer comes; ws is a WebSocket")
    add("--api-base", metavar="URL", help="another endpoint; needs --api-key-name")
    add("--api-key-name", metavar="ENV", help="environment variable that holds the key")
    return parser


_PARSER = _build_parser()


def option_names() -> list[str]:
    """Every option, for completion and for advice."""
    return [name for action in _PARSER._actions for name in action.option_strings]


def option_values(name: str) -> tuple[str, int, tuple[str, ...]]:
    """The field that an option sets, how many words follow it, and which these may be if only some may.

    ("", 0, ()) if there is no such option.
    """
    action = _PARSER._option_string_actions.get(name)
    if action is None:
        return "", 0, ()
    count = 1 if action.nargs is None else action.nargs if isinstance(action.nargs, int) else 0
    return action.dest, count, tuple(map(str, action.choices or ()))


def usage() -> str:
    """The options of a cell, a line each."""
    return _PARSER.format_help().split("\n\n", 1)[1].rstrip()


def parse_cell_line(line: str) -> CellOptions:
    """The options on the line of a cell. Raises `UsageError`."""
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise UsageError(f"The line cannot be read ({str(error).lower()}): check its quotes.") from None
    found, unknown = _PARSER.parse_known_args(words)
    if unknown:
        raise UsageError(_unknown(unknown[0]))
    models = _models(found)
    if len(models) > 1:
        _check_comparison(found)
    if found.out is not None and (not found.out.isidentifier() or keyword.iskeyword(found.out)):
        raise UsageError(f"--out needs the name of a variable, and {found.out!r} is none.")
    if found.max_tokens is not None and found.max_tokens < 1:
        raise UsageError("--max-tokens needs a number above 0.")
    if found.max_rounds is not None and found.max_rounds < 1:
        raise UsageError("--max-rounds needs a number above 0.")
    if found.max_cost is not None and not 0 < found.max_cost < math.inf:
        raise UsageError("--max-cost needs a number of US dollars above 0.")
    if found.temperature is not None and not math.isfinite(found.temperature):
        raise UsageError("--temperature needs a finite number.")
    for key, _ in found.option:
        if key in _NOT_PARAMETERS:
            raise UsageError(
                f"-o cannot set {key}: an option of its own does, or the request needs it as it is. "
                "`%holysheep help` lists the options."
            )
    if found.bg and found.answer_format == "code":
        raise UsageError("-f code writes a cell when this one ends: leave out --bg.")
    parameters = {key: _json_or_text(value) for key, value in found.option}
    parameters |= {
        name: value
        for name, value in (("temperature", found.temperature), ("max_tokens", found.max_tokens))
        if value is not None
    }
    return CellOptions(
        model=models[0],
        models=tuple(models) if len(models) > 1 else (),
        system=found.system,
        parameters=parameters,
        transport=found.transport,
        tools=tuple(dict.fromkeys(found.tool)),
        attach=tuple(dict.fromkeys(found.attach)),
        approve=found.approve,
        max_rounds=found.max_rounds,
        max_cost=found.max_cost,
        answer_format=found.answer_format,
        out=found.out,
        api_base=found.api_base,
        api_key_name=found.api_key_name,
        label=found.label,
        fallback=found.fallback,
        record=found.record,
        replay=found.replay,
        is_background=found.bg,
        is_new=found.new,
        is_live=found.live,
        is_dry_run=found.dry_run,
        raises=not found.no_raise,
    )


def _models(found: argparse.Namespace) -> list[str | None]:
    """The models that are asked, None for the settings' own."""
    named: list[str] = found.model_option
    if found.model and named and named != [found.model]:
        raise UsageError(
            f"Two models are named, {found.model} and {named[-1]}: leave one out, or compare them with -m for each."
        )
    more = [model.strip() for model in found.compare.split(",") if model.strip()]
    return [*(named or [found.model]), *more]


def _check_comparison(found: argparse.Namespace) -> None:
    """Raises `UsageError` for what only one model can do."""
    for name, is_given in (
        ("--record", found.record),
        ("--replay", found.replay),
        ("--dry-run", found.dry_run),
        ("-f code", found.answer_format == "code"),
    ):
        if is_given:
            raise UsageError(f"{name} is for one model: leave it out, or name one model.")


def nearest(word: str, known: list[str]) -> str:
    """ " Did you mean …?", or nothing."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f" Did you mean {close[0]}?" if close else ""


def _unknown(word: str) -> str:
    if word.startswith("-"):
        return (
            f"There is no option {word.split('=')[0]}.{nearest(word.split('=')[0], option_names())} "
            "`%holysheep help` lists them."
        )
    return f"{word!r} is one word too many: only the model stands without an option. Quote texts with spaces."


def _json_or_text(value: str) -> Any:
    try:
        parsed = json.loads(value)
        json.dumps(parsed, allow_nan=False)  # NaN and infinite numbers are no JSON
    except (ValueError, RecursionError):
        return value
    return parsed


def _sentence(message: str) -> str:
    message = message.replace("argument ", "", 1) if message.startswith("argument ") else message
    return message[0].upper() + message[1:].rstrip(".") + ". `%holysheep help` lists the options."
