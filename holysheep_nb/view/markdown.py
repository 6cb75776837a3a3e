"""Markdown that loads nothing and runs nothing, whoever wrote it and whichever program shows it.

A notebook trusts the outputs of its own run: JupyterLab shows the raw HTML of a markdown output as it is,
scripts included. So every `<` that is not part of a code block is written as `&lt;`, but for a few inline
tags without attributes, every image becomes a link, and a link to anything but http, https and mailto
becomes text. What is a code block is decided strictly: where programs that read markdown could differ,
it is none. Of what stands behind its fence only a plain name is kept, as JupyterLab puts it into an attribute
unescaped; `mermaid` is not, as the diagrams drawn of it load what they name.
"""

from __future__ import annotations

import html
import re

from .formulas import mark_formulas, write_dollars

_FENCE = re.compile(r"^((?:[ \t]|[-*+][ \t]|\d{1,9}[.)][ \t])*)(`{3,}|~{3,})(.*)$")
# A fence behind anything else that some program may read as a list or a quote.
_ODD_FENCE = re.compile(r"^(?! {0,3}>)[^`~A-WYZa-wyz]*(?:`{3,}[^`]*|~{3,}.*)$")
_FENCE_LIKE = re.compile(r"^([^`~A-Za-z]*)(`{3,}|~{3,})(.*)$")
_LANGUAGE = re.compile(r"[ \t]*(?!mermaid\b)([\w+#.-]{1,40})(?:[\s{]|$)", re.I)
_CODE_SPAN = re.compile(r"(?<!`)(`+)(?!`)([^\n]+?)(?<!`)\1(?!`)")
_LIVE = re.compile(r"<[A-Za-z/!?]|!\[|\]:|\]\(|\$\$|\\\\\[|\\begin\{")
# What may begin a formula, of which JupyterLab and nbconvert look for the end before they look for code.
_FORMULA = re.compile(r"\$|\\\\[(\[]|\\begin\{", re.I)
_FAIR_ADDRESS = re.compile(r"[ \t]*<?(?:https?://|mailto:)", re.I)
# Enough to see how an address begins.
_ADDRESS_CHARACTERS = 300
_SAFE_TAG = re.compile(r"</?(?:b|br|code|del|em|i|kbd|s|strong|sub|sup|u)\s*/?>", re.I)
_DEFINITION = re.compile(r"^ {0,3}\[[^\[\]]+\]: +https?://[^\s<>\"'()]+(?: +\"[^\"]*\")? *$")


def safe_markdown(text: str) -> str:
    """Markdown in which images are links and raw HTML is text, but for a few tags without attributes."""
    lines = re.sub(r"\r\n?|[\u2028\u2029]", "\n", text).split("\n")
    # In JupyterLab an empty line ends whatever began like a formula.
    is_set_off = _FORMULA.search(text) is not None
    safe: list[str] = []
    prose: list[str] = []
    start = 0
    while start < len(lines):
        line = lines[start]
        opening = _FENCE.match(line)
        if opening and opening[2][0] == "`" and "`" in opening[3]:
            opening = None
        if opening is None and not _ODD_FENCE.match(line):
            prose.append(line)
            start += 1
            continue
        end = _closing_line(lines, start, opening) if opening else None
        safe += _safe_prose(prose)
        prose = []
        if opening is None or end is None:
            # In a quote, whatever is left open ends with the quote.
            return "\n".join([*safe, "", *("> " + _escape(_unmark(_plain_fence(each))) for each in lines[start:])])
        if safe and safe[-1].strip() and (is_set_off or not re.fullmatch(" {0,3}", opening[1])):
            safe.append("")
        safe += [_plain_fence(line), *lines[start + 1 : end + 1]]
        if end == len(lines):
            safe.append(" " * len(opening[1]) + opening[2])
        start = end + 1
        if is_set_off and start < len(lines) and lines[start].strip():
            safe.append("")
    return "\n".join([*safe, *_safe_prose(prose)])


def _closing_line(lines: list[str], start: int, opening: re.Match[str]) -> int | None:
    """Which line closes the fence, `len(lines)` if none does; None if programs could differ."""
    column, fence = len(opening[1]), opening[2]
    if "\t" in opening[1]:
        return None
    for at in range(start + 1, len(lines)):
        line = lines[at]
        content = line.lstrip(" \t")
        indent = len(line) - len(content)
        if not content:
            continue
        if indent < column or (column and "\t" in line[:indent]):
            return None
        if content.startswith(fence) and not content.strip(" \t`~"):
            is_closing = not content.rstrip(" ").strip(fence[0]) and indent <= max(3, column) and "\t" not in line
            return at if is_closing else None
    return len(lines)


def _safe_prose(lines: list[str]) -> list[str]:
    safe = []
    lines = mark_formulas(lines)
    for at, line in enumerate(lines):
        following = lines[at + 1].lstrip() if at + 1 < len(lines) else ""
        if _DEFINITION.match(line) and not following.startswith(('"', "'", "(")):
            safe.append(_escape(_without_images(line)))
        else:
            safe.append(safe_line(line))
    return write_dollars(safe)


def safe_line(line: str) -> str:
    """One line of prose: code spans stay, images are links, raw HTML is text."""
    if _FENCE_LIKE.match(line):
        # Without the spans in it, this line would open a fence.
        return _escape(_unmark(_plain_fence(line)))
    # Alone on its line, a tag would make a block of HTML of what follows.
    first_letter = re.search("[a-zA-Z]", line)
    words = range(first_letter.start() if first_letter else 0, len(line.rstrip()))
    pieces, end = [], 0
    for span in _CODE_SPAN.finditer(line):
        pieces.append(_safe_inline(line, end, span.start(), words))
        pieces.append(_code(span[2]) if _LIVE.search(span[2]) else span[0])
        end = span.end()
    return "".join([*pieces, _safe_inline(line, end, len(line), words)])


def _plain_fence(line: str) -> str:
    """A line that may open a block of code with nothing but the name of a language behind the fence."""
    found = _FENCE_LIKE.match(line)
    if found is None or (found[2][0] == "`" and "`" in found[3]):
        return line
    language = _LANGUAGE.match(found[3])
    return found[1] + found[2] + (language[1] if language else "")


def _code(text: str) -> str:
    """A code span that is one whatever stands around it."""
    return f"<code>{re.sub(r'[^a-zA-Z0-9 ]', lambda found: f'&#{ord(found[0])};', text.strip())}</code>"


def _safe_inline(line: str, start: int, end: int, words: range) -> str:
    pieces = []
    for tag in _SAFE_TAG.finditer(line, start, end):
        if words.start < tag.start() or tag.end() < words.stop:
            pieces += [_escape(_unmark(line[start : tag.start()])), tag[0]]
            start = tag.end()
    return "".join([*pieces, _escape(_unmark(line[start:end]))])


def _unmark(text: str) -> str:
    """Images as links, links to fair places alone, and no link definitions.

    A definition's title may go on over what others read as a fence.
    """
    # Looked ahead, not consumed: what begins one link may be another inside it.
    text = re.sub(rf"\]\((?=([^)]{{0,{_ADDRESS_CHARACTERS}}}))", _without_foul_link, _without_images(text))
    return text.replace("]:", "]&#58;")


def _without_foul_link(link: re.Match[str]) -> str:
    # Spelt out: what stands for a letter or a blank in it is read in more than one way.
    return link[0] if _FAIR_ADDRESS.match(link[1]) else "]&#40;"


def _without_images(text: str) -> str:
    return re.sub(r"!+(?=\[)", "", text)


def _escape(text: str) -> str:
    return re.sub(r"<(?!https?://[^\s<>`]*>|mailto:[^\s<>`]*>)", "&lt;", text)


def one_line(text: str) -> str:
    """Any text without line breaks."""
    return " ".join(text.split())


def plain(text: str) -> str:
    """Any text as one line of markdown that says just this."""
    # A backslash or a dollar might begin a formula.
    escaped = re.sub(r"[`*\[\]]", r"\\\g<0>", html.escape(one_line(text), quote=False).replace("\\", "&#92;"))
    # Two in one text would be a formula even so: hosts look for them in what is rendered.
    return escaped.replace("$", "<span>&#36;</span>" if escaped.count("$") > 1 else "&#36;")


def strip_fence(text: str) -> str:
    """The content of the first fenced block of an answer, or the whole answer if it has none."""
    found = re.search(r"^ {0,3}(`{3,}|~{3,})[^\n`]*\n(.*?)(?:^ {0,3}\1[ \t]*$|\Z)", text, re.S | re.M)
    return found[2] if found else text


def fenced(text: str, language: str) -> str:
    """`text` as a fenced block, whatever backticks it holds."""
    text = re.sub(r"\r\n?", "\n", text)
    ticks = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, ticks + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"
