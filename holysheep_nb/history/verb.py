"""`%holysheep history`, `branches` and `checkout`: the words read, the conversation shown or changed."""

from __future__ import annotations

from ..chat import Chat
from ..conversation import Exchange
from ..errors import UsageError
from ..pricing import Meter
from ..view import Page
from .answers import chosen_run, state_of
from .listing import changes_page, history_table, listed, versions_page
from .memory import Memory


class HistoryVerbs:
    """What can be done with the exchanges of one shell. A cell is named by its number, its label or its id."""

    def __init__(self, page: Page, chat: Chat, memory: Memory) -> None:
        self._page = page
        self._chat = chat
        self._memory = memory

    def history(self, words: list[str]) -> None:
        """what each cell asked, which version of it is current, and what a new cell sends"""
        if words:
            raise UsageError("%holysheep history takes nothing.")
        self._recall()
        self._page.show_line(history_table(self._chat.conversation, self._chat.runs))

    def branches(self, words: list[str]) -> None:
        """[CELL|LABEL] [N M] the versions of a cell, the last one that asked if none is named, and what changed"""
        self._recall()
        numbers: list[int] = []
        if len(words) >= 2 and all(word.isdecimal() for word in words[-2:]):
            words, numbers = words[:-2], [int(word) for word in words[-2:]]
        index, exchange = self._find(" ".join(words))
        if numbers:
            for number in numbers:
                self._check(index, exchange, number)
            page = changes_page(exchange, index, *numbers)
        else:
            page = versions_page(exchange, index, self._chat.runs)
        self._page.show_markdown(*page)

    def check_out(self, words: list[str]) -> None:
        """[CELL|LABEL] N go on from version N of a cell, and show it"""
        if not words or not words[-1].isdecimal():
            raise UsageError("%holysheep checkout takes the number of a version, after the cell if it is not the last.")
        self._recall()
        number = int(words[-1])
        index, exchange = self._find(" ".join(words[:-1]))
        self._check(index, exchange, number)
        version = exchange.versions[number - 1]
        if state_of(version, self._chat.going()) in ("connecting", "retrying", "streaming", "waiting"):
            raise UsageError(f"Version {number} still streams: wait for it, or stop it.")
        if not version[-1].text:
            raise UsageError(f"Version {number} has no answer to go on from.")
        exchange.check_out(number)
        settings = self._chat.settings
        run = chosen_run(exchange, self._chat.runs, Meter(settings.price))
        self._chat.chosen = run
        below = self._count_below(exchange)
        stale = f"\n{below} below answered another version: run again what depends on it." if below else ""
        said = f"Later cells go on from version {number} of {len(exchange.versions)} of cell {index}.{stale}"
        self._page.show_line(said)
        self._page.show_answer(run)

    def _recall(self) -> None:
        self._memory.recall()
        if not listed(self._chat.conversation):
            raise UsageError(self._memory.why_nothing())

    def _find(self, name: str) -> tuple[int, Exchange]:
        """The cell of this name, or the one that asked last, with its number."""
        exchanges = list(enumerate(listed(self._chat.conversation), 1))
        if not name:
            last = [run.request.cell for run in self._chat.runs[-1:]]
            return next((pair for pair in exchanges if pair[1].key in last), exchanges[-1])
        for is_meant in (
            lambda pair: pair[1].label == name,
            lambda pair: pair[1].key == name,
            lambda pair: str(pair[0]) == name,
            lambda pair: pair[1].key.startswith(name),
        ):
            found = [pair for pair in exchanges if is_meant(pair)]
            if len(found) == 1:
                return found[0]
            if found:
                numbers = ", ".join(str(index) for index, _ in found)
                raise UsageError(f"{name!r} may be cell {numbers}: give its number.")
        raise UsageError(f"There is no cell {name!r}: `%holysheep history` lists them.")

    def _check(self, index: int, exchange: Exchange, number: int) -> None:
        """Raises `UsageError` if there is no such version."""
        count = len(exchange.versions)
        if not 1 <= number <= count:
            raise UsageError(f"Cell {index} has {count} version{'s' if count > 1 else ''}: there is no {number}.")

    def _count_below(self, exchange: Exchange) -> str:
        """How many answered cells stand below, in words, or ""."""
        exchanges = self._chat.conversation.exchanges
        place = next(place for place, each in enumerate(exchanges) if each is exchange)
        count = sum(each.is_answered for each in exchanges[place + 1 :])
        return f"{count} cell{'s' if count > 1 else ''}" if count else ""
