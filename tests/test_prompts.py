"""Values of the notebook in prompts: what is an expression, what a model reads of it, what is refused."""

from __future__ import annotations

import contextlib
import io
import json
import time
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.figure
import pandas
import PIL.Image
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from raw_server import RawServer, answer

from holysheep_nb import Chat
from holysheep_nb.attachments import Attachment, find_attachments, read_attachments
from holysheep_nb.content.files import MAX_TEXT_BYTES
from holysheep_nb.content.image_files import MAX_FILE_SIDE, identify
from holysheep_nb.conversation import Turn
from holysheep_nb.errors import UsageError
from holysheep_nb.options import parse_cell_line
from holysheep_nb.parts import ImagePart, TextPart, UserPart, part_from_dict
from holysheep_nb.prompts import interpolate
from holysheep_nb.wire.chat_completions import messages_from_turns

VISION_MODEL = "gpt-4.1"

SEVEN_PROMPTS = {
    "{v:k for k,v in d.items()}": "{v:k for k,v in d.items()}",
    "print({'foo': 'bar'})": "print({'foo': 'bar'})",
    "{": "{",
    '{"a": 1}': '{"a": 1}',
    r"\frac{a}{b}": r"\frac{a}{b}",
    "${x}": "${x}",
    '{{"{{x}}"}}': "{{x}}",
}


def text_of(parts: list[UserPart]) -> str:
    return Turn.user(parts).text


def inserted(template: str, **names: Any) -> str:
    return text_of(interpolate(template, names))


def refused(template: str, **names: Any) -> str:
    with pytest.raises(UsageError) as caught:
        interpolate(template, names)
    return str(caught.value)


def image_bytes(kind: str, size: tuple[int, int] = (30, 20)) -> bytes:
    file = io.BytesIO()
    PIL.Image.new("RGB", size, "red").save(file, kind)
    return file.getvalue()


# What is an expression


@pytest.mark.parametrize(("prompt", "sent"), SEVEN_PROMPTS.items())
def test_the_seven_prompts_are_sent_as_written(prompt: str, sent: str) -> None:
    assert inserted(prompt, x=1, a=2, b=3, d={}) == sent


@given(st.text().filter(lambda text: "{{" not in text))
@example("}}{}{ {")
@example("\\frac{a}{b} ${x} f'{x!r:>{width}}' {'a': {'b': {1}}}")
def test_text_without_two_opening_braces_is_untouched(text: str) -> None:
    assert inserted(text, x=1) == text


@given(st.text(alphabet="{}ab\"'#()[] \n:,\\", max_size=40))
def test_any_braces_are_read_or_refused_in_a_sentence(text: str) -> None:
    with contextlib.suppress(UsageError):
        assert isinstance(inserted(text, a="1", b="2"), str)


@given(st.text())
@example("{{x}} {{value}}")
def test_an_inserted_text_is_not_interpolated_again(value: str) -> None:
    assert inserted("<{{value}}>", value=value) == f"<{value}>".encode("utf-8", "replace").decode()


@pytest.mark.parametrize(
    ("template", "sent"),
    [
        ("{{x}}", "7"),
        ("{{ x }} and {{x+1}}", "7 and 8"),
        ("{{\n  x\n  + 1\n}}", "8"),
        ('{{ {"a": {"b": x}}["a"]["b"] }}', "7"),
        ("{{ {1:{2:3}}}}", '{"1": {"2": 3}}'),
        ("{{'}}'}}", "}}"),
        ('{{"""}} "{{" """}}', '}} "{{" '),
        ("{{f'{x}{{}}'}}", "7{}"),
        (r"{{'\'}}'}}", "'}}"),
        (r"\frac{{{x}}}{2}", r"\frac{7}{2}"),
        ("{{{v: k for k, v in d.items()}}}", '{"1": "one"}'),
        ("{{[i for i in range(x) if i > 4]}}", "[5, 6]"),
        ("{{(lambda y: y + x)(1)}}", "8"),
        ("{{x}}{{x}}", "77"),
    ],
)
def test_an_expression_is_its_value(template: str, sent: str) -> None:
    assert inserted(template, x=7, d={"one": 1}) == sent


@pytest.mark.parametrize(
    "template",
    [
        "{{",
        "{{}}",
        "{{ }}",
        "{{x",
        "{{x}",
        "{{ {{x}",
        "{{it's}}",
        "{{no operator}}",
        "{{#if x}} yes {{/if}}",
        "{{x:.2f}}",
        "{{ .Values.x }}",
        "{{(x}})",
        "{{x # }}",
        "{{'x}}",
        "{{x\0}}",
        "{{" + "(" * 200 + ")" * 200 + "}}",
        "{{" + "-" * 9000 + "1}}",
    ],
)
def test_what_is_no_expression_stays_as_it_is(template: str) -> None:
    assert inserted(template, x=7) == template


def test_an_expression_is_found_behind_braces_that_open_none() -> None:
    assert inserted("{{ oops {{x}}", x=7) == "{{ oops 7"


@pytest.mark.parametrize("text", ["{{x " * 25_000, "{" * 100_000, "{{'" * 30_000, "{{" + "a" * 200_000 + "}}"])
def test_many_braces_that_open_nothing_are_read_fast(text: str) -> None:
    started = time.process_time()
    assert inserted(text, x=7) == text
    assert time.process_time() - started < 5


def test_reading_a_prompt_warns_of_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert inserted(r"{{'\d'}} {{1 is 1}}") == r"\d true"


def test_a_prompt_leaves_the_names_of_the_notebook_alone() -> None:
    names = {"x": 1}
    assert text_of(interpolate("{{(y := x)}}", names)) == "1"
    assert names == {"x": 1}


# What a model reads


@pytest.mark.parametrize(
    ("value", "sent"),
    [("a {b}\n}}", "a {b}\n}}"), ({"a": [1, None]}, '{"a": [1, null]}'), (0.5, "0.5"), (True, "true")],
)
def test_a_value_is_what_a_model_reads_best(value: Any, sent: str) -> None:
    assert inserted("{{value}}", value=value) == sent


def test_a_million_rows_are_two_kilobytes_at_once() -> None:
    frame = pandas.DataFrame({"number": range(1_000_000), "name": "x" * 100})
    started = time.process_time()
    text = inserted("Look at {{frame}} and say what it is.", frame=frame)
    assert time.process_time() - started < 2
    assert len(text.encode()) < 2048
    assert text.startswith("Look at \n\nDataFrame, 1,000,000 rows × 2 columns\n")
    assert text.endswith(" |\n\n and say what it is.")


def test_a_long_text_is_cut_with_a_note() -> None:
    text = inserted("{{text}}", text="word " * 100_000)
    assert len(text.encode()) <= 20_000
    assert text.endswith("of 500,000 bytes)")


def test_a_figure_is_an_image_in_its_place() -> None:
    parts = interpolate("See {{figure}}, {{x}}.", {"figure": matplotlib.figure.Figure(figsize=(2, 1)), "x": 1})
    assert [type(part) for part in parts] == [TextPart, ImagePart, TextPart]
    assert text_of(parts) == "See (a figure, 200 × 100), 1."
    assert parts[1].to_dict()["url"].startswith("data:image/png;base64,")


# What is refused


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        ("{{dff.head()}}", "There is no 'dff' in this notebook for {{dff.head()}}. Did you mean df?"),
        (
            "{{qqq}}",
            "There is no 'qqq' in this notebook for {{qqq}}: run the cell that defines it, or write {{'{{qqq}}'}} to "
            "send it as it is.",
        ),
        ("{{df['b']}}", "{{df['b']}} cannot be evaluated: KeyError: 'b'."),
        ("{{1/0}}", "{{1/0}} cannot be evaluated: ZeroDivisionError: division by zero."),
        ("{{len}}", "{{len}} cannot be inserted. A model cannot read a function: call it, and take what it gives."),
        (
            "{{await df}}",
            "{{await df}} cannot be evaluated ('await' outside function (<prompt>, line 1)): do it in a cell, and "
            "insert its value.",
        ),
    ],
)
def test_what_cannot_be_inserted_is_one_sentence(template: str, sentence: str) -> None:
    assert refused(template, df={"a": 1}) == sentence


def test_a_sentence_says_how_to_send_the_braces_as_they_are() -> None:
    advice = refused("{{qqq}}").partition("write ")[2].removesuffix(" to send it as it is.")
    assert inserted(advice) == "{{qqq}}"


def test_no_expression_is_evaluated_when_a_name_is_missing() -> None:
    done: list[int] = []
    refused("{{done.append(1)}} {{missing}}", done=done)
    assert done == []


def test_an_error_whose_message_fails_is_a_sentence_too() -> None:
    class OddError(Exception):
        def __str__(self) -> str:
            raise ValueError

    def fail() -> None:
        raise OddError

    assert refused("{{fail()}}", fail=fail) == "{{fail()}} cannot be evaluated: OddError."


# Attachments


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    work = tmp_path / "work"
    (work / "data").mkdir(parents=True)
    monkeypatch.chdir(work)
    return work


def attached(*words: str, **names: Any) -> list[UserPart]:
    return read_attachments(find_attachments(words, names))


def attaching_fails(*words: str, **names: Any) -> str:
    with pytest.raises(UsageError) as caught:
        attached(*words, **names)
    return str(caught.value)


def test_a_file_is_attached_under_its_name(folder: Path) -> None:
    (folder / "data" / "a.csv").write_bytes("\ufeffx,y\r\n1,ü\r\n".encode())
    assert text_of(attached("data/a.csv")) == "\n\ndata/a.csv:\n\n```\nx,y\n1,ü\n```"


def test_a_file_elsewhere_is_named_without_its_folders(folder: Path) -> None:
    (folder.parent / "b.txt").write_text("B")
    for word in (str(folder.parent / "b.txt"), "../b.txt"):
        assert text_of(attached(word)) == "\n\nb.txt:\n\n```\nB\n```"


def test_a_file_may_hold_fences_and_braces(folder: Path) -> None:
    (folder / "c.md").write_text("```\n{{x}}\n```")
    assert text_of(attached("c.md", x=1)) == "\n\nc.md:\n\n````\n```\n{{x}}\n```\n````"


def test_a_pattern_attaches_the_files_that_match_in_order(folder: Path) -> None:
    for name in ("b.csv", "a.csv", "c.txt", ".hidden.csv"):
        (folder / "data" / name).write_text(name)
    (folder / "data" / "folder.csv").mkdir()
    assert text_of(attached("data/*.csv")).split("\n\n")[1::2] == ["data/a.csv:", "data/b.csv:"]


def test_a_pattern_follows_no_link_out_of_its_folder(folder: Path) -> None:
    (folder.parent / "secret.txt").write_text("S")
    (folder / "data" / "link.txt").symlink_to(folder.parent / "secret.txt")
    (folder / "data" / "up").symlink_to(folder.parent)
    assert "There is nothing to attach called 'data/**/*.txt'" in attaching_fails("data/**/*.txt")


def test_a_variable_and_an_expression_are_attached_under_their_names(folder: Path) -> None:
    assert text_of(attached("d", "d['a'] + 1", d={"a": 1})) == "\n\nd:\n\n{\"a\": 1}\n\nd['a'] + 1:\n\n2"


def test_a_variable_comes_before_a_file_of_its_name_and_a_file_before_an_expression(folder: Path) -> None:
    (folder / "d").write_text("file")
    (folder / "d.a").write_text("file")
    d = types.SimpleNamespace(a="value")
    assert "value" in text_of(attached("d", d=d))
    assert "file" in text_of(attached("d.a", d=d))


def test_a_path_stands_for_its_file_and_text_for_itself(folder: Path) -> None:
    (folder / "a.txt").write_text("A")
    assert text_of(read_attachments([Path("a.txt"), "a.txt"])) == "\n\na.txt:\n\n```\nA\n```\n\na.txt"
    assert "```\nA\n```" in text_of(attached("path", path=Path("a.txt")))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
def test_an_image_file_is_known_by_its_content_and_stays_as_it_is(folder: Path, kind: str) -> None:
    data = image_bytes(kind)
    (folder / "picture.txt").write_bytes(data)
    text, image = attached("picture.txt")
    assert text == TextPart(f"\n\npicture.txt ({kind}, 30 × 20 pixels, {len(data):,} bytes):")
    assert image.to_dict()["url"].startswith(f"data:image/{kind.lower()};base64,")


@pytest.mark.parametrize("options", [{"lossless": True}, {"exif": b"Exif\0\0"}, {"quality": 1}])
def test_every_kind_of_webp_has_sides(options: dict[str, Any]) -> None:
    file = io.BytesIO()
    PIL.Image.new("RGB", (300, 17)).save(file, "WEBP", **options)
    found = identify(file.getvalue())
    assert found is not None
    assert (found.width, found.height) == (300, 17)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
def test_a_file_that_is_cut_short_is_no_image_before_its_sides_are_known(kind: str) -> None:
    data = image_bytes(kind)
    known = [identify(data[:end]) for end in range(len(data))]
    first = next(index for index, each in enumerate(known) if each is not None)
    assert first > 8
    assert all(each is not None and (each.width, each.height) == (30, 20) for each in known[first:])


def test_an_image_that_is_too_large_is_made_smaller(folder: Path) -> None:
    (folder / "wide.png").write_bytes(image_bytes("PNG", (MAX_FILE_SIDE + 1, 2)))
    _, image = attached("wide.png")
    assert len(image.to_dict()["url"]) < 50_000


def test_a_long_file_is_cut_with_a_note(folder: Path) -> None:
    (folder / "long.txt").write_text("ü" * MAX_TEXT_BYTES)
    text = text_of(attached("long.txt"))
    assert len(text.encode()) < MAX_TEXT_BYTES + 100
    assert "bytes of 200,000)" in text


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        ("latin.txt", "schön".encode("latin-1"), "latin.txt is neither text in UTF-8 nor a PNG, JPEG, GIF or WebP"),
        ("wide.txt", "schön".encode("utf-16"), "wide.txt is neither text in UTF-8 nor"),
        ("zeros.bin", b"ab\0c", "zeros.bin is neither text in UTF-8 nor"),
        ("paper.pdf", b"%PDF-1.7\n...", "paper.pdf is a PDF, which cannot be attached: take its text in a cell"),
    ],
)
def test_a_file_that_a_model_cannot_read_is_refused(folder: Path, name: str, data: bytes, sentence: str) -> None:
    (folder / name).write_bytes(data)
    assert attaching_fails(name).startswith(sentence)


def test_what_is_no_file_is_refused(folder: Path) -> None:
    (folder / "p" / "q").mkdir(parents=True)
    (folder / "gone").symlink_to("nowhere")
    assert attaching_fails("p/") == "p is a folder: name files in it, as in 'p/*.py'."
    with pytest.raises(UsageError, match=r"^There is no file gone\.$"):
        read_attachments([Path("gone")])


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("no.csv", "There is nothing to attach called 'no.csv': no variable, and no file."),
        ("data/*.py", "There is nothing to attach called 'data/*.py': no variable, and no file."),
        ("", "There is nothing to attach called '': no variable, and no file."),
        ("frme", "There is nothing to attach called 'frme': no variable, and no file. Did you mean frame?"),
        ("len(frame", "There is nothing to attach called 'len(frame': no variable, and no file."),
        ("frame[9]", "{{frame[9]}} cannot be evaluated: IndexError: list index out of range."),
        ("print", "print cannot be attached. A model cannot read a function: call it, and take what it gives."),
    ],
)
def test_what_cannot_be_attached_is_one_sentence(folder: Path, word: str, sentence: str) -> None:
    assert attaching_fails(word, frame=[1]) == sentence


def test_too_many_files_are_refused(folder: Path) -> None:
    for number in range(51):
        (folder / f"{number}.txt").write_text("")
    assert attaching_fails("*.txt") == "*.txt matches 51 files, and 50 can be attached: name fewer."


def test_too_much_text_is_refused() -> None:
    with pytest.raises(UsageError, match=r"^What is attached has 4\d\d,\d\d\d characters, and 400,000 go with one"):
        read_attachments(["x" * 19_000] * 22)


def test_what_is_attached_must_be_a_list() -> None:
    with pytest.raises(UsageError, match=r"given as a list: attach=\[value\]\."):
        read_attachments("text")


def test_an_attachment_is_repeated_on_the_line() -> None:
    options = parse_cell_line("-a df --attach 'data/*.csv' -a df --dry-run")
    assert options.attach == ("df", "data/*.csv")
    assert options.is_dry_run


# What is sent


def test_images_make_a_list_of_texts_and_images() -> None:
    turn = Turn.user([TextPart("See "), ImagePart("data:1"), TextPart("this"), TextPart(" one.")])
    assert messages_from_turns([turn]) == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "See "},
                {"type": "image_url", "image_url": {"url": "data:1"}},
                {"type": "text", "text": "this one."},
            ],
        }
    ]


def test_a_model_that_takes_no_images_is_told_so() -> None:
    turn = Turn.user([TextPart("See"), ImagePart("data:1")])
    (message,) = messages_from_turns([turn], takes_images=False)
    assert message["content"] == "See (This model takes no images, so this one is left out.) "


def test_an_image_that_was_not_kept_is_a_note() -> None:
    turn = Turn.user([TextPart("See"), part_from_dict(ImagePart("").to_dict())])
    (message,) = messages_from_turns([turn])
    assert message["content"] == "See (This image was not kept.) "


def test_a_python_prompt_is_sent_as_it_is_with_what_is_attached(at_server: RawServer, folder: Path) -> None:
    at_server.play(answer("Yes."))
    (folder / "a.txt").write_text("A")
    run = Chat().ask("What is {{this}}?", attach=[{"n": 1}, Path("a.txt"), Attachment("name", 2)])
    run.result()
    sent = at_server.asked[0].json["messages"][0]["content"]
    assert sent == 'What is {{this}}?\n\n{"n": 1}\n\na.txt:\n\n```\nA\n```\n\nname:\n\n2'
    assert run.turns[0].text == sent


def test_later_prompts_send_an_image_again_to_models_that_take_it(at_server: RawServer) -> None:
    at_server.play(answer("Red."))
    chat = Chat()
    image = PIL.Image.new("RGB", (3, 2), "red")
    for model in (VISION_MODEL, VISION_MODEL, "raw"):
        chat.ask("Which colour?", model=model, attach=[image] if not chat.runs else []).result()
    first, second, third = (request.json["messages"][0]["content"] for request in at_server.asked)
    assert first == second
    assert first[1]["image_url"]["url"].startswith("data:image/png;base64,")
    assert isinstance(third, str)
    assert "takes no images" in third


def test_a_key_in_what_is_attached_is_refused(at_server: RawServer, folder: Path) -> None:
    chat = Chat()
    (folder / "env").write_text("KEY=hs-test-key-0123456789")
    for ask in (chat.ask, chat.preview):
        with pytest.raises(UsageError, match="contains the value of HOLYSHEEP_API_KEY"):
            ask("Hi", attach=[Path("env")])
    assert at_server.requests == []
    assert chat.conversation.exchanges == []


@pytest.mark.parametrize("make", [lambda: "", lambda: " \n", lambda: [], lambda: [TextPart(" ")]])
def test_an_empty_prompt_is_refused_whatever_is_attached(at_server: RawServer, make: Callable[[], Any]) -> None:
    with pytest.raises(UsageError, match="The prompt is empty"):
        Chat().ask(make(), attach=[1])


# What would be sent


def test_a_preview_is_the_request_that_ask_makes(at_server: RawServer) -> None:
    def add(a: int, b: int) -> int:
        """Adds."""
        return a + b

    at_server.play(answer("2"))
    chat = Chat(system="Be brief.", tools=[add])
    chat.ask("One?", cell="a").result()
    options: dict[str, Any] = {"attach": [{"n": 1}], "cell": "b", "seed": 3}
    preview = chat.preview("Two?", **options)
    assert len(at_server.asked) == 1
    assert len(chat.conversation.exchanges) == 1
    chat.ask("Two?", **options).result()
    assert at_server.asked[1].json == preview.body
    assert preview.earlier_cells == 1


def test_a_preview_of_a_cell_that_ran_leaves_its_exchange_out(at_server: RawServer) -> None:
    at_server.play(answer("Yes."))
    chat = Chat()
    for cell in "abc":
        chat.ask(cell, cell=cell).result()
    assert [m["content"] for m in chat.preview("B", cell="b").messages] == ["a", "Yes.", "B"]
    assert [m["content"] for m in chat.preview("B", cell="b", afresh=True).messages] == ["B"]
    assert [e.key for e in chat.conversation.exchanges] == ["a", "b", "c"]
    assert all(e.branches == [] for e in chat.conversation.exchanges)


def test_a_preview_needs_no_key(at_server: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOLYSHEEP_API_KEY")
    assert Chat().preview("Hi").messages == [{"role": "user", "content": "Hi"}]
    assert at_server.requests == []


def test_a_preview_says_how_large_everything_is(at_server: RawServer) -> None:
    image = PIL.Image.new("RGB", (30, 20), "red")
    preview = Chat(model=VISION_MODEL, system="Be brief.").preview("x" * 391, attach=[image])
    size = len("Be brief.") + 391 + len("\n\n(an image, 30 × 20)")
    assert (preview.characters, preview.images) == (size, 1)
    assert size / 4 < preview.input_tokens < 5000
    for text in (repr(preview), preview._repr_markdown_()):
        assert f" would get about {preview.input_tokens:,} tokens ({size} characters and 1 image)." in text
        assert "[image: PNG, 30 × 20 pixels, " in text
        assert "base64" not in text
        assert "hs-test-key" not in text
        assert json.dumps(preview._parameters()) in text


def test_a_preview_shows_prompts_as_text_whatever_they_hold(at_server: RawServer) -> None:
    markdown = Chat().preview("```\n![](https://evil.test/x.png)<script>")._repr_markdown_()
    assert "````\n```\n![](https://evil.test/x.png)<script>\n````" in markdown
