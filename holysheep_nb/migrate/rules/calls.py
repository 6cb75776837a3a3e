"""Calls of a client: the model's name in them, and calls that HolySheep may not answer."""

from __future__ import annotations

import re

import libcst as cst

from ..survey import Survey
from ..tree import dotted, entries, has_stars, keyword

_CHAT = re.compile(
    r"(?P<client>.+?)(?:\.with_options\(\))?(?:\.beta)?\.chat\.completions\."
    r"(?:with_raw_response\.|with_streaming_response\.)?(?:create|parse|stream)$"
)
_OTHER = re.compile(
    r"(?P<client>.+?)\.(?P<what>embeddings|images|audio|responses|completions|moderations|files|fine_tuning|batches"
    r"|realtime|vector_stores|beta\.(?:threads|assistants))\b.*\.(?:create|parse|stream|generate|edit|retrieve|list)$"
)
_IMPORTED = frozenset(["openai.chat.completions.create"])


def look(survey: Survey) -> None:
    """Maps the models of chat completions, and notes what else is asked of a client that is moved."""
    tree = survey.tree
    has_openai = "openai" in tree.imports()
    for call in tree.every(cst.Call):
        name = dotted(call.func)
        if not survey.is_free(call) or tree.imported(call.func) in _IMPORTED:
            continue
        if found := _CHAT.match(name):
            _look_at(survey, call, found["client"])
        elif has_openai and (found := _OTHER.match(name)) and found["client"].split("[")[0] in survey.moved_clients:
            what = found["what"].replace("_", " ").replace("beta.", "")
            survey.note(
                call, "openai call", "review", f"The client goes to HolySheep, which may not offer {what}: check it."
            )


def _look_at(survey: Survey, call: cst.Call, client: str) -> None:
    if client in survey.left_clients:
        if client in survey.moved_clients:
            reason = f"Some clients called {client} are moved and some are not: check the model."
            survey.note(call, "openai call", "review", reason)
        return
    is_ours = client in survey.moved_clients or (client.endswith("()") and survey.is_moved)
    if not is_ours and (survey.left_clients or survey.has_nameless_left):
        return
    note = survey.note(call, "openai call")
    model = keyword(call, "model")
    spread = [entries(survey.tree.resolve(arg.value)) for arg in call.args if arg.star == "**"]
    written = [each["model"].value for each in spread if each is not None and "model" in each]
    if model is not None or written:
        survey.map_model(note, model.value if model is not None else written[0])
    elif has_stars(call):
        note.add([], "review", "The model comes with the other arguments: check its name.")
    if not is_ours and note.edits:
        note.add([], "review", "The client comes from elsewhere: see that it is moved too.")
    if not note.edits and note.certainty == "exact":
        survey.notes.remove(note)
