"""What a cell would send, shown instead of sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .content.image_files import identify_url
from .content.values import count
from .masks import mask
from .timing import estimate_request_tokens
from .view.markdown import fenced, plain


@dataclass(frozen=True, slots=True)
class Preview:
    """A request that was not made, with its sizes. A notebook shows it as markdown, a terminal as text.

    body           the JSON that would be sent first; it holds no key
    host           whom it would go to, over `transport`
    earlier_cells  how many exchanges of other cells are in its messages
    cost           what its input costs, in words, or "" where nobody knows
    """

    model: str
    body: dict[str, Any]
    host: str
    transport: str
    earlier_cells: int = 0
    cost: str = ""

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The messages as they would be sent."""
        messages: list[dict[str, Any]] = self.body["messages"]
        return messages

    @property
    def characters(self) -> int:
        """How much text is in the messages and in what is said of the tools."""
        texts = [text for message in self.messages for text, _ in _blocks(message)]
        return sum(map(len, texts)) + len(self._tools)

    @property
    def images(self) -> int:
        """How many images are in the messages."""
        return sum(bool(url) for message in self.messages for _, url in _blocks(message))

    @property
    def input_tokens(self) -> int:
        """About how many tokens all of it is."""
        return estimate_request_tokens(self.body)

    @property
    def _tools(self) -> str:
        tools = self.body.get("tools")
        return json.dumps(tools, ensure_ascii=False) if tools else ""

    def _repr_markdown_(self) -> str:
        blocks = [f"**Nothing was sent.** {plain(self._summary())}"]
        for message in self.messages:
            blocks.append(f"**{plain(message['role'])}** · {plain(_size(message))}")
            blocks += [fenced(block, "") for block in _shown(message)]
        if self._tools:
            blocks += [f"**tools** · {len(self._tools):,} characters", fenced(self._tools_shown(), "json")]
        blocks += ["**parameters**", fenced(json.dumps(self._parameters(), ensure_ascii=False), "json")]
        return mask("\n\n".join(blocks))

    def __repr__(self) -> str:
        blocks = [f"Nothing was sent. {self._summary()}"]
        for message in self.messages:
            blocks += [f"--- {message['role']} · {_size(message)}", *_shown(message)]
        if self._tools:
            blocks += [f"--- tools · {len(self._tools):,} characters", self._tools_shown()]
        blocks += ["--- parameters", json.dumps(self._parameters(), ensure_ascii=False)]
        return mask("\n\n".join(blocks))

    def _summary(self) -> str:
        images = f" and {count(self.images, 'image')}" if self.images else ""
        sentences = [
            f"{self.model} at {self.host}, over {self.transport}, would get about "
            f"{count(self.input_tokens, 'token')} ({count(self.characters, 'character')}{images})."
        ]
        if self.cost:
            sentences.append(f"Input: {self.cost}.")
        if self.earlier_cells:
            sentences.append(f"{count(self.earlier_cells, 'earlier cell')} would go with it.")
        return " ".join(sentences)

    def _tools_shown(self) -> str:
        return json.dumps(self.body["tools"], indent=2, ensure_ascii=False)

    def _parameters(self) -> dict[str, Any]:
        """The rest of what is sent."""
        return {name: value for name, value in self.body.items() if name not in ("messages", "tools")}


def _blocks(message: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What a message is made of, each a text and "", or "" and the address of an image."""
    content = message.get("content") or ""
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    for block in content:
        yield (block["text"], "") if block["type"] == "text" else ("", block["image_url"]["url"])
    if message.get("tool_calls"):
        yield json.dumps(message["tool_calls"], ensure_ascii=False), ""


def _shown(message: dict[str, Any]) -> list[str]:
    shown = [
        text if not url else f"[image: {identify_url(url) or count(len(url), 'byte')}]"
        for text, url in _blocks(message)
    ]
    return [each for each in shown if each]


def _size(message: dict[str, Any]) -> str:
    blocks = list(_blocks(message))
    images = sum(bool(url) for _, url in blocks)
    sizes = [count(sum(len(text) for text, _ in blocks), "character")]
    return ", ".join([*sizes, *([count(images, "image")] if images else [])])
