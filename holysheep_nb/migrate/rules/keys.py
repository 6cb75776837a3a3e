"""What is left of keys: in constants, in the environment, in comments, in magics; and names of variables."""

from __future__ import annotations

import re

import libcst as cst

from ..cell import cell_magic
from ..document import Document
from ..finding import Edit
from ..secret import REMOVED, find_keys, is_secret, kind_of
from ..survey import KEY_NAME, Note, Survey
from ..tree import text_of

_ENV_MAGIC = re.compile(r"[ \t]*%(?:env|set_env)[ \t]+(\w+)[ \t=][^\n]*")
_ENV_NAME = re.compile(r"^[ \t]*%(?:env|set_env)[ \t]+(OPENAI_API_KEY)\b", re.MULTILINE)
_OWN_NAMES = {
    "Anthropic key": "ANTHROPIC_API_KEY",
    "OpenRouter key": "OPENROUTER_API_KEY",
    "HolySheep key": KEY_NAME,
}
_READS = "os.environ"


def look(survey: Survey) -> None:
    """Takes every remaining key out of the code, and lets moved code read HolySheep's variable."""
    _take_out_settings(survey)
    _take_out_constants(survey)
    _rename_variable(survey)
    _take_out_rest(survey)


def _variable(survey: Survey, key: str) -> str:
    """The environment variable that a key's place is given to."""
    kind = kind_of(key)
    if survey.is_moved and not survey.stays and kind not in _OWN_NAMES:
        return KEY_NAME
    return _OWN_NAMES.get(kind, "OPENAI_API_KEY")


def _take_out_settings(survey: Survey) -> None:
    """`os.environ["OPENAI_API_KEY"] = "sk-…"` becomes a check that the variable is set."""
    tree = survey.tree
    for node in tree.every(cst.Assign):
        target = node.targets[0].target
        if not isinstance(target, cst.Subscript) or tree.imported(target.value) != _READS:
            continue
        meant = tree.resolve(node.value)
        key, name = text_of(meant), text_of(_index(target))
        if key is None or name is None or not survey.is_free(node):
            continue
        if not find_keys(key) and not (name == "OPENAI_API_KEY" and survey.is_moved):
            continue
        if meant is not node.value and find_keys(key):
            continue
        variable = _variable(survey, key) if name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY") else name
        survey.take_out(meant, key)
        edits = survey.replace(
            node, f'assert "{variable}" in {tree.source(target.value)}, "Set {variable} outside of the code."'
        )
        survey.note(node, "environment", "review", f"{variable} must be set before this runs.", edits)
        survey.claim(*tree.span(node))


def _index(target: cst.Subscript) -> cst.BaseExpression | None:
    index = target.slice[0].slice
    return index.value if isinstance(index, cst.Index) else None


def _take_out_constants(survey: Survey) -> None:
    """A string that is a key becomes a look into the environment."""
    tree = survey.tree
    for node in tree.every(cst.SimpleString):
        key = text_of(node)
        if key is None or not survey.is_free(node) or _is_edited(survey, *tree.span(node)):
            continue
        is_azure = _is_azure_header(survey, node) and is_secret(key)
        if (find_keys(key) != [(0, len(key))] and not is_azure) or tree.is_docstring(node):
            continue
        if isinstance(tree.parent(node), cst.ConcatenatedString):
            continue
        variable = "AZURE_OPENAI_API_KEY" if is_azure else _variable(survey, key)
        quote = "'" if any(isinstance(each, cst.FormattedString) for each in tree.parents(node)) else '"'
        quote = tree.source(node)[-1] if quote == "'" else quote
        note = survey.take_out(node, key)
        edits = survey.replace(node, f"os.environ[{quote}{variable}{quote}]")
        if edits and note is not None:
            survey.needs_os.append(tree.start(node))
            note.add(edits, "exact" if variable == KEY_NAME else "review", _set(variable))


def _is_azure_header(survey: Survey, node: cst.CSTNode) -> bool:
    """True for the value of an `api-key` header, in a file that names a deployment at Azure."""
    above = survey.tree.parent(node)
    if not isinstance(above, cst.DictElement) or above.value is not node or ".openai.azure.com" not in survey.tree.text:
        return False
    return (text_of(above.key) or "").lower() == "api-key"


def _set(variable: str) -> str:
    return "" if variable == KEY_NAME else f"Set {variable} outside of the code."


def _is_edited(survey: Survey, start: int, end: int) -> bool:
    return any(edit.start < end and edit.end > start for note in survey.notes for edit in note.edits)


def _rename_variable(survey: Survey) -> None:
    """Reads and writes of OPENAI_API_KEY, where all that used it has moved."""
    if not survey.is_moved or survey.stays:
        return
    tree = survey.tree
    moved_anthropic = not any(note.kind.startswith("anthropic") and not note.edits for note in survey.notes)
    names = {"OPENAI_API_KEY", *(["ANTHROPIC_API_KEY"] if moved_anthropic and "anthropic" in tree.imports() else [])}
    _rename_in_magics(survey)
    for node in tree.every(cst.SimpleString):
        if text_of(node) in names and not _is_edited(survey, *tree.span(node)) and _is_environment(survey, node):
            edits = survey.replace(node, f"{node.prefix}{node.quote}{KEY_NAME}{node.quote}")
            if edits:
                survey.note(tree.statement(node), "environment", "exact", "", edits)
                survey.notes[-1].span = tree.span(node)


def _rename_in_magics(survey: Survey) -> None:
    """`%env OPENAI_API_KEY=…` without a key in it."""
    for found in _ENV_NAME.finditer(survey.document.source if survey.document.is_notebook else ""):
        piece = survey.document.piece_at(found.start(1))
        line_end = survey.document.source.find("\n", found.end())
        line = survey.document.source[found.start() : line_end if line_end >= 0 else None]
        if piece.is_python and not find_keys(line):
            edit = Edit(*found.span(1), KEY_NAME)
            survey.notes.append(Note(found.span(1), "environment", "exact", "", [edit]))


def _is_environment(survey: Survey, node: cst.CSTNode) -> bool:
    tree = survey.tree
    for above in tree.parents(node):
        if isinstance(above, cst.Subscript | cst.Call) and survey.is_environment(above):
            return True
        if isinstance(above, cst.Call) and tree.imported(above.func) in ("os.environ.setdefault", "os.environ.pop"):
            return True
        if isinstance(above, cst.Comparison):
            return any(tree.imported(each.comparator) == _READS for each in above.comparisons)
        if isinstance(above, cst.BaseStatement):
            return False
    return False


def _is_shell(document: Document, offset: int, line: str) -> bool:
    """True in shell lines and in cells for a shell, which read the environment as `$NAME`."""
    piece = document.piece_at(offset)
    if piece.is_python:
        return line.lstrip().startswith("!")
    return piece.is_code and cell_magic(document.text_of(piece)) in ("bash", "sh", "script", "system")


def _take_out_rest(survey: Survey) -> None:
    """Keys in comments, in longer strings, and in cells and lines that are not Python."""
    document = survey.document
    for start, end in find_keys(document.source):
        if _is_edited(survey, start, end):
            continue
        key = document.source[start:end]
        kind = kind_of(key)
        survey.keys.append(key)
        line_start = document.source.rfind("\n", 0, start) + 1
        line_end = document.source.find("\n", end)
        line_end = len(document.source) if line_end < 0 else line_end
        line = document.source[line_start:line_end]
        magic = _ENV_MAGIC.fullmatch(line)
        if magic and document.is_notebook:
            variable = KEY_NAME if survey.is_moved and not survey.stays else magic[1]
            indent = line[: len(line) - len(line.lstrip())]
            edit = Edit(line_start, line_end, f"{indent}# {variable} comes from the environment.")
        elif document.is_notebook and _is_shell(document, start, line):
            edit = Edit(start, end, f"${_OWN_NAMES.get(kind, 'OPENAI_API_KEY')}")
        else:
            edit = Edit(start, end, REMOVED)
        note = Note((start, end), "hard-coded key", "review", f"The {kind} that stood here is taken out.", [edit])
        survey.notes.append(note)
