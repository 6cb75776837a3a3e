"""One MCP server: a process or a web address that offers tools. Everything that knows the SDK is here."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import math
import re
import tempfile
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import IO, Any, Literal, TypeAlias

from ..content import Content
from ..errors import ConfigurationError, McpServerError, UsageError
from ..kernel import stream_thread
from ..tools import Tool
from ..version import __version__
from .tools import make_tools, read_result

State: TypeAlias = Literal["starting", "ready", "ended"]

START_TIMEOUT_S = 30.0
CALL_TIMEOUT_S = 300.0
_LIST_TIMEOUT_S = 5.0
_NOTICE_TIMEOUT_S = 2.0
_MAX_PAGES = 100
_STDERR_CHARACTERS = 2000
_LINE_CHARACTERS = 200
_NAME = re.compile(r"[A-Za-z0-9_-]{1,32}")

# What the SDK logs would otherwise be printed into whatever cell runs.
for _logger in ("mcp", "client"):
    logging.getLogger(_logger).addHandler(logging.NullHandler())


class McpServer:
    """One MCP server, and the tools it offers. Its coroutines belong to the stream thread.

    name        its own here: letters, digits, _ and -, 32 at most
    target      an http or https address, or the words of a command, whose process talks on stdin and stdout
    env         variables of that process, besides a short list of harmless ones; it gets no others
    timeout_s   how long a call may take

    Raises `UsageError`.
    """

    def __init__(
        self,
        name: str,
        target: str | Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        timeout_s: float = CALL_TIMEOUT_S,
    ) -> None:
        if not _NAME.fullmatch(name):
            raise UsageError(
                f"{name!r} cannot be the name of an MCP server: give it one of letters, digits, _ and -, "
                "of 32 characters at most."
            )
        if isinstance(target, str) and not re.match(r"https?://[^/]", target):
            raise UsageError(f"The address {target!r} of an MCP server must begin with http:// or https://.")
        if not target or not (0 < timeout_s < math.inf):
            raise UsageError("An MCP server needs a command or an address, and a timeout above 0 seconds.")
        self.name = name
        self.target = target if isinstance(target, str) else tuple(target)
        self.env = dict(env or {})
        self.timeout_s = timeout_s
        self.state: State = "ended"
        self.stderr = ""
        self._tools: dict[str, Tool] = {}
        self._client: Any = None
        self._scope: Any = None
        self._life: asyncio.Task[None] | None = None
        self._reason = ""

    def __repr__(self) -> str:
        return f"<McpServer {self.name}, {self.state}, {len(self._tools)} tools>"

    @property
    def tools(self) -> list[Tool]:
        """Its tools, for `Chat(tools=...)`."""
        return list(self._tools.values())

    @property
    def tool_names(self) -> list[str]:
        """What the server itself calls its tools, in the same order."""
        return list(self._tools)

    def tool(self, name: str) -> Tool:
        """The tool that the server calls `name`. Raises `UsageError`."""
        if name not in self._tools:
            there = ", ".join(self._tools) or "none"
            raise UsageError(f"The MCP server {self.name} has no tool {name!r}; it has: {there}.")
        return self._tools[name]

    def check_ready(self) -> None:
        """Raises `McpServerError` unless calls can be made."""
        if self.state == "starting":
            raise McpServerError(f"The MCP server {self.name} is still starting: wait until it has.")
        if self.state == "ended":
            raise self._ended()

    async def start(self) -> None:
        """Starts it, and asks for its tools. Raises `McpServerError`, and `ConfigurationError` without the SDK."""
        _check_sdk()
        import anyio

        await self.stop()
        self.state, self.stderr, self._reason = "starting", "", ""
        self._scope = anyio.CancelScope()
        begun: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._life = asyncio.create_task(self._live(begun))
        try:
            await begun
        except asyncio.CancelledError:
            self._end("the start was cancelled")
            raise

    async def stop(self) -> None:
        """Ends it, with all processes that it has started."""
        self._end("it was stopped")
        if self._life is not None and not self._life.done():
            await asyncio.wait({self._life})

    async def refresh(self) -> None:
        """Asks for its tools again. Raises `McpServerError` if it does not say."""
        client = self._client
        if client is None:
            raise self._ended()
        try:
            self._take(await asyncio.wait_for(_list_tools(client), _LIST_TIMEOUT_S))
        except asyncio.TimeoutError:
            raise McpServerError(
                f"The MCP server {self.name} does not answer: `%holysheep mcp restart {self.name}` starts it again."
            ) from None
        except Exception as error:
            raise await self._call_error(client, error) from error

    async def _live(self, begun: asyncio.Future[None]) -> None:
        """The whole life of the server. The contexts of the SDK must be left by the task that entered them."""
        import anyio
        from mcp import Client
        from mcp.types import Implementation

        problem: BaseException | None = None
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as stderr:
            try:
                with self._scope:
                    self._scope.deadline = anyio.current_time() + START_TIMEOUT_S
                    info = Implementation(name="holysheep_nb", version=__version__)
                    async with Client(self._transport(stderr), client_info=info) as client:
                        self._take(await _list_tools(client))
                        self._scope.deadline = math.inf
                        self.state, self._client = "ready", client
                        if not begun.done():
                            begun.set_result(None)
                        await anyio.sleep_forever()
            except Exception as error:
                problem = _innermost(error)
            finally:
                self.state, self._client = "ended", None
                self.stderr = _end_of(stderr)
                if not begun.done():
                    begun.set_exception(self._start_error(problem))

    @contextlib.asynccontextmanager
    async def _transport(self, stderr: IO[str]) -> AsyncGenerator[tuple[Any, Any], None]:
        from mcp import StdioServerParameters, stdio_client
        from mcp.client.streamable_http import streamable_http_client

        if isinstance(self.target, str):
            async with streamable_http_client(self.target) as streams:
                yield streams
            return
        command, *arguments = self.target
        parameters = StdioServerParameters(
            command=command, args=arguments, env=self.env, encoding_error_handler="replace"
        )
        async with stdio_client(parameters, errlog=stderr) as (read, write):  # type: ignore[arg-type]
            yield _EndNoticed(read, lambda: self._end("it ended at once")), write

    def _end(self, reason: str) -> None:
        """Lets its life come to an end, for the first reason that is given."""
        self._reason = self._reason or reason
        self._client = None
        if self.state == "ready":
            self.state = "ended"
        if self._scope is not None:
            self._scope.cancel()

    def _take(self, listed: Sequence[Any]) -> None:
        self._tools = make_tools(self.name, listed, self._call_from_anywhere, self.timeout_s)

    async def _call_from_anywhere(self, tool: str, arguments: dict[str, Any]) -> Content:
        return await asyncio.wrap_future(stream_thread.submit(self._call(tool, arguments)))

    async def _call(self, tool: str, arguments: dict[str, Any]) -> Content:
        """Makes a call. Cancelling it tells the server. Raises `McpServerError`."""
        self.check_ready()
        client = self._client
        try:
            result = await client.call_tool(tool, arguments)
        except Exception as error:
            raise await self._call_error(client, error) from error
        return read_result(result)

    async def _call_error(self, client: Any, error: Exception) -> McpServerError:
        """What a failed request means: the end of the server, or its answer."""
        from mcp import MCPError
        from mcp.types import CONNECTION_CLOSED

        if isinstance(error, MCPError) and error.message == "Session terminated":
            self._end("it forgot the session")
        may_have_ended = not isinstance(error, MCPError) or error.code == CONNECTION_CLOSED or self._client is None
        if self._life is not None and may_have_ended and self._client in (client, None):
            # The end of a connection reaches the call before it reaches the task that keeps the connection.
            await asyncio.wait({self._life}, timeout=_NOTICE_TIMEOUT_S)
        if self._client is not client:
            return self._ended()
        return McpServerError(f"The MCP server {self.name} could not make the call: {_one_line(str(error))}")

    def _ended(self) -> McpServerError:
        return McpServerError(
            f"The MCP server {self.name} has ended: `%holysheep mcp restart {self.name}` starts it again.",
            details=self.stderr,
        )

    def _start_error(self, problem: BaseException | None) -> McpServerError:
        if self._reason:
            what = self._reason
        elif problem is None:
            what = f"it did not answer within {START_TIMEOUT_S:g} s"
        elif isinstance(problem, OSError) and not isinstance(self.target, str):
            what = f"the command {self.target[0]!r} cannot be run ({problem.strerror or problem})"
        else:
            what = _one_line(str(problem) or type(problem).__name__)
        last = self.stderr.rstrip().rpartition("\n")[2]
        words = f"; the last that it wrote is {_one_line(last)!r}" if last else ""
        return McpServerError(
            f"The MCP server {self.name} did not start: {what.rstrip('.')}{words}.", details=self.stderr
        )


class _EndNoticed:
    """A stream of the SDK that tells when it ends by itself."""

    def __init__(self, stream: Any, tell: Callable[[], None]) -> None:
        self._stream = stream
        self._tell = tell

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    async def __aenter__(self) -> _EndNoticed:
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> Any:
        return await self._stream.__aexit__(*error)

    def __aiter__(self) -> _EndNoticed:
        return self

    async def __anext__(self) -> Any:
        try:
            return await self._stream.__anext__()
        except StopAsyncIteration:
            self._tell()
            raise


def _check_sdk() -> None:
    try:
        from mcp import Client  # noqa: F401
    except ImportError:
        raise ConfigurationError('MCP servers need one more package: pip install "holysheep_nb[mcp]".') from None


async def _list_tools(client: Any) -> list[Any]:
    """All tools of a server, page by page, each name once."""
    if client.server_capabilities.tools is None:
        return []
    found: dict[str, Any] = {}
    cursor: str | None = None
    for _ in range(_MAX_PAGES):
        page = await client.list_tools(cursor=cursor, cache_mode="refresh")
        found = {**{tool.name: tool for tool in page.tools}, **found}
        cursor = page.next_cursor
        if not cursor:
            break
    return list(found.values())


def _innermost(error: BaseException) -> BaseException:
    """The error that a group of errors is about."""
    while inner := getattr(error, "exceptions", None):
        error = inner[0]
    return error


def _end_of(file: IO[str]) -> str:
    """The last characters of what a process wrote into the file."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - 4 * _STDERR_CHARACTERS))
    return file.read()[-_STDERR_CHARACTERS:]


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LINE_CHARACTERS else line[:_LINE_CHARACTERS] + "…"
