"""`{{expression}}` in a prompt: values of the notebook become what a model reads.

What stands between two braces and their two counterparts is a Python expression, or it is text and stays as it is, as
single braces do. An inserted value is text for good: whatever braces it holds mean nothing.
"""

from __future__ import annotations

import ast
import builtins
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .content import to_content
from .errors import UsageError
from .options import nearest
from .parts import ImagePart, TextPart, UserPart
from .run import Run

MAX_EXPRESSION_CHARACTERS = 10_000

_MAX_BRACKETS = 50
_MAX_SHOWN_CHARACTERS = 60
_MAX_REASON_CHARACTERS = 200
_OPENING = re.compile(r"\{{2,}")
# Of a longer run of braces, so many are tried as the beginning of an expression.
_MAX_OPENING_BRACES = 8
_CLOSING = {"(": ")", "[": "]", "{": "}"}
_TOKEN = re.compile(
    r'"""(?:[^\\]|\\.)*?"""'
    r"|'''(?:[^\\]|\\.)*?'''"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'(?:[^'\\\n]|\\.)*'"
    r"|[()\[\]{}#\"']",
    re.S,
)
# What parsing raises for text that is no expression, and for one that is nested too deeply.
_UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError)


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression in a prompt: its source, and where it stands with its braces."""

    source: str
    start: int
    end: int
    tree: ast.Expression

    def __str__(self) -> str:
        source = " ".join(self.source.split())
        shown = source if len(source) <= _MAX_SHOWN_CHARACTERS else source[:_MAX_SHOWN_CHARACTERS] + "…"
        return f"{{{{{shown}}}}}"


def interpolate(template: str, names: Mapping[str, Any]) -> list[UserPart]:
    """The prompt with the values of its expressions, each in its place, its images behind it.

    names   what the expressions may use; evaluating them adds nothing to it

    Raises `UsageError` for a name there is not, an expression that fails, and a value that a model cannot read.
    """
    expressions = list(find_expressions(template))
    for expression in expressions:
        check_names(expression, names)
    parts: list[UserPart] = []
    position = 0
    for expression in expressions:
        parts.append(TextPart(template[position : expression.start]))
        value = evaluate(expression, names)
        try:
            inserted = parts_of_value(value)
        except UsageError as error:
            raise UsageError(f"{expression} cannot be inserted. {error}") from None
        parts += inserted if isinstance(value, str) else _on_own_lines(inserted, template, expression)
        position = expression.end
    return join_texts([*parts, TextPart(template[position:])])


def find_expressions(template: str) -> Iterator[Expression]:
    """The expressions in a prompt, in order. Of three opening braces or more, the inner ones open it if they can."""
    position = 0
    while (opening := _OPENING.search(template, position)) is not None:
        first = max(opening.start(), opening.end() - _MAX_OPENING_BRACES)
        position = opening.end()
        for start in range(opening.end() - 2, first - 1, -1):
            found = _expression_at(template, start)
            if found is not None:
                yield found
                position = found.end
                break


def read_expression(source: str) -> Expression | None:
    """The expression that a whole text is, or None if it is none."""
    tree = _parse(source)
    return None if tree is None else Expression(source, 0, len(source), tree)


def missing_names(expression: Expression, names: Mapping[str, Any]) -> list[str]:
    """The names it uses that are neither among these, nor its own, nor Python's, in order."""
    nodes = list(ast.walk(expression.tree))
    used = [node for node in nodes if isinstance(node, ast.Name)]
    own = {node.id for node in used if not isinstance(node.ctx, ast.Load)}
    own |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    missing = [node.id for node in used if node.id not in own and node.id not in names]
    return [name for name in dict.fromkeys(missing) if not hasattr(builtins, name)]


def check_names(expression: Expression, names: Mapping[str, Any]) -> None:
    """Raises `UsageError`, with the nearest name there is, if it uses one there is not."""
    for name in missing_names(expression, names):
        raise UsageError(_missing(name, expression, names))


def evaluate(expression: Expression, names: Mapping[str, Any]) -> Any:
    """Its value, of these names. Raises `UsageError`."""
    check_names(expression, names)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            code = compile(expression.tree, "<prompt>", "eval")
    except _UNREADABLE as error:
        raise UsageError(
            f"{expression} cannot be evaluated ({error}): do it in a cell, and insert its value."
        ) from None
    try:
        return eval(code, dict(names))
    except UsageError:
        raise
    except Exception as error:
        raise UsageError(f"{expression} cannot be evaluated: {_reason(error)}.") from error


def parts_of_value(value: Any) -> list[UserPart]:
    """A value as a model reads it: text, and images behind it. Of a `Run`, its text. Raises `UsageError`."""
    content = to_content(value.text if isinstance(value, Run) else value)
    return [TextPart(content.text), *(ImagePart(url) for url in content.images)]


def join_texts(parts: Iterable[UserPart]) -> list[UserPart]:
    """The same, with texts that follow each other made one, and without empty ones."""
    joined: list[UserPart] = []
    for part in parts:
        if isinstance(part, TextPart):
            if joined and isinstance(joined[-1], TextPart):
                joined[-1].append(part.text)
            elif part.text:
                joined.append(TextPart(part.text))
        else:
            joined.append(part)
    return joined


def _expression_at(template: str, start: int) -> Expression | None:
    end = _closing_braces(template, start + 2)
    if end is None:
        return None
    source = template[start + 2 : end]
    tree = _parse(source)
    return None if tree is None else Expression(source, start, end + 2, tree)


def _closing_braces(template: str, start: int) -> int | None:
    """Where the two braces stand that close what begins at `start`, outside of its brackets and strings."""
    expected: list[str] = []
    for token in _TOKEN.finditer(template, start, start + MAX_EXPRESSION_CHARACTERS):
        found = token[0]
        if found in _CLOSING:
            if len(expected) == _MAX_BRACKETS:
                return None
            expected.append(_CLOSING[found])
        elif found in (")", "]", "}"):
            if not expected:
                return token.start() if template.startswith("}}", token.start()) else None
            if expected.pop() != found:
                return None
        elif len(found) == 1:
            # A string that does not end, or a comment.
            return None
    return None


def _parse(source: str) -> ast.Expression | None:
    if not source.strip():
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(f"({source}\n)", mode="eval")
    except _UNREADABLE:
        return None


def _on_own_lines(inserted: list[UserPart], template: str, expression: Expression) -> list[UserPart]:
    """A table or the like is cut off from the text beside it."""
    first = inserted[0]
    if not isinstance(first, TextPart) or "\n" not in first.text:
        return inserted
    before = template[: expression.start].rstrip(" \t")
    after = template[expression.end :].lstrip(" \t")
    above = "" if not before or before.endswith("\n") else "\n\n"
    below = "" if not after or after.startswith("\n") else "\n\n"
    return [TextPart(above), *inserted, TextPart(below)]


def _missing(name: str, expression: Expression, names: Mapping[str, Any]) -> str:
    advice = nearest(name, [known for known in names if not known.startswith("_")])
    sentence = f"There is no {name!r} in this notebook for {expression}"
    if advice:
        return f"{sentence}.{advice}"
    literal = repr(f"{{{{{expression.source}}}}}")
    written = f", or write {{{{{literal}}}}} to send it as it is" if len(literal) <= _MAX_SHOWN_CHARACTERS else ""
    return f"{sentence}: run the cell that defines it{written}."


def _reason(error: Exception) -> str:
    try:
        message = " ".join(str(error).split())[:_MAX_REASON_CHARACTERS].rstrip(".")
    except Exception:
        message = ""
    return f"{type(error).__name__}: {message}" if message else type(error).__name__
