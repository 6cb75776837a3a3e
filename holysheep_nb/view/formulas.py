r"""Formulas and dollars, written so that whoever shows the markdown agrees on which is which.

Models write formulas between dollars and between `\( \)` and `\[ \]`; notebooks know the dollars alone.
And JupyterLab takes whatever stands between two dollars for a formula, escaped ones included: MathJax
reads the page, where the backslash is gone. But it finds no partner for a dollar in an element of its own.
What is a formula is decided as in the live view (js/src/markdown/formula.ts): amounts of money are none.

Nothing else may look like the beginning of a formula. nbconvert looks for the end of `$$`, `\\[` and `\begin{x}` in
all that follows, blocks of code included, and what it then takes for a paragraph may be HTML.
"""

from __future__ import annotations

import re

# A noncharacter: stands for a dollar that is none of a formula until the rest is written.
_DOLLAR = "\ufdd0"
_LONE_DOLLAR = r"\$"
_DOLLAR_AMONG_OTHERS = r"<span>\$</span>"
_TOKEN = re.compile(
    r"(?<!`)(?P<ticks>`+)(?!`)[^\n]+?(?<!`)(?P=ticks)(?!`)"
    r"|(?P<address>\]\([^)\s]*|https?://[^\s<>)\]]*)"
    r"|(?P<environment>\\begin\{(?P<name>[a-z]*\*?)\})"
    r"|(?P<double>\\\\\[)|(?P<bracket>\\[(\[])|(?P<escape>\\.)|(?P<dollars>\$+)",
    re.S,
)
_ROW_SPACING = re.compile(r"\\\\\[[^\]\n]{0,20}\]?")
_ENVIRONMENT = re.compile(r"\\begin\{([a-z]*\*?)\}")
_MAX_INLINE_CHARACTERS = 1000
_MAX_DISPLAY_LINES = 200
_MAX_DISPLAY_CHARACTERS = 10_000
_MONEY = re.compile(r"[\d.,]+\s+[A-Za-z]{2,}")
_WORD_CHARACTER = re.compile("[A-Za-z0-9]")
_QUOTE = re.compile(r"(?: {0,3}> ?)*")
_LIST_ITEM = re.compile(r"\s*(?:[-*+]|\d{1,9}[.)])\s")
_NEW_BLOCK = re.compile(r"\s*(?:[-*+]\s|\d{1,9}[.)]\s|#{1,6}\s|\||>)")
# Where a formula may go on over several lines: elsewhere a program may read its first line as something else.
_BLOCK_START = re.compile(r"\s*(?:(?:[-*+]|\d{1,9}[.)])\s+)?")
_DEFINITION = re.compile(r"^\s*:", re.M)
_INDENTED_CODE = re.compile(r"(?: {4}|\t)")


def mark_formulas(lines: list[str]) -> list[str]:
    """Lines of prose whose formulas stand between dollars, and whose other dollars are marked."""
    marked: list[str] = []
    has_list = False
    start = 0
    while start < len(lines):
        line = lines[start].replace(_DOLLAR, "\ufffd")
        quote = _QUOTE.match(line)[0]  # type: ignore[index]
        is_new = start == 0 or not lines[start - 1].strip()
        has_list = has_list or _LIST_ITEM.match(line) is not None
        if not line[len(quote) :].strip() or (is_new and not has_list and _INDENTED_CODE.match(line)):
            marked.append(line)
            start += 1
            continue
        end = _block_end(lines, start, quote)
        texts = [each[len(quote) :] for each in lines[start:end]]
        # No blank line in a formula: in JupyterLab it would end there.
        text = "\n".join(each for each in texts if each.strip()).replace(_DOLLAR, "\ufffd")
        marked += [quote + each for each in _mark_block(text, may_span_lines=is_new and not quote).split("\n")]
        start = end
    return marked


def write_dollars(lines: list[str]) -> list[str]:
    """The lines with the marked dollars written."""
    paragraphs = re.split(r"(\n[ \t]*\n)", "\n".join(lines))
    for at, paragraph in enumerate(paragraphs):
        is_lone = paragraph.count(_DOLLAR) == 1 and "$" not in paragraph
        paragraphs[at] = paragraph.replace(_DOLLAR, _LONE_DOLLAR if is_lone else _DOLLAR_AMONG_OTHERS)
    return "".join(paragraphs).split("\n") if lines else []


def _block_end(lines: list[str], start: int, quote: str) -> int:
    """Where the block ends that begins at `start`: one paragraph, item, heading, row or display formula."""
    first = lines[start][len(quote) :].strip()
    if first.startswith(("$$", "\\[")):
        closer = "$$" if first.startswith("$$") else "\\]"
        if closer not in first[2:] and (first[2:] == "" or "]" not in first[2:]):
            for end in range(start + 1, min(len(lines), start + _MAX_DISPLAY_LINES)):
                if _quote_of(lines[end])[: len(quote)] != quote and lines[end].strip():
                    break
                if closer in lines[end]:
                    return end + 1
    end = start + 1
    while end < len(lines) and _quote_of(lines[end]) == quote:
        text = lines[end][len(quote) :]
        if not text.strip() or _NEW_BLOCK.match(text):
            break
        end += 1
    return end


def _quote_of(line: str) -> str:
    return _QUOTE.match(line)[0]  # type: ignore[index]


def _mark_block(text: str, *, may_span_lines: bool) -> str:
    pieces: list[str] = []
    copied = at = 0
    while token := _TOKEN.search(text, at):
        at = token.end()
        formula: tuple[str, int] | None = None
        if token["bracket"]:
            formula = _read_bracketed(text, token.start())
        elif token["environment"]:
            formula = _read_environment(text, token.start(), token["name"])
        elif token["dollars"] and len(token["dollars"]) < 3:
            formula = _read_dollars(text, token.start(), len(token["dollars"]))
        if formula:
            written, at = formula
            if not (may_span_lines and _BLOCK_START.fullmatch(text[: token.start()])) or _DEFINITION.search(written):
                written = written.replace("\n", " ")
        elif token["address"]:
            written = token[0].replace("$", "%24").replace("\\\\[", "\\\\%5B").replace("\\begin{", "\\begin%7B")
        elif token["double"] or (token["bracket"] == "\\[" and _is_escaped(text, token.start())):
            written = token[0][:-1] + "&#91;"
        elif token["environment"]:
            written = f"\\begin&#123;{token['name']}}}"
        elif token["dollars"] or token["escape"] == "\\$":
            written = _DOLLAR * (len(token["dollars"] or "$"))
        else:
            continue
        pieces += [text[copied : token.start()], written]
        copied = at
    return "".join([*pieces, text[copied:]])


def _read_bracketed(text: str, start: int) -> tuple[str, int] | None:
    is_display = text[start + 1] == "["
    if _is_escaped(text, start):
        return None
    if not is_display and _WORD_CHARACTER.match(text[start - 1 : start]):
        return None
    found = _read_until(text, start + 2, "\\]" if is_display else "\\)")
    if found is None:
        return None
    tex, end = found
    if "$$" in tex:
        return None
    if "$" in tex:
        return (f"\\\\[{tex}\\\\]" if is_display else f"\\\\({tex}\\\\)"), end
    return (f"$${tex}$$" if is_display else f"${_inline_tex(tex.strip())}$"), end


def _read_environment(text: str, start: int, name: str) -> tuple[str, int] | None:
    closer = f"\\end{{{name}}}"
    end = text.find(closer, start, start + _MAX_DISPLAY_CHARACTERS) + len(closer)
    return (_plain_tex(text[start:end]), end) if end >= len(closer) else None


def _read_dollars(text: str, start: int, count: int) -> tuple[str, int] | None:
    if _is_escaped(text, start):
        return None
    if count == 2:
        found = _read_until(text, start + 2, "$$")
        return found and (f"$${found[0]}$$", found[1])
    if _WORD_CHARACTER.match(text[max(0, start - 1) : start]) or not text[start + 1 : start + 2].strip():
        return None
    limit = start + _MAX_INLINE_CHARACTERS
    end = text.find("$", start + 1, limit)
    while end > 0 and text[end - 1] == "\\":
        end = text.find("$", end + 1, limit)
    if end < 0 or text[end - 1].isspace() or _WORD_CHARACTER.match(text, end + 1) or text[end + 1 : end + 2] == "$":
        return None
    tex = text[start + 1 : end]
    return None if _MONEY.match(tex) else (f"${_inline_tex(_plain_tex(tex))}$", end + 1)


def _read_until(text: str, start: int, closer: str) -> tuple[str, int] | None:
    end = text.find(closer, start, start + _MAX_DISPLAY_CHARACTERS)
    tex = text[start:end] if end > 0 else ""
    return (_plain_tex(tex), end + len(closer)) if tex.strip() else None


def _is_escaped(text: str, at: int) -> bool:
    """True if a backslash stands before it, by which programs are divided on whether it begins a formula."""
    return text[at - 1 : at] == "\\"


def _plain_tex(tex: str) -> str:
    """The same formula without what would be escaped, as HTML or a link, or as the dollar that ends it."""
    # A backtick might be half of a code span.
    tex = re.sub(r"(?<=[\]!])(?=[\[(:])", " ", tex.replace("<", "\\lt ").replace("`", "‘"))
    return f"{tex} " if tex.endswith("\\") else tex


def _inline_tex(tex: str) -> str:
    """The same formula without what begins one of its own, even between single dollars."""

    def spaced(found: re.Match[str]) -> str:
        is_closed = f"\\end{{{found[1]}}}" in tex[found.end() :]
        return found[0] if is_closed else found[0].replace("{", " {")

    return _ENVIRONMENT.sub(spaced, _ROW_SPACING.sub(r"\\\\ ", tex))
