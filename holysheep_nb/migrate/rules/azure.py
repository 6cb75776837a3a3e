"""Azure's clients: each becomes a plain one, and is named so."""

from __future__ import annotations

import libcst as cst

from ..arguments import add_arguments, drop_arguments
from ..survey import KEY_EXPRESSION, Note, Survey
from ..tree import dotted, has_stars, keyword
from .clients import AZURE, assigned_name, leave

_ARGUMENTS = ("azure_endpoint", "api_version", "azure_deployment", "azure_ad_token", "azure_ad_token_provider")


def look(survey: Survey) -> None:
    """Moves the clients that take a key, and leaves those that sign in with Azure's tokens."""
    azure: list[tuple[cst.Call, Note, str]] = []
    for call in survey.tree.every(cst.Call):
        plain = AZURE.get(survey.tree.imported(call.func))
        if plain is not None and survey.is_free(call):
            _move(survey, call, plain, azure)
    if azure:
        _rename(survey, azure)


def _move(survey: Survey, call: cst.Call, plain: str, azure: list[tuple[cst.Call, Note, str]]) -> None:
    if has_stars(call) or keyword(call, "azure_ad_token", "azure_ad_token_provider"):
        reason = (
            "Its arguments come from elsewhere: build an OpenAI client in its place."
            if has_stars(call)
            else "It signs in with Azure's tokens: build an OpenAI client in its place."
        )
        leave(survey, call, "azure client", reason, "AZURE_OPENAI_API_KEY")
        return
    note = survey.note(call, "azure client")
    note.add([], "review", "Azure's deployments are not models: check `model=` in its calls, or name them in --models.")
    note.add(drop_arguments(survey.tree, call, _ARGUMENTS))
    added = {"base_url": f'"{survey.base_url}"'}
    key = keyword(call, "api_key")
    if key is None:
        added["api_key"] = KEY_EXPRESSION
        survey.needs_os.append(survey.tree.start(call))
    else:
        survey.move_key(note, key.value)
    note.add(add_arguments(survey.tree, call, added, _ARGUMENTS))
    target = assigned_name(survey, call)
    if target:
        survey.moved_clients.add(target)
    survey.is_moved = True
    azure.append((call, note, plain))


def _rename(survey: Survey, azure: list[tuple[cst.Call, Note, str]]) -> None:
    """`AzureOpenAI` becomes `OpenAI` wherever it is named, if all that are built are moved."""
    tree = survey.tree
    built = [call for call in tree.every(cst.Call) if tree.imported(call.func) in AZURE]
    note = azure[0][1]
    if len(built) != len(azure):
        for call, each, plain in azure:
            func = call.func
            if isinstance(func, cst.Attribute):
                each.add(survey.replace(func.attr, plain))
            else:
                each.edits.clear()
                each.certainty = "manual"
                each.reason = "Another Azure client in this file is left alone: build an OpenAI client in its place."
        return
    for imports in tree.every(cst.ImportFrom):
        if isinstance(imports.names, cst.ImportStar) or imports.module is None or dotted(imports.module) != "openai":
            continue
        for alias in imports.names:
            plain = AZURE.get(f"openai.{dotted(alias.name)}", "")
            if plain:
                note.add(survey.replace(alias.name, plain))
    for node in tree.every(cst.Attribute):
        if plain := AZURE.get(tree.imported(node), ""):
            note.add(survey.replace(node.attr, plain))
    for name in tree.every(cst.Name):
        plain = AZURE.get(tree.imported(name), "")
        is_named_so = name.value in ("AzureOpenAI", "AsyncAzureOpenAI")
        if plain and is_named_so and not isinstance(tree.parent(name), cst.ImportAlias | cst.Attribute):
            note.add(survey.replace(name, plain))
