"""Addresses of model APIs: whose they are, and where they go."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

HOLYSHEEP_HOST = "holysheep.ai"
_OPENAI = re.compile(r"https?://api\.openai\.com(?=[/:?#]|$)")
_PATHS = frozenset(["", "/", "/v1", "/v1/", "/v1/chat/completions", "/v1/chat/completions/"])


def is_openai(url: str) -> bool:
    """True for an address at OpenAI's host."""
    return bool(_OPENAI.match(url))


def is_at(url: str, base_url: str) -> bool:
    """True for an address at HolySheep, or at the host of `base_url`."""
    host = urlsplit(url).hostname or ""
    return host == HOLYSHEEP_HOST or host.endswith("." + HOLYSHEEP_HOST) or url.startswith(base_url)


def has_host(url: str) -> bool:
    """True for text that begins with a scheme and a host."""
    return bool(re.match(r"https?://[^/\s]", url))


def moved(url: str, base_url: str) -> str | None:
    """OpenAI's address at `base_url`; None for a path that is not known to be there."""
    found = _OPENAI.match(url)
    if found is None:
        return None
    path = url[found.end() :]
    if path not in _PATHS:
        return None
    if path.startswith("/v1"):
        return base_url + path[3:]
    return base_url.removesuffix("/v1") + path if base_url.endswith("/v1") else None
