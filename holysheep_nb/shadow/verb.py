"""`%holysheep shadow ...`: the line read, and what it shows."""

from __future__ import annotations

import argparse
import re
import shlex
from typing import NoReturn

from ..config import Settings
from ..errors import UsageError
from ..view import Page
from .opening import open_shadow
from .options import add_options


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"%holysheep shadow: {message}.")


class ShadowLine:
    """What a line asks for: `work` on the stream thread, then `show` in the cell, or `interrupted`.

    Raises `UsageError` and `ConfigurationError`; nothing is sent then.
    """

    def __init__(self, line: str, settings: Settings, page: Page) -> None:
        self._comparison = open_shadow(_read(line), settings)
        self._page = page
        self._progress = page.show_line(self._comparison.progress)

    async def work(self) -> None:
        """Sends what has not been sent. Raises `HolySheepError`."""
        await self._comparison.run(self._progress)

    def show(self, _: None) -> None:
        """Writes the report, and shows it."""
        report = self._comparison.report()
        report.save(self._comparison.report_path)
        self._progress(f"{self._comparison.progress} The report is in {self._comparison.report_path}.")
        self._page.show_markdown(_below(report.head()))
        times, tokens = report.plots
        self._page.show_image(times, "how the times are distributed")
        self._page.show_image(tokens, "tokens and cost")
        self._page.show_markdown(_below(report.tail()))

    def interrupted(self) -> None:
        """Ends what is underway, and says how to go on."""
        self._comparison.stop()
        self._progress(self._comparison.interrupted)


def _below(markdown: str) -> str:
    """The page as a part of the notebook: its headings are two levels lower."""
    return re.sub(r"^(?=#+ )", "##", markdown, flags=re.MULTILINE)


def _read(line: str) -> argparse.Namespace:
    parser = _Parser(prog="%holysheep shadow", add_help=False, allow_abbrev=False)
    add_options(parser)
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise UsageError(f"The line cannot be read ({str(error).lower()}): check its quotes.") from None
    return parser.parse_args(words)
