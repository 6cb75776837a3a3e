"""Exchanges and versions as a person reads them: a table of all cells, and what changed from version to version."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ..conversation import Conversation, Exchange, Turn
from ..difference import MOST_WORDS, find_difference
from ..run import Run
from ..view.markdown import one_line, plain
from .answers import state_of

_PROMPT_CHARACTERS = 60
_TEXT_CHARACTERS = 600
# Of what stayed the same between two changes, so many words at each end are shown.
_SAME_WORDS = 20
_KEY_CHARACTERS = 8


def listed(conversation: Conversation) -> list[Exchange]:
    """The exchanges that said something, as they are counted from 1."""
    return [exchange for exchange in conversation.exchanges if exchange.turns]


def history_table(conversation: Conversation, runs: Iterable[Run]) -> str:
    """A row for each cell: version, state and model of what is current, and whether a new cell sends it."""
    runs = list(runs)
    sent = conversation.context_of(None)
    rows = [("", "cell", "version", "state", "model", "sent", "prompt")]
    for index, exchange in enumerate(listed(conversation), 1):
        version = f"{exchange.number} of {len(exchange.versions)}"
        is_sent = any(exchange is each for each in sent)
        state, model = state_of(exchange.turns, runs), one_line(exchange.turns[-1].model) or "–"
        prompt = _cut(one_line(exchange.turns[0].text), _PROMPT_CHARACTERS)
        rows.append((str(index), _name(exchange), version, state, model, "yes" if is_sent else "no", prompt))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    lines = ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, [*widths, 0], strict=True)) for row in rows]
    notes = sorted({exchange.source for exchange in listed(conversation) if exchange.source})
    read = [f"Read from {note}: {', '.join(_numbers(conversation, note))}." for note in notes]
    ending = (
        "A new cell sends those with yes. A cell that was deleted stays here until the kernel is restarted or "
        "`%holysheep reset`."
    )
    return "\n".join([*(line.rstrip() for line in lines), "", *read, ending])


def versions_page(exchange: Exchange, index: int, runs: Iterable[Run]) -> tuple[str, str]:
    """Every version of a cell, each with what changed from the one before, as markdown and as plain text."""
    runs = list(runs)
    versions = exchange.versions
    blocks = [(f"**Cell {index} · {_count(len(versions))}, {exchange.number} is current**", "")]
    for number, version in enumerate(versions, 1):
        head = f"Version {number} · {version[-1].model or '–'} · {state_of(version, runs)}"
        blocks.append((f"**{plain(head)}{' · current' if number == exchange.number else ''}**", ""))
        blocks += _first(version) if number == 1 else _changes(versions[number - 2], version)
    return _join(blocks, f"`%holysheep checkout {index} N` makes another version current.")


def changes_page(exchange: Exchange, index: int, older: int, newer: int) -> tuple[str, str]:
    """What changed from one version of a cell to another, as markdown and as plain text."""
    head = f"**Cell {index} · from version {older} to version {newer}**"
    changes = _changes(exchange.versions[older - 1], exchange.versions[newer - 1])
    return _join([(head, ""), *changes], "")


_Block = tuple[str, str]


def _join(blocks: Sequence[_Block], ending: str) -> tuple[str, str]:
    markdown = "\n\n".join([*(markdown for markdown, _ in blocks), *([ending] if ending else [])])
    texts = [text or markdown.strip("*") for markdown, text in blocks]
    return markdown, "\n\n".join([*texts, *([ending.replace("`", "")] if ending else [])])


def _first(version: list[Turn]) -> list[_Block]:
    said = [(who, _cut(turn.text, _TEXT_CHARACTERS)) for who, turn in _speakers(version)]
    return [(f"{who}: {_quote(text)}", f"{who}: {text}") for who, text in said]


def _changes(older: list[Turn], newer: list[Turn]) -> list[_Block]:
    blocks = []
    for (who, left), (_, right) in zip(_speakers(older), _speakers(newer), strict=True):
        if left.text == right.text:
            blocks.append((f"{who}: the same", f"{who}: the same"))
            continue
        difference = find_difference(left.text, right.text)
        markdown, text = "", ""
        for side, piece in difference.pieces:
            match side:
                case "left":
                    markdown += _marked(piece, "<del>", "</del>", _quote)
                    text += _marked(piece, "[-", "-]")
                case "right":
                    # At the beginning of a text nothing parts the two.
                    gap = " " if markdown.endswith("</del>") and not piece[:1].isspace() else ""
                    markdown, text = markdown + gap, text + gap
                    markdown += _marked(piece, "<strong>", "</strong>", _quote)
                    text += _marked(piece, "{+", "+}")
                case _:
                    piece = _shortened(piece)
                    markdown, text = markdown + _quote(piece), text + piece
        note = f" (only the first {MOST_WORDS:,} words are compared)" if difference.is_cut else ""
        blocks.append((f"{who}: {markdown}{note}", f"{who}: {text}{note}"))
    return blocks


def _speakers(version: list[Turn]) -> list[tuple[str, Turn]]:
    return [("Prompt", version[0]), ("Answer", version[-1])]


def _quote(text: str) -> str:
    """Any text as one paragraph of markdown that says just this, with its lines and how far they are indented."""
    lines = text.split("\n")
    quoted = [" " + _escape(lines[0]) if lines[0][:1].isspace() else _escape(lines[0])]
    for line in lines[1:]:
        quoted.append("&nbsp;" * (len(line) - len(line.lstrip())) + _escape(line))
    return "<br>".join(quoted)


def _escape(text: str) -> str:
    return plain(text).replace("_", "&#95;").replace("~", "&#126;").replace("|", "&#124;")


def _marked(piece: str, opening: str, closing: str, quote: Callable[[str], str] = str) -> str:
    """The words between the marks, the space before them in front."""
    words = piece.lstrip()
    return f"{quote(piece[: len(piece) - len(words)])}{opening}{quote(words)}{closing}"


def _shortened(text: str) -> str:
    words = text.split(" ")
    if len(words) <= 3 * _SAME_WORDS:
        return text
    return " ".join([*words[:_SAME_WORDS], "…", *words[-_SAME_WORDS:]])


def _cut(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[:characters] + "…"


def _name(exchange: Exchange) -> str:
    return one_line(exchange.label)[:_PROMPT_CHARACTERS] or exchange.key[:_KEY_CHARACTERS]


def _numbers(conversation: Conversation, source: str) -> list[str]:
    return [str(index) for index, exchange in enumerate(listed(conversation), 1) if exchange.source == source]


def _count(versions: int) -> str:
    return "1 version" if versions == 1 else f"{versions} versions"
