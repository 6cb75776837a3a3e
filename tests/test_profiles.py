"""Profiles: another endpoint in place of the settings' own, and no key at the wrong host."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from raw_server import RawServer, answer

from holysheep_nb import Chat, stream_chat_completion_sse, stream_with_websocket
from holysheep_nb.config import Settings
from holysheep_nb.errors import ConfigurationError, UsageError
from holysheep_nb.profiles import profiles
from holysheep_nb.profiles.verb import do_profile_line, leave_profile

OTHER_KEY = "sk-other-key-0123456789"


@pytest.fixture(autouse=True)
def no_profile(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("OTHER_KEY", OTHER_KEY)
    monkeypatch.setattr(profiles, "added", {})
    yield
    profiles.active = None


@pytest.fixture
def other() -> Iterator[RawServer]:
    """The endpoint of the profile `other`."""
    with RawServer() as raw:
        raw.play(answer("other"))
        yield raw


@pytest.fixture
def settings(at_server: RawServer, other: RawServer) -> Settings:
    """Settings that know a profile `other`."""
    at_server.play(answer("own"))
    settings = Settings()
    do_profile_line(["add", "other", other.base_url, "OTHER_KEY", "raw=there", "claude-*=there-too"], settings)
    return settings


def test_one_line_switches_address_key_and_model_and_one_line_goes_back(
    settings: Settings, at_server: RawServer, other: RawServer
) -> None:
    chat = Chat(settings=settings)
    assert str(chat.ask("one").result()) == "own"
    do_profile_line(["other"], settings)
    assert str(chat.ask("two").result()) == "other"
    do_profile_line(["holysheep"], settings)
    assert str(chat.ask("three").result()) == "own"
    assert [request.headers["authorization"] for request in other.asked] == [f"Bearer {OTHER_KEY}"]
    assert {request.headers["authorization"] for request in at_server.asked} == {"Bearer hs-test-key-0123456789"}
    assert [request.json["model"] for request in other.asked] == ["there"]
    assert [request.json["model"] for request in at_server.asked] == ["raw", "raw"]
    assert len(at_server.asked) == 2


@pytest.mark.parametrize(("asked", "sent"), [("claude-x", "there-too"), ("gpt-4.1", "gpt-4.1")])
def test_names_of_models_are_those_of_the_profile(settings: Settings, other: RawServer, asked: str, sent: str) -> None:
    do_profile_line(["other"], settings)
    Chat(settings=settings).ask("Hi", model=asked).result()
    list(stream_chat_completion_sse(asked, [{"role": "user", "content": "Hi"}], settings=settings))
    assert [request.json["model"] for request in other.asked] == [sent, sent]


def test_what_takes_no_settings_follows_too(settings: Settings, at_server: RawServer, other: RawServer) -> None:
    do_profile_line(["other"], settings)
    assert str(Chat().ask("Hi").result()) == "other"
    assert "".join(stream_chat_completion_sse("raw", [{"role": "user", "content": "Hi"}])) == "other"
    leave_profile(settings)
    assert str(Chat().ask("Hi").result()) == "own"
    assert [len(other.asked), len(at_server.asked)] == [2, 1]


def test_settings_and_chats_with_an_address_of_their_own_do_not_follow(
    settings: Settings, at_server: RawServer, other: RawServer
) -> None:
    do_profile_line(["other"], settings)
    own = Settings(base_url=at_server.base_url)
    assert str(Chat(settings=own).ask("Hi").result()) == "own"
    chat = Chat(base_url=at_server.base_url, api_key_name="HOLYSHEEP_API_KEY")
    assert str(chat.ask("Hi").result()) == "own"
    assert [request.json["model"] for request in at_server.asked] == ["raw", "raw"]
    assert other.asked == []


def test_a_profile_is_spoken_to_over_sse_alone_and_gets_no_websocket_of_holysheep(
    settings: Settings, other: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look() -> str:
        """Looks."""
        return ""

    monkeypatch.setenv("HOLYSHEEP_WS_URL", "wss://stream.example/v1")
    do_profile_line(["other"], settings)
    for transport in ("auto", "ws"):
        settings.transport = transport
        run = Chat(settings=settings, tools=[look]).ask("Hi").result()
        assert run.request.transport == "sse"
    assert Chat(settings=settings, tools=[look], transport="auto").ask("Hi").result().request.transport == "sse"
    assert len(other.asked) == 3
    with pytest.raises(ConfigurationError, match=r"^The profile other has no WebSocket: ask over SSE\.$"):
        Chat(settings=settings).ask("Hi", transport="ws")
    with pytest.raises(ConfigurationError, match="The profile other has no WebSocket"):
        stream_with_websocket("raw", [{"role": "user", "content": "Hi"}], settings=settings)


def test_the_trait_names_a_profile_and_gives_more(at_server: RawServer, other: RawServer) -> None:
    given = {"mine": {"base_url": other.base_url, "api_key_name": "OTHER_KEY", "models": {"raw": "there"}}}
    settings = Settings(profile="mine", profiles=given)
    assert str(Chat(settings=settings).ask("Hi").result()) == "other"
    assert other.asked[0].json["model"] == "there"
    with pytest.raises(ConfigurationError, match="There is no profile 'yours'"):
        Chat(settings=Settings(profile="yours", profiles=given)).ask("Hi")
    with pytest.raises(ConfigurationError, match='The profile mine needs "base_url" and "api_key_name"'):
        Chat(settings=Settings(profile="mine", profiles={"mine": {"base_url": other.base_url}})).ask("Hi")


def test_openai_is_built_in_and_needs_its_own_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    settings = Settings()
    said = do_profile_line(["openai"], settings)
    assert said == (
        "openai answers: https://api.openai.com/v1, with OPENAI_API_KEY (not set). "
        "`%holysheep profile holysheep` goes back."
    )
    assert settings.endpoint().base_url == "https://api.openai.com/v1"
    with pytest.raises(ConfigurationError, match="There is no API key: set OPENAI_API_KEY"):
        Chat(settings=settings).ask("Hi")


@pytest.mark.parametrize(
    ("key_name", "said"),
    [
        ("HOLYSHEEP_API_KEY", "HOLYSHEEP_API_KEY belongs to "),
        ("OPENAI_API_KEY", "OPENAI_API_KEY belongs to api.openai.com: name another variable for the profile x."),
        ("OTHER_KEY", "OTHER_KEY belongs to 127.0.0.1:"),
        (OTHER_KEY, "A key is named by its environment variable"),
    ],
)
def test_the_key_of_one_is_never_given_to_another(settings: Settings, key_name: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        do_profile_line(["add", "x", "https://llm.example/v1", key_name], settings)
    assert str(caught.value).startswith(said)
    assert OTHER_KEY not in str(caught.value)
    assert "x" not in settings.known_profiles()
    given = {"x": {"base_url": "https://llm.example/v1", "api_key_name": key_name}}
    with pytest.raises(ConfigurationError):
        Settings(profile="x", profiles=given).endpoint()


@pytest.mark.parametrize(
    ("words", "error", "said"),
    [
        (["nowhere"], UsageError, "There is no profile 'nowhere'; there are: holysheep, openai, other."),
        (["add", "x"], UsageError, "%holysheep profile takes NAME, or add NAME BASE_URL KEY_NAME"),
        (["add", "holysheep", "https://a.example", "A"], UsageError, "A profile cannot be called 'holysheep'"),
        (["add", "x", "http://a.example/v1", "A"], ConfigurationError, "The key is not sent over plain http"),
        (["add", "x", "https://a.example/v1", "A", "b"], UsageError, "A model is renamed as in"),
    ],
)
def test_a_line_that_cannot_be_done_changes_nothing(
    settings: Settings, words: list[str], error: type[Exception], said: str
) -> None:
    before = settings.known_profiles()
    with pytest.raises(error) as caught:
        do_profile_line(words, settings)
    assert str(caught.value).startswith(said)
    assert (settings.known_profiles(), settings.active_profile()) == (before, None)


def test_the_list_shows_which_answers_and_no_key(settings: Settings, other: RawServer) -> None:
    do_profile_line(["other"], settings)
    lines = do_profile_line([], settings).splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["holysheep", "openai", "other"]
    assert [line.endswith("(answers)") for line in lines[:3]] == [False, False, True]
    assert other.base_url in lines[2]
    assert "key-0123456789" not in "".join(lines)


def test_a_key_of_either_side_is_refused_in_a_prompt(settings: Settings, other: RawServer) -> None:
    do_profile_line(["other"], settings)
    for name, key in (("OTHER_KEY", OTHER_KEY), ("HOLYSHEEP_API_KEY", "hs-test-key-0123456789")):
        with pytest.raises(UsageError, match=rf"The prompt contains the value of {name}"):
            Chat(settings=settings).ask(f"Is it {key}?")
    assert other.asked == []


def test_holysheep_s_published_prices_are_not_those_of_a_profile(settings: Settings, other: RawServer) -> None:
    own = settings.price("gpt-4.1", "api.holysheep.ai")
    do_profile_line(["other"], settings)
    run = Chat(settings=settings).ask("Hi", model="gpt-4.1").result()
    assert own.output_usd == 8.0
    assert run.cost.usd is None
    settings.prices = {"gpt-4.1": (1.0, 1.0)}
    assert settings.price("gpt-4.1", settings.known_profiles()["other"].host).output_usd == 1.0
