"""`%holysheep profile ...`: the line read, and what it does."""

from __future__ import annotations

import re

from ..config import Settings
from ..errors import UsageError
from ..keys import present_key
from .profile import HOLYSHEEP, Profile, profiles

_FORMS = "NAME, or add NAME BASE_URL KEY_NAME [MODEL=NAME-THERE ...]"
_NAME = re.compile(r"[A-Za-z][\w.-]*")
_BACK = f"`%holysheep profile {HOLYSHEEP}` goes back."


def do_profile_line(words: list[str], settings: Settings) -> str:
    """Lists, adds or switches profiles. Gives the text to show. Raises `UsageError` and `ConfigurationError`."""
    match words:
        case []:
            return _list(settings)
        case ["add", name, base_url, api_key_name, *renamed]:
            return _add(name, base_url, api_key_name, renamed, settings)
        case [name]:
            return _switch(name, settings)
    raise UsageError(f"%holysheep profile takes {_FORMS}.")


def leave_profile(settings: Settings) -> None:
    """Goes back to the settings' own endpoint."""
    settings.profile = ""
    profiles.active = None


def _switch(name: str, settings: Settings) -> str:
    if name == HOLYSHEEP:
        leave_profile(settings)
        settings.profile = HOLYSHEEP
        endpoint = settings.own_endpoint()
        return f"HolySheep answers: {endpoint.base_url}, with {_key(endpoint.api_key_name)}."
    known = settings.known_profiles()
    if name not in known:
        raise UsageError(f"There is no profile {name!r}; there are: {', '.join([HOLYSHEEP, *known])}.")
    profile = settings.check_profile(known[name])
    settings.profile = name
    # For `Chat()` and the functions that take no settings.
    profiles.active = profile
    return f"{name} answers: {profile.base_url}, with {_key(profile.api_key_name)}. {_BACK}"


def _add(name: str, base_url: str, api_key_name: str, renamed: list[str], settings: Settings) -> str:
    if not _NAME.fullmatch(name) or name in (HOLYSHEEP, "add"):
        raise UsageError(f"A profile cannot be called {name!r}: take another word of letters and digits.")
    models = dict(_read_rename(word) for word in renamed)
    profiles.added[name] = settings.check_profile(Profile(name, base_url.rstrip("/"), api_key_name, models))
    return f"The profile {name} is there: `%holysheep profile {name}` switches to it."


def _read_rename(word: str) -> tuple[str, str]:
    model, _, served = word.partition("=")
    if not model or not served:
        raise UsageError(f"A model is renamed as in gpt-4.1=my-deployment, and {word!r} is not like that.")
    return model, served


def _list(settings: Settings) -> str:
    active = settings.active_profile()
    own = settings.own_endpoint()
    rows = [(HOLYSHEEP, own.base_url, own.api_key_name, active is None)]
    for name, profile in settings.known_profiles().items():
        is_active = active is not None and active.name == name
        rows.append((name, profile.base_url, profile.api_key_name, is_active))
    widths = [max(len(str(row[column])) for row in rows) + 3 for column in range(2)]
    lines = [
        f"{name:<{widths[0]}}{base_url:<{widths[1]}}{_key(key_name)}{'   (answers)' if is_active else ''}"
        for name, base_url, key_name, is_active in rows
    ]
    return "\n".join([*lines, "", "`%holysheep profile NAME` switches."])


def _key(name: str) -> str:
    return name if present_key(name) else f"{name} (not set)"
