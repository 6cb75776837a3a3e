"""Calling a tool: where it belongs, with what it printed and displayed, and with its result as a model reads it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any, TypeAlias

from .content import Content, to_content
from .content.figures import close_new, open_figures
from .errors import McpServerError, UsageError
from .kernel import InterruptedCallError, main_thread, name_code, run_in_own_thread
from .tool_calls import Execute, Result
from .tools import Tool

Shown: TypeAlias = list[dict[str, Any]]
Capture: TypeAlias = Callable[[Shown], AbstractContextManager[None]]

_PATH = re.compile(r"(?:[A-Za-z]:)?(?:[\\/][\w.@~+-]+)+[\\/](?=[\w.@~+-])")
_FILE_LINE = re.compile(r'^( +File )"([^"\n]+)"(, line \d+)', re.MULTILINE)
_MESSAGE_CHARACTERS = 2000


def execute_with(capture: Capture, secrets: Callable[[], Mapping[str, str]], *, takes_images: bool) -> Execute:
    """The `Execute` of a run.

    capture       adds what is displayed while it is entered to a list, on the thread it is entered on
    secrets       values that no model may see, with the name that stands in for each
    takes_images  whether the model does; if not, the person alone sees them
    """

    async def execute(tool: Tool, arguments: tuple[Any, ...], named: dict[str, Any]) -> Result:
        began = time.monotonic()
        shown: Shown = []
        call = asyncio.ensure_future(_call(tool, arguments, named, capture, shown))
        try:
            done, _ = await asyncio.wait({call}, timeout=tool.timeout_s)
        finally:
            call.cancel()
        result = _result(call) if done else Result(f"The call took longer than {tool.timeout_s:g} s.", "error")
        seconds = round(time.monotonic() - began, 3)
        result = replace(result, seconds=seconds, shown=tuple(shown))
        return _without_secrets(result if takes_images else _without_images(result), secrets())

    return execute


def _result(call: asyncio.Future[Content]) -> Result:
    try:
        content = call.result()
    except InterruptedCallError:
        return Result("The person interrupted the call.", "stopped")
    except (McpServerError, UsageError) as error:
        return Result(str(error), "error", details=error.details)
    except Exception as error:
        return Result(describe_error(error), "error", details=_traceback(error))
    return Result(content.text, images=content.images)


async def _call(
    tool: Tool, arguments: tuple[Any, ...], named: dict[str, Any], capture: Capture, shown: Shown
) -> Content:
    def call() -> Content:
        before = open_figures()
        with _no_exit():
            value = tool.function(*arguments, **named)
            content = to_content(value)
        close_new(value, before)
        return content

    async def call_async() -> Content:
        with _no_exit():
            return to_content(await tool.function(*arguments, **named))

    if tool.runs_on_stream_thread:
        return await call_async()
    if tool.is_async:
        return await main_thread.run_async(call_async)
    if tool.runs_in_thread:
        return await run_in_own_thread(call)
    return await main_thread.run(call, capture(shown))


@contextlib.contextmanager
def _no_exit() -> Iterator[None]:
    """A tool ends itself, not the kernel."""
    try:
        yield
    except SystemExit as error:
        raise RuntimeError(f"the tool called exit({error.code!r})") from error


def describe_error(error: BaseException) -> str:
    """The error as a model is told it: its type and message, without the paths of this machine."""
    message = " ".join(_PATH.sub("", str(error)).split())[:_MESSAGE_CHARACTERS]
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def _traceback(error: Exception) -> str:
    """The traceback from the tool's own code on, which names cells as IPython does."""
    frames = error.__traceback__
    while frames is not None and os.path.dirname(frames.tb_frame.f_code.co_filename) == os.path.dirname(__file__):
        frames = frames.tb_next
    with contextlib.suppress(Exception):
        text = "".join(traceback.format_exception(type(error), error, frames))
        return _FILE_LINE.sub(lambda found: found[1] + name_code(found[2]) + found[3], text)
    return repr(type(error))


def _without_images(result: Result) -> Result:
    if not result.images:
        return result
    shown = tuple({url[len("data:") : url.index(";")]: url.partition(",")[2]} for url in result.images)
    note = "(The person sees the image; this model takes none.)"
    return replace(result, text=f"{result.text}\n{note}", images=(), shown=(*result.shown, *shown))


def _without_secrets(result: Result, secrets: Mapping[str, str]) -> Result:
    def clean(text: str) -> str:
        for value, name in secrets.items():
            text = text.replace(value, name)
        return text

    shown = tuple(
        {
            kind: clean(data) if isinstance(data, str) and kind.startswith("text/") else data
            for kind, data in bundle.items()
        }
        for bundle in result.shown
    )
    return replace(result, text=clean(result.text), details=clean(result.details), shown=shown)
