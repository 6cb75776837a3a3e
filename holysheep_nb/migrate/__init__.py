"""Moves scripts and notebooks to HolySheep, and back.

report = plan(["src", "notebooks"])     # looks, writes nothing
print(report.to_markdown())
journal = write(report)                 # rewrites the files, keeps what they held
roll_back(journal)                      # byte for byte
"""

from __future__ import annotations

from importlib.util import find_spec

from holysheep_nb.errors import ConfigurationError

__all__ = ["plan", "require_extra", "roll_back", "write"]


def require_extra() -> None:
    """ConfigurationError, with the command to type, if a package of the extra `migrate` is not installed."""
    missing = [module for module in ("libcst", "pathspec") if find_spec(module) is None]
    if missing:
        raise ConfigurationError(
            'This needs more packages: pip install "holysheep_nb[migrate]".',
            details=f"missing: {', '.join(missing)}",
        )


require_extra()

from .journal import roll_back, write  # noqa: E402
from .scan import plan  # noqa: E402
