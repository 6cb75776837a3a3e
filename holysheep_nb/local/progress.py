"""A progress bar on stderr."""

from __future__ import annotations

import sys

BAR_WIDTH = 32
_MB = 1_000_000


def draw_progress(done_bytes: int, total_bytes: int) -> None:
    """Draws how much of the built-in model has arrived; where stderr is no terminal, only its end is told."""
    is_complete = done_bytes >= total_bytes
    label = "Fetching the built-in model"
    if not sys.stderr.isatty():
        if is_complete:
            print(f"{label}: {total_bytes / _MB:.0f} MB, done.", file=sys.stderr, flush=True)
        return
    filled = BAR_WIDTH * done_bytes // total_bytes
    bar = "━" * filled + "─" * (BAR_WIDTH - filled)
    amount = f"{done_bytes / _MB:3.0f} of {total_bytes / _MB:.0f} MB"
    print(f"\r{label} {bar} {amount}", end="\n" if is_complete else "", file=sys.stderr, flush=True)
