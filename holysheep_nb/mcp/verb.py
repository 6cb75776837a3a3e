"""`%holysheep mcp ...`: the line read, and what it does."""

from __future__ import annotations

import asyncio
import os
import shlex
from collections.abc import Collection, Coroutine
from typing import Any
from urllib.parse import urlsplit

from ..errors import McpServerError, UsageError
from .server import CALL_TIMEOUT_S, McpServer
from .servers import servers

_FORMS = (
    "add [--env KEY[=VALUE]] [--timeout SECONDS] NAME COMMAND ARGUMENTS",
    "add [--timeout SECONDS] NAME URL",
    "list",
    "remove NAME",
    "restart NAME",
)
_DESCRIPTION_CHARACTERS = 100


def read_mcp_line(line: str, key_names: Collection[str] = ()) -> Coroutine[Any, Any, str]:
    """What the line asks for, to be awaited on the stream thread; it gives the text to show.

    key_names   variables that no server gets

    Raises `UsageError`; awaiting it raises `HolySheepError`.
    """
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise UsageError(f"The line cannot be read ({str(error).lower()}): check its quotes.") from None
    match words:
        case [] | ["list"]:
            return _list()
        case ["add", *rest]:
            return _add(_read_server(rest, key_names))
        case ["remove", name]:
            return _remove(name)
        case ["restart", name]:
            return _restart(name)
    raise UsageError(f"%holysheep mcp takes one of: {'; '.join(_FORMS)}.")


def _read_server(words: list[str], key_names: Collection[str]) -> McpServer:
    """The server that `add` names: options stand before its name, what follows it is the server's own."""
    env: dict[str, str] = {}
    timeout_s = CALL_TIMEOUT_S
    while words and words[0].startswith("-"):
        option, *words = words
        if option not in ("--env", "--timeout") or not words:
            raise UsageError(f"%holysheep mcp add takes --env KEY=VALUE and --timeout SECONDS, and not {option!r}.")
        value, *words = words
        if option == "--env":
            env |= _read_variable(value, key_names)
        else:
            timeout_s = _read_seconds(value)
    match words:
        case [name, url] if "://" in url:
            if env:
                raise UsageError("--env is for a server that is started by a command: leave it out.")
            return McpServer(name, url, timeout_s=timeout_s)
        case [name, _, *_]:
            return McpServer(name, words[1:], env=env, timeout_s=timeout_s)
    raise UsageError(f"%holysheep mcp add needs a name, and a command or an address: {_FORMS[0]}.")


def _read_variable(word: str, key_names: Collection[str]) -> dict[str, str]:
    key, has_value, value = word.partition("=")
    if key in key_names:
        raise UsageError(f"{key} is not handed to MCP servers.")
    if not has_value and key not in os.environ:
        raise UsageError(f"There is no variable {key!r} here: set it, or write --env {key}=VALUE.")
    return {key: value if has_value else os.environ[key]}


def _read_seconds(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise UsageError(f"--timeout takes a number of seconds, and {word!r} is none.") from None


async def _add(server: McpServer) -> str:
    await servers.add(server)
    return _greeting(server)


async def _remove(name: str) -> str:
    await servers.remove(name)
    return f"The MCP server {name} is removed."


async def _restart(name: str) -> str:
    server = servers[name]
    await server.start()
    return _greeting(server)


def _greeting(server: McpServer) -> str:
    count = len(server.tools)
    if not count:
        return f"The MCP server {server.name} is ready, and offers no tool."
    return (
        f"The MCP server {server.name} is ready. -T {server.name} offers its {count} tool(s) to a model, "
        f"-T {server.name}.{server.tool_names[0]} one of them."
    )


async def _list() -> str:
    described = [servers[name] for name in servers]
    texts = await asyncio.gather(*(_describe(server) for server in described))
    return "\n\n".join(texts) or "There is no MCP server. `%holysheep mcp add NAME COMMAND` adds one."


async def _describe(server: McpServer) -> str:
    """A server, its state, and its tools as they are now."""
    note = ""
    if server.state == "ready":
        try:
            await server.refresh()
        except McpServerError as error:
            note = f"  {error}"
    heading = f"{server.name}  {server.state}  {_shown(server.target)}"
    if server.state != "ready" or note:
        return "\n".join([heading, *([note] if note else [])])
    return "\n".join([heading, *_tool_lines(server)])


def _tool_lines(server: McpServer) -> list[str]:
    return [
        f"  -T {server.name}.{name}  {_first_line(tool.description)}".rstrip()
        for name, tool in zip(server.tool_names, server.tools, strict=True)
    ]


def _first_line(text: str) -> str:
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return line if len(line) <= _DESCRIPTION_CHARACTERS else line[:_DESCRIPTION_CHARACTERS] + "…"


def _shown(target: str | tuple[str, ...]) -> str:
    """The command, or the address without its query, which may hold a key."""
    return urlsplit(target)._replace(query="", fragment="").geturl() if isinstance(target, str) else shlex.join(target)
