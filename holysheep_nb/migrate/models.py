"""The table of model names: which becomes which."""

from __future__ import annotations

import fnmatch
import json
from dataclasses import dataclass
from pathlib import Path

from holysheep_nb.errors import UsageError

DEFAULT_TABLE = Path(__file__).with_name("models.json")
KEEP = "*"


@dataclass(frozen=True, slots=True)
class ModelTable:
    """Patterns of names and what they become, the first that fits counts; `*` keeps the name.

    What the user's table says is exact; what comes from the table in the package is a start, to be reviewed.
    """

    own: dict[str, str]
    default: dict[str, str]

    def map(self, name: str) -> tuple[str, bool] | None:
        """The new name, and True if the user's own table says so; None for a name that no pattern fits."""
        for table, is_own in ((self.own, True), (self.default, False)):
            for pattern, target in table.items():
                if fnmatch.fnmatchcase(name, pattern):
                    return (name if target == KEEP else target), is_own
        return None


def load_models(path: Path | None = None) -> ModelTable:
    """The table of the package, and before it that of a JSON file. Raises `UsageError`.

    The file is one object, as in {"gpt-4": "gpt-4.1", "my-deployment": "gpt-4.1", "claude-*": "claude-sonnet-4.5"}.
    """
    return ModelTable(_read(path) if path is not None else {}, _read(DEFAULT_TABLE))


def _read(path: Path) -> dict[str, str]:
    try:
        table = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"The table of models {path} cannot be read ({error.strerror}).") from None
    except ValueError as error:
        raise UsageError(f"The table of models {path} is not JSON ({error}).") from None
    if not isinstance(table, dict) or not all(isinstance(each, str) and each for each in table.values()):
        raise UsageError(f'The table of models {path} must be one object of names, as in {{"gpt-4": "gpt-4.1"}}.')
    return table
