"""What is found in the corpus, and what it becomes."""

from __future__ import annotations

import ast
import json
import re
import shlex
from pathlib import Path

import libcst
import pytest
from migrate_snippets import CORPUS, MODELS, Snippet, cells_of, describe, notebook, snippets

from holysheep_nb.migrate.cell import cover_magics
from holysheep_nb.migrate.models import load_models
from holysheep_nb.migrate.scan import scan_file
from holysheep_nb.migrate.secret import find_keys
from holysheep_nb.options import parse_cell_line

SNIPPETS = snippets()
NOTEBOOKS = [each for each in SNIPPETS if each.name.endswith(".ipynb")]
each_snippet = pytest.mark.parametrize("snippet", SNIPPETS, ids=lambda each: each.name)
each_notebook = pytest.mark.parametrize("snippet", NOTEBOOKS, ids=lambda each: each.name)


def test_the_corpus_is_all_there() -> None:
    assert len(SNIPPETS) == len(list(CORPUS.iterdir())) >= 40


@each_snippet
def test_a_file_becomes_what_it_should_byte_for_byte(snippet: Snippet) -> None:
    _, change = snippet.scan()
    assert (snippet.content if change is None else change.new) == snippet.expected


@each_snippet
def test_what_is_found_is_said(snippet: Snippet) -> None:
    findings, _ = snippet.scan()
    assert [describe(each) for each in findings] == snippet.findings


@each_snippet
def test_what_is_rewritten_is_python(snippet: Snippet) -> None:
    _, change = snippet.scan()
    if change is None:
        return
    if not snippet.name.endswith(".ipynb"):
        ast.parse(change.new)
        return
    pairs = zip(json.loads(change.old)["cells"], json.loads(change.new)["cells"], strict=True)
    for old, new in pairs:
        before, after = ("".join(each["source"]) for each in (old, new))
        covered = cover_magics(before) if old["cell_type"] == "code" else None
        try:
            libcst.parse_module(covered or "")
        except libcst.ParserSyntaxError:
            continue
        libcst.parse_module(cover_magics(after) or "")


@each_snippet
def test_no_key_survives(snippet: Snippet) -> None:
    findings, change = snippet.scan()
    keys = [snippet.before[start:end] for start, end in find_keys(snippet.before)]
    keys += re.findall(r"[0-9a-f]{32}", snippet.before)
    shown = json.dumps([each.to_dict() for each in findings])
    written = snippet.content.decode() if change is None else change.new.decode() + change.diff() + repr(change)
    assert [key for key in keys if key in shown or key in written] == []


@each_snippet
def test_a_second_scan_changes_nothing(snippet: Snippet) -> None:
    _, change = snippet.scan(snippet.expected)
    assert change is None


@each_snippet
def test_a_finding_that_is_exact_says_what_it_becomes(snippet: Snippet) -> None:
    findings, _ = snippet.scan()
    assert [each for each in findings if each.certainty == "exact" and each.after is None] == []
    assert [each for each in findings if each.certainty == "manual" and each.after is not None] == []
    assert [each for each in findings if each.certainty == "manual" and not each.reason] == []


@each_notebook
@pytest.mark.parametrize("indent", [1, 2, None])
@pytest.mark.parametrize("as_string", [False, True])
def test_a_notebook_keeps_every_byte_around_its_sources(snippet: Snippet, indent: int | None, as_string: bool) -> None:
    content = notebook(snippet.before, indent=indent, as_string=as_string)
    _, change = snippet.scan(content)
    expected = notebook(snippet.after or snippet.before, indent=indent, as_string=as_string)
    assert (content if change is None else change.new) == expected


@each_notebook
def test_a_notebook_in_escapes_keeps_them(snippet: Snippet) -> None:
    content = json.dumps(json.loads(snippet.content), indent=1).encode()
    _, change = snippet.scan(content)
    new = content if change is None else change.new
    assert new == json.dumps(json.loads(snippet.expected), indent=1).encode()


@each_notebook
def test_a_cell_of_jupyter_ai_becomes_a_line_that_the_magic_reads(snippet: Snippet) -> None:
    lines = re.findall(r"^%%holysheep(.*)$", cells_of(snippet.expected), re.MULTILINE)
    assert all(parse_cell_line(line) for line in lines)


def test_the_options_of_a_jupyter_ai_cell_mean_the_same() -> None:
    line = '%%ai anthropic-chat:claude-sonnet-4.5 -f json -r -m \'{"temperature": 0.5, "stop": ["a b"], "user": "me"}\''
    _, change = scan_file(Path("a.ipynb"), notebook(f"# %% [code]\n{line}\nHi\n"), MODELS)
    assert change is not None
    first = json.loads(change.new)["cells"][0]["source"][0]
    options = parse_cell_line(first.removeprefix("%%holysheep"))
    assert (options.model, options.answer_format, options.is_new) == ("claude-sonnet-4.5", "json", True)
    assert options.parameters == {"temperature": 0.5, "stop": ["a b"], "user": "me"}
    assert shlex.split(first)


def test_a_table_of_the_user_comes_first_and_is_exact(tmp_path: Path) -> None:
    table = tmp_path / "models.json"
    table.write_text('{"my-*": "deepseek-v3.2", "gpt-4": "gpt-5"}', "utf-8")
    text = 'from openai import OpenAI\nc = OpenAI()\nc.chat.completions.create(model="my-gpt")\n'
    text += 'c.chat.completions.create(model="gpt-4")\n'
    findings, change = scan_file(Path("a.py"), text.encode(), load_models(table))
    assert change is not None
    assert b'"deepseek-v3.2"' in change.new
    assert b'"gpt-5"' in change.new
    assert {each.certainty for each in findings} == {"exact"}


def test_another_address_goes_into_the_code() -> None:
    findings, change = scan_file(
        Path("a.py"), b"import os\nimport openai\nc = openai.OpenAI()\n", MODELS, "http://127.0.0.1:9/v1"
    )
    assert change is not None
    assert b'openai.OpenAI(base_url="http://127.0.0.1:9/v1", api_key=os.environ["HOLYSHEEP_API_KEY"])' in change.new
    assert [each.kind for each in findings] == ["openai client"]


def test_a_notebook_of_another_language_is_left_alone() -> None:
    content = notebook('# %% [code]\nlibrary(openai)\nx <- OpenAI("sk")\n').replace(b'"python"', b'"R"')
    findings, change = scan_file(Path("a.ipynb"), content, MODELS)
    assert change is None
    assert all(each.certainty == "manual" for each in findings)


def test_a_key_in_an_output_is_said_and_left() -> None:
    content = (
        notebook("# %% [code]\nimport openai\nc = openai.OpenAI()\n")
        .replace(b"openai.OpenAI()\\u0022", b"")
        .replace(b'"openai.OpenAI()"', b'"sk-Zq4t8Xw1Lm5Rk9Yb2Nc7Vd3"')
    )
    findings, change = scan_file(Path("a.ipynb"), content, MODELS)
    assert change is not None
    assert b"sk-Zq4t8Xw1Lm5Rk9Yb2Nc7Vd3" in change.new
    assert findings[-1].kind == "key in an output"
    assert "sk-Zq" not in change.diff() + json.dumps([each.to_dict() for each in findings])


def test_python_that_cannot_be_read_is_said() -> None:
    findings, change = scan_file(Path("a.py"), b"from openai import OpenAI\nclient = OpenAI(\n", MODELS)
    assert change is None
    assert [(each.kind, each.certainty) for each in findings] == [("unread code", "manual")]


def test_another_encoding_is_kept() -> None:
    content = '# -*- coding: latin-1 -*-\nimport openai\nname = "é"\nclient = openai.OpenAI()\n'.encode("latin-1")
    _, change = scan_file(Path("a.py"), content, MODELS)
    assert change is not None
    assert 'name = "é"'.encode("latin-1") in change.new


def test_a_mark_at_the_begin_of_a_file_is_kept() -> None:
    _, change = scan_file(Path("a.py"), b"\xef\xbb\xbfimport openai\nclient = openai.OpenAI()\n", MODELS)
    assert change is not None
    assert change.new.startswith(b"\xef\xbb\xbfimport os\nimport openai\n")
