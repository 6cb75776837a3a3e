"""Short names for models, kept for all kernels in the user's config folder: `{"fast": "gemini-2.5-flash"}`."""

from __future__ import annotations

import json
import os
import re
import tempfile
from pathlib import Path

from platformdirs import user_config_path

from .errors import ConfigurationError, UsageError

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


def aliases_path() -> Path:
    """The file they are kept in."""
    return user_config_path("holysheep_nb") / "aliases.json"


def read_aliases() -> dict[str, str]:
    """The models by their short names. Raises `ConfigurationError` if the file is not what it should be."""
    path = aliases_path()
    try:
        found = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"The aliases in {path} cannot be read: correct the file or delete it.", details=repr(error)
        ) from None
    if not isinstance(found, dict) or not all(isinstance(model, str) for model in found.values()):
        raise ConfigurationError(f"The aliases in {path} are not names of models: correct the file or delete it.")
    return found


def resolve_alias(model: str) -> str:
    """The model that a short name stands for, or the name itself. Raises `ConfigurationError`."""
    return read_aliases().get(model, model) if model else model


def do_alias_line(words: list[str]) -> str:
    """Does what `%holysheep alias` says. Gives the text to show. Raises `UsageError`, `ConfigurationError`."""
    aliases = read_aliases()
    match words:
        case []:
            width = max(map(len, aliases), default=0)
            lines = [f"{name:<{width}}   {model}" for name, model in sorted(aliases.items())]
            return "\n".join(lines) or "There is no alias. `%holysheep alias NAME MODEL` makes one."
        case ["--remove", name]:
            if name not in aliases:
                raise UsageError(f"There is no alias {name!r}.")
            del aliases[name]
            _write(aliases)
            return f"The alias {name} is removed."
        case [name, model] if not name.startswith("-"):
            _check(name, model, aliases)
            _write({**aliases, name: model})
            return f"{name} is {model} from now on, in every notebook: `%%holysheep {name}`."
    raise UsageError("%holysheep alias takes nothing, NAME MODEL, or --remove NAME.")


def _check(name: str, model: str, aliases: dict[str, str]) -> None:
    if not _NAME.fullmatch(name):
        raise UsageError(f"An alias is a word of letters, digits, '.', '_' and '-', and {name!r} is none.")
    if model in aliases or model == name:
        raise UsageError(f"An alias stands for a model, and {model!r} is an alias: name the model.")


def _write(aliases: dict[str, str]) -> None:
    path = aliases_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(aliases, file, indent=2, ensure_ascii=False)
            file.write("\n")
        os.replace(temporary, path)
    except OSError as error:
        raise ConfigurationError(
            f"The aliases cannot be kept in {path} ({error.strerror}).", details=repr(error)
        ) from None
