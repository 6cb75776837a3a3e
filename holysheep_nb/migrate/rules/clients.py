"""Objects that are told once where to go: OpenAI's clients, LangChain's models, and LiteLLM's calls."""

from __future__ import annotations

from dataclasses import dataclass

import libcst as cst

from .. import address
from ..arguments import add_arguments
from ..secret import is_secret
from ..survey import KEY_EXPRESSION, Note, Survey, one_line
from ..tree import dotted, has_stars, keyword, text_of


@dataclass(frozen=True, slots=True)
class Shape:
    """What a constructor calls things; the first name of each is the one that is added."""

    kind: str
    url: tuple[str, ...] = ("base_url",)
    key: tuple[str, ...] = ("api_key",)
    model: tuple[str, ...] = ()


_OPENAI = Shape("openai client")
_LANGCHAIN = Shape(
    "langchain model", ("base_url", "openai_api_base"), ("api_key", "openai_api_key"), ("model", "model_name")
)
_LANGCHAIN_OLD = Shape("langchain model", _LANGCHAIN.url[::-1], _LANGCHAIN.key[::-1], _LANGCHAIN.model[::-1])
_LITELLM = Shape("litellm call", ("api_base", "base_url"), ("api_key",), ("model",))

SHAPES = {
    "openai.OpenAI": _OPENAI,
    "openai.AsyncOpenAI": _OPENAI,
    "openai.Client": _OPENAI,
    "openai.AsyncClient": _OPENAI,
    "langchain_openai.ChatOpenAI": _LANGCHAIN,
    "langchain_openai.chat_models.ChatOpenAI": _LANGCHAIN,
    "langchain.chat_models.ChatOpenAI": _LANGCHAIN_OLD,
    "langchain_community.chat_models.ChatOpenAI": _LANGCHAIN_OLD,
    "litellm.completion": _LITELLM,
    "litellm.acompletion": _LITELLM,
}
AZURE = {"openai.AzureOpenAI": "OpenAI", "openai.AsyncAzureOpenAI": "AsyncOpenAI"}
_LEFT = {
    "langchain_openai.AzureChatOpenAI": "Its deployments are Azure's: build a ChatOpenAI in its place.",
    "langchain_openai.OpenAI": "It asks for plain completions: build a ChatOpenAI in its place.",
    "langchain_openai.OpenAIEmbeddings": "HolySheep may offer no embeddings: it goes where it went.",
    "langchain_anthropic.ChatAnthropic": "It speaks Anthropic's protocol: build a ChatOpenAI in its place.",
    "litellm.embedding": "HolySheep may offer no embeddings: it goes where it went.",
    "litellm.Router": "Its list of models says where each goes: change it by hand.",
}
_IMPORTERS = ("builtins.__import__", "importlib.import_module")
_OTHER_PROVIDER = "The model is not OpenAI's or Anthropic's own: it goes where it went."


def look(survey: Survey) -> None:
    """Notes every client, and every place where one is named without being built."""
    tree = survey.tree
    for call in tree.every(cst.Call):
        name = tree.imported(call.func) or ("builtins.__import__" if dotted(call.func) == "__import__" else "")
        if not survey.is_free(call):
            continue
        if name in SHAPES:
            _move(survey, call, SHAPES[name])
        elif name in _LEFT:
            survey.stays = True
            leave(survey, call, f"{name.split('.')[0]} {name.rsplit('.', 1)[1]}", _LEFT[name])
        elif name in _IMPORTERS and text_of(_first(call)) in ("openai", "anthropic", "litellm"):
            survey.note(
                call, "import by name", "manual", "What is imported by name is not followed: change it by hand."
            )
    for node in [*tree.every(cst.Name), *tree.every(cst.Attribute)]:
        known = tree.imported(node)
        if (known in SHAPES or known in AZURE) and _is_passed_on(survey, node):
            survey.note(
                node, SHAPES.get(known, _OPENAI).kind, "manual", "It is not built here: say where it goes where it is."
            )


def leave(survey: Survey, call: cst.Call, kind: str, reason: str, key_name: str = "OPENAI_API_KEY") -> Note:
    """Notes what is left alone. A key written in it comes from an environment variable of its own."""
    note = survey.note(call, kind, "manual", reason)
    target = assigned_name(survey, call)
    if target:
        survey.left_clients.add(target)
    else:
        survey.has_nameless_left = True
    given = keyword(call, "api_key", "openai_api_key", "azure_api_key")
    meant = None if given is None else survey.tree.resolve(given.value)
    key = text_of(meant)
    if meant is not None and key is not None and is_secret(key):
        survey.take_out(meant, key)
        note.add(survey.replace(meant, f'os.environ["{key_name}"]'), "review", f"Its key now comes from {key_name}.")
        note.certainty = "review"
        survey.needs_os.append(survey.tree.start(meant))
    return note


def _move(survey: Survey, call: cst.Call, shape: Shape) -> None:
    if has_stars(call):
        survey.stays = True
        leave(survey, call, shape.kind, "Its arguments come from elsewhere: say there where it goes.")
        return
    url = keyword(call, *shape.url)
    if url is not None and not _is_open(survey, url.value):
        _leave_at(survey, call, shape, url.value)
        return
    if shape is _LITELLM and not _is_own_provider(survey, call):
        survey.stays = True
        leave(survey, call, shape.kind, _OTHER_PROVIDER)
        return
    note = survey.note(call, shape.kind)
    target = assigned_name(survey, call)
    if target:
        survey.moved_clients.add(target)
    _set(survey, call, note, shape, url)
    if shape is _LITELLM:
        _map_litellm(survey, call, note)
    elif shape.model:
        survey.map_model(note, survey.value_of(call, *shape.model))
    survey.is_moved = True
    if not note.edits and note.certainty == "exact":
        survey.notes.remove(note)


def _set(survey: Survey, call: cst.Call, note: Note, shape: Shape, url: cst.Arg | None) -> None:
    """The address and the key: in place where they are given, else added."""
    added = {}
    if url is None:
        added[_name_like(call, shape.url, shape.key)] = f'"{survey.base_url}"'
    else:
        set_address(survey, note, url.value)
    key = keyword(call, *shape.key)
    if key is None:
        added[_name_like(call, shape.key, shape.url)] = KEY_EXPRESSION
        survey.needs_os.append(survey.tree.start(call))
    elif is_none(key.value):
        note.add(survey.read_key(key.value))
    elif not _is_own_key(survey, key.value):
        survey.move_key(note, key.value)
    note.add(add_arguments(survey.tree, call, added))


def set_address(survey: Survey, note: Note, value: cst.BaseExpression) -> None:
    """Moves OpenAI's address where it is written."""
    meant = survey.tree.resolve(value)
    url = text_of(meant) or ""
    if address.is_at(url, survey.base_url):
        return
    target = address.moved(url, survey.base_url) or survey.base_url
    note.add(survey.replace(meant, f'"{target}"'))


def is_none(node: cst.BaseExpression) -> bool:
    """True for None."""
    return isinstance(node, cst.Name) and node.value == "None"


def _name_like(call: cst.Call, names: tuple[str, ...], others: tuple[str, ...]) -> str:
    """Which spelling to add: that of its counterpart in the call, else the usual one."""
    other = keyword(call, *others)
    if other is None or other.keyword is None or len(names) == 1 or len(others) == 1:
        return names[0]
    return next(name for name in names if name.startswith("openai_") == other.keyword.value.startswith("openai_"))


def _is_open(survey: Survey, value: cst.BaseExpression) -> bool:
    """True for an address that is OpenAI's or HolySheep's, and for None."""
    meant = survey.tree.resolve(value)
    url = text_of(meant)
    if url is None:
        return is_none(meant)
    return address.is_openai(url) or address.is_at(url, survey.base_url)


def _leave_at(survey: Survey, call: cst.Call, shape: Shape, value: cst.BaseExpression) -> None:
    tree = survey.tree
    url = text_of(tree.resolve(value))
    if url is None:
        survey.stays = True
        reason = f"Its address comes from `{one_line(tree.source(value))}`: change it there."
        leave(survey, call, shape.kind, reason).certainty = "review"
    else:
        leave(survey, call, shape.kind, f"It goes to {url}, which is not OpenAI.")


def _is_own_key(survey: Survey, value: cst.BaseExpression) -> bool:
    meant = survey.tree.resolve(value)
    return survey.is_environment(meant) and '"HOLYSHEEP_API_KEY"' in survey.tree.source(meant).replace("'", '"')


def _is_own_provider(survey: Survey, call: cst.Call) -> bool:
    model = text_of(survey.tree.resolve(value)) if (value := survey.value_of(call, "model") or _first(call)) else None
    if model is None:
        return False
    provider, slash, _ = model.partition("/")
    return provider in ("openai", "anthropic") if slash else model.startswith(("gpt-", "o1", "o3", "o4", "claude-"))


def _first(call: cst.Call) -> cst.BaseExpression | None:
    return call.args[0].value if call.args and call.args[0].keyword is None and not call.args[0].star else None


def _map_litellm(survey: Survey, call: cst.Call, note: Note) -> None:
    """LiteLLM speaks OpenAI's protocol for models called `openai/...`."""
    value = survey.value_of(call, "model") or _first(call)
    assert value is not None
    meant = survey.tree.resolve(value)
    written = text_of(meant) or ""
    name = written.split("/", 1)[-1]
    mapped = survey.models.map(name)
    target = f"openai/{mapped[0] if mapped else name}"
    if mapped is None:
        note.add([], "review", f"The table of models has no entry for {name}: check that HolySheep offers it.")
    elif mapped[0] != name and not mapped[1]:
        note.add([], "review", f"{name} becomes {mapped[0]}: check the answers, or name another with --models.")
    if target != written:
        note.add(survey.replace(meant, f'"{target}"'))


def assigned_name(survey: Survey, call: cst.Call) -> str:
    """The name that what is built is given, as in "self.client"; "" for none."""
    for above in survey.tree.parents(call):
        if isinstance(above, cst.Assign):
            return dotted(above.targets[0].target)
        if isinstance(above, cst.AnnAssign):
            return dotted(above.target)
        if isinstance(above, cst.WithItem) and above.asname is not None:
            return dotted(above.asname.name)
        if isinstance(above, cst.BaseStatement):
            break
    return ""


def _is_passed_on(survey: Survey, node: cst.CSTNode) -> bool:
    """True for a class that is handed on or built upon, rather than called, imported or named as a type."""
    tree = survey.tree
    above = tree.parent(node)
    if isinstance(above, cst.Call):
        return False
    if isinstance(above, cst.Attribute | cst.ImportAlias | cst.Annotation | cst.AsName):
        return False
    if any(isinstance(each, cst.Annotation | cst.Import | cst.ImportFrom) for each in tree.parents(node)):
        return False
    calls = [each for each in tree.parents(node) if isinstance(each, cst.Call)]
    if any(dotted(call.func) in ("isinstance", "issubclass") for call in calls):
        return False
    return isinstance(above, cst.Arg | cst.Assign | cst.Element | cst.DictElement | cst.Return)
