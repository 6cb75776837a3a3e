"""Cells of jupyter-ai: `%%ai` becomes `%%holysheep`, its options translated."""

from __future__ import annotations

import argparse
import json
import re
import shlex
from typing import Any, NoReturn

from ..document import Piece
from ..finding import Certainty, Edit
from ..survey import Note, Survey

_FIRST = re.compile(r"\s*(%%ai\b(.*))")
_LINE = re.compile(r"^[ \t]*(%ai\b[^\n]*)", re.MULTILINE)
_LOAD = re.compile(r"^[ \t]*%(?:load|reload)_ext[ \t]+(jupyter_ai(?:_magics)?)[ \t]*$", re.MULTILINE)
_HOLE = re.compile(r"(?<!\{)\{[A-Za-z_][^{}\n]*\}(?!\})")
_BARE = re.compile(r"(?<=\s)\{.*\}(?=\s|$)")  # parameters as JSON, without quotes around them
_PROVIDERS = ("openai-chat", "openai-chat-new", "openai", "anthropic-chat", "anthropic")
_ALIASES = {"chatgpt": "gpt-3.5-turbo", "gpt3": "gpt-3.5-turbo"}
_FORMATS = ("code", "json", "markdown", "text")


class _Untranslated(Exception):
    """The line of a cell says something `%%holysheep` has no word for."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _Untranslated(f"Its line cannot be read ({message}).")


def _build_parser() -> _Parser:
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("model", nargs="?")
    parser.add_argument("-f", "--format")
    parser.add_argument("-r", "--reset", action="store_true")
    parser.add_argument("-m", "--model-parameters")
    parser.add_argument("-t", "--temp", type=float)
    return parser


_PARSER = _build_parser()


def look(survey: Survey) -> None:
    """Notes every cell and line of jupyter-ai."""
    document = survey.document
    if not document.is_notebook:
        return
    left = False
    loads: list[tuple[int, int]] = []
    for piece in document.pieces:
        if not piece.is_code:
            continue
        source = document.text_of(piece)
        first = _FIRST.match(source)
        if first:
            left |= not _move(survey, piece, source, first)
            continue
        for found in _LINE.finditer(source):
            left |= not _move_line(survey, piece.start + found.start(1), found[1])
        loads += [(piece.start + found.start(1), piece.start + found.end(1)) for found in _LOAD.finditer(source)]
    for start, end in loads:
        if left:
            reason = "Some cells stay with jupyter-ai: load both."
            survey.notes.append(Note((start, end), "jupyter-ai", "manual", reason))
        else:
            survey.notes.append(Note((start, end), "jupyter-ai", "exact", "", [Edit(start, end, "holysheep_nb")]))


def _move(survey: Survey, piece: Piece, source: str, first: re.Match[str]) -> bool:
    """Translates the first line of a cell. True if it did."""
    start = piece.start + first.start(1)
    span = (start, piece.start + first.end(1))
    prompt = source[first.end() :]
    try:
        words, certainty, reason = _translate(survey, first[2])
    except _Untranslated as problem:
        survey.notes.append(Note(span, "jupyter-ai cell", "manual", str(problem)))
        return False
    if _HOLE.search(prompt):
        reason = "jupyter-ai fills {…} in the prompt with values; here it stays as it is written."
        survey.notes.append(Note(span, "jupyter-ai cell", "review", reason))
        return False
    line = " ".join(["%%holysheep", *words])
    survey.notes.append(Note(span, "jupyter-ai cell", certainty, reason, [Edit(*span, line)]))
    return True


def _move_line(survey: Survey, start: int, line: str) -> bool:
    span = (start, start + len(line))
    if line.split()[1:2] == ["list"]:
        survey.notes.append(Note(span, "jupyter-ai line", "exact", "", [Edit(*span, "%holysheep models")]))
        return True
    reason = f"%holysheep has no counterpart of `{' '.join(line.split()[:2])}`."
    survey.notes.append(Note(span, "jupyter-ai line", "manual", reason))
    return False


def _translate(survey: Survey, line: str) -> tuple[list[str], Certainty, str]:
    """The words behind `%%holysheep`, how sure they are, and why."""
    try:
        found, unknown = _PARSER.parse_known_args(shlex.split(_BARE.sub(lambda each: shlex.quote(each[0]), line)))
    except ValueError as error:
        raise _Untranslated(f"Its line cannot be read ({str(error).lower()}).") from None
    if unknown:
        raise _Untranslated(f"%%holysheep has no counterpart of `{unknown[0]}`.")
    model, certainty, reason = _model(survey, found.model)
    words = [model] if model else []
    if found.format is not None and found.format not in _FORMATS:
        raise _Untranslated(f"%%holysheep has no format {found.format}.")
    if found.format not in (None, "markdown"):
        words += ["-f", found.format]
    if found.temp is not None:
        words += ["-t", f"{found.temp:g}"]
    if found.reset:
        words.append("--new")
    if found.model_parameters is not None:
        words += _parameters(found.model_parameters)
    return words, certainty, reason


def _model(survey: Survey, name: str | None) -> tuple[str, Certainty, str]:
    if name is None:
        return "", "exact", ""
    provider, separator, model = name.partition(":") if ":" in name else name.partition("/")
    if not separator:
        if name not in _ALIASES:
            raise _Untranslated(f"It is not known which model `{name}` is.")
        model = _ALIASES[name]
    elif provider not in _PROVIDERS:
        raise _Untranslated(f"The models of {provider} are not moved.")
    mapped = survey.models.map(model)
    if mapped is None:
        return (
            shlex.quote(model),
            "review",
            f"The table of models has no entry for {model}: check that HolySheep offers it.",
        )
    if mapped[0] == model or mapped[1]:
        return shlex.quote(mapped[0]), "exact", ""
    return (
        shlex.quote(mapped[0]),
        "review",
        f"{model} becomes {mapped[0]}: check the answers, or name another with --models.",
    )


def _parameters(text: str) -> list[str]:
    try:
        given: Any = json.loads(text)
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise _Untranslated("Its model parameters are not a JSON object.")
    words: list[str] = []
    for key, value in given.items():
        if key == "temperature" and isinstance(value, int | float):
            words += ["-t", f"{value:g}"]
        elif key == "max_tokens" and isinstance(value, int):
            words += ["--max-tokens", str(value)]
        else:
            written = value if isinstance(value, str) else json.dumps(value)
            words += ["-o", shlex.quote(key), shlex.quote(written)]
    return words
