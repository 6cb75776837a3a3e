"""Markdown that is safe to leave in a notebook: it loads nothing and runs nothing."""

from __future__ import annotations

import re

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})(.*)$")
_CODE_SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.S)
_SAFE_TAG = re.compile(r"</?(?:b|br|code|del|details|em|hr|i|kbd|p|s|strong|sub|summary|sup|u)\s*/?>", re.I)


def safe_markdown(text: str) -> str:
    """Markdown in which images are links and raw HTML is text, but for a few tags without attributes."""
    lines: list[str] = []
    prose: list[str] = []
    fence = ""

    def flush() -> None:
        if prose:
            lines.append(_safe_prose("\n".join(prose)))
            prose.clear()

    for line in text.split("\n"):
        opening = _FENCE.match(line)
        if fence:
            lines.append(line)
            if opening and opening[1].startswith(fence) and not opening[2].strip():
                fence = ""
        elif opening and not (opening[1][0] == "`" and "`" in opening[2]):
            flush()
            fence = opening[1]
            lines.append(line)
        else:
            prose.append(line)
    flush()
    if fence:
        lines.append(fence)
    return "\n".join(lines)


def _safe_prose(text: str) -> str:
    pieces, end = [], 0
    for span in _CODE_SPAN.finditer(text):
        pieces += [_safe_inline(text[end : span.start()]), span[0]]
        end = span.end()
    return "".join([*pieces, _safe_inline(text[end:])])


def _safe_inline(text: str) -> str:
    text = re.sub(r"!(?=\s*\[)", "", text)
    pieces, end = [], 0
    for tag in _SAFE_TAG.finditer(text):
        pieces += [_escape(text[end : tag.start()]), tag[0]]
        end = tag.end()
    return "".join([*pieces, _escape(text[end:])])


def _escape(text: str) -> str:
    return re.sub(r"<(?!https?://[^\s<>]*>|mailto:[^\s<>]*>)", "&lt;", text)


def strip_fence(text: str) -> str:
    """The content of the first fenced block of an answer, or the whole answer if it has none."""
    found = re.search(r"^ {0,3}(`{3,}|~{3,})[^\n`]*\n(.*?)(?:^ {0,3}\1[ \t]*$|\Z)", text, re.S | re.M)
    return found[2] if found else text


def fenced(text: str, language: str) -> str:
    """`text` as a fenced block, whatever backticks it holds."""
    ticks = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, ticks + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"
