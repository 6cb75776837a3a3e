"""Requests written by hand: addresses, posts to /chat/completions, and the keys in their headers."""

from __future__ import annotations

import libcst as cst

from .. import address
from ..finding import Edit
from ..secret import find_keys
from ..survey import KEY_NAME, Note, Survey, one_line
from ..tree import dotted, entries, keyword, positional, text_of

_METHODS = ("post", "stream", "request", "Request", "send", "build_request")
_LIBRARIES = ("requests", "httpx", "aiohttp", "urllib", "urllib3")
_HEADER = "authorization"
_UNKNOWN_KEY = "It is not seen where the key comes from: change both by hand, so that OpenAI's key stays with OpenAI."


def look(survey: Survey) -> None:
    """Moves OpenAI's addresses and what is posted there; other hosts are left alone."""
    written = _written(survey)
    if not written and "/chat/completions" not in survey.tree.text:
        return
    left = [each for each in written if address.is_openai(each[1]) and _moved(survey, each) is None]
    for node, url in left:
        survey.stays = True
        path = one_line(url.split("api.openai.com", 1)[1])
        survey.note(node, "address", "review", f"HolySheep may not offer {path}: it goes where it went.")
    for node, url in written:
        if url.startswith("https://api.anthropic.com"):
            survey.note(node, "address", "review", "Anthropic's own protocol: the body and the answer differ.")
        elif ".openai.azure.com" in url and survey.is_free(node):
            survey.note(node, "address", "manual", "A deployment at Azure: its address and header differ.")
    movable = [each for each in written if address.is_openai(each[1]) and each not in left]
    if left:
        for node, _ in movable:
            survey.note(
                node, "address", "review", "The same file asks OpenAI for more: move both, or part their keys first."
            )
        return
    if movable and not _sees_key(survey):
        survey.stays = True
        for node, _ in movable:
            survey.note(node, "address", "review", _UNKNOWN_KEY)
        return
    headers = _headers(survey) or []
    moves: list[Note] = []
    for call, value in _posts(survey):
        note = _look_at_post(survey, call, value, movable)
        moves += [note] if note is not None else []
    for node, url in movable:
        edits = survey.replace(node, _in_place(survey, node, _moved(survey, (node, url)) or url))
        if edits:
            moves.append(survey.note(node, "address", "exact", "", edits))
    if moves:
        survey.is_moved = True
        for value in headers:
            _move_header(survey, moves[0], value)


def _written(survey: Survey) -> list[tuple[cst.CSTNode, str]]:
    """Every address in the code that no other rule has, and that is not prose."""
    tree = survey.tree
    found: list[tuple[cst.CSTNode, str]] = []
    for node in tree.every(cst.SimpleString):
        value = text_of(node)
        if value is not None and address.has_host(value) and not tree.is_docstring(node) and _is_open(survey, node):
            found.append((node, value))
    for part in tree.every(cst.FormattedStringText):
        if address.has_host(part.value) and _is_open(survey, part):
            found.append((part, part.value))
    return found


def _is_open(survey: Survey, node: cst.CSTNode) -> bool:
    """False where a client has moved the address already, or was left with it."""
    span = survey.tree.span(node)
    if not survey.is_free(node) or any(edit.start < span[1] and edit.end > span[0] for edit in _edits(survey)):
        return False
    return not any(
        isinstance(each, cst.Arg) and each.keyword is not None and each.keyword.value in ("api_base", "openai_api_base")
        for each in survey.tree.parents(node)
    ) and not any(
        note.certainty != "exact" and not note.edits and note.span[0] <= span[0] and span[1] <= note.span[1]
        for note in survey.notes
    )


def _edits(survey: Survey) -> list[Edit]:
    return [edit for note in survey.notes for edit in note.edits if edit.end > edit.start]


def _moved(survey: Survey, written: tuple[cst.CSTNode, str]) -> str | None:
    node, url = written
    if isinstance(node, cst.FormattedStringText) and not url.rstrip("/").endswith(("/v1", ".com", "/chat/completions")):
        return None
    return address.moved(url, survey.base_url)


def _in_place(survey: Survey, node: cst.CSTNode, text: str) -> str:
    if isinstance(node, cst.SimpleString):
        return f"{node.prefix}{node.quote}{text}{node.quote}"
    return text


def _posts(survey: Survey) -> list[tuple[cst.Call, cst.BaseExpression]]:
    """Calls that post to an address that ends in /chat/completions, with that address."""
    found = []
    for call in survey.tree.every(cst.Call):
        method = dotted(call.func).rsplit(".", 1)[-1]
        is_route = isinstance(survey.tree.parent(call), cst.Decorator)
        if method not in _METHODS or is_route or not survey.is_free(call):
            continue
        given = keyword(call, "url", "full_url")
        candidates = [given.value] if given else [each for i in (0, 1) if (each := positional(call, i)) is not None]
        for value in candidates:
            if "/chat/completions" in "".join(text for _, text in texts_of(survey, value)):
                found.append((call, value))
                break
    return found


def texts_of(survey: Survey, value: cst.BaseExpression, depth: int = 0) -> list[tuple[cst.CSTNode, str]]:
    """The pieces of text an expression is made of, in order; names are followed to their constants."""
    meant = survey.tree.resolve(value)
    if isinstance(meant, cst.SimpleString):
        return [(meant, text_of(meant) or "")]
    if depth > 5:
        return []
    if isinstance(meant, cst.FormattedString):
        pieces: list[tuple[cst.CSTNode, str]] = []
        for part in meant.parts:
            if isinstance(part, cst.FormattedStringText):
                pieces.append((part, part.value))
            elif isinstance(part, cst.FormattedStringExpression):
                pieces += texts_of(survey, part.expression, depth + 1) or [(part, "")]
        return pieces
    if isinstance(meant, cst.BinaryOperation | cst.ConcatenatedString):
        return texts_of(survey, meant.left, depth + 1) + texts_of(survey, meant.right, depth + 1)
    if isinstance(meant, cst.Call) and isinstance(meant.func, cst.Attribute):
        return [
            *texts_of(survey, meant.func.value, depth + 1),
            *(texts_of(survey, meant.args[-1].value) if meant.args else []),
        ]
    return []


def _look_at_post(
    survey: Survey, call: cst.Call, value: cst.BaseExpression, movable: list[tuple[cst.CSTNode, str]]
) -> Note | None:
    """Notes a post: moved with its model where it goes to OpenAI, left alone where it goes elsewhere."""
    tree = survey.tree
    library = next((each for each in _LIBRARIES if each in tree.imports()), "http")
    kind = f"{library} post"
    texts = texts_of(survey, value)
    hosts = [text for _, text in texts if address.has_host(text)]
    if any(address.is_at(host, survey.base_url) for host in hosts):
        return None
    if hosts and not address.is_openai(hosts[0]):
        survey.note(call, kind, "manual", f"It goes to {one_line(hosts[0])}, which is not OpenAI.")
        return None
    if not hosts:
        if any(address.is_at(text_of(node) or "", survey.base_url) for node in tree.every(cst.SimpleString)):
            return None
        reason = f"Its address comes from `{one_line(tree.source(value))}`: change it there."
        if any("base_url" in (arg.keyword.value if arg.keyword else "") for arg in tree.every(cst.Arg)) and movable:
            return _move_post(survey, call, kind)
        survey.note(call, kind, "review", reason)
        return None
    note = _move_post(survey, call, kind)
    for node, text in texts:
        if (node, text) in movable:
            note.add(survey.replace(node, _in_place(survey, node, address.moved(text, survey.base_url) or text)))
    return note


def _move_post(survey: Survey, call: cst.Call, kind: str) -> Note:
    note = survey.note(call, kind)
    payload = body_of(survey, call)
    if payload is None:
        note.add([], "review", "The body comes from elsewhere: check the name of its model.")
    elif "model" in payload:
        survey.map_model(note, payload["model"].value)
    return note


def body_of(survey: Survey, call: cst.Call) -> dict[str, cst.DictElement] | None:
    """The entries of the body that is posted as JSON; None where it is not written out."""
    given = keyword(call, "json", "data", "content")
    if given is None:
        return None
    meant = survey.tree.resolve(given.value)
    if isinstance(meant, cst.Call) and isinstance(meant.func, cst.Attribute) and meant.func.attr.value == "encode":
        meant = survey.tree.resolve(meant.func.value)
    if isinstance(meant, cst.Call) and survey.tree.imported(meant.func) == "json.dumps" and meant.args:
        meant = survey.tree.resolve(meant.args[0].value)
    return entries(meant)


def _headers(survey: Survey) -> list[cst.BaseExpression] | None:
    """What goes with the posts as their Authorization; None where that is not seen, or may go elsewhere too."""
    tree = survey.tree
    posts = _posts(survey)
    given = [keyword(call, "headers") for call, _ in posts]
    known = [entries(tree.resolve(arg.value)) for arg in given if arg is not None]
    if posts and len(known) == len(posts) and all(each is not None for each in known):
        return [element.value for each in known if each for key, element in each.items() if key.lower() == _HEADER]
    if None in known or any(not address.is_openai(url) for _, url in _written(survey)):
        return None
    pairs = [(element.key, element.value) for element in tree.every(cst.DictElement)]
    for assign in tree.every(cst.Assign):
        target = assign.targets[0].target
        if isinstance(target, cst.Subscript) and isinstance(target.slice[0].slice, cst.Index):
            pairs.append((target.slice[0].slice.value, assign.value))
    return [value for key, value in pairs if (text_of(key) or "").lower() == _HEADER and survey.is_free(value)]


def _sees_key(survey: Survey) -> bool:
    """True if the key that goes with the addresses can be moved with them."""
    tree = survey.tree
    headers = _headers(survey)
    if headers is None:
        return False
    if headers:
        return all(_has_known_form(tree.resolve(value)) for value in headers)
    reads = [*tree.every(cst.Subscript), *tree.every(cst.Call)]
    is_read = any("OPENAI_API_KEY" in tree.source(node) for node in reads if survey.is_environment(node))
    return is_read or bool(find_keys(tree.text)) or bool(survey.needs_own)


def _has_known_form(value: cst.BaseExpression) -> bool:
    if isinstance(value, cst.Call):
        return isinstance(value.func, cst.Attribute) and value.func.attr.value == "format"
    return isinstance(value, cst.SimpleString | cst.FormattedString | cst.BinaryOperation)


def _move_header(survey: Survey, note: Note, value: cst.BaseExpression) -> None:
    """`Bearer …` in all its spellings."""
    tree = survey.tree
    meant = tree.resolve(value)
    if isinstance(meant, cst.SimpleString):
        written = text_of(meant) or ""
        key = written.removeprefix("Bearer").strip()
        survey.take_out(meant, key)
        quote = "'" if '"' in meant.quote else '"'
        edits = survey.replace(meant, f"f{meant.quote}Bearer {{os.environ[{quote}{KEY_NAME}{quote}]}}{meant.quote}")
        if edits:
            survey.needs_os.append(tree.start(meant))
        note.add(edits)
    elif isinstance(meant, cst.FormattedString):
        for part in meant.parts:
            if isinstance(part, cst.FormattedStringExpression):
                survey.move_key(note, part.expression, "'" if '"' in meant.start else '"')
    elif isinstance(meant, cst.BinaryOperation):
        survey.move_key(note, meant.right)
    elif isinstance(meant, cst.Call):
        for arg in meant.args:
            survey.move_key(note, arg.value)
