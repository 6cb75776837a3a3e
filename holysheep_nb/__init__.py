"""HolySheep AI in notebook cells: answers stream in as they are generated, and stay as plain markdown.

    prompt ─▶ Conversation ─▶ Transport ─▶ wire ─▶ Event ─▶ Turn.apply ─▶ view ─▶ browser
                (state)         (text)    (meaning) (fact)    (fold)     (traits)  (append)
       ▲                                                                            │
       └───────────────────── commands only: stop · approve · resync ───────────────┘

In a notebook: `%load_ext holysheep_nb`, then `%%holysheep` cells. In Python: `Chat`, `Run`, `tool`, and
`stream_chat_completion_sse` and `stream_with_websocket`, which need no notebook.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .errors import HolySheepError
from .version import __version__

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from .chat import Chat, stream_chat_completion_sse, stream_with_websocket
    from .run import Run
    from .tools import tool

__all__ = [
    "Chat",
    "HolySheepError",
    "Run",
    "__version__",
    "load_ipython_extension",
    "stream_chat_completion_sse",
    "stream_with_websocket",
    "tool",
    "unload_ipython_extension",
]


def __getattr__(name: str) -> Any:
    """The heavier names are imported when they are first used."""
    if name in ("Chat", "stream_chat_completion_sse", "stream_with_websocket"):
        from . import chat

        return getattr(chat, name)
    if name == "tool":
        from .tools import tool

        return tool
    if name == "Run":
        from .run import Run

        return Run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def load_ipython_extension(shell: InteractiveShell) -> None:
    """`%load_ext holysheep_nb`."""
    from .magics import load

    load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """`%unload_ext holysheep_nb`: no transformer, thread or run stays."""
    from .magics import unload

    unload(shell)
