"""An MCP server for tests: `mcp_server.py` talks on stdin and stdout, `mcp_server.py PORT` on 127.0.0.1.

`--slow-to-die` leaves only when it is killed, `--mute` never answers.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import sys
import time
from pathlib import Path

from mcp.server import MCPServer
from mcp.types import CallToolResult, ImageContent, ResourceLink, TextContent, ToolAnnotations

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)

server = MCPServer("tests")


@server.tool()
def add(a: int, b: int = 1) -> int:
    """Adds two numbers.

    And says no more.
    """
    return a + b


@server.tool(annotations=ToolAnnotations(read_only_hint=True))
def environment() -> str:
    """The environment of this process, as JSON."""
    return json.dumps(dict(os.environ))


@server.tool()
def process_id() -> str:
    return str(os.getpid())


@server.tool()
def picture() -> CallToolResult:
    image = ImageContent(type="image", data=base64.b64encode(PIXEL).decode(), mime_type="image/png")
    link = ResourceLink(type="resource_link", name="notes", uri="file:///notes.txt")
    return CallToolResult(content=[TextContent(type="text", text="Look:"), image, link])


@server.tool()
def structure() -> CallToolResult:
    return CallToolResult(content=[], structured_content={"city": "Zürich", "height_m": 408})


@server.tool()
def fail() -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text="no such city")], is_error=True)


def note(file: str) -> None:
    Path(file).write_text("cancelled", "utf-8")


@server.tool()
async def sleep(seconds: float, file: str = "") -> str:
    """Sleeps. Writes into the file how that ended."""
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        if file:
            note(file)
        raise
    return "awake"


@server.tool(name="files/read.text")
def read_text() -> str:
    """A name that a model cannot be told."""
    return "text"


@server.tool()
def die() -> str:
    os._exit(3)


def main(words: list[str]) -> None:
    print("a word on stderr", file=sys.stderr, flush=True)
    if "--mute" in words:
        time.sleep(600)
    if "--slow-to-die" in words:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        server.run()
        time.sleep(600)
    elif words:
        server.run("streamable-http", host="127.0.0.1", port=int(words[0]))
    else:
        server.run()


if __name__ == "__main__":
    main(sys.argv[1:])
