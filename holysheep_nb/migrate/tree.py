"""The syntax tree of a document: where each node stands, what a name was imported as, what a constant holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import libcst as cst
from libcst.metadata import (
    ByteSpanPositionProvider,
    MetadataWrapper,
    ParentNodeProvider,
    QualifiedNameProvider,
    QualifiedNameSource,
)

Node = TypeVar("Node", bound=cst.CSTNode)


@dataclass(frozen=True, slots=True)
class Binding:
    """A value given to a name: by an assignment, or as a parameter's default.

    A value that is not written there is the name itself. `scope` is the function, class or module it happens in.
    """

    value: cst.BaseExpression
    node: cst.CSTNode
    scope: cst.CSTNode


class Tree:
    """The tree of a Python text. Offsets are characters of that text."""

    def __init__(self, text: str) -> None:
        self.text = text
        wrapper = MetadataWrapper(cst.parse_module(text), unsafe_skip_copy=True)
        self.module = wrapper.module
        self._spans = wrapper.resolve(ByteSpanPositionProvider)
        self._names = wrapper.resolve(QualifiedNameProvider)
        self._parents = wrapper.resolve(ParentNodeProvider)
        self._offsets = None if text.isascii() else _offsets(text)
        self._nodes = [self.module, *_walk(self.module)]
        self.bindings: dict[str, list[Binding]] = {}
        self._globals = {item.name.value for each in self.every(cst.Global) for item in each.names}
        for node in self._nodes:
            self._note_binding(node)

    def every(self, kind: type[Node]) -> list[Node]:
        """Every node of a kind, in the order of the text."""
        return [node for node in self._nodes if isinstance(node, kind)]

    def within(self, node: cst.CSTNode, kind: type[Node]) -> list[Node]:
        """The same, of `node` and what is in it."""
        return [each for each in [node, *_walk(node)] if isinstance(each, kind)]

    def span(self, node: cst.CSTNode) -> tuple[int, int]:
        """Where the node begins and ends, without its parentheses and white space."""
        found = self._spans[node]
        start, end = found.start, found.start + found.length
        return (start, end) if self._offsets is None else (self._offsets[start], self._offsets[end])

    def start(self, node: cst.CSTNode) -> int:
        """Where the node begins."""
        return self.span(node)[0]

    def source(self, node: cst.CSTNode) -> str:
        """The node as it is written."""
        start, end = self.span(node)
        return self.text[start:end]

    def parent(self, node: cst.CSTNode) -> cst.CSTNode | None:
        """The node around this one."""
        return self._parents.get(node)

    def parents(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """The nodes around this one, from the inside out."""
        above = self.parent(node)
        while above is not None:
            yield above
            above = self.parent(above)

    def statement(self, node: cst.CSTNode) -> cst.CSTNode:
        """The statement that the node is part of, or the node itself."""
        for each in [node, *self.parents(node)]:
            if isinstance(each, cst.SimpleStatementLine | cst.BaseCompoundStatement):
                return each
        return node

    def imported(self, node: cst.CSTNode) -> str:
        """The full name of what an import brought, as in "openai.OpenAI"; "" for what none did."""
        found = self._names.get(node)
        for each in (found() if callable(found) else found) or ():
            if each.source is QualifiedNameSource.IMPORT:
                return str(each.name)
        return ""

    def imports(self) -> set[str]:
        """The packages that are imported, by their first names."""
        roots = set()
        for node in self.every(cst.Import):
            roots |= {dotted(alias.name).split(".")[0] for alias in node.names}
        for each in self.every(cst.ImportFrom):
            if each.module is not None and not each.relative:
                roots.add(dotted(each.module).split(".")[0])
        return roots

    def resolve(self, node: cst.BaseExpression) -> cst.BaseExpression:
        """The value of a name that is bound once where it is looked up; any other expression itself."""
        for _ in range(5):
            bound = self.binding(node) if isinstance(node, cst.Name) else None
            if bound is None or bound.value is node:
                break
            node = bound.value
        return node

    def binding(self, name: cst.Name) -> Binding | None:
        """What gives the name its value there; None if nothing does in this text, or more than one thing."""
        scope = self.scope(name)
        bound = [each for each in self.bindings.get(name.value, []) if each.scope is scope]
        return bound[0] if len(bound) == 1 and name.value not in self._globals else None

    def scope(self, name: cst.Name) -> cst.CSTNode:
        """The function, class or module in which the name is bound."""
        bound = self.bindings.get(name.value, [])
        inner = self._scope_around(name)
        scope = inner
        while scope is not self.module:
            is_seen = scope is inner or not isinstance(scope, cst.ClassDef)
            if is_seen and any(each.scope is scope for each in bound):
                return scope
            scope = self._scope_around(scope)
        return scope

    def uses(self, name: str, scope: cst.CSTNode | None = None) -> list[cst.Name]:
        """Every place where the name stands, but as an argument's or attribute's; those of a scope alone if given."""
        found = [each for each in self.every(cst.Name) if each.value == name and not self._is_label(each)]
        return found if scope is None else [each for each in found if self.scope(each) is scope]

    def _scope_around(self, node: cst.CSTNode) -> cst.CSTNode:
        for above in self.parents(node):
            if isinstance(above, cst.FunctionDef | cst.Lambda | cst.ClassDef):
                return above
        return self.module

    def is_docstring(self, node: cst.CSTNode) -> bool:
        """True for a string that is a statement of its own."""
        return isinstance(self.parent(node), cst.Expr)

    def line_end(self, offset: int) -> int:
        """The end of the line, before its newline."""
        end = self.text.find("\n", offset)
        end = len(self.text) if end < 0 else end
        return end - 1 if end > offset and self.text[end - 1] == "\r" else end

    def line_start(self, offset: int) -> int:
        """The begin of the line."""
        return self.text.rfind("\n", 0, offset) + 1

    def indent(self, offset: int) -> str:
        """The white space that the line begins with."""
        line = self.text[self.line_start(offset) : offset]
        return line[: len(line) - len(line.lstrip())]

    def _is_label(self, node: cst.Name) -> bool:
        above = self.parent(node)
        return (isinstance(above, cst.Arg) and above.keyword is node) or (
            isinstance(above, cst.Attribute) and above.attr is node
        )

    def _note_binding(self, node: cst.CSTNode) -> None:
        pairs: list[tuple[cst.CSTNode, cst.BaseExpression]] = []
        if isinstance(node, cst.Assign):
            pairs = [(each.target, node.value) for each in node.targets]
        elif isinstance(node, cst.AnnAssign | cst.NamedExpr) and node.value is not None:
            pairs = [(node.target, node.value)]
        elif isinstance(node, cst.AugAssign):
            pairs = [(node.target, node.target)]
        elif isinstance(node, cst.For | cst.CompFor):
            pairs = [(node.target, node.iter)]
        elif isinstance(node, cst.Param):
            pairs = [(node.name, node.default if node.default is not None else node.name)]
        elif isinstance(node, cst.AsName) and isinstance(node.name, cst.Name | cst.Tuple):
            pairs = [(node.name, node.name)]
        for target, value in pairs:
            self._bind(target, value, node)

    def _bind(self, target: cst.CSTNode, value: cst.BaseExpression, node: cst.CSTNode) -> None:
        if isinstance(target, cst.Tuple | cst.List):
            for element in target.elements:
                self._bind(element.value, element.value, node)
        elif isinstance(target, cst.Name | cst.Attribute):
            self.bindings.setdefault(dotted(target), []).append(Binding(value, node, self._scope_around(node)))


def dotted(node: cst.CSTNode) -> str:
    """`a.b.c` as written; calls and indices in it are `()` and `[]`."""
    if isinstance(node, cst.Name):
        return node.value
    if isinstance(node, cst.Attribute):
        return f"{dotted(node.value)}.{node.attr.value}"
    if isinstance(node, cst.Call):
        return f"{dotted(node.func)}()"
    if isinstance(node, cst.Await):
        return dotted(node.expression)
    return "[]"


def text_of(node: cst.BaseExpression | None) -> str | None:
    """The value of a string without holes; None for anything else."""
    if not isinstance(node, cst.SimpleString | cst.ConcatenatedString):
        return None
    value = node.evaluated_value
    return value if isinstance(value, str) else None


def keyword(call: cst.Call, *names: str) -> cst.Arg | None:
    """The first argument that is given under one of the names."""
    return next((arg for arg in call.args if arg.keyword is not None and arg.keyword.value in names), None)


def positional(call: cst.Call, index: int) -> cst.BaseExpression | None:
    """The value of the argument at `index`, if it and those before it are given without names."""
    given = call.args[: index + 1]
    if len(given) <= index or any(arg.keyword is not None or arg.star for arg in given):
        return None
    return given[index].value


def has_stars(call: cst.Call) -> bool:
    """True if arguments come from a list or dictionary."""
    return any(arg.star for arg in call.args)


def entries(node: cst.CSTNode) -> dict[str, cst.DictElement] | None:
    """The entries of a dictionary display by their keys; None if a key is not a string, or there is a `**`."""
    if not isinstance(node, cst.Dict):
        return None
    found: dict[str, cst.DictElement] = {}
    for each in node.elements:
        key = text_of(each.key) if isinstance(each, cst.DictElement) else None
        if key is None or not isinstance(each, cst.DictElement):
            return None
        found[key] = each
    return found


def _walk(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    for child in node.children:
        yield child
        yield from _walk(child)


def _offsets(text: str) -> list[int]:
    """The character of each byte of the text in UTF-8, and of its end."""
    offsets: list[int] = []
    for index, character in enumerate(text):
        offsets += [index] * len(character.encode("utf-8", "surrogatepass"))
    return [*offsets, len(text)]
