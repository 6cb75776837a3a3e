"""What `holysheep-nb migrate` and `%holysheep migrate` take."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from holysheep_nb.errors import UsageError
from holysheep_nb.shadow.options import read_pair

NEWEST_JOURNAL = Path()
"""`--rollback` without a journal: the newest of files below the current folder."""
_MULTIPLES = {"k": 1e3, "m": 1e6, "b": 1e9}


def add_options(parser: argparse.ArgumentParser) -> None:
    """Where to look, what to do there, and what a month costs."""
    add = parser.add_argument
    add("paths", type=Path, nargs="*", metavar="PATH", help="files and folders to look at")
    add("--write", dest="writes", action="store_true", help="rewrite the files, and keep a journal")
    add("--models", type=Path, metavar="FILE", help='a JSON table of model names, as in {"gpt-4": "gpt-4.1"}')
    add("--base-url", metavar="URL", help="where rewritten code goes (default: HolySheep)")
    add(
        "--rollback",
        type=Path,
        nargs="?",
        const=NEWEST_JOURNAL,
        metavar="JOURNAL",
        help="put back what --write changed; without JOURNAL, the newest below this folder",
    )
    add("--roi", dest="estimates", action="store_true", help="what a month costs, there and here")
    add("--monthly-tokens", type=read_tokens, metavar="IN,OUT", help="tokens of a month, as in 30M,5M")
    add("--old-model", default="", metavar="MODEL", help="the model that answers now")
    add("--old-price", type=read_pair, metavar="IN,OUT", help="its price, in USD per million tokens")
    add("--model", default="", metavar="MODEL", help="HolySheep's model (default: the settings')")
    add("--price", type=read_pair, metavar="IN,OUT", help="its price, where it is not known")


def check_together(given: argparse.Namespace) -> None:
    """Raises `UsageError` for options that do not go together."""
    if given.rollback is not None and (given.paths or given.writes or given.estimates):
        raise UsageError("--rollback takes a journal, and neither paths nor --write nor --roi.")
    if given.writes and not given.paths:
        raise UsageError("--write needs the files or folders to rewrite.")


def read_tokens(text: str) -> tuple[int, int]:
    """Two counts with a comma between them, as in 30M,500k."""
    try:
        first, second = (_count(part.strip().replace("_", "")) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"two counts are needed, as in 30M,5M, and not {text!r}") from None
    return first, second


def _count(text: str) -> int:
    multiple = _MULTIPLES.get(text[-1:].lower())
    count = float(text if multiple is None else text[:-1]) * (multiple or 1)
    if not math.isfinite(count) or count < 0:
        raise ValueError(text)
    return round(count)
