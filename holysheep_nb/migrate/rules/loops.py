"""Hand-written streaming: a post and its loop over `data:` lines become `stream_chat_completion_sse`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import libcst as cst

from .. import address
from ..finding import Edit
from ..secret import find_keys, kind_of
from ..stream_loop import LoopReader, StreamLoop, Unreadable, lines_of
from ..survey import Note, Survey
from ..tree import dotted, entries, keyword, positional, text_of
from .posts import body_of, texts_of

_KNOWN = frozenset(["url", "headers", "json", "data", "content", "stream", "timeout", "method"])
_HEADERS = frozenset(["authorization", "content-type", "accept"])
_FIXED = frozenset(["model", "messages", "max_tokens", "stream", "stream_options"])
_FUNCTION = "stream_chat_completion_sse"


@dataclass
class _Place:
    """A post and its loop.

    post        the call
    answer      the name of its response
    first       the first statement of the two
    loop        the loop
    around      statements between them
    """

    post: cst.Call
    answer: str
    first: cst.CSTNode
    loop: cst.For
    around: list[cst.CSTNode]


def look(survey: Survey) -> None:
    """Rewrites every loop that is known for certain, and notes the others."""
    places = list(_places(survey))
    for place in places:
        try:
            _rewrite(survey, place)
        except Unreadable as problem:
            survey.note(place.loop, "data: loop", "review", f"The loop is left as it is. {problem}")
    loops = {id(place.loop) for place in places}
    for loop in survey.tree.every(cst.For):
        if id(loop) not in loops and _reads_data(survey, loop):
            seen = "It is not seen what it reads." if loop.asynchronous is None else "It is asynchronous."
            reason = f"The loop is left as it is. {seen}"
            survey.note(loop, "data: loop", "review", reason)


def _reads_data(survey: Survey, loop: cst.For) -> bool:
    """True for a loop of its own over lines of a chat completion."""
    source = survey.tree.source(loop)
    inner = any(_reads_data(survey, each) for each in survey.tree.within(loop.body, cst.For))
    return not inner and "[DONE]" in source and ("data:" in source or ".data" in source)


def _places(survey: Survey) -> Iterator[_Place]:
    tree = survey.tree
    for loop in tree.every(cst.For):
        if loop.asynchronous is not None or loop.orelse is not None:
            continue
        above = tree.parent(loop)
        block = list(above.body) if isinstance(above, cst.Module | cst.IndentedBlock) else []
        index = next((i for i, each in enumerate(block) if each is loop), 0)
        found = _opened_above(survey, loop, block[:index]) or _opened_around(survey, loop, block, index)
        if found is not None:
            yield found


def _opened_above(survey: Survey, loop: cst.For, above: Sequence[cst.CSTNode]) -> _Place | None:
    """`answer = requests.post(…)` above the loop."""
    around: list[cst.CSTNode] = []
    for statement in reversed(above):
        inner = statement.body[0] if isinstance(statement, cst.SimpleStatementLine) else None
        if (
            isinstance(inner, cst.Assign)
            and isinstance(inner.value, cst.Call)
            and isinstance(inner.targets[0].target, cst.Name)
        ):
            answer = inner.targets[0].target.value
            if _is_post(inner.value) and lines_of(survey.tree, loop.iter, answer):
                return _Place(inner.value, answer, statement, loop, around)
        around.append(statement)
    return None


def _opened_around(survey: Survey, loop: cst.For, block: Sequence[cst.CSTNode], index: int) -> _Place | None:
    """`with requests.post(…) as answer:` around the loop."""
    body = survey.tree.parent(loop)
    block_around = survey.tree.parent(body) if isinstance(body, cst.IndentedBlock) else None
    if not isinstance(block_around, cst.With) or len(block_around.items) != 1 or index != len(block) - 1:
        return None
    item = block_around.items[0]
    if not isinstance(item.item, cst.Call) or item.asname is None or not isinstance(item.asname.name, cst.Name):
        return None
    answer = item.asname.name.value
    if not _is_post(item.item) or not lines_of(survey.tree, loop.iter, answer):
        return None
    return _Place(item.item, answer, block_around, loop, list(block[:index]))


def _is_post(call: cst.Call) -> bool:
    return dotted(call.func).rsplit(".", 1)[-1] in ("post", "stream", "request")


def _rewrite(survey: Survey, place: _Place) -> None:
    tree = survey.tree
    start, end = tree.start(place.first), tree.span(place.loop)[1]
    if survey.document.piece_at(start) is not survey.document.piece_at(end - 1):
        raise Unreadable("The post stands in another cell.")
    arguments, reason = _arguments(survey, place.post)
    _check_names(survey, place.post)
    for statement in place.around:
        _check_between(survey, statement, place)
    _check_elsewhere(survey, place, place.answer, start, end)
    if not isinstance(place.loop.target, cst.Name):
        raise Unreadable("The loop has no plain variable.")
    kind = lines_of(tree, place.loop.iter, place.answer)
    assert kind is not None
    reader = LoopReader(tree, place.loop.target.value, kind)
    loop = reader.read(place.loop.body)
    for use in loop.uses:
        if any(name.value == place.answer for name in tree.within(use, cst.Name)):
            raise Unreadable(f"The loop uses `{place.answer}`.")
    for name in sorted(set(reader.kinds) - {loop.name}):
        _check_elsewhere(survey, place, name, start, end)
    taken = {name.value for name in tree.every(cst.Name)}
    name = loop.name or next(each for each in ("text", "piece", "answer_text") if each not in taken)
    text = f"for {name} in {_FUNCTION}({arguments}):\n{_body(survey, place, loop, name)}"
    edits = [Edit(start, end, text), *_unused(survey, place, start, end)]
    if _loses_comments(survey, place, loop):
        reason = f"{reason} Comments in the loop are gone.".strip()
    survey.needs_own.append(start)
    note = Note((start, end), "data: loop", "review" if reason else "exact", reason, edits)
    survey.notes.append(note)
    for edit in edits:
        survey.claim(edit.start, edit.end)
    survey.is_moved = True
    _take_out_keys(survey, edits)
    _map(survey, note, place.post, edits)


def _arguments(survey: Survey, call: cst.Call) -> tuple[str, str]:
    """The arguments of the function, from those of the post; and what a person should know."""
    tree = survey.tree
    names = {arg.keyword.value for arg in call.args if arg.keyword is not None}
    extra = sorted(names - _KNOWN)
    if extra:
        raise Unreadable(f"The post is given `{extra[0]}`.")
    _check_address(survey, call)
    headers = keyword(call, "headers")
    if headers is not None:
        known = entries(tree.resolve(headers.value))
        if known is None or not {each.lower() for each in known} <= _HEADERS:
            raise Unreadable("The post sends headers that are not known.")
    body = body_of(survey, call)
    if body is None or "model" not in body or "messages" not in body:
        raise Unreadable("The body of the post is not written out beside it.")
    if "stream" not in body or tree.source(body["stream"].value) != "True":
        raise Unreadable("The body of the post does not ask for a stream.")
    if body.get("n") is not None:
        raise Unreadable("The post asks for several answers.")
    written = [_model(survey, body["model"].value), tree.source(body["messages"].value)]
    tokens = body.get("max_tokens")
    written.append(f"max_tokens={'None' if tokens is None else tree.source(tokens.value)}")
    for key, element in body.items():
        if key not in _FIXED:
            if not key.isidentifier():
                raise Unreadable(f"The body of the post holds {key!r}.")
            written.append(f"{key}={tree.source(element.value)}")
    reason = "" if "timeout" not in names else "Its timeout is gone: the longest silence is a setting."
    return ", ".join(written), reason


def _check_address(survey: Survey, call: cst.Call) -> None:
    given = keyword(call, "url")
    value = given.value if given is not None else positional(call, 0)
    if value is not None and text_of(value) in ("POST", "post"):
        value = positional(call, 1)
    texts = [text for _, text in texts_of(survey, value)] if value is not None else []
    url = "".join(texts)
    if not url.endswith("/chat/completions"):
        raise Unreadable("It is not seen where the post goes.")
    if not address.is_openai(url) and not address.is_at(url, survey.base_url):
        raise Unreadable("The post goes to an address that is not OpenAI's.")


def _model(survey: Survey, value: cst.BaseExpression) -> str:
    """The model as it is written, or as the table has it."""
    name = text_of(value)
    mapped = survey.models.map(name) if name is not None else None
    return f'"{mapped[0]}"' if mapped is not None and mapped[0] != name else survey.tree.source(value)


def _map(survey: Survey, note: Note, call: cst.Call, edits: Sequence[Edit]) -> None:
    body = body_of(survey, call)
    value = body["model"].value if body is not None else None
    name = text_of(value)
    if name is None:
        survey.map_model(note, value)
        return
    mapped = survey.models.map(name)
    if mapped is None:
        note.add([], "review", f"The table of models has no entry for {name}: check that HolySheep offers it.")
    elif mapped[0] != name and not mapped[1]:
        note.add([], "review", f"{name} becomes {mapped[0]}: check the answers, or name another with --models.")


def _check_between(survey: Survey, statement: cst.CSTNode, place: _Place) -> None:
    """Between the post and the loop may stand `raise_for_status()` and the making of an event source."""
    source = survey.tree.source(statement)
    if source == f"{place.answer}.raise_for_status()":
        return
    inner = statement.body[0] if isinstance(statement, cst.SimpleStatementLine) else None
    if (
        isinstance(inner, cst.Assign)
        and survey.tree.imported(getattr(inner.value, "func", inner)) == "sseclient.SSEClient"
    ):
        return
    raise Unreadable("Something else is done between the post and the loop.")


def _check_names(survey: Survey, call: cst.Call) -> None:
    """The body and the headers must not be changed on their way from where they are written."""
    tree = survey.tree
    for arg in call.args:
        is_followed = arg.keyword is not None and arg.keyword.value in ("json", "data", "content", "headers")
        if not is_followed or not isinstance(arg.value, cst.Name):
            continue
        for use in tree.uses(arg.value.value, tree.scope(arg.value)):
            above = tree.parent(use)
            if not isinstance(above, cst.AssignTarget | cst.AnnAssign) and not _is_given(tree.parent(use)):
                raise Unreadable(f"`{use.value}` is used for more than the post.")


def _is_given(node: cst.CSTNode | None) -> bool:
    return isinstance(node, cst.Arg) and node.keyword is not None and node.keyword.value in _KNOWN


def _check_elsewhere(survey: Survey, place: _Place, name: str, start: int, end: int) -> None:
    """What goes must not be used elsewhere in the same function or module, unless it is given another value first."""
    tree = survey.tree
    scope = next((each for each in tree.parents(place.first) if isinstance(each, cst.FunctionDef)), tree.module)
    for use in tree.uses(name, scope):
        offset = tree.start(use)
        if not start <= offset < end and not _is_of_another_loop(survey, use, name):
            raise Unreadable(f"`{name}` is used again elsewhere.")


def _is_of_another_loop(survey: Survey, use: cst.Name, name: str) -> bool:
    """True within a loop or an assignment that gives the name a value of its own."""
    tree = survey.tree
    if isinstance(tree.parent(use), cst.AssignTarget):
        return True
    loops = [each for each in tree.parents(use) if isinstance(each, cst.For)]
    return any(isinstance(loop.target, cst.Name) and loop.target.value == name for loop in loops)


def _body(survey: Survey, place: _Place, loop: StreamLoop, name: str) -> str:
    """The statements that use the text, indented as the body of the new loop."""
    tree = survey.tree
    start, end = tree.start(loop.uses[0]), tree.span(loop.uses[-1])[1]
    if any("\n" in tree.source(each) for use in loop.uses for each in tree.within(use, cst.SimpleString)):
        raise Unreadable("The loop holds a string of several lines.")
    edits = [Edit(*tree.span(each), name) for each in loop.contents]
    text, position = "", start
    for edit in sorted(edits):
        text += tree.text[position : edit.start] + edit.text
        position = edit.end
    text += tree.text[position:end]
    old = tree.indent(start)
    new = tree.indent(tree.start(place.first)) + _step(survey)
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join([new + lines[0], *(_moved_line(line, old, new) for line in lines[1:])])


def _loses_comments(survey: Survey, place: _Place, loop: StreamLoop) -> bool:
    """True if comments stand in what is replaced, beyond the statements that are kept."""
    tree = survey.tree
    kept = (tree.start(loop.uses[0]), tree.span(loop.uses[-1])[1])
    start, end = tree.start(place.first), tree.span(place.loop)[1]
    places = [tree.start(each) for each in tree.every(cst.Comment)]
    return any(start <= each < end and not kept[0] <= each < kept[1] for each in places)


def _moved_line(line: str, old: str, new: str) -> str:
    return new + line.removeprefix(old) if line.strip() else line


def _step(survey: Survey) -> str:
    step: str = survey.tree.module.default_indent
    return step


def _unused(survey: Survey, place: _Place, start: int, end: int) -> list[Edit]:
    """Takes out the headers, body and address that only the post used, where they stand in the same block."""
    tree = survey.tree
    edits = []
    for arg in place.post.args:
        value = arg.value
        bound = tree.binding(value) if isinstance(value, cst.Name) else None
        if bound is None or not isinstance(value, cst.Name) or not isinstance(bound.node, cst.Assign):
            continue
        if len(bound.node.targets) != 1:
            continue
        if len(tree.uses(value.value, bound.scope)) != 2:
            continue
        statement = tree.statement(bound.node)
        first, last = tree.span(statement)
        is_beside = tree.parent(statement) is tree.parent(place.first)
        if not is_beside or survey.document.piece_at(first) is not survey.document.piece_at(start):
            continue
        line = tree.line_start(first)
        after = tree.text.find("\n", last) + 1
        if after and not tree.text[line:first].strip() and not tree.text[last:after].strip():
            edits.append(Edit(line, after, ""))
    return edits


def _take_out_keys(survey: Survey, edits: Sequence[Edit]) -> None:
    """Keys that go with the headers are named all the same."""
    for edit in edits:
        for first, last in find_keys(survey.tree.text[edit.start : edit.end]):
            key = survey.tree.text[edit.start + first : edit.start + last]
            survey.keys.append(key)
            span = (edit.start + first, edit.start + last)
            reason = f"The {kind_of(key)} that stood here is taken out: revoke it if others could read this file."
            survey.notes.append(Note(span, "hard-coded key", "exact", reason))
