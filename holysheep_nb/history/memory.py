"""What a new kernel knows of what the notebook's cells said before it."""

from __future__ import annotations

from ..config import Settings
from ..content.values import count
from ..conversation import Conversation
from ..errors import HolySheepError
from ..masks import open_log
from .notebook import find_notebook, read_notebook

_log = open_log(__name__)


class Memory:
    """Reads the saved notebook once, before the first prompt of a conversation that is still empty.

    cell      the id of the cell that is running; None where nobody names one, as programs that run notebooks do
    problem   what could not be read, or ""
    """

    def __init__(self, conversation: Conversation, settings: Settings) -> None:
        self._conversation = conversation
        self._settings = settings
        self._is_open = True
        self.cell: str | None = None
        self.problem = ""

    def close(self) -> None:
        """Reads nothing any more: a person wants a fresh start."""
        self._is_open = False
        self.problem = ""

    def recall(self, *, afresh: bool = False) -> str:
        """Puts what the saved notebook's cells said into the conversation, in the notebook's order.

        Does nothing after the first time, where the conversation has begun, where the settings say so, or where
        nothing names the notebook's file or the cell, as when a program runs it. With `afresh` it never will.

        Returns what is to be said of it beside the first prompt, or "".
        """
        if afresh:
            self.close()
        elif self._is_open and self.cell is not None and not self._conversation.exchanges:
            self._read()
        is_first = all(exchange.source or not exchange.turns for exchange in self._conversation.exchanges)
        return self.problem if is_first else ""

    def _read(self) -> None:
        self._is_open = False
        path = find_notebook() if self._settings.remembers else None
        if path is None:
            return
        try:
            saved = read_notebook(path)
        except HolySheepError as error:
            _log.warning("nothing is read back: %s", error)
            self.problem = f"no earlier cells: {str(error)[0].lower()}{str(error)[1:].rstrip('.')}"
            return
        self._conversation.exchanges += saved.exchanges
        if saved.unreadable:
            self.problem = f"{count(saved.unreadable, 'cell')} could not be read from {saved.name}"

    def why_nothing(self) -> str:
        """Why there is nothing to list, for whoever asks."""
        if self.problem:
            return f"Nothing was asked in this kernel, and {self.problem}."
        if not self._settings.remembers:
            return "Nothing was asked in this kernel, and `remembers` is off: the saved notebook is not read."
        if find_notebook() is None or self.cell is None:
            return "Nothing was asked in this kernel, and nothing says where the notebook's file is."
        return "Nothing was asked yet."
