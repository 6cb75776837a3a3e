"""The tools of an MCP server as tools of a chat: what they are called, their arguments checked, their results read."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeAlias

from ..content import MAX_BYTES, MAX_IMAGES, Content, cut, images
from ..errors import McpServerError, ToolArgumentsError
from ..tools import Arguments, Tool

CallTool: TypeAlias = Callable[[str, dict[str, Any]], Coroutine[Any, Any, Content]]

_NAME_CHARACTERS = 64
_IMAGE_TYPES = ("image/png", "image/jpeg", "image/gif", "image/webp")


def make_tools(server: str, listed: Sequence[Any], call: CallTool, timeout_s: float) -> dict[str, Tool]:
    """The tools that a server lists, by the names that it has for them.

    listed      `mcp.types.Tool`s
    call        makes a call: the server's name for the tool, and the arguments
    timeout_s   how long a call may take

    None of them is safe: what a server says about that, such as `readOnlyHint`, is its own word alone.
    """
    names = name_tools(server, [each.name for each in listed])
    return {each.name: _make_tool(name, each, call, timeout_s) for name, each in zip(names, listed, strict=True)}


def name_tools(server: str, tools: Sequence[str]) -> list[str]:
    """What a model calls the tools of a server by: SERVER_TOOL in the letters and the length that names may have.

    No two are the same.
    """
    names: list[str] = []
    for tool in tools:
        wanted = re.sub(r"[^A-Za-z0-9_-]", "_", f"{server}_{tool}")[:_NAME_CHARACTERS]
        name, number = wanted, 1
        while name in names:
            number += 1
            name = f"{wanted[: _NAME_CHARACTERS - len(f'_{number}')]}_{number}"
        names.append(name)
    return names


def read_result(result: Any) -> Content:
    """An `mcp.types.CallToolResult` as a model reads it.

    Text stays as it is, and structured content becomes JSON where there is no text. Images are kept; what else
    there is, such as audio, is mentioned. Raises `McpServerError` with the text of a result that is an error.
    """
    texts: list[str] = []
    pictures: list[str] = []
    for block in result.content:
        if block.type == "image":
            texts.append(_take_image(block, pictures))
        else:
            texts.append(_words_of(block))
    if result.structured_content is not None and not any(block.type == "text" for block in result.content):
        texts.insert(0, json.dumps(result.structured_content, ensure_ascii=False))
    text = cut("\n".join(texts), MAX_BYTES)
    if result.is_error:
        raise McpServerError(text or "The call failed, and the server does not say why.")
    return Content(text or "(The call gave no result.)", tuple(pictures))


def _make_tool(name: str, listed: Any, call: CallTool, timeout_s: float) -> Tool:
    async def function(**arguments: Any) -> Content:
        return await call(listed.name, arguments)

    def read(arguments: dict[str, Any]) -> Arguments:
        problem = _problem(listed.input_schema, arguments)
        if problem:
            raise ToolArgumentsError(f"The arguments of {name} do not fit its schema: {problem}.")
        return (), arguments

    return Tool(
        function,
        name=name,
        description=listed.description or listed.title or "",
        parameters=listed.input_schema,
        read=read,
        runs_on_stream_thread=True,
        timeout_s=timeout_s,
    )


def _problem(schema: dict[str, Any], arguments: dict[str, Any]) -> str:
    """What is wrong with the arguments, or "". A schema that cannot be used leaves it to the server to say."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError, best_match
    from jsonschema.validators import validator_for
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    validator = validator_for(schema, default=Draft202012Validator)
    try:
        validator.check_schema(schema)
        # With an empty registry, no reference of a schema is fetched from the network.
        error = best_match(validator(schema, registry=Registry()).iter_errors(arguments))
    except (SchemaError, Unresolvable):
        return ""
    if error is None:
        return ""
    return f"{error.json_path.removeprefix('$.')}: {error.message}" if error.path else str(error.message)


def _take_image(block: Any, pictures: list[str]) -> str:
    """The words that stand for an image, which is added to the others if a model can be sent it."""
    if len(pictures) == MAX_IMAGES:
        return f"(an image that is left out: only the first {MAX_IMAGES} are shown)"
    try:
        url = _image_url(block)
    except ValueError as error:
        return f"(an image that cannot be shown: {error})"
    pictures.append(url)
    return f"(image {len(pictures)})"


def _image_url(block: Any) -> str:
    """The image as a data URL. Raises `ValueError` with what is wrong."""
    if block.mime_type not in _IMAGE_TYPES:
        raise ValueError(f"it is of type {block.mime_type!r}")
    data = base64.b64decode(block.data, validate=True)
    if block.mime_type == "image/png":
        return images.read_png(data).url
    if len(data) > images.MAX_BYTES:
        raise ValueError(f"it is too large, {len(data):,} bytes")
    return f"data:{block.mime_type};base64,{block.data}"


def _words_of(block: Any) -> str:
    if block.type == "text":
        return str(block.text)
    if block.type == "resource_link":
        return f"(the resource {block.name}: {block.uri})"
    if block.type == "resource":
        text = getattr(block.resource, "text", None)
        what = f"the resource {block.resource.uri}"
        return f"({what}, of type {block.resource.mime_type})" if text is None else f"({what})\n{text}"
    return f"({block.type}, which a model cannot read)"
