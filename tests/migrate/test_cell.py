"""Magics and shell lines in cells, covered so that what is left is Python in the same places."""

from __future__ import annotations

import ast

import pytest

from holysheep_nb.migrate.cell import cover_magics


@pytest.mark.parametrize(
    ("source", "covered"),
    [
        ("x = 1\n%matplotlib inline\ny = 2", "x = 1\n0                 \ny = 2"),
        ("!ls\nx = 1", "0  \nx = 1"),
        ("files = !ls *.txt", "files = 0        "),
        ("%time x = f(1)", "if 1: x = f(1)"),
        ("if a:\n    !ls", "if a:\n    0  "),
        ("x?\ny", "0 \ny"),
        ("%%time\nx = 1", "      \nx = 1"),
        ("%%capture out\n%time x = 1", "             \nif 1: x = 1"),
        ("x = 5 \\\n  % 3", "x = 5 \\\n  % 3"),
        ('s = """\n%d\n!x\n"""', 's = """\n%d\n!x\n"""'),
        ("f(\n  a\n  % b\n)", "f(\n  a\n  % b\n)"),
        ("!pip install \\\n  openai\nx = 1", "0".ljust(14) + "\n        \nx = 1"),
        ("x = a != b", "x = a != b"),
        ("x %= 3", "x %= 3"),
    ],
)
def test_python_stays_where_it_is(source: str, covered: str) -> None:
    assert cover_magics(source) == covered
    ast.parse(covered)


@pytest.mark.parametrize("source", ["%%bash\nls", "%%html\n<b>", "  %%writefile a.py\nx", "%%ai gpt\nHi"])
def test_a_cell_that_is_not_python_is_none(source: str) -> None:
    assert cover_magics(source) is None
