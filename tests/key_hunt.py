"""`pytest --key-hunt`: a test that passes fails all the same if it leaves the key somewhere.

Searched are what was printed, logs at DEBUG (also of httpx, httpcore, websockets and asyncio), files in the test's
folder, and all that a kernel says to the page, but for the code of the cells: the tests set the key there.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

# What the tests use for a key.
KEYS = (
    *("hs-test-key-0123456789", "hs-secret-0123456789", "hs-secret/0123456789"),
    *("hs-marked-4f1c/9e2b7a", "hs-marked-4f1c-9e2b7a"),
)
# What servers in the tests log of what they were sent.
SERVER_LOGS = ("test.server", "websockets.server")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--key-hunt", action="store_true", help="search what each test leaves behind for the key")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--key-hunt"):
        config.option.log_level = "DEBUG"
        for name in SERVER_LOGS:
            logging.getLogger(name).addFilter(_without_keys)


def _without_keys(record: logging.LogRecord) -> bool:
    said = record.getMessage()
    for key in KEYS:
        said = said.replace(key, "(the key, as the server got it)")
    record.msg, record.args = said, None
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if item.config.getoption("--key-hunt") and call.when == "call" and report.passed:
        places = [place for place, text in _left_by(item, report) if any(key in text for key in KEYS)]
        if places:
            report.outcome = "failed"
            report.longrepr = f"the key stands in: {', '.join(places)}"
    return report


def _left_by(item: pytest.Function, report: pytest.TestReport) -> Generator[tuple[str, str], None, None]:
    yield from report.sections
    folder = item.funcargs.get("tmp_path")
    for path in folder.rglob("*") if isinstance(folder, Path) else ():
        if path.is_file():
            yield path.name, path.read_bytes().decode("utf-8", "replace")
    for message in _messages_of(item.funcargs.get("kernel")):
        if message["header"]["msg_type"] != "execute_input":
            yield message["header"]["msg_type"], json.dumps([message["content"], message["metadata"]])


def _messages_of(kernel: Any) -> list[dict[str, Any]]:
    """What a kernel said since the last test."""
    messages: list[dict[str, Any]] = getattr(kernel, "messages", [])
    taken = list(messages)
    messages.clear()
    return taken
