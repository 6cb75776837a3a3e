"""Anthropic's clients: moved to the compatible form where every call and every use of an answer carries over."""

from __future__ import annotations

from dataclasses import dataclass, field

import libcst as cst

from ..arguments import add_arguments, drop_arguments
from ..finding import Edit
from ..survey import KEY_EXPRESSION, Note, Survey, one_line
from ..tree import dotted, has_stars, keyword, text_of
from .clients import assigned_name, leave

_CLIENTS = {
    "anthropic.Anthropic": "OpenAI",
    "anthropic.AsyncAnthropic": "AsyncOpenAI",
    "anthropic.Client": "OpenAI",
    "anthropic.AsyncClient": "AsyncOpenAI",
}
_CLIENT_ARGUMENTS = frozenset(["api_key", "timeout", "max_retries", "http_client"])
_ERRORS = frozenset(
    [
        *("APIError", "APIStatusError", "APIConnectionError", "APITimeoutError", "AuthenticationError"),
        *("BadRequestError", "ConflictError", "InternalServerError", "NotFoundError", "PermissionDeniedError"),
        *("RateLimitError", "UnprocessableEntityError"),
    ]
)
_ARGUMENTS = frozenset(
    ["model", "max_tokens", "messages", "system", "temperature", "top_p", "stop_sequences", "timeout"]
)
_ANSWER = {
    ".content[0].text": ".choices[0].message.content",
    ".usage.input_tokens": ".usage.prompt_tokens",
    ".usage.output_tokens": ".usage.completion_tokens",
    ".id": ".id",
    ".model": ".model",
}


class Stays(Exception):
    """Something does not carry over; the sentence says what."""


@dataclass
class _Move:
    """The edits of one file, made only if nothing stands against them."""

    notes: list[Note] = field(default_factory=list)
    keys: list[tuple[Note, cst.BaseExpression]] = field(default_factory=list)
    models: list[tuple[Note, cst.BaseExpression | None]] = field(default_factory=list)
    needs_os: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=list)


def look(survey: Survey) -> None:
    """Moves every client of Anthropic in the file, or none of them."""
    tree = survey.tree
    if "anthropic" not in tree.imports():
        return
    clients = [call for call in tree.every(cst.Call) if tree.imported(call.func) in _CLIENTS]
    others = [
        call for call in tree.every(cst.Call) if dotted(call.func).endswith((".messages.create", ".messages.stream"))
    ]
    move = _Move()
    try:
        for client in clients:
            _move_client(survey, client, move)
        for call in others:
            if dotted(call.func).rsplit(".messages.", 1)[0] not in move.names:
                raise Stays("The client of a call is built elsewhere.")
            _move_call(survey, call, move)
        if not clients and not others:
            raise Stays("It is not known what this is for.")
        _rename(survey, move)
    except Stays as reason:
        _leave(survey, clients, others, str(reason))
        return
    survey.notes += move.notes
    survey.needs_os += move.needs_os
    survey.moved_clients |= set(move.names)
    survey.is_moved = True
    for note, key in move.keys:
        survey.move_key(note, key)
    for note, model in move.models:
        survey.map_model(note, model)


def _leave(survey: Survey, clients: list[cst.Call], others: list[cst.Call], reason: str) -> None:
    sentence = f"It stays with Anthropic. {reason}"
    for client in clients:
        leave(survey, client, "anthropic client", sentence, "ANTHROPIC_API_KEY").certainty = "review"
    for call in others:
        survey.note(call, "anthropic call", "review", sentence)
    if not clients and not others:
        found = [
            node
            for node in [*survey.tree.every(cst.Import), *survey.tree.every(cst.ImportFrom)]
            if "anthropic" in survey.tree.source(node)
        ]
        survey.note(found[0], "anthropic import", "review", sentence)


def _note(survey: Survey, node: cst.CSTNode, kind: str, move: _Move) -> Note:
    note = Note(survey.tree.span(node), kind, "exact")
    move.notes.append(note)
    return note


def _move_client(survey: Survey, call: cst.Call, move: _Move) -> None:
    tree = survey.tree
    names = {arg.keyword.value for arg in call.args if arg.keyword is not None}
    if has_stars(call) or not names <= _CLIENT_ARGUMENTS:
        raise Stays(f"Its client is built with {one_line(', '.join(sorted(names - _CLIENT_ARGUMENTS)) or 'others')}.")
    name = assigned_name(survey, call)
    if not name:
        raise Stays("Its client has no name to follow.")
    note = _note(survey, call, "anthropic client", move)
    move.names.append(name)
    added = {"base_url": f'"{survey.base_url}"'}
    key = keyword(call, "api_key")
    if key is None:
        added["api_key"] = KEY_EXPRESSION
        move.needs_os.append(tree.start(call))
    else:
        move.keys.append((note, key.value))
    note.add(add_arguments(tree, call, added))


def _rename(survey: Survey, move: _Move) -> None:
    """`anthropic` becomes `openai` in imports and wherever it is named."""
    tree, note = survey.tree, move.notes[0]
    for imports in tree.every(cst.ImportFrom):
        if imports.module is None or dotted(imports.module).split(".")[0] != "anthropic":
            continue
        if dotted(imports.module) != "anthropic" or isinstance(imports.names, cst.ImportStar):
            raise Stays(f"`{one_line(tree.source(imports))}` has no counterpart.")
        note.add([Edit(*tree.span(imports.module), "openai")])
        for alias in imports.names:
            known = _counterpart(dotted(alias.name))
            if known != dotted(alias.name):
                note.add([Edit(*tree.span(alias.name), known)])
    for plain in tree.every(cst.Import):
        for alias in plain.names:
            if dotted(alias.name).split(".")[0] == "anthropic":
                if dotted(alias.name) != "anthropic":
                    raise Stays(f"`{one_line(tree.source(plain))}` has no counterpart.")
                note.add([Edit(*tree.span(alias.name), "openai")])
    for node in tree.every(cst.Attribute):
        found = tree.imported(node)
        if found.startswith("anthropic.") and found.count(".") == 1:
            note.add([Edit(*tree.span(node.attr), _counterpart(found.split(".")[1]))])
            if isinstance(node.value, cst.Name) and node.value.value == "anthropic":
                note.add([Edit(*tree.span(node.value), "openai")])
        elif found.startswith("anthropic."):
            raise Stays(f"`{one_line(tree.source(node))}` has no counterpart.")
    for name in tree.every(cst.Name):
        found = tree.imported(name)
        above = tree.parent(name)
        if found.startswith("anthropic.") and not isinstance(above, cst.ImportAlias | cst.AsName):
            if isinstance(above, cst.Attribute) and above.attr is name:
                continue
            known = _counterpart(found.split(".")[1])
            if name.value == found.split(".")[1] and known != name.value:
                note.add([Edit(*tree.span(name), known)])


def _counterpart(name: str) -> str:
    known = _CLIENTS.get(f"anthropic.{name}") or (name if name in _ERRORS else None)
    if known is None:
        raise Stays(f"`anthropic.{name}` has no counterpart.")
    return known


def _move_call(survey: Survey, call: cst.Call, move: _Move) -> None:
    tree = survey.tree
    names = [arg.keyword.value for arg in call.args if arg.keyword is not None]
    if has_stars(call) or len(names) < len(call.args):
        raise Stays("The arguments of a call come from elsewhere.")
    extra = sorted(set(names) - _ARGUMENTS)
    if extra:
        raise Stays(f"`{extra[0]}` means something else there.")
    note = _note(survey, call, "anthropic call", move)
    is_stream = dotted(call.func).endswith(".stream")
    assert isinstance(call.func, cst.Attribute)
    assert isinstance(call.func.value, cst.Attribute)
    is_async = isinstance(tree.parent(call), cst.Await)
    if is_stream:
        is_async = _move_stream(survey, call, note)
    edits = [Edit(tree.start(call.func.value.attr), tree.span(call.func)[1], "chat.completions.create")]
    if is_async and is_stream:
        edits.append(Edit(tree.start(call), tree.start(call), "await "))
    dropped = ["system"] if "system" in names else []
    edits += drop_arguments(tree, call, dropped)
    edits += _messages(survey, call, note)
    if is_stream:
        edits += add_arguments(tree, call, {"stream": "True"}, dropped)
    stop = keyword(call, "stop_sequences")
    if stop is not None and stop.keyword is not None:
        edits.append(Edit(*tree.span(stop.keyword), "stop"))
    note.add(edits)
    model = keyword(call, "model")
    move.models.append((note, None if model is None else model.value))
    if not is_stream:
        note.add(_answer(survey, call))


def _messages(survey: Survey, call: cst.Call, note: Note) -> list[Edit]:
    """The system prompt becomes the first message. Blocks of content stand against it."""
    tree = survey.tree
    messages, system = keyword(call, "messages"), keyword(call, "system")
    if messages is None:
        raise Stays("A call has no messages.")
    for each in (messages.value, None if system is None else system.value):
        meant = None if each is None else tree.resolve(each)
        if meant is not None and any(
            text_of(node) in ("type", "cache_control") for node in tree.within(meant, cst.SimpleString)
        ):
            raise Stays("Its messages hold blocks, which are written in another way there.")
    meant = tree.resolve(messages.value)
    if not isinstance(meant, cst.List):
        note.add(
            [],
            "review",
            f"The messages come from `{one_line(tree.source(messages.value))}`: texts carry over, blocks do not.",
        )
    elif any(not _is_text(tree.resolve(each.value)) for each in tree.within(meant, cst.DictElement)):
        raise Stays("Its messages hold blocks, which are written in another way there.")
    if system is None:
        return []
    if isinstance(tree.resolve(system.value), cst.List):
        raise Stays("Its system prompt is made of blocks.")
    first = f'{{"role": "system", "content": {tree.source(system.value)}}}'
    value = messages.value
    if not isinstance(value, cst.List):
        return [Edit(*tree.span(value), f"[{first}, *{tree.source(value)}]")]
    if not value.elements:
        return [Edit(*tree.span(value), f"[{first}]")]
    start = tree.start(value.elements[0])
    stands_alone = not tree.text[tree.line_start(start) : start].strip()
    return [Edit(start, start, f"{first},\n{tree.indent(start)}" if stands_alone else f"{first}, ")]


def _is_text(value: cst.BaseExpression) -> bool:
    return not isinstance(value, cst.List | cst.Dict | cst.ListComp | cst.Tuple)


def _answer(survey: Survey, call: cst.Call) -> list[Edit]:
    """The uses of an answer, as the compatible form has them."""
    tree = survey.tree
    outer: cst.CSTNode = call
    above = tree.parent(call)
    if isinstance(above, cst.Await):
        outer, above = above, tree.parent(above)
    if isinstance(above, cst.Expr):
        raise Stays("The answer of a call is not kept.")
    if isinstance(above, cst.Assign | cst.NamedExpr):
        target = above.targets[0].target if isinstance(above, cst.Assign) else above.target
        if not isinstance(target, cst.Name):
            raise Stays(f"The answer is kept in `{one_line(tree.source(target))}`, which is not followed.")
        scope = tree.scope(target)
        bound = [each for each in tree.bindings.get(target.value, []) if each.scope is scope]
        if any(not _is_call(each.value) for each in bound):
            raise Stays(f"`{target.value}` holds other things too.")
        edits = []
        for name in tree.uses(target.value, scope):
            if name not in [each.target for b in bound if isinstance(b.node, cst.Assign) for each in b.node.targets]:
                edits.append(_use(survey, name))
        return edits
    return [_use(survey, outer)]


def _is_call(value: cst.BaseExpression) -> bool:
    return dotted(value).endswith(".messages.create()")


def _use(survey: Survey, node: cst.CSTNode) -> Edit:
    """What is read of an answer: the longest path that is known."""
    tree = survey.tree
    start = end = tree.span(node)[1]
    if node is not None and isinstance(node, cst.Await):
        end = start = tree.text.index(")", start) + 1
    above, path = tree.parent(node), ""
    while True:
        if isinstance(above, cst.Attribute):
            path += f".{above.attr.value}"
        elif isinstance(above, cst.Subscript) and tree.span(above)[0] <= tree.start(node):
            path += tree.text[end : tree.span(above)[1]].strip()
        else:
            raise Stays(f"`{one_line(tree.source(tree.statement(node)))}` uses an answer in a way that differs there.")
        end = tree.span(above)[1]
        if path in _ANSWER:
            return Edit(start, end, _ANSWER[path])
        above = tree.parent(above)


def _move_stream(survey: Survey, call: cst.Call, note: Note) -> bool:
    """`with client.messages.stream(...) as stream`, read by `stream.text_stream` alone. True if it is async."""
    tree = survey.tree
    item = tree.parent(call)
    block = tree.parent(item) if item is not None else None
    if not isinstance(item, cst.WithItem) or not isinstance(block, cst.With) or item.asname is None:
        raise Stays("A stream is opened without `with`.")
    name = item.asname.name
    if not isinstance(name, cst.Name):
        raise Stays("A stream has no name to follow.")
    is_async = block.asynchronous is not None
    word = "async for" if is_async else "for"
    for use in tree.within(block.body, cst.Name):
        above = tree.parent(use)
        if use.value != name.value or (isinstance(above, cst.Attribute) and above.attr is use):
            continue
        loop = tree.parent(above) if above is not None else None
        is_text = isinstance(above, cst.Attribute) and above.attr.value == "text_stream"
        if not is_text or not isinstance(loop, cst.For) or loop.iter is not above:
            raise Stays(f"`{one_line(tree.source(tree.statement(use)))}` reads more of a stream than its text.")
        piece = "chunk.choices[0].delta.content"
        texts = f"({piece} {word} chunk in {name.value} if chunk.choices and {piece})"
        note.add([Edit(*tree.span(above), texts)])
    return is_async
