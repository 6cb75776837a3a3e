"""A loop that turns within itself, on nest_asyncio2."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from collections.abc import Iterator
from typing import Any


class Nesting:
    """Has asyncio patched for as long as a loop turns within itself, and not longer.

    What somebody else has patched stays patched.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._depth = 0
        self._changes: list[tuple[Any, str, Any, Any]] = []

    @contextlib.contextmanager
    def patch(self, loop: asyncio.AbstractEventLoop) -> Iterator[None]:
        """While it is entered, `loop` can turn although it is running."""
        # The turn under way goes on to take as many callbacks as there are now, and fails where it finds fewer.
        owed = len(getattr(loop, "_ready", ()))
        self._enter(loop)
        try:
            yield
        finally:
            self._leave()
            for _ in range(owed):
                loop.call_soon(_do_nothing)

    def _enter(self, loop: asyncio.AbstractEventLoop) -> None:
        import nest_asyncio2

        with self._lock:
            owners = _patched_owners(loop)
            before = [dict(vars(owner)) for owner in owners]
            nest_asyncio2.apply(loop)
            self._depth += 1
            for owner, was in zip(owners, before, strict=True):
                self._changes += [
                    (owner, name, was.get(name, _ABSENT), now)
                    for name, now in vars(owner).items()
                    # Tornado's list of what a future is must go on to name those made meanwhile.
                    if was.get(name, _ABSENT) is not now and name != "FUTURES"
                ]

    def _leave(self) -> None:
        with self._lock:
            self._depth -= 1
            if self._depth:
                return
            changes, self._changes = self._changes, []
            for owner, name, was, now in changes:
                if vars(owner).get(name, _ABSENT) is not now:
                    continue
                if was is not _ABSENT:
                    setattr(owner, name, was)
                    continue
                delattr(owner, name)
                if not hasattr(owner, name) and name not in _MARKS:
                    # The loop of another thread may be within a patched method, which needs it to its end.
                    setattr(owner, name, now)


_MARKS = ("_nest_patched", "_nest_asyncio2")
_ABSENT = object()
nesting = Nesting()


def _do_nothing() -> None:
    pass


def _patched_owners(loop: asyncio.AbstractEventLoop) -> list[Any]:
    """The modules and classes that nest_asyncio2 changes."""
    owners: list[Any] = [asyncio, asyncio.events, asyncio.tasks, asyncio.futures, type(loop)]
    if sys.version_info < (3, 14):
        owners.append(type(asyncio.get_event_loop_policy()))
    if "tornado.concurrent" in sys.modules:
        owners.append(sys.modules["tornado.concurrent"])
    return owners
