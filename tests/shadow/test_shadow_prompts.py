"""What a line of prompts may be."""

from __future__ import annotations

from pathlib import Path

import pytest

from holysheep_nb.errors import UsageError
from holysheep_nb.shadow.prompts import read_prompts


def read(tmp_path: Path, text: str) -> list[tuple[str, list[dict[str, str]]]]:
    file = tmp_path / "p.jsonl"
    file.write_text(text, "utf-8")
    return [(prompt.label, prompt.messages) for prompt in read_prompts(file)]


def test_a_prompt_and_messages_are_read_with_what_else_is_sent(tmp_path: Path) -> None:
    file = tmp_path / "p.jsonl"
    file.write_text(
        '{"prompt": "Hello", "temperature": 0}\n\n'
        '{"messages": [{"role": "user", "content": "Hi"}], "model": "m", "label": "greeting", "stream": true}\n',
        "utf-8",
    )
    first, second = read_prompts(file)
    assert (first.messages, first.parameters) == ([{"role": "user", "content": "Hello"}], {"temperature": 0})
    assert (second.label, second.model, second.parameters) == ("greeting", "m", {})


def test_a_key_stays_when_lines_move_and_a_line_that_stands_twice_has_two(tmp_path: Path) -> None:
    file = tmp_path / "p.jsonl"
    file.write_text('{"prompt": "a"}\n{"prompt": "b"}\n{"prompt": "a"}\n', "utf-8")
    keys = [prompt.key for prompt in read_prompts(file)]
    assert len(set(keys)) == 3
    file.write_text('{"prompt": "new"}\n{"prompt": "b"}\n{"prompt": "a"}\n', "utf-8")
    assert [prompt.key for prompt in read_prompts(file)][1:] == [keys[1], keys[0]]


def test_a_long_prompt_is_called_by_its_begin(tmp_path: Path) -> None:
    ((label, _),) = read(tmp_path, '{"prompt": "' + "word " * 40 + '"}')
    assert label == "word " * 10 + "…"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "p.jsonl, line 2 is not JSON."),
        ("[]", 'p.jsonl, line 2 needs "prompt" or "messages", and not both.'),
        ('{"prompt": "a", "messages": []}', 'p.jsonl, line 2 needs "prompt" or "messages", and not both.'),
        ('{"prompt": 1}', 'p.jsonl, line 2: "prompt" is a text.'),
        ('{"prompt": "a", "model": null}', 'p.jsonl, line 2: "model" is a text.'),
        ('{"messages": []}', 'p.jsonl, line 2: "messages" is a list of objects'),
        ('{"messages": ["a"]}', 'p.jsonl, line 2: "messages" is a list of objects'),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(tmp_path, f'{{"prompt": "a"}}\n{line}\n')
    assert str(caught.value).startswith(said)


def test_a_file_that_is_not_there_or_empty_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot be read \(No such file or directory\)"):
        read_prompts(tmp_path / "none.jsonl")
    with pytest.raises(UsageError, match="There is no prompt in"):
        read(tmp_path, "\n")
