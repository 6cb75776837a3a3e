"""`%holysheep login` and `logout`: a key that is typed unseen, and stands in no cell, output or history."""

from __future__ import annotations

import getpass
import os
import sys

from IPython.core.error import StdinNotImplementedError
from IPython.core.interactiveshell import InteractiveShell

from .errors import ConfigurationError, UsageError, show_briefly
from .kernel import let_interrupt
from .keys import Key, forget_key, give_key, save_key
from .view import has_front_end

_SAVE = "--save"


def log_in(shell: InteractiveShell, words: list[str], name: str) -> str:
    """Asks for the key of the variable `name`. Gives the sentence to show. Raises `UsageError`, `ConfigurationError`.

    words   what follows the verb: nothing, or --save, which puts the key into the keyring too
    """
    if words not in ([], [_SAVE]):
        raise UsageError(
            "%holysheep login takes nothing but --save. If that was a key, it was not used: take it out of the cell, "
            "where the notebook and the history keep it, and type it when you are asked."
        )
    if os.environ.get(name, "").strip():
        raise UsageError(f"{name} is set in the environment, which comes first: remove it there to use another key.")
    if words and not _has_keyring():
        raise UsageError("Saving a key needs the keyring: pip install keyring.")
    if not _can_type(shell):
        raise UsageError(f"Nobody can type a key here: set {name}.")
    key = _ask(name)
    if not key.reveal():
        raise UsageError("No key was typed.")
    if not key.is_sendable:
        raise ConfigurationError("That cannot be an API key: it holds spaces or characters beyond ASCII.")
    give_key(key)
    if not words:
        return f"This kernel has the key of {name} until it ends, or until `%holysheep logout`."
    try:
        save_key(key)
    # Whatever a backend may raise: it is locked, it cannot be reached, there is none.
    except Exception as error:
        raise ConfigurationError(
            f"The keyring does not take the key ({type(error).__name__}): this kernel has it until it ends.",
            details=str(error),
        ) from None
    return f"The key of {name} is in the keyring, until `%holysheep logout`."


def log_out(words: list[str], name: str) -> str:
    """Forgets the key of the variable `name`. Gives the sentence to show. Raises `UsageError`, `ConfigurationError`."""
    if words:
        raise UsageError("%holysheep logout takes nothing.")
    try:
        was_there = forget_key(name)
    except Exception as error:
        raise ConfigurationError(
            f"This kernel has forgotten the key of {name}, but the keyring keeps it ({type(error).__name__}).",
            details=str(error),
        ) from None
    said = f"The key of {name} is forgotten." if was_there else f"There was no key of {name} to forget."
    return f"{said} The environment still has one." if os.environ.get(name, "").strip() else said


def _ask(name: str) -> Key:
    try:
        with let_interrupt():
            # Found anew each time: a kernel puts its own in the place of this function.
            return Key(name, getpass.getpass(f"{name}: ").strip())
    except StdinNotImplementedError:
        raise UsageError(f"Nobody can type a key here: set {name}.") from None
    except EOFError:
        raise UsageError("No key was typed.") from None
    except KeyboardInterrupt as interrupt:
        show_briefly(interrupt, "KeyboardInterrupt: no key was typed.")
        raise


def _can_type(shell: InteractiveShell) -> bool:
    """False where what is typed would be seen, or nobody is there."""
    return has_front_end(shell) if hasattr(shell, "kernel") else sys.stdin is not None and sys.stdin.isatty()


def _has_keyring() -> bool:
    try:
        import keyring  # noqa: F401
    except ImportError:
        return False
    return True
