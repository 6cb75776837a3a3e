"""OpenAI's module itself as the client: `openai.ChatCompletion.create` of version 0, `openai.chat` of version 1."""

from __future__ import annotations

import libcst as cst

from .. import address
from ..finding import Edit
from ..secret import is_secret
from ..survey import KEY_EXPRESSION, Note, Survey
from ..tree import keyword, text_of

_CALLS = {
    "openai.ChatCompletion.create": "api_base",
    "openai.ChatCompletion.acreate": "api_base",
    "openai.chat.completions.create": "base_url",
}
_LEFT = ("openai.Completion.", "openai.Embedding.", "openai.Image.", "openai.Audio.", "openai.Edit.")
_ADDRESSES = ("openai.api_base", "openai.base_url")
_AZURE = ("openai.api_type", "openai.api_version")


def look(survey: Survey) -> None:
    """Notes calls and settings of the module; the address is added where none is set."""
    tree = survey.tree
    calls = [call for call in tree.every(cst.Call) if tree.imported(call.func) in _CALLS]
    settings = _settings(survey)
    if not calls and not settings:
        return
    if any(name in _AZURE for name, _ in settings):
        _leave_all(survey, settings, calls, "The module is set up for Azure: build an OpenAI client in its place.")
        return
    elsewhere = [node for name, node in settings if name in _ADDRESSES and not _is_open(survey, node.value)]
    if elsewhere:
        _leave_all(survey, settings, calls, "The module goes to an address that is not OpenAI's own.")
        return
    for call in tree.every(cst.Call):
        if tree.imported(call.func).startswith(_LEFT):
            survey.note(call, "openai call", "review", "HolySheep may not offer this: it goes where the module goes.")
    anchor: Note | None = None
    for name, node in settings:
        note = survey.note(node, "openai module")
        if name == "openai.api_key":
            survey.move_key(note, node.value)
            anchor = anchor or note
        elif name in _ADDRESSES:
            _set_address(survey, note, node.value)
        else:
            note.add([], "review", "An organization of OpenAI means nothing to HolySheep: take it out.")
        if not note.edits and note.certainty == "exact" and note is not anchor:
            survey.notes.remove(note)
    names = {_CALLS[tree.imported(call.func)] for call in calls} or {"api_base"}
    survey.is_moved = True
    has_address = any(name in _ADDRESSES for name, _ in settings)
    has_key = any(name == "openai.api_key" for name, _ in settings)
    if calls and all(keyword(call, "api_key") and keyword(call, "api_base") for call in calls):
        has_address = has_key = True
    if not calls and survey.moved_clients:
        has_address = True  # the clients have it
    if not has_address or not has_key:
        _add_settings(survey, anchor, min(names, key=len) if len(names) > 1 else names.pop(), has_address, has_key)
    elif anchor is not None and not anchor.edits and anchor.certainty == "exact":
        survey.notes.remove(anchor)
    for call in calls:
        _look_at_call(survey, call)


def _settings(survey: Survey) -> list[tuple[str, cst.Assign]]:
    known = ("openai.api_key", "openai.organization", *_ADDRESSES, *_AZURE)
    found = []
    for node in survey.tree.every(cst.Assign):
        name = survey.tree.imported(node.targets[0].target)
        if name in known:
            found.append((name, node))
    return found


def _look_at_call(survey: Survey, call: cst.Call) -> None:
    """The model is mapped with those of the other calls; address and key only where the call gives its own."""
    note = survey.note(call, "openai call")
    if key := keyword(call, "api_key"):
        survey.move_key(note, key.value)
    if base := keyword(call, "api_base"):
        _set_address(survey, note, base.value)
    survey.map_model(note, survey.value_of(call, "model", "engine"))
    if not note.edits and note.certainty == "exact":
        survey.notes.remove(note)


def _set_address(survey: Survey, note: Note, value: cst.BaseExpression) -> None:
    meant = survey.tree.resolve(value)
    url = text_of(meant) or ""
    if not address.is_at(url, survey.base_url):
        note.add(survey.replace(meant, f'"{survey.base_url}"'))


def _is_open(survey: Survey, value: cst.BaseExpression) -> bool:
    url = text_of(survey.tree.resolve(value)) or ""
    return address.is_openai(url) or address.is_at(url, survey.base_url)


def _add_settings(survey: Survey, anchor: Note | None, address_name: str, has_address: bool, has_key: bool) -> None:
    """Puts the missing lines below the line that sets the key, or below the import."""
    tree = survey.tree
    found = _import(survey)
    if found is None:
        return
    statement, module = found
    start, end = anchor.span if anchor is not None else tree.span(statement)
    if anchor is not None:
        module = tree.text[start:end].split(".", 1)[0].strip()
    indent = tree.indent(start)
    lines = []
    if not has_key:
        lines.append(f"{module}.api_key = {KEY_EXPRESSION}")
        survey.needs_os.append(start)
    if not has_address:
        lines.append(f'{module}.{address_name} = "{survey.base_url}"')
    place = tree.line_end(end)
    edits = [Edit(place, place, "".join(f"\n{indent}{line}" for line in lines))]
    if anchor is not None:
        anchor.add(edits)
    else:
        survey.note(statement, "openai module", "exact", "", edits)


def _import(survey: Survey) -> tuple[cst.CSTNode, str] | None:
    """The statement that imports the module, and the name it gets there."""
    for node in survey.tree.every(cst.Import):
        for alias in node.names:
            if alias.evaluated_name == "openai":
                return survey.tree.statement(node), alias.evaluated_alias or "openai"
    return None


def _leave_all(survey: Survey, settings: list[tuple[str, cst.Assign]], calls: list[cst.Call], reason: str) -> None:
    survey.stays = True
    for name, node in settings:
        if name == "openai.api_key":
            meant = survey.tree.resolve(node.value)
            key = text_of(meant)
            if key is not None and is_secret(key):
                survey.take_out(meant, key)
                edits = survey.replace(meant, 'os.environ["OPENAI_API_KEY"]')
                survey.needs_os.append(survey.tree.start(meant))
                survey.note(node, "openai module", "review", "Its key now comes from OPENAI_API_KEY.", edits)
    for call in calls:
        survey.note(call, "openai call", "manual", reason)
    if not calls:
        survey.note(settings[0][1], "openai module", "manual", reason)
