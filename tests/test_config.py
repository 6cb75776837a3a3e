"""Settings and the key's home. Which addresses are refused is in test_sse.py."""

from __future__ import annotations

import pytest
from traitlets import TraitError
from traitlets.config import Config

from holysheep_nb import Chat
from holysheep_nb.config import DEFAULT_BASE_URL, Endpoint, Settings, is_loopback
from holysheep_nb.errors import ConfigurationError, MissingKeyError

KEY = "hs-secret-0123456789"
VARIABLES = ("HOLYSHEEP_API_KEY", "HOLYSHEEP_BASE_URL", "HOLYSHEEP_MODEL")


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_without_anything_set_the_defaults_answer() -> None:
    settings = Settings()
    assert settings.resolved_model() == "gpt-4.1"
    assert settings.endpoint() == Endpoint("https://api.holysheep.ai/v1", "HOLYSHEEP_API_KEY")
    assert (settings.connect_timeout_s, settings.idle_timeout_s) == (10.0, 120.0)
    assert (settings.max_tokens, settings.temperature, settings.system) == (None, None, "")


def test_the_environment_comes_before_the_defaults_and_is_read_when_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings()
    monkeypatch.setenv("HOLYSHEEP_MODEL", " m ")
    monkeypatch.setenv("HOLYSHEEP_BASE_URL", "https://env.test/v1/")
    assert settings.resolved_model() == "m"
    assert settings.endpoint().base_url == "https://env.test/v1"


def test_a_trait_comes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLYSHEEP_MODEL", "env")
    monkeypatch.setenv("HOLYSHEEP_BASE_URL", "https://env.test/v1")
    settings = Settings(model="trait", base_url="https://trait.test/v1")
    assert settings.resolved_model() == "trait"
    assert settings.endpoint().base_url == "https://trait.test/v1"


@pytest.mark.parametrize("name", VARIABLES[1:])
def test_a_blank_variable_is_as_good_as_none(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "  ")
    assert (Settings().resolved_model(), Settings().resolved_base_url()) == ("gpt-4.1", DEFAULT_BASE_URL)


def test_settings_come_from_a_config_file() -> None:
    config = Config({"Settings": {"model": "m", "max_tokens": 5, "idle_timeout_s": 3.0}})
    settings = Settings(config=config)
    assert (settings.model, settings.max_tokens, settings.idle_timeout_s) == ("m", 5, 3.0)


@pytest.mark.parametrize("name", ["connect_timeout_s", "idle_timeout_s"])
def test_a_timeout_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(TraitError):
        Settings(**{name: 0.0})


def test_the_key_is_read_when_it_is_needed_and_trimmed(monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = Settings().endpoint()
    monkeypatch.setenv("HOLYSHEEP_API_KEY", f" {KEY}\n")
    assert endpoint.read_key() == KEY
    monkeypatch.setenv("HOLYSHEEP_API_KEY", "another")
    assert endpoint.read_key() == "another"


def test_no_repr_shows_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLYSHEEP_API_KEY", KEY)
    settings = Settings()
    endpoint = settings.endpoint()
    endpoint.read_key()
    shown = f"{settings!r} {settings.trait_values()} {endpoint!r} {Chat()!r} {vars(Chat())}"
    assert KEY not in shown


@pytest.mark.parametrize("value", [None, "", " \n"])
def test_a_missing_key_says_what_to_do(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if value is not None:
        monkeypatch.setenv("MY_KEY", value)
    with pytest.raises(MissingKeyError) as raised:
        Settings(api_key_name="MY_KEY").endpoint().read_key()
    assert str(raised.value) == (
        "There is no API key: set MY_KEY or type it after `%holysheep login`, or run `%holysheep local` for a small "
        "built-in model that needs none."
    )


def test_another_host_does_not_get_the_key_of_the_settings() -> None:
    with pytest.raises(ConfigurationError) as raised:
        Settings().endpoint("https://other.test/v1")
    assert str(raised.value) == (
        "HOLYSHEEP_API_KEY belongs to api.holysheep.ai: name the key for other.test with --api-key-name."
    )


def test_another_port_is_another_host() -> None:
    with pytest.raises(ConfigurationError, match=r"^HOLYSHEEP_API_KEY belongs to api\.holysheep\.ai: "):
        Settings().endpoint("https://api.holysheep.ai:8443/v1")


def test_another_host_gets_the_key_that_is_named_for_it() -> None:
    asked = Settings().endpoint("https://other.test/v1/", "OTHER_KEY")
    assert asked == Endpoint("https://other.test/v1", "OTHER_KEY")


def test_another_path_on_the_same_host_gets_the_same_key() -> None:
    assert Settings().endpoint("https://api.holysheep.ai/v2").api_key_name == "HOLYSHEEP_API_KEY"


def test_a_chat_refuses_an_address_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLYSHEEP_API_KEY", KEY)
    chat = Chat(base_url="http://api.test/v1", api_key_name="HOLYSHEEP_API_KEY")
    with pytest.raises(ConfigurationError, match=r"^The key is not sent over plain http to api\.test: "):
        chat.ask("Hi")
    assert chat.runs == []


@pytest.mark.parametrize(
    ("host", "is_local"),
    [("localhost", True), ("127.0.0.1", True), ("::1", True), ("127.1", False), ("localhost.test", False)],
)
def test_loopback_is_this_machine_alone(host: str, is_local: bool) -> None:
    assert is_loopback(host) is is_local
