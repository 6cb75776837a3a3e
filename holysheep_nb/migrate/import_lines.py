"""Where the imports that rewritten code needs are put."""

from __future__ import annotations

from collections.abc import Sequence

import libcst as cst

from .document import Piece
from .finding import Edit
from .survey import Survey

_OWN = "stream_chat_completion_sse"
_OWN_LINE = f"from holysheep_nb import {_OWN}"


def import_edits(survey: Survey) -> list[Edit]:
    """The edits that add `import os` and our own import, where they are needed and missing.

    Raises ValueError where `os` is the name of something else.
    """
    edits: list[Edit] = []
    if survey.needs_os and not _has_os(survey, min(survey.needs_os)):
        edits += _first(survey, survey.document.piece_at(min(survey.needs_os)), "import os")
    if survey.needs_own and not survey.tree.uses(_OWN):
        edits += _last(survey, survey.document.piece_at(min(survey.needs_own)), _OWN_LINE)
    return edits


def _has_os(survey: Survey, before: int) -> bool:
    """True if the module imports `os` above."""
    tree = survey.tree
    if any(each.scope is tree.module for each in tree.bindings.get("os", [])):
        raise ValueError("`os` is the name of something else in it")
    for node in tree.every(cst.Import):
        is_top = isinstance(tree.parent(tree.statement(node)), cst.Module)
        is_os = any(alias.evaluated_name.split(".")[0] == "os" and alias.asname is None for alias in node.names)
        if is_top and is_os and tree.start(node) < before:
            return True
    return False


def _statements(survey: Survey, piece: Piece) -> list[cst.CSTNode]:
    """The statements of the part, without its docstring, `__future__` imports and covered magics."""
    tree = survey.tree
    inside = [each for each in tree.module.body if piece.start <= tree.start(each) < piece.end]
    kept: list[cst.CSTNode] = []
    for index, each in enumerate(inside):
        if not kept and (_is_docstring(each, index) or _is_future(each) or _is_covered(survey, each)):
            continue
        kept.append(each)
    return kept


def _is_docstring(node: cst.CSTNode, index: int) -> bool:
    if index or not isinstance(node, cst.SimpleStatementLine) or not isinstance(node.body[0], cst.Expr):
        return False
    return isinstance(node.body[0].value, cst.SimpleString | cst.ConcatenatedString)


def _is_future(node: cst.CSTNode) -> bool:
    if not isinstance(node, cst.SimpleStatementLine) or not isinstance(node.body[0], cst.ImportFrom):
        return False
    module = node.body[0].module
    return isinstance(module, cst.Name) and module.value == "__future__"


def _is_covered(survey: Survey, node: cst.CSTNode) -> bool:
    start, _ = survey.tree.span(node)
    end = survey.tree.line_end(start)
    return survey.document.source[start:end] != survey.document.python[start:end]


def _is_import(node: cst.CSTNode) -> bool:
    return isinstance(node, cst.SimpleStatementLine) and isinstance(node.body[0], cst.Import | cst.ImportFrom)


def _first(survey: Survey, piece: Piece, line: str) -> list[Edit]:
    """The line above the first import, or above the first statement."""
    tree = survey.tree
    statements = _statements(survey, piece)
    imports = [each for each in statements if _is_import(each)]
    above = imports or statements
    place = _above_comments(survey, piece, tree.line_start(tree.start(above[0]))) if above else piece.start
    is_definition = bool(above) and isinstance(above[0], cst.FunctionDef | cst.ClassDef)
    gap = "" if imports or survey.document.is_notebook else "\n\n" if is_definition else "\n"
    return [Edit(place, place, f"{line}\n{gap}")]


def _above_comments(survey: Survey, piece: Piece, place: int) -> int:
    """The begin of the comment that stands right above the line at `place`, if it is not the head of the file."""
    text, above = survey.document.source, place
    while above > piece.start and text.startswith("#", text.rfind("\n", 0, above - 1) + 1):
        above = text.rfind("\n", 0, above - 1) + 1
    return place if above <= piece.start and not survey.document.is_notebook else above


def _last(survey: Survey, piece: Piece, line: str) -> list[Edit]:
    """The line below the imports that stand together at the top, or above the first statement."""
    tree = survey.tree
    together: Sequence[cst.CSTNode] = _statements(survey, piece)
    count = next((i for i, each in enumerate(together) if not _is_import(each)), len(together))
    if count == 0:
        return _first(survey, piece, line)
    end = tree.line_end(tree.span(together[count - 1])[1])
    return [Edit(end, end, f"\n{line}")]
