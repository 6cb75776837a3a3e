"""API keys: where they come from. How they are kept out of what is shown, logged and saved is in `masks`.

A key is looked for each time it is needed: in the environment variable that it belongs to, then in what
`%holysheep login` was told, then in the keyring, where one is installed. What was found is *known* from then on.
"""

from __future__ import annotations

import hmac
import logging
import os
from collections.abc import Callable
from typing import Any, NoReturn

SERVICE = "holysheep_nb"
# What is shorter is no secret, but may be a word of the answer.
MIN_KEY_CHARACTERS = 8

_log = logging.getLogger(__name__)


class Key:
    """An API key, and the variable it belongs to. No repr, format, copy or pickle of it holds the value."""

    __slots__ = ("_read", "name")

    def __init__(self, name: str, value: str) -> None:
        self.name = name
        self._read: Callable[[], str] = lambda: value

    def reveal(self) -> str:
        """The value. For a header, and never for a variable: some tracebacks show those."""
        return self._read()

    @property
    def is_sendable(self) -> bool:
        """True if it can stand in a header: no spaces, nothing beyond ASCII."""
        return self._read().isascii() and self._read().isprintable() and " " not in self._read()

    @property
    def mark(self) -> str:
        """What stands in its place."""
        return f"({self.name})"

    def __repr__(self) -> str:
        return f"<the key of {self.name}>"

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and hmac.compare_digest(self._read().encode(), other._read().encode())

    def __hash__(self) -> int:
        return hash(self._read())

    def __reduce_ex__(self, _protocol: Any) -> NoReturn:
        raise TypeError("A key is not copied or pickled.")


# Of this process: what was given to it, and what is masked, the longest first, since one may begin with another.
_given: dict[str, Key] = {}
_known: list[Key] = []


def find_key(name: str) -> Key | None:
    """The key that belongs to the variable `name`, or None."""
    return present_key(name) or _from_keyring(name)


def present_key(name: str) -> Key | None:
    """The same, without asking a keyring."""
    value = os.environ.get(name, "").strip()
    return _note(Key(name, value)) if value else _given.get(name)


def give_key(key: Key) -> Key:
    """Keeps a key in the memory of this process, until `forget_key`. Gives it back."""
    _given[key.name] = _note(key)
    return key


def save_key(key: Key) -> None:
    """Puts a key into the keyring. Raises `ImportError` if there is none, and what its backend raises."""
    import keyring

    keyring.set_password(SERVICE, key.name, key.reveal())


def forget_key(name: str) -> bool:
    """Forgets the key of `name`, here and in the keyring; the environment stays as it is. True if there was one.

    Raises what the keyring's backend raises.
    """
    was_given = _given.pop(name, None) is not None
    is_saved = _from_keyring(name) is not None
    _given.pop(name, None)
    _known[:] = [key for key in _known if key.name != name]
    if is_saved:
        import keyring

        keyring.delete_password(SERVICE, name)
    return was_given or is_saved


def known_keys() -> list[Key]:
    """The keys that were found so far, the longest first; not those that are too short to be looked for in texts."""
    return list(_known)


def _from_keyring(name: str) -> Key | None:
    """The key in the keyring, kept from then on: a keyring may have to ask a person."""
    try:
        import keyring

        value = (keyring.get_password(SERVICE, name) or "").strip()
    except ImportError:
        return None
    # A backend may raise anything: it is locked, it cannot be reached, there is none.
    except Exception as error:
        _log.info("the keyring gives no key (%s)", type(error).__name__)
        return None
    return give_key(Key(name, value)) if value else None


def _note(key: Key) -> Key:
    if key not in _known and len(key.reveal()) >= MIN_KEY_CHARACTERS:
        _known[:] = sorted([*_known, key], key=lambda each: len(each.reveal()), reverse=True)
    return key
