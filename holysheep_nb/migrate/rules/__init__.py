"""The rules: each looks for one family of uses. They run in this order, and what one claims the others leave."""

from __future__ import annotations

from collections.abc import Callable

from ..survey import Survey
from .azure import look as look_at_azure
from .calls import look as look_at_calls
from .cells import look as look_at_cells
from .clients import look as look_at_clients
from .keys import look as look_at_keys
from .legacy import look as look_at_legacy
from .loops import look as look_at_loops
from .messages import look as look_at_messages
from .posts import look as look_at_posts

RULES: tuple[Callable[[Survey], None], ...] = (
    look_at_loops,
    look_at_messages,
    look_at_clients,
    look_at_azure,
    look_at_legacy,
    look_at_posts,
    look_at_calls,
    look_at_cells,
    look_at_keys,
)
