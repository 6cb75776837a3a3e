"""Profiles: endpoints that a whole notebook is switched to with one line, and back.

`%holysheep profile` lists them, `%holysheep profile NAME` switches. The profile `holysheep` is the settings as they
are; any other takes the place of address, key and names of models, and is spoken to over SSE.
"""

from __future__ import annotations

from .profile import HOLYSHEEP, Profile, check_key_owner, profiles

__all__ = ["HOLYSHEEP", "Profile", "check_key_owner", "profiles"]
