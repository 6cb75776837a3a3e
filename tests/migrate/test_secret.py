"""What looks like a key."""

from __future__ import annotations

import pytest

from holysheep_nb.migrate.secret import find_keys, is_secret, kind_of, redact


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("sk-Zq4t8Xw1Lm5Rk9Yb2Nc7Vd3", "OpenAI key"),
        ("sk-proj-Zq4t8Xw1_Lm5Rk9Yb-2Nc7Vd3", "OpenAI key"),
        ("sk-ant-api03-Zq4t8Xw1Lm5Rk9Yb2Nc7", "Anthropic key"),
        ("sk-or-v1-0123456789abcdef0123456789abcdef", "OpenRouter key"),
        ("sk-0123456789abcdef0123456789abcdef", "OpenAI key"),
        ("hs-Zq4t8Xw1Lm5Rk9Yb2Nc7Vd3", "HolySheep key"),
    ],
)
def test_a_key_is_found_named_and_taken_out(key: str, kind: str) -> None:
    text = f'key = "{key}"  # mine'
    assert [text[start:end] for start, end in find_keys(text)] == [key]
    assert kind_of(key) == kind
    assert redact(text) == 'key = "(key removed)"  # mine'


@pytest.mark.parametrize(
    "text",
    [
        "sk-learn-something-with-a-long-name",
        "sk-ssh-ed25519@openssh.com",
        "sk-ecdsa-sha2-nistp256",
        "sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "task-Zq4t8Xw1Lm5Rk9Yb2Nc7Vd3",
        "sk-...",
    ],
)
def test_other_words_are_no_keys(text: str) -> None:
    assert find_keys(text) == []


@pytest.mark.parametrize(("value", "expected"), [("EMPTY", False), ("ollama", False), ("0123456789abcdef", True)])
def test_a_value_given_as_a_key_is_a_secret_if_it_is_long(value: str, expected: bool) -> None:
    assert is_secret(value) is expected
