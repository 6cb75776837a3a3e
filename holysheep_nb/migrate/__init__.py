"""Moves scripts and notebooks to HolySheep, and back.

report = plan(["src", "notebooks"])     # looks, writes nothing
print(report.to_markdown())
journal = write(report)                 # rewrites the files, keeps what they held
roll_back(journal)                      # byte for byte
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from holysheep_nb.errors import ConfigurationError

if TYPE_CHECKING:
    from .journal import roll_back, write
    from .scan import plan

__all__ = ["plan", "require_extra", "roll_back", "write"]

_PLACES = {"plan": ".scan", "roll_back": ".journal", "write": ".journal"}


def __getattr__(name: str) -> Any:
    """What needs the extra is imported when it is first used. Raises `ConfigurationError` without it."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    require_extra()
    return getattr(import_module(_PLACES[name], __name__), name)


def require_extra() -> None:
    """ConfigurationError, with the command to type, if a package of the extra `migrate` is not installed."""
    missing = [module for module in ("libcst", "pathspec") if find_spec(module) is None]
    if missing:
        raise ConfigurationError(
            'This needs more packages: pip install "holysheep_nb[migrate]".',
            details=f"missing: {', '.join(missing)}",
        )
