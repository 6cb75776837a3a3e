"""What one file holds: the rules look at its tree and note what they find, with the edits that would change it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

import libcst as cst

from .document import Document
from .finding import Certainty, Edit
from .models import ModelTable
from .secret import is_secret, kind_of
from .tree import Tree, dotted, keyword, text_of

KEY_NAME = "HOLYSHEEP_API_KEY"
KEY_EXPRESSION = f'os.environ["{KEY_NAME}"]'

_ORDER: dict[Certainty, int] = {"exact": 0, "review": 1, "manual": 2}


@dataclass
class Note:
    """A finding in the making: where it stands in the document, and its edits there."""

    span: tuple[int, int]
    kind: str
    certainty: Certainty
    reason: str = ""
    edits: list[Edit] = field(default_factory=list)

    def add(self, edits: Iterable[Edit], certainty: Certainty = "exact", reason: str = "") -> None:
        """Takes in more; the less sure counts, and both reasons."""
        self.edits += edits
        if _ORDER[certainty] > _ORDER[self.certainty]:
            self.certainty = certainty
        if reason and reason not in self.reason:
            self.reason = f"{self.reason} {reason}".strip()


class Survey:
    """One file under study.

    notes        what was found so far
    keys         the keys that stand in the code and are taken out
    needs_os     offsets where `os` is used after the edits
    needs_own    offsets where `stream_chat_completion_sse` is
    moved_clients, left_clients   the names of clients that go to HolySheep, and of those that stay as they are
    has_nameless_left             True once a client without a name is left alone
    is_moved     True once something goes to HolySheep that went elsewhere
    stays        True once something that uses OpenAI's key is left alone
    """

    def __init__(self, document: Document, tree: Tree, models: ModelTable, base_url: str) -> None:
        self.document = document
        self.tree = tree
        self.models = models
        self.base_url = base_url
        self.notes: list[Note] = []
        self.keys: list[str] = []
        self.needs_os: list[int] = []
        self.needs_own: list[int] = []
        self.moved_clients: set[str] = set()
        self.left_clients: set[str] = set()
        self.has_nameless_left = False
        self.is_moved = False
        self.stays = False
        self._claimed: list[tuple[int, int]] = []
        self._edited: set[tuple[int, int]] = set()

    def note(
        self, node: cst.CSTNode, kind: str, certainty: Certainty = "exact", reason: str = "", edits: Iterable[Edit] = ()
    ) -> Note:
        """Notes a finding at a node."""
        made = Note(self.tree.span(node), kind, certainty, reason, list(edits))
        self.notes.append(made)
        return made

    def claim(self, start: int, end: int) -> None:
        """Takes a stretch for one rule: the others leave it."""
        self._claimed.append((start, end))

    def is_free(self, node: cst.CSTNode) -> bool:
        """True where no rule has claimed the node."""
        start, end = self.tree.span(node)
        return not any(start < last and end > first for first, last in self._claimed)

    def replace(self, node: cst.CSTNode, text: str) -> list[Edit]:
        """The edit that puts `text` in the node's place; nothing where it has been done, or would do nothing."""
        span = self.tree.span(node)
        if span in self._edited or self.tree.source(node) == text or not self.is_free(node):
            return []
        self._edited.add(span)
        return [Edit(*span, text)]

    def read_key(self, node: cst.CSTNode, quote: str = '"') -> list[Edit]:
        """The edit that reads HolySheep's key from the environment in the node's place."""
        edits = self.replace(node, KEY_EXPRESSION.replace('"', quote))
        if edits:
            self.needs_os.append(self.tree.start(node))
        return edits

    def move_key(self, note: Note, value: cst.BaseExpression, quote: str = '"') -> None:
        """Lets the key that is given as `value` come from the environment, in an expression with these quotes.

        It is changed where it is written, in a constant of its own too; a constant that others use stays to them.
        """
        tree = self.tree
        meant = tree.resolve(value)
        key = text_of(meant)
        is_shared = isinstance(value, cst.Name) and len(tree.uses(value.value, tree.scope(value))) > 2
        if is_shared or (key is None and not self.is_environment(meant)):
            reason = f"The key came from `{one_line(tree.source(value))}`: now it comes from {KEY_NAME}."
            certainty: Certainty = "review" if key is None and not self.is_environment(meant) else "exact"
            note.add(self.read_key(value, quote), certainty, reason if certainty == "review" else "")
            return
        if key is not None:
            self.take_out(meant, key)
        note.add(self.read_key(meant, quote if meant is value else '"'))

    def take_out(self, node: cst.CSTNode, key: str) -> Note | None:
        """Notes a key that is written in the code and is taken out; None for a value that is no key."""
        if not is_secret(key):
            return None
        written = re.findall(r"['\"]{1,3}(.*?)['\"]{1,3}", self.tree.source(node))
        self.keys += dict.fromkeys([key, *(each for each in written if is_secret(each))])
        for note in self.notes:
            if note.kind == "hard-coded key" and note.span == self.tree.span(node):
                return note
        reason = f"The {kind_of(key)} that stood here is taken out: revoke it if others could read this file."
        return self.note(node, "hard-coded key", "exact", reason)

    def is_environment(self, node: cst.CSTNode) -> bool:
        """True for `os.environ[...]`, `os.environ.get(...)` and `os.getenv(...)`."""
        if isinstance(node, cst.Subscript):
            return self.tree.imported(node.value) == "os.environ"
        return isinstance(node, cst.Call) and self.tree.imported(node.func) in ("os.environ.get", "os.getenv")

    def map_model(self, note: Note, value: cst.BaseExpression | None, prefix: str = "") -> None:
        """Maps the name of a model where it is written: here, in a constant or in a parameter's default."""
        if value is None:
            return
        meant = self._model_literal(value)
        name = text_of(meant)
        if meant is None or name is None:
            note.add([], "review", f"The model comes from `{one_line(self.tree.source(value))}`: check its name.")
            return
        mapped = self.models.map(name.removeprefix(prefix))
        if mapped is None:
            note.add([], "review", f"The table of models has no entry for {name}: check that HolySheep offers it.")
            return
        target, is_own = f"{prefix}{mapped[0]}", mapped[1]
        if target != name:
            quote = self.tree.source(meant)[-1]
            reason = "" if is_own else f"{name} becomes {target}: check the answers, or name another with --models."
            edits = self.replace(meant, f"{quote}{target}{quote}")
            if edits:
                note.add(edits, "exact" if is_own else "review", reason)

    def _model_literal(self, value: cst.BaseExpression) -> cst.BaseExpression | None:
        """The string that a name, a parameter or an attribute holds, where it is written once."""
        for _ in range(5):
            value = self.tree.resolve(value)
            if isinstance(value, cst.SimpleString):
                return value
            known = self.tree.bindings.get(dotted(value), []) if isinstance(value, cst.Attribute) else []
            bound = known[0] if len(known) == 1 else None
            if bound is None or bound.value is value:
                return None
            value = bound.value
        return None

    def value_of(self, call: cst.Call, *names: str) -> cst.BaseExpression | None:
        """The value of the argument under one of the names."""
        found = keyword(call, *names)
        return None if found is None else found.value


def one_line(source: str, limit: int = 60) -> str:
    """Code on one line, shortened."""
    line = " ".join(source.split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"
