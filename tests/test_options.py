from __future__ import annotations

import inspect
from typing import Any

import pytest

from holysheep_nb import Chat
from holysheep_nb.errors import UsageError
from holysheep_nb.options import CellOptions, nearest, option_names, parse_cell_line, usage

HELP = " `%holysheep help` lists the options."
UNKNOWN_HELP = " `%holysheep help` lists them."


@pytest.mark.parametrize(
    ("line", "changed"),
    [
        ("", {}),
        ("gpt-4.1", {"model": "gpt-4.1"}),
        ("-m gpt-4.1", {"model": "gpt-4.1"}),
        ("--model=gpt-4.1", {"model": "gpt-4.1"}),
        ("gpt-4.1 -m gpt-4.1", {"model": "gpt-4.1"}),
        ("-m a -m b", {"model": "a", "models": ("a", "b")}),
        ("-m a -m a", {"model": "a", "models": ("a", "a")}),
        ("a --compare 'b, c'", {"model": "a", "models": ("a", "b", "c")}),
        ("--compare b", {"models": (None, "b")}),
        ("-s 'Be brief.'", {"system": "Be brief."}),
        ("--system ''", {"system": ""}),
        ("-t 0.2", {"parameters": {"temperature": 0.2}}),
        ("--temperature 0", {"parameters": {"temperature": 0.0}}),
        ("--max-tokens 5", {"parameters": {"max_tokens": 5}}),
        ("-o seed 1 -o stop '[\"a\"]'", {"parameters": {"seed": 1, "stop": ["a"]}}),
        ("-o user me", {"parameters": {"user": "me"}}),
        ("--option frequency_penalty -0.5", {"parameters": {"frequency_penalty": -0.5}}),
        ("-t 0.2 -o temperature 1", {"parameters": {"temperature": 0.2}}),
        ("-f json", {"answer_format": "json"}),
        ("--format code", {"answer_format": "code"}),
        ("--out run", {"out": "run"}),
        ("-l 'my answer'", {"label": "my answer"}),
        ("--bg", {"is_background": True}),
        ("--new", {"is_new": True}),
        ("--live", {"is_live": True}),
        ("--no-raise", {"raises": False}),
        ("--transport sse", {"transport": "sse"}),
        ("--transport ws", {"transport": "ws"}),
        ("--record f.json", {"record": "f.json"}),
        ("--replay 'my f.json'", {"replay": "my f.json"}),
        (
            "--api-base http://127.0.0.1:1/v1 --api-key-name K",
            {"api_base": "http://127.0.0.1:1/v1", "api_key_name": "K"},
        ),
        ("--bg gpt-4.1 --new", {"model": "gpt-4.1", "is_background": True, "is_new": True}),
    ],
)
def test_a_line_is_read(line: str, changed: dict[str, Any]) -> None:
    assert parse_cell_line(line) == CellOptions(**changed)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("--temprature 1", "There is no option --temprature. Did you mean --temperature?" + UNKNOWN_HELP),
        ("-m a -m b --replay f", "--replay is for one model: leave it out, or name one model."),
        ("-m a -m b -f code", "-f code is for one model: leave it out, or name one model."),
        ("--modle=x", "There is no option --modle. Did you mean --model?" + UNKNOWN_HELP),
        ("--max-token 5", "There is no option --max-token. Did you mean --max-tokens?" + UNKNOWN_HELP),
        ("--qqqq", "There is no option --qqqq." + UNKNOWN_HELP),
        (
            "gpt-4.1 tell me",
            "'tell' is one word too many: only the model stands without an option. Quote texts with spaces.",
        ),
        ("a -m b", "Two models are named, a and b: leave one out, or compare them with -m for each."),
        ("-s 'open", "The line cannot be read (no closing quotation): check its quotes."),
        ("-t warm", "-t/--temperature: invalid float value: 'warm'." + HELP),
        ("-t nan", "--temperature needs a finite number."),
        ("-t 1e999", "--temperature needs a finite number."),
        ("--max-tokens 1.5", "--max-tokens: invalid int value: '1.5'." + HELP),
        ("--max-tokens 0", "--max-tokens needs a number above 0."),
        ("-m", "-m/--model: expected one argument." + HELP),
        ("-o seed", "-o/--option: expected 2 arguments." + HELP),
        ("-f html", "-f/--format: invalid choice: 'html' (choose from markdown, text, code, json)." + HELP),
        ("--transport udp", "--transport: invalid choice: 'udp' (choose from sse, ws, auto)." + HELP),
        ("--bg=1", "--bg: ignored explicit argument '1'." + HELP),
        ("--out 2fast", "--out needs the name of a variable, and '2fast' is none."),
        ("--out class", "--out needs the name of a variable, and 'class' is none."),
        ("--bg -f code", "-f code writes a cell when this one ends: leave out --bg."),
        ("-o model x", "-o cannot set model: an option of its own does, or the request needs it as it is." + HELP),
        (
            "-o stream false",
            "-o cannot set stream: an option of its own does, or the request needs it as it is." + HELP,
        ),
    ],
)
def test_a_wrong_line_is_refused_in_one_sentence(line: str, sentence: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_cell_line(line)
    said = str(raised.value)
    # Python 3.12 and later leave out the quotes around choices.
    for name in ("markdown", "text", "code", "json", "sse", "ws", "auto"):
        said = said.replace(f"'{name}'", name)
    assert said == sentence


def test_no_name_that_the_request_or_ask_keeps_for_itself_can_be_set_with_o() -> None:
    kept = {
        name
        for name, parameter in inspect.signature(Chat.ask).parameters.items()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    }
    for name in {*kept, "messages", "stream", "stream_options"}:
        with pytest.raises(UsageError, match=rf"^-o cannot set {name}: "):
            parse_cell_line(f"-o {name} 1")


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e999", "[NaN]"])
def test_a_number_json_does_not_have_is_sent_as_text(value: str) -> None:
    assert parse_cell_line(f"-o x {value}").parameters == {"x": value}


def test_every_option_is_known_for_advice_and_is_in_the_help() -> None:
    for name in option_names():
        assert name in usage()
    assert {"-m", "--model", "--bg", "--no-raise"} <= set(option_names())


def test_the_nearest_word_is_suggested_only_if_it_is_near() -> None:
    assert nearest("modls", ["models", "stop"]) == " Did you mean models?"
    assert nearest("xyz", ["models", "stop"]) == ""
