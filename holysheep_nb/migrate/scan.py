"""A scan of files: what each holds, and how it would be rewritten."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from holysheep_nb.config import DEFAULT_BASE_URL, check_base_url

from .document import Document
from .files import find_files
from .finding import Edit, Finding, apply_edits
from .import_lines import import_edits
from .models import ModelTable, load_models
from .report import FileChange, Report
from .rules import RULES
from .secret import find_keys, kind_of, redact
from .survey import Note, Survey
from .tree import Tree

# A file without any of these has nothing to move and is not parsed.
_SIGNS = re.compile(
    rb"openai|anthropic|litellm|sseclient|chat[./]completions|%%?ai\b|jupyter_ai|\b(?:sk|hs)-[\w-]{16}"
    rb"|\[DONE\]",
    re.IGNORECASE,
)
_MENTION = re.compile(r"api\.openai\.com|OPENAI_API_KEY|\bimport openai|\bfrom openai\b|\bOpenAI\(|\bimport anthropic")


def plan(paths: Iterable[str | Path], *, models: str | Path | None = None, base_url: str = DEFAULT_BASE_URL) -> Report:
    """What the .py and .ipynb files at and below `paths` hold, and how they would be rewritten. Writes nothing.

    models     a JSON file of model names that comes before the table in the package
    base_url   where the rewritten code goes

    Raises `UsageError` for a path or table that cannot be read, `ConfigurationError` for an address.
    """
    table = load_models(Path(models) if models is not None else None)
    base_url = check_base_url(base_url)
    files = find_files(Path(path) for path in paths)
    findings: list[Finding] = []
    changes: list[FileChange] = []
    for path in files:
        try:
            content = path.read_bytes()
        except OSError as error:
            reason = f"The file cannot be read ({error.strerror})."
            findings.append(Finding(path, None, 1, "file", "manual", "", None, reason))
            continue
        found, change = scan_file(path, content, table, base_url)
        findings += found
        changes += [change] if change is not None else []
    return Report(len(files), tuple(findings), tuple(changes))


def scan_file(
    path: Path, content: bytes, models: ModelTable, base_url: str = DEFAULT_BASE_URL
) -> tuple[list[Finding], FileChange | None]:
    """What one file holds, and how it would change; None if it would not."""
    if not _SIGNS.search(content):
        return [], None
    try:
        document = Document(path, content)
        survey = Survey(document, Tree(document.python), models, base_url)
    except (ValueError, RecursionError) as error:
        reason = f"The file cannot be read: {error}."
        return [Finding(path, None, 1, "file", "manual", "", None, reason)] if _MENTION.search(
            _text(content)
        ) else [], None
    for rule in RULES:
        rule(survey)
    _note_unread(survey)
    change, problem = _change(survey)
    if problem:
        for note in survey.notes:
            note.edits, note.certainty, note.reason = [], "manual", f"The file is left as it is: {problem}."
    keys = (*survey.keys, *_keys_in(content))
    findings = [_finding(survey, note, keys) for note in sorted(survey.notes, key=_position)]
    if document.is_notebook:
        findings += _keys_in_outputs(survey, change)
    return findings, change


def _change(survey: Survey) -> tuple[FileChange | None, str]:
    """The rewritten file, or why there is none. Every part that was Python is Python afterwards."""
    document = survey.document
    edits = [edit for note in survey.notes for edit in note.edits]
    if not edits:
        return None, ""
    try:
        new = document.edited([*edits, *import_edits(survey)])
        after = Document(document.path, new)
    except ValueError as error:
        return None, str(error)
    if not after.parses_like(document):
        return None, "it would not be Python any more"
    if new == document.content:
        return None, ""
    keys = tuple(dict.fromkeys([*survey.keys, *_keys_in(document.content)]))
    return FileChange(document.path, document.content, new, keys), ""


def _note_unread(survey: Survey) -> None:
    """Says where a model is used in what cannot be read as Python."""
    document = survey.document
    for piece in document.pieces:
        text = document.text_of(piece)
        if piece.is_python or not piece.is_code or any(note.span[0] == piece.start for note in survey.notes):
            continue
        found = _MENTION.search(text)
        if found and not text.lstrip().startswith(("%%ai", "%%holysheep")):
            is_magic = document.is_notebook and text.lstrip().startswith("%%")
            reason = (
                "It is not Python: change it by hand." if is_magic else "It cannot be read as Python: mend it first."
            )
            place = piece.start + found.start()
            survey.notes.append(Note((place, piece.start + found.end()), "unread code", "manual", reason))
    if not document.is_notebook:
        return
    for found in re.finditer(r"^[ \t]*!.*api\.openai\.com.*$", document.source, re.MULTILINE):
        if document.piece_at(found.start()).is_python:
            reason = "A shell line is no Python: change it by hand."
            survey.notes.append(Note(found.span(), "shell line", "manual", reason))


def _keys_in_outputs(survey: Survey, change: FileChange | None) -> list[Finding]:
    """Keys that stand in a notebook beyond the sources of its code: these are never touched."""
    document = survey.document
    content = change.new if change is not None else document.content
    kept = _text(content)
    written = Document(document.path, content).source if change is not None else document.source
    if len(find_keys(kept)) <= len(find_keys(written)):
        return []
    kinds = sorted({kind_of(kept[start:end]) for start, end in find_keys(kept)})
    reason = f"An output or the metadata holds what looks like an {kinds[0]}: clear it in Jupyter."
    return [Finding(document.path, None, 1, "key in an output", "manual", "", None, reason)]


def _finding(survey: Survey, note: Note, keys: Sequence[str]) -> Finding:
    document = survey.document
    start, end = note.span
    first = document.source.rfind("\n", 0, start) + 1
    last = document.source.find("\n", max(end - 1, start))
    last = len(document.source) if last < 0 else last
    piece = document.piece_at(start)
    first, last = max(first, piece.start), min(last, piece.end)
    before = document.source[first:last]
    after = None
    if note.edits or note.kind == "hard-coded key":
        made = dict.fromkeys(edit for each in survey.notes for edit in each.edits)
        near = [edit for edit in made if first <= edit.start and edit.end <= last]
        after = _shown(before, near, first) if near else None
    if after is None and note.edits:
        edit = min(note.edits)
        at = document.source.rfind("\n", 0, edit.start) + 1
        until = document.source.find("\n", edit.end)
        until = len(document.source) if until < 0 else until
        after = _shown(
            document.source[at:until], [each for each in note.edits if at <= each.start and each.end <= until], at
        )
    cell, line = document.place(start)
    shown = None if after is None else redact(after, keys).strip("\n")
    return Finding(document.path, cell, line, note.kind, note.certainty, redact(before, keys), shown, note.reason)


def _shown(text: str, edits: Sequence[Edit], start: int) -> str:
    return apply_edits(text, [Edit(edit.start - start, edit.end - start, edit.text) for edit in edits])


def _position(note: Note) -> tuple[int, int]:
    return note.span[0], -note.span[1]


def _keys_in(content: bytes) -> list[str]:
    text = _text(content)
    return [text[start:end] for start, end in find_keys(text)]


def _text(content: bytes) -> str:
    return content.decode("utf-8", "surrogateescape")
