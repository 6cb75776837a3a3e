"""A child process that ends with its parent, however the parent ends."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

PARENT_POLL_S = 0.5
LAST_MOMENT_S = 5.0
"""How long an orderly end may take before the process ends anyway."""


def follow_parent() -> None:
    """Sends this process SIGTERM once its stdin is closed or its parent has ended, and ends it 5 s later.

    The parent must hold the other end of stdin, a pipe, and write nothing to it. Returns at once.
    """
    for watch in (_watch_stdin, _watch_parent):
        threading.Thread(target=watch, args=(os.getppid(),), daemon=True).start()


def _watch_stdin(_parent: int) -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    _end()


def _watch_parent(parent: int) -> None:
    # A fork of the parent may keep our stdin open after the parent itself is gone.
    while os.getppid() == parent:
        time.sleep(PARENT_POLL_S)
    _end()


def _end() -> None:
    if sys.platform == "win32":
        import _thread

        _thread.interrupt_main()
    else:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
    time.sleep(LAST_MOMENT_S)
    os._exit(0)
