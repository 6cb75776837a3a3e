"""Edits of a call's arguments that keep its layout: set some, drop some, add some."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import libcst as cst

from .finding import Edit
from .tree import Tree


def drop_arguments(tree: Tree, call: cst.Call, names: Collection[str]) -> list[Edit]:
    """Takes the named arguments out of the call, with their commas."""
    edits = []
    arguments = list(call.args)
    is_dropped = [arg.keyword is not None and arg.keyword.value in names for arg in arguments]
    index = 0
    while index < len(arguments):
        if not is_dropped[index]:
            index += 1
            continue
        first = index
        while index < len(arguments) and is_dropped[index]:
            index += 1
        start = tree.start(arguments[first])
        if index < len(arguments):
            edits.append(Edit(start, tree.start(arguments[index]), ""))
        elif first == 0:
            edits.append(Edit(start, tree.span(call)[1] - 1, ""))
        else:
            edits.append(Edit(tree.span(arguments[first - 1])[1], tree.span(arguments[-1])[1], ""))
    return edits


def add_arguments(tree: Tree, call: cst.Call, added: Mapping[str, str], dropped: Collection[str] = ()) -> list[Edit]:
    """Puts `name=value` behind the arguments that stay, each on a line of its own where those are."""
    if not added:
        return []
    staying = [arg for arg in call.args if arg.keyword is None or arg.keyword.value not in dropped]
    texts = [f"{name}={value}" for name, value in added.items()]
    if not staying:
        closing = tree.span(call)[1] - 1
        start = tree.start(call.args[0]) if call.args else closing
        if call.args and not tree.text[tree.line_start(start) : start].strip():
            indent = tree.indent(start)
            return [
                Edit(
                    start, start, "".join(f"{text},\n{indent}" for text in texts)[: -len(indent)] + tree.indent(closing)
                )
            ]
        return [Edit(start, start, ", ".join(texts))]
    last = staying[-1]
    start, end = tree.span(last)
    stands_alone = not tree.text[tree.line_start(start) : start].strip()
    has_comma = isinstance(last.comma, cst.Comma) and last is call.args[-1]
    if not stands_alone or tree.line_end(end) >= tree.span(call)[1] - 1:
        return [Edit(end, end, "".join(f", {text}" for text in texts))]
    indent = tree.indent(start)
    if last is not call.args[-1]:
        return [Edit(end, end, "".join(f",\n{indent}{text}" for text in texts))]
    line_end = tree.line_end(end)
    if has_comma:
        return [Edit(line_end, line_end, "".join(f"\n{indent}{text}," for text in texts))]
    lines = ",".join(f"\n{indent}{text}" for text in texts)
    if line_end == end:
        return [Edit(end, end, f",{lines}")]
    return [Edit(end, end, ","), Edit(line_end, line_end, lines)]
