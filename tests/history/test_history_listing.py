"""What a person reads of versions: words that changed are marked, and nothing in them is live."""

from __future__ import annotations

from saved_notebooks import run_of, version

from holysheep_nb.conversation import Conversation, Turn
from holysheep_nb.history.listing import changes_page, history_table, versions_page
from holysheep_nb.parts import TextPart


def pages(*texts: str) -> tuple[str, str]:
    conversation = Conversation()
    for text in texts:
        exchange = conversation.begin("a", version(text, "the same"))
    return versions_page(exchange, 1, [])


def test_what_was_taken_out_and_what_came_in_are_marked_in_markdown_and_in_text() -> None:
    markdown, text = pages("a red car", "a blue car")
    assert "Prompt: the same\n\nAnswer: a <del>red</del> <strong>blue</strong> car" in markdown
    assert "Prompt: the same\n\nAnswer: a [-red-] {+blue+} car" in text
    assert "`%holysheep checkout 1 N`" in markdown
    assert "**" not in text


def test_lines_and_their_indentation_stay() -> None:
    markdown, _ = pages("if a:\n    b()", "if a:\n    c()")
    assert "Answer: if a:<br>&nbsp;&nbsp;&nbsp;&nbsp;<del>b()</del><br>&nbsp;&nbsp;&nbsp;&nbsp;<strong>c()" in markdown


def test_texts_that_begin_otherwise_are_told_apart() -> None:
    markdown, text = pages("red", "blue")
    assert "Answer: <del>red</del> <strong>blue</strong>" in markdown
    assert "Answer: [-red-] {+blue+}" in text


def test_nothing_in_a_text_is_live_markdown() -> None:
    hostile = "<img src=http://evil.test> ![x](http://evil.test) `code` **b** _i_ ~~s~~ $x$ [l](javascript:x) | \\\\(x"
    markdown, _ = pages("before", hostile)
    shown = markdown.split("<strong>")[1]
    assert "<img" not in shown
    for live in ("![x]", "[l]", " `c", "**b", "_i", "~~", "$x", "| ", "\\\\("):
        assert live not in shown.split("</strong>")[0]


def test_long_stretches_that_stayed_the_same_are_shortened() -> None:
    words = " ".join(f"word{number}" for number in range(300))
    markdown, text = pages(f"{words} red", f"{words} blue")
    answer = markdown.split("Answer: ")[2]
    assert len(answer.split()) < 60
    assert "word0 " in answer
    assert "word299 <del>red</del>" in answer
    assert " … " in text


def test_a_difference_of_very_long_texts_says_that_it_is_cut() -> None:
    _, text = pages("a " * 5000, "b " * 10)
    assert text.split("\n\n")[-2].endswith("(only the first 4,000 words are compared)")


def test_any_two_versions_are_compared() -> None:
    conversation = Conversation()
    for text in ("one", "two", "three"):
        exchange = conversation.begin("a", version(text, "the same"))
    markdown, _ = changes_page(exchange, 1, 3, 1)
    assert markdown.endswith("Answer: <del>three</del> <strong>one</strong>")


def test_the_table_says_what_a_new_cell_sends() -> None:
    conversation = Conversation()
    conversation.begin("a", version("1"))
    conversation.begin("b", version("2"), afresh=True)
    failed = [Turn.user("3?\nand more"), Turn("assistant", [], "raw", "failed")]
    conversation.begin("c", failed)
    streaming = [Turn.user("4?"), Turn("assistant", [TextPart("so far")], "raw")]
    run = run_of(streaming, "d")
    run.status = "streaming"
    conversation.begin("d", streaming)
    rows = [line.split() for line in history_table(conversation, [run]).split("\n")][1:5]
    assert rows == [
        ["1", "a", "1", "of", "1", "complete", "raw", "no", "1?"],
        ["2", "b", "1", "of", "1", "complete", "raw", "yes", "2?"],
        ["3", "c", "1", "of", "1", "failed", "raw", "no", "3?", "and", "more"],
        ["4", "d", "1", "of", "1", "streaming", "raw", "no", "4?"],
    ]
