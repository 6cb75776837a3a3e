"""Settings: traits with their environment variables, and the checks that keep the key at home."""

from __future__ import annotations

import fnmatch
import ipaddress
import os
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from traitlets import Bool, Dict, Enum, Float, Int, List, TraitError, Unicode, validate
from traitlets.config import Configurable

from .aliases import resolve_alias
from .errors import ConfigurationError, MissingKeyError, show_briefly
from .keys import find_key
from .pricing import UNKNOWN, Price, Prices
from .profiles import HOLYSHEEP, Profile, check_key_owner, profiles
from .retries import Retries

DEFAULT_BASE_URL = "https://api.holysheep.ai/v1"
DEFAULT_WS_URL = "wss://stream.holysheep.ai/v1"
DEFAULT_MODEL = "gpt-4.1"
DEFAULT_KEY_NAME = "HOLYSHEEP_API_KEY"

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where requests go, and the name of the variable that holds the key for it.

    Raises `ConfigurationError` for what can be no name, and may be a key.
    """

    base_url: str
    api_key_name: str

    def __post_init__(self) -> None:
        if not _VARIABLE.fullmatch(self.api_key_name):
            error = ConfigurationError(
                "A key is named by its environment variable, as in HOLYSHEEP_API_KEY: what was given is no such name. "
                "If it is a key, take it out of the notebook."
            )
            show_briefly(error, f"ConfigurationError: {error}")
            raise error

    def read_key(self) -> str:
        """The key, looked for now. Raises `MissingKeyError` or `ConfigurationError`."""
        key = find_key(self.api_key_name)
        if key is None:
            raise MissingKeyError(
                f"There is no API key: set {self.api_key_name} or type it after `%holysheep login`, or run "
                "`%holysheep local` for a small built-in model that needs none."
            )
        if not key.is_sendable:
            raise ConfigurationError(
                f"The value of {self.api_key_name} cannot be an API key: it holds spaces or characters beyond ASCII."
            )
        return key.reveal()


class Settings(Configurable):
    """What a request needs to know. Each trait can be set in ipython_config.py, or with
    `%config HolySheepMagics.model = "..."`; environment variables are read when a request is made.
    """

    model = Unicode("", help="Model that answers when none is named. Empty: HOLYSHEEP_MODEL, else gpt-4.1.").tag(
        config=True
    )
    base_url = Unicode(
        "", help=f"Address of the API up to /v1. Empty: HOLYSHEEP_BASE_URL, else {DEFAULT_BASE_URL}."
    ).tag(config=True)
    ws_url = Unicode(
        "", help=f"Address of the WebSocket up to /v1. Empty: HOLYSHEEP_WS_URL, else {DEFAULT_WS_URL}."
    ).tag(config=True)
    transport = Enum(
        ("auto", "sse", "ws"),
        "auto",
        help="How answers come: sse, ws (WebSocket), or auto: ws for runs with tools, else sse.",
    ).tag(config=True)
    api_key_name = Unicode(DEFAULT_KEY_NAME, help="Name of the environment variable that holds the API key.").tag(
        config=True
    )
    profile = Unicode(
        "", help="Profile in place of the endpoint above; holysheep: none. Empty: as %holysheep profile says."
    ).tag(config=True)
    profiles = Dict(
        help='More profiles, as in {"mine": {"base_url": "https://...", "api_key_name": "MY_KEY", "models": {}}}.'
    ).tag(config=True)
    system = Unicode("", help="System prompt for cells that give none.").tag(config=True)
    max_tokens = Int(None, allow_none=True, help="Most tokens of an answer; None leaves it to the model.").tag(
        config=True
    )
    temperature = Float(None, allow_none=True, help="Sampling temperature; None leaves it to the model.").tag(
        config=True
    )
    approve = Enum(
        ("ask", "auto", "deny"), "ask", help="Calls of tools that are not marked as safe: ask a person, or do not."
    ).tag(config=True)
    approval_timeout_s = Float(600.0, min=1.0, help="Seconds until a call that nobody approved is denied.").tag(
        config=True
    )
    max_rounds = Int(8, min=1, help="Most rounds of a run: the model answers, its calls are made, and again.").tag(
        config=True
    )
    image_models = List(
        Unicode(),
        ["gpt-4o*", "gpt-4.1*", "gpt-5*", "o3*", "o4*", "claude-*", "gemini-*"],
        help="Patterns of the models that take images, such as the figures that tools return.",
    ).tag(config=True)
    max_attempts = Int(
        5, min=1, help="How often a request is made that fails before anything came, the first time included."
    ).tag(config=True)
    max_retry_wait_s = Float(60.0, min=0.0, help="Longest wait before a request is made again, in seconds.").tag(
        config=True
    )
    fallback_model = Unicode("", help="Model that is asked where the one that was asked for cannot answer.").tag(
        config=True
    )
    fallback_base_url = Unicode("", help="Address, up to /v1, of a second endpoint for the fallback.").tag(config=True)
    fallback_api_key_name = Unicode("", help="Environment variable that holds the key of the second endpoint.").tag(
        config=True
    )
    prices = Dict(
        help="Prices in US dollars per million tokens, as in {'gpt-4.1': (2.0, 8.0)}: input, then output, None where "
        "unknown. They come before those of this package."
    ).tag(config=True)
    remembers = Bool(
        True, help="A new kernel reads what the cells of its notebook said before, from the saved file."
    ).tag(config=True)
    budget = Float(
        None, allow_none=True, min=0.0, help="US dollars that a kernel's runs may cost together; None for no limit."
    ).tag(config=True)
    connect_timeout_s = Float(10.0, min=0.1, help="Seconds until a connection stands.").tag(config=True)
    idle_timeout_s = Float(
        120.0,
        min=0.1,
        help="Longest silence while an answer streams, in seconds. There is no limit in total.",
    ).tag(config=True)

    def resolved_model(self) -> str:
        """The model that answers when none is named: the trait, else the environment, else the default."""
        return self.model.strip() or os.environ.get("HOLYSHEEP_MODEL", "").strip() or DEFAULT_MODEL

    @validate("prices")
    def _check_prices(self, proposal: Any) -> Any:
        try:
            Prices(proposal["value"])
        except ValueError as error:
            raise TraitError(f"These prices cannot be used: {error}.") from None
        return proposal["value"]

    def price(self, model: str, host: str = "") -> Price:
        """What `model` costs at `host`, as far as it is known."""
        found = Prices(self.prices).find(model, is_local=is_loopback(urlsplit(f"//{host}").hostname or ""))
        profile = self.active_profile()
        # The prices of this package are HolySheep's.
        is_foreign = profile is not None and host == profile.host
        return UNKNOWN if is_foreign and found is Prices().find(model) else found

    def takes_images(self, model: str) -> bool:
        """True if `model` can be sent images."""
        return any(fnmatch.fnmatchcase(model.lower(), pattern) for pattern in self.image_models)

    def resolved_base_url(self) -> str:
        """The address of the API: the profile's, else the trait, else the environment, else the default."""
        profile = self.active_profile()
        return profile.base_url if profile is not None else self._own_base_url()

    def resolved_api_key_name(self) -> str:
        """The variable that holds the key: the profile's, else the trait."""
        profile = self.active_profile()
        return profile.api_key_name if profile is not None else self.api_key_name

    def resolved_transport(self) -> str:
        """How answers come: a profile speaks SSE alone."""
        return self.transport if self.active_profile() is None else "sse"

    def served_model(self, model: str) -> str:
        """What the model is called where requests go."""
        profile = self.active_profile()
        return model if profile is None else profile.model_for(model)

    def _own_base_url(self) -> str:
        return self.base_url.strip() or os.environ.get("HOLYSHEEP_BASE_URL", "").strip() or DEFAULT_BASE_URL

    def resolved_ws_url(self) -> str:
        """The address of the WebSocket: the trait, else the environment, else the default."""
        return self._given_ws_url() or DEFAULT_WS_URL

    def _given_ws_url(self) -> str:
        return self.ws_url.strip() or os.environ.get("HOLYSHEEP_WS_URL", "").strip()

    def known_profiles(self) -> dict[str, Profile]:
        """Every profile by its name, without `holysheep`. Raises `ConfigurationError` for one that is misshapen."""
        return profiles.all(self.profiles)

    def active_profile(self) -> Profile | None:
        """The profile that requests go to, None for the settings' own endpoint. Raises `ConfigurationError`."""
        name = self.profile.strip()
        if name == HOLYSHEEP or (not name and (self.base_url.strip() or profiles.active is None)):
            return None
        found = self.known_profiles().get(name) if name else profiles.active
        if found is None:
            raise ConfigurationError(f"There is no profile {name!r}: `%holysheep profile` lists them.")
        return self.check_profile(found)

    def check_profile(self, profile: Profile) -> Profile:
        """The profile, if no key would go to another's host because of it. Raises `ConfigurationError`."""
        Endpoint(check_base_url(profile.base_url), profile.api_key_name)
        own = self._own_base_url()
        others = [each for each in self.known_profiles().values() if each.name != profile.name]
        owners = [(DEFAULT_KEY_NAME, DEFAULT_BASE_URL), (DEFAULT_KEY_NAME, own), (self.api_key_name, own)]
        check_key_owner(profile, [*owners, *((each.api_key_name, each.base_url) for each in others)])
        return profile

    def own_endpoint(self) -> Endpoint:
        """Where requests go without a profile. Raises `ConfigurationError`."""
        return Endpoint(check_base_url(self._own_base_url()), self.api_key_name)

    def endpoint(self, base_url: str | None = None, api_key_name: str | None = None) -> Endpoint:
        """Where a request goes. Raises `ConfigurationError` for an address that must not get the key.

        The key named in the settings belongs to the settings' host; another host needs a key of its own.
        """
        configured = check_base_url(self.resolved_base_url())
        if base_url is None:
            return Endpoint(configured, api_key_name or self.resolved_api_key_name())
        asked = check_base_url(base_url)
        if api_key_name is None and urlsplit(asked).netloc != urlsplit(configured).netloc:
            raise ConfigurationError(
                f"{self.resolved_api_key_name()} belongs to {urlsplit(configured).netloc}: name the key for "
                f"{urlsplit(asked).netloc} with --api-key-name."
            )
        return Endpoint(asked, api_key_name or self.resolved_api_key_name())

    def fallback(self, model: str | None, asked: str) -> tuple[Endpoint, str] | None:
        """Where to go and which model to ask where `asked` cannot answer, or None. Raises `ConfigurationError`."""
        chosen = resolve_alias(model or self.fallback_model.strip())
        if self.fallback_base_url.strip():
            if not self.fallback_api_key_name:
                raise ConfigurationError("A second endpoint needs a key of its own: set fallback_api_key_name.")
            return Endpoint(check_base_url(self.fallback_base_url), self.fallback_api_key_name), chosen or asked
        chosen = self.served_model(chosen) if chosen else ""
        return (self.endpoint(), chosen) if chosen and chosen != asked else None

    def retries(self) -> Retries:
        """How a request that failed before anything came is made again."""
        return Retries(self.max_attempts, self.max_retry_wait_s)

    def knows_ws_endpoint(self) -> bool:
        """True if there is an address of a WebSocket that belongs to the settings' host, or was given for it."""
        if self.active_profile() is not None:
            return False
        configured = urlsplit(check_base_url(self.resolved_base_url())).netloc
        return bool(self._given_ws_url()) or configured == urlsplit(DEFAULT_BASE_URL).netloc

    def check_ws_endpoint(self) -> str:
        """The address of the WebSocket. Raises `ConfigurationError` for one that must not get the key.

        The default address is HolySheep's: it gets the key only if the settings' host is HolySheep's too.
        """
        profile = self.active_profile()
        if profile is not None:
            raise ConfigurationError(f"The profile {profile.name} has no WebSocket: ask over SSE.")
        if not self.knows_ws_endpoint():
            raise ConfigurationError(
                f"{self.api_key_name} belongs to {urlsplit(self.resolved_base_url()).netloc}, whose WebSocket is not "
                "known: set HOLYSHEEP_WS_URL."
            )
        return check_ws_url(self.resolved_ws_url())


def check_base_url(url: str) -> str:
    """The address without its trailing slash. Raises `ConfigurationError` with what is wrong."""
    return _check_url(url, "http", f"as in {DEFAULT_BASE_URL}: set HOLYSHEEP_BASE_URL")


def check_ws_url(url: str) -> str:
    """The same, for the address of a WebSocket."""
    return _check_url(url, "ws", f"as in {DEFAULT_WS_URL}: set HOLYSHEEP_WS_URL")


def _check_url(url: str, plain: str, advice: str) -> str:
    url = url.strip().rstrip("/")
    try:
        if not url.isprintable():
            raise ValueError("it holds a control character")
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
        if plain == "ws":
            parts.netloc.encode("idna")
    except ValueError as error:
        raise ConfigurationError(f"The address {url!r} cannot be read ({error}).") from None
    if parts.scheme not in (plain, f"{plain}s") or not host:
        raise ConfigurationError(f"The address {url!r} needs a scheme and a host, {advice}.")
    if parts.username or parts.password:
        raise ConfigurationError(f"The address of {host} must not hold a name or password: the key goes elsewhere.")
    if parts.query or parts.fragment:
        raise ConfigurationError(f"The address {url!r} must end before '?' and '#'.")
    if parts.scheme == plain and not is_loopback(host):
        raise ConfigurationError(
            f"The key is not sent over plain {plain} to {host}: use {plain}s://, or an address on this machine."
        )
    return url


def is_loopback(host: str) -> bool:
    """True for names and addresses of this machine alone."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
