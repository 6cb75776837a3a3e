"""A profile, and those that there are in this process."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ..errors import ConfigurationError

HOLYSHEEP = "holysheep"
"""The profile that is none: the settings' own endpoint."""


@dataclass(frozen=True, slots=True)
class Profile:
    """An endpoint, the name of the variable that holds its key, and what models are called there.

    models   patterns of names and what they become, the first that fits counts; other names stay
    """

    name: str
    base_url: str
    api_key_name: str
    models: Mapping[str, str] = field(default_factory=dict)

    def model_for(self, model: str) -> str:
        """What the model is called there."""
        fitting = (name for pattern, name in self.models.items() if fnmatch.fnmatchcase(model, pattern))
        return next(fitting, model)

    @property
    def host(self) -> str:
        """Whom requests go to."""
        return _host(self.base_url)


BUILT_IN = {"openai": Profile("openai", "https://api.openai.com/v1", "OPENAI_API_KEY")}


class Profiles:
    """The profiles of this process, and the one that is in use where settings do not say: None for `holysheep`."""

    def __init__(self) -> None:
        self.added: dict[str, Profile] = {}
        self.active: Profile | None = None

    def all(self, given: Mapping[str, Any]) -> dict[str, Profile]:
        """Those that are built in, that were added, and that settings give, by name.

        Raises `ConfigurationError` for one that is misshapen.
        """
        return {**BUILT_IN, **self.added, **{name: _read(name, entry) for name, entry in given.items()}}


profiles = Profiles()


def check_key_owner(profile: Profile, owners: Iterable[tuple[str, str]]) -> None:
    """Raises `ConfigurationError` if the profile's key belongs to another host.

    owners   names of keys, each with an address that gets it
    """
    hosts = {_host(base_url) for name, base_url in owners if name == profile.api_key_name}
    if hosts and profile.host not in hosts:
        raise ConfigurationError(
            f"{profile.api_key_name} belongs to {' and '.join(sorted(hosts))}: name another variable for the profile "
            f"{profile.name}."
        )


def _host(base_url: str) -> str:
    return urlsplit(base_url.strip()).netloc


def _read(name: str, given: Any) -> Profile:
    try:
        models = {str(model): str(served) for model, served in dict(given.get("models") or {}).items()}
        return Profile(name, str(given["base_url"]), str(given["api_key_name"]), models)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ConfigurationError(
            f'The profile {name} needs "base_url" and "api_key_name", and may have "models", a table of names.'
        ) from None
