"""The code of cells: how it may await, and what a traceback calls it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from types import FrameType

from IPython.core.getipython import get_ipython
from IPython.core.interactiveshell import InteractiveShell


def name_code(file_name: str) -> str:
    """What a traceback calls the code of a file: "Cell In[3]" for that of a cell, else the name in quotes."""
    shell = get_ipython()
    named = shell.compile.format_code_name(file_name) if shell is not None else None
    return " ".join(named) if named else f'"{file_name}"'


class MagicAwaiter:
    """An input transformer that makes a cell await the magic `name`, so that the main loop stays free.

    `get_ipython().run_cell_magic('NAME', line, cell)` and `run_line_magic('NAME', line)`, wherever a cell
    may await, become `(await TARGET.run_cell_awaited(...))` and `(await TARGET.run_line_awaited(...))`.
    Left as they are: calls inside functions, and cells run by other code (`%%time`, `%%capture`), which
    cannot await.
    """

    has_side_effects = False

    def __init__(self, shell: InteractiveShell, name: str, target: str) -> None:
        self._shell = shell
        self._name = name
        self._target = target

    def __call__(self, lines: list[str]) -> list[str]:
        """The transformed lines of a cell."""
        if not any("get_ipython().run_" in line and self._name in line for line in lines):
            return lines
        if not self._shell.autoawait or _is_inside_cell():
            return lines
        source = "".join(lines)
        try:
            tree = ast.parse(source)
        except SyntaxError:
            return lines
        # Of bytes, only CR and LF end a line, as in Python's own grammar.
        encoded = source.encode().splitlines(keepends=True)
        for call in sorted(self._calls(tree), key=lambda c: (c.lineno, c.col_offset), reverse=True):
            self._rewrite(encoded, call)
        return b"".join(encoded).decode().splitlines(keepends=True)

    def _calls(self, node: ast.AST) -> Iterator[ast.Call]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, _CANNOT_AWAIT):
                continue
            if isinstance(child, ast.Call) and self._is_magic(child):
                yield child
            else:
                yield from self._calls(child)

    def _is_magic(self, call: ast.Call) -> bool:
        return (
            isinstance(call.func, ast.Attribute)
            and call.func.attr in ("run_cell_magic", "run_line_magic")
            and ast.unparse(call.func.value) == "get_ipython()"
            and bool(call.args)
            and isinstance(call.args[0], ast.Constant)
            and call.args[0].value == self._name
        )

    def _rewrite(self, lines: list[bytes], call: ast.Call) -> None:
        assert isinstance(call.func, ast.Attribute)
        if call.func.end_lineno != call.lineno:
            return
        last, end = (call.end_lineno or call.lineno) - 1, call.end_col_offset or 0
        lines[last] = lines[last][:end] + b")" + lines[last][end:]
        first, start = call.lineno - 1, call.col_offset
        func_end = call.func.end_col_offset or 0
        awaited = call.func.attr.replace("_magic", "_awaited")
        new = f"(await {self._target}.{awaited}".encode()
        lines[first] = lines[first][:start] + new + lines[first][func_end:]


_CANNOT_AWAIT = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Lambda,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
)


def _is_inside_cell() -> bool:
    """True while the code of a cell is on this thread's stack."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code is InteractiveShell.run_code.__code__:
            return True
        frame = frame.f_back
    return False
