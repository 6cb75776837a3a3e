"""Edits in the sources of a notebook, in its JSON text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holysheep_nb.migrate.finding import Edit, apply_edits
from holysheep_nb.migrate.notebook import NotebookText

characters = st.text(alphabet=st.sampled_from('ab \n\\"\té漢🐑/\u2028'), max_size=30)


def cell(source: str, as_lines: bool) -> dict[str, Any]:
    return {"cell_type": "code", "metadata": {}, "source": source.splitlines(keepends=True) if as_lines else source}


@settings(max_examples=200, deadline=None)
@given(
    sources=st.lists(characters, min_size=1, max_size=3),
    as_lines=st.booleans(),
    is_ascii=st.booleans(),
    indent=st.sampled_from([None, 1]),
    data=st.data(),
)
def test_an_edit_of_a_source_is_that_edit_and_no_other(
    sources: list[str], as_lines: bool, is_ascii: bool, indent: int | None, data: st.DataObject
) -> None:
    cells = [cell(source.replace("\u2028", "x") if as_lines else source, as_lines) for source in sources]
    before = {"cells": cells, "metadata": {"a": [1.50, "é"]}, "nbformat": 4}
    text = json.dumps(before, ensure_ascii=is_ascii, indent=indent)
    notebook = NotebookText(text)
    assert ["".join(each["source"]) for each in cells] == [each.source for each in notebook.cells]
    number = data.draw(st.integers(1, len(cells)))
    source = notebook.cells[number - 1].source
    if not source:
        return
    start = data.draw(st.integers(0, len(source)))
    end = data.draw(st.integers(start, len(source)))
    edit = Edit(start, end, data.draw(characters))
    after = json.loads(notebook.edited({number: [edit]}))
    changed = "".join(after["cells"][number - 1].pop("source"))
    assert changed == apply_edits(source, [edit])
    del before["cells"][number - 1]["source"]
    assert after == before


@pytest.mark.parametrize("text", ["[]", "{}", '{"worksheets": []}', "nothing", '{"cells": 3}'])
def test_what_is_not_a_notebook_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        NotebookText(text)


def test_added_lines_are_lines_of_the_list() -> None:
    text = json.dumps({"cells": [cell("a\nb", True)]}, indent=1)
    edited = NotebookText(text).edited({1: [Edit(0, 0, "new\n"), Edit(2, 3, "c\nd")]})
    assert edited == json.dumps({"cells": [cell("new\na\nc\nd", True)]}, indent=1)
