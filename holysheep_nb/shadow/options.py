"""What `holysheep-nb shadow` and `%holysheep shadow` take."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

DEFAULT_OLD_PROFILE = "openai"


def add_options(parser: argparse.ArgumentParser) -> None:
    """The prompts, both sides, and how they are compared."""
    add = parser.add_argument
    add("prompts", type=Path, metavar="FILE", help='prompts as JSONL, as in {"prompt": "Hello"}')
    add("--old-profile", metavar="NAME", help=f"the old endpoint, by its profile (default: {DEFAULT_OLD_PROFILE})")
    add("--old-base-url", metavar="URL", help="the old endpoint, by its address")
    add("--old-key-name", metavar="ENV", help="variable that holds its key")
    add("--old-model", default="", metavar="MODEL", help="the model that is asked there (default: the prompt's)")
    add("--model", default="", metavar="MODEL", help="HolySheep's model (default: the prompt's, else the settings')")
    add("--concurrency", type=int, metavar="N", help="prompts that are underway at a time (default: 4)")
    add("--budget", type=_positive, metavar="USD", help="end before all prompts together cost more")
    add("--old-price", type=read_pair, metavar="IN,OUT", help="the old price, in USD per million tokens")
    add("--price", type=read_pair, metavar="IN,OUT", help="HolySheep's price, where it is not known")
    add("--agree-at", type=_share, metavar="SHARE", help="texts agree that are so much alike, 0 to 1 (default: 0.8)")
    add("--results", type=Path, metavar="FILE", help="the results so far (default: FILE.shadow.jsonl)")
    add("--report", type=Path, metavar="FILE", help="the report (default: FILE.shadow.md), two plots beside it")
    add("--again", action="store_true", help="send the prompts again that failed before")


def read_pair(text: str) -> tuple[float, float]:
    """Two numbers with a comma between them."""
    try:
        first, second = (float(part.replace("_", "")) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"two numbers with a comma between them are needed, not {text!r}") from None
    if not all(math.isfinite(value) and value >= 0 for value in (first, second)):
        raise argparse.ArgumentTypeError("the numbers are 0 or more")
    return first, second


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError("it is a number above 0")
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError("it is a number from 0 to 1")
    return value
