"""A hand-written loop over `data:` lines, read statement by statement: what is bookkeeping, and what uses the text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import libcst as cst

from .tree import Tree, dotted, text_of

# What a value in the loop is, from the line as it comes to the text that was meant.
LINE, DATA, CHUNK, CHOICES, CHOICE, DELTA, CONTENT, EVENT = (
    *("line", "data", "chunk", "choices", "choice", "delta", "content", "event"),
)
_STEPS = {(CHUNK, "choices"): CHOICES, (CHOICE, "delta"): DELTA, (DELTA, "content"): CONTENT}
_PREFIX = re.compile(r"data: ?$")
_DONE = "[DONE]"


class Unreadable(Exception):
    """The loop does something of its own; the sentence says what."""


@dataclass
class StreamLoop:
    """What a loop does.

    uses       the statements that use the text, one below the other
    name       the variable that holds the text, "" where it is only read in place
    contents   the expressions in `uses` that read the text in place
    """

    uses: list[cst.CSTNode] = field(default_factory=list)
    name: str = ""
    contents: list[cst.BaseExpression] = field(default_factory=list)


class LoopReader:
    """Reads one loop. Raises `Unreadable` for whatever is not known for certain."""

    def __init__(self, tree: Tree, target: str, kind: str) -> None:
        self.tree = tree
        self.kinds = {target: kind}
        self.loop = StreamLoop()
        self._has_content = False
        self._ends = False

    def read(self, body: cst.BaseSuite) -> StreamLoop:
        """The loop with this body."""
        self._read_block(body)
        if not self.loop.uses:
            raise Unreadable("It is not seen where the loop uses the text.")
        for use in self.loop.uses:
            self._check_use(use)
        return self.loop

    def _read_block(self, body: cst.BaseSuite) -> None:
        statements = list(body.body)
        for index, statement in enumerate(statements):
            if isinstance(statement, cst.SimpleStatementLine):
                if len(statement.body) == 1 and self._is_bookkeeping(statement.body[0]):
                    continue
            elif isinstance(statement, cst.If) and self._is_skip(statement):
                continue
            elif isinstance(statement, cst.If) and statement.orelse is None and self._is_guard(statement.test):
                if index != len(statements) - 1:
                    raise Unreadable("The loop goes on after a condition.")
                self._read_block(statement.body)
                return
            elif isinstance(statement, cst.Try) and self._is_tolerant(statement):
                before = len(self.loop.uses)
                self._read_block(statement.body)
                if len(self.loop.uses) == before:
                    continue
                if index != len(statements) - 1:
                    raise Unreadable("The loop goes on after what it tries.")
                return
            self.loop.uses += statements[index:]
            return

    def _is_bookkeeping(self, statement: cst.BaseSmallStatement) -> bool:
        if not isinstance(statement, cst.Assign) or len(statement.targets) != 1:
            return False
        target = statement.targets[0].target
        kind = self._kind(statement.value)
        if kind is None or not isinstance(target, cst.Name):
            return False
        self.kinds[target.value] = kind
        if kind == CONTENT:
            self.loop.name = target.value
        return True

    def _is_skip(self, statement: cst.If) -> bool:
        """`if …: continue` and `if …: break` for lines without text and for the end."""
        inner = _only(statement.body)
        if statement.orelse is not None or not isinstance(inner, cst.Continue | cst.Break | cst.Return):
            return False
        if isinstance(inner, cst.Return) and inner.value is not None:
            return False
        test = statement.test
        if self._is_done(test):
            return isinstance(inner, cst.Break | cst.Continue)
        if not isinstance(inner, cst.Continue):
            return False
        if isinstance(test, cst.UnaryOperation) and isinstance(test.operator, cst.Not):
            return self._is_guard(test.expression)
        if isinstance(test, cst.BooleanOperation) and isinstance(test.operator, cst.Or):
            return all(
                isinstance(side, cst.UnaryOperation)
                and isinstance(side.operator, cst.Not)
                and self._is_guard(side.expression)
                for side in (test.left, test.right)
            )
        return False

    def _is_done(self, test: cst.BaseExpression) -> bool:
        """`data == "[DONE]"`, `line == "data: [DONE]"`, `"[DONE]" in data`."""
        if not isinstance(test, cst.Comparison) or len(test.comparisons) != 1:
            return False
        operator, other = test.comparisons[0].operator, test.comparisons[0].comparator
        if isinstance(operator, cst.Equal):
            return self._kind(test.left) in (DATA, LINE) and _text(other) in (_DONE, f"data: {_DONE}")
        return isinstance(operator, cst.In) and _text(test.left) == _DONE and self._kind(other) in (DATA, LINE)

    def _is_guard(self, test: cst.BaseExpression) -> bool:
        """A condition that is true for every line with text."""
        if self._kind(test) is not None:
            return True
        if isinstance(test, cst.Call) and isinstance(test.func, cst.Attribute):
            is_prefix = bool(test.args) and _PREFIX.fullmatch(_text(test.args[0].value) or "data:") is not None
            return test.func.attr.value == "startswith" and self._kind(test.func.value) == LINE and is_prefix
        if isinstance(test, cst.BooleanOperation) and isinstance(test.operator, cst.And):
            return self._is_guard(test.left) and self._is_guard(test.right)
        if not isinstance(test, cst.Comparison) or len(test.comparisons) != 1:
            return False
        operator, other = test.comparisons[0].operator, test.comparisons[0].comparator
        if isinstance(operator, cst.NotEqual):
            return self._kind(test.left) in (DATA, LINE) and _text(other) in (_DONE, f"data: {_DONE}")
        if isinstance(operator, cst.IsNot):
            return self._kind(test.left) == CONTENT and self.tree.source(other) == "None"
        return isinstance(operator, cst.In) and (self._kind(other), _text(test.left)) in _STEPS

    def _is_tolerant(self, statement: cst.Try) -> bool:
        """`try: … except …: continue` around what reads the line."""
        if statement.orelse is not None or statement.finalbody is not None:
            return False
        return all(isinstance(_only(each.body), cst.Continue | cst.Pass) for each in statement.handlers) and any(
            self.tree.imported(call.func) == "json.loads" for call in self.tree.within(statement.body, cst.Call)
        )

    def _kind(self, value: cst.BaseExpression) -> str | None:
        """What a value is, or None for one that is not known."""
        if isinstance(value, cst.Name):
            return self.kinds.get(value.value)
        if isinstance(value, cst.Attribute):
            return DATA if value.attr.value == "data" and self._kind(value.value) == EVENT else None
        if isinstance(value, cst.BooleanOperation) and isinstance(value.operator, cst.Or):
            return CONTENT if self._kind(value.left) == CONTENT and _text(value.right) == "" else None
        if isinstance(value, cst.Subscript):
            return self._kind_of_item(value)
        return self._kind_of_call(value) if isinstance(value, cst.Call) else None

    def _kind_of_item(self, value: cst.Subscript) -> str | None:
        inner = self._kind(value.value)
        item = value.slice[0].slice
        if isinstance(item, cst.Slice):
            start = self.tree.source(item.lower) if item.lower is not None else ""
            is_cut = item.upper is None and re.fullmatch(r"[56]|len\((['\"])data: ?\1\)", start) is not None
            return DATA if inner == LINE and is_cut else None
        if not isinstance(item, cst.Index):
            return None
        if inner == CHOICES:
            return CHOICE if self.tree.source(item.value) == "0" else None
        if isinstance(value.value, cst.Call) and self._is_split(value.value):
            return DATA if self.tree.source(item.value) in ("1", "-1") else None
        return _STEPS.get((inner or "", _text(item.value) or ""))

    def _is_split(self, call: cst.Call) -> bool:
        func = call.func
        return (
            isinstance(func, cst.Attribute)
            and func.attr.value == "split"
            and self._kind(func.value) == LINE
            and bool(call.args)
            and _PREFIX.fullmatch(_text(call.args[0].value) or "") is not None
        )

    def _kind_of_call(self, call: cst.Call) -> str | None:
        if self.tree.imported(call.func) in ("json.loads", "orjson.loads", "ujson.loads"):
            return CHUNK if len(call.args) == 1 and self._kind(call.args[0].value) == DATA else None
        if isinstance(call.func, cst.Name) and call.func.value == "str" and call.args:
            return LINE if self._kind(call.args[0].value) == LINE and len(call.args) == 2 else None
        if not isinstance(call.func, cst.Attribute):
            return None
        method, inner = call.func.attr.value, self._kind(call.func.value)
        first = _text(call.args[0].value) if call.args else None
        if method in ("decode", "strip", "rstrip", "lstrip") and inner in (LINE, DATA):
            return inner
        if method in ("removeprefix", "replace") and inner == LINE and _PREFIX.fullmatch(first or ""):
            return DATA
        if method == "get" and first is not None:
            return _STEPS.get((inner or "", first))
        if method == "json" and inner == EVENT and not call.args:
            return CHUNK
        return None

    def _check_use(self, use: cst.CSTNode) -> None:
        """A use may read the text, and nothing else of the line."""
        if not isinstance(use, cst.BaseExpression):
            for child in use.children:
                self._check_use(child)
            return
        kind = self._kind(use)
        if kind == CONTENT:
            if not isinstance(use, cst.Name):
                self.loop.contents.append(use)
            elif use.value != self.loop.name:
                raise Unreadable("The text has two names in the loop.")
            return
        if kind is not None:
            raise Unreadable(f"The loop uses more than the text: `{self.tree.source(use)}`.")
        children: Sequence[cst.CSTNode] = use.children
        if isinstance(use, cst.Attribute):
            children = [use.value]
        for child in children:
            if isinstance(child, cst.Arg):
                self._check_use(child.value)
            else:
                self._check_use(child)


def _only(body: cst.BaseSuite) -> cst.CSTNode | None:
    """The one small statement of a body."""
    inner = body.body[0] if len(body.body) == 1 else None
    if isinstance(inner, cst.SimpleStatementLine):
        return inner.body[0] if len(inner.body) == 1 else None
    return inner if isinstance(inner, cst.BaseSmallStatement) else None


def _text(value: cst.CSTNode) -> str | None:
    """The value of a string or of bytes."""
    if isinstance(value, cst.SimpleString) and isinstance(value.evaluated_value, bytes):
        return value.evaluated_value.decode("utf-8", "replace")
    return text_of(value) if isinstance(value, cst.BaseExpression) else None


def lines_of(tree: Tree, value: cst.BaseExpression, answer: str) -> str | None:
    """What a loop over `value` gets: lines of the answer called so, or its events; None for anything else."""
    if not isinstance(value, cst.Call):
        return None
    name = dotted(value.func)
    if name == f"{answer}.iter_lines":
        return LINE
    if name.endswith((".events", ".iter_sse")):
        maker = tree.resolve(value.func.value) if isinstance(value.func, cst.Attribute) else value
        made = isinstance(maker, cst.Call) and tree.imported(maker.func) in (
            "sseclient.SSEClient",
            "httpx_sse.EventSource",
        )
        if made and isinstance(maker, cst.Call) and maker.args and tree.source(maker.args[0].value) == answer:
            return EVENT
    return None
