"""Short names for models: kept in a file, resolved before anything is sent."""

from __future__ import annotations

from pathlib import Path

import pytest
from raw_server import RawServer, answer

from holysheep_nb import Chat, aliases
from holysheep_nb.aliases import do_alias_line, read_aliases, resolve_alias
from holysheep_nb.config import Settings
from holysheep_nb.errors import ConfigurationError, UsageError


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(aliases, "aliases_path", lambda: tmp_path / "config" / "aliases.json")
    return tmp_path / "config" / "aliases.json"


def test_an_alias_is_made_listed_and_removed(file: Path) -> None:
    assert do_alias_line([]) == "There is no alias. `%holysheep alias NAME MODEL` makes one."
    said = do_alias_line(["fast", "gemini-2.5-flash"])
    assert said == "fast is gemini-2.5-flash from now on, in every notebook: `%%holysheep fast`."
    do_alias_line(["a", "gpt-4.1"])
    assert do_alias_line([]) == "a      gpt-4.1\nfast   gemini-2.5-flash"
    assert (resolve_alias("fast"), resolve_alias("gpt-4.1")) == ("gemini-2.5-flash", "gpt-4.1")
    assert do_alias_line(["--remove", "fast"]) == "The alias fast is removed."
    assert read_aliases() == {"a": "gpt-4.1"}
    assert [path.name for path in file.parent.iterdir()] == ["aliases.json"]


def test_an_alias_can_be_given_to_another_model() -> None:
    do_alias_line(["fast", "one"])
    do_alias_line(["fast", "two"])
    assert read_aliases() == {"fast": "two"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["fast"], "%holysheep alias takes nothing, NAME MODEL, or --remove NAME."),
        (["a", "b", "c"], "%holysheep alias takes nothing, NAME MODEL, or --remove NAME."),
        (["--remove", "no"], "There is no alias 'no'."),
        (["x/y", "m"], "An alias is a word of letters, digits, '.', '_' and '-', and 'x/y' is none."),
        (["other", "there"], "An alias stands for a model, and 'there' is an alias: name the model."),
        (["m", "m"], "An alias stands for a model, and 'm' is an alias: name the model."),
    ],
)
def test_a_wrong_line_is_refused_in_one_sentence(words: list[str], sentence: str) -> None:
    do_alias_line(["there", "m"])
    with pytest.raises(UsageError) as raised:
        do_alias_line(words)
    assert str(raised.value) == sentence
    assert read_aliases() == {"there": "m"}


@pytest.mark.parametrize("text", ["{", "[]", '{"fast": 1}'])
def test_a_file_that_is_no_list_of_aliases_is_named(file: Path, text: str) -> None:
    file.parent.mkdir()
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=rf"{file}.*: correct the file or delete it\.$"):
        resolve_alias("fast")
    with pytest.raises(ConfigurationError):
        do_alias_line(["fast", "m"])
    assert file.read_text() == text


def test_the_request_has_the_model_s_own_name(at_server: RawServer) -> None:
    do_alias_line(["fast", "raw-large"])
    at_server.play(answer("a"))
    run = Chat().ask("Hi", model="fast").result()
    assert at_server.asked[0].json["model"] == run.request.model == "raw-large"
    assert Settings().fallback("fast", "gpt-4.1")[1] == "raw-large"  # type: ignore[index]
