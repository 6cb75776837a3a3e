"""The MCP servers of this process, by name.

%holysheep mcp add files uvx some-mcp-server .
chat.ask("Which files are there?", tools=servers["files"].tools)
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import contextlib
from collections.abc import Iterator

from ..errors import UsageError
from ..kernel import stream_thread
from ..tools import Tool
from .server import McpServer

_END_TIMEOUT_S = 8.0  # the SDK asks a process to end, then terminates it, then kills it: 6.5 s at most


class McpServers:
    """The servers of this process, by name. Coroutines belong to the stream thread."""

    def __init__(self) -> None:
        self._servers: dict[str, McpServer] = {}

    def __getitem__(self, name: str) -> McpServer:
        if name not in self._servers:
            there = ", ".join(self._servers) or "none"
            raise UsageError(f"There is no MCP server {name!r}; there are: {there}.")
        return self._servers[name]

    def __contains__(self, name: str) -> bool:
        return name in self._servers

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._servers))

    async def add(self, server: McpServer) -> None:
        """Starts a server. One that does not start is not kept. Raises `UsageError` and what `start` does."""
        if server.name in self._servers:
            raise UsageError(
                f"There is an MCP server {server.name} already: `%holysheep mcp remove {server.name}` ends it."
            )
        self._servers[server.name] = server
        try:
            await server.start()
        except BaseException:
            if self._servers.get(server.name) is server:
                del self._servers[server.name]
            raise

    async def remove(self, name: str) -> None:
        """Ends a server, and forgets it. Raises `UsageError`."""
        server = self[name]
        del self._servers[name]
        await server.stop()

    def find_tools(self, name: str) -> list[Tool] | None:
        """All tools of the server called `name`, or the one of `SERVER.TOOL`; None if there is no such server.

        Raises `UsageError` for a tool that the server does not have, and `McpServerError` for a server that has ended.
        """
        root, _, tool = name.partition(".")
        if root not in self._servers:
            return None
        server = self._servers[root]
        server.check_ready()
        return [server.tool(tool)] if tool else server.tools

    def close(self) -> None:
        """Ends all servers, and waits until their processes are gone. Not for the stream thread."""
        if not self._servers:
            return
        servers, self._servers = list(self._servers.values()), {}

        async def stop_all() -> None:
            await asyncio.gather(*(server.stop() for server in servers))

        with contextlib.suppress(concurrent.futures.TimeoutError):
            stream_thread.submit(stop_all()).result(_END_TIMEOUT_S)


servers = McpServers()
# Registered later than the stream thread's own end, and so called before it.
atexit.register(servers.close)
