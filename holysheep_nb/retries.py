"""When a request that failed before anything came is made again, and after how long."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from .errors import APIError, CertificateError, ConnectionFailedError, DisconnectedError, HolySheepError
from .events import RetryScheduled

_RETRIED_STATUSES = frozenset({408, 409, 429})
_FIRST_WAIT_S = 0.5


@dataclass(frozen=True)
class Retries:
    """How often, and how patiently.

    attempts      how many there are at most, the first one included
    max_wait_s    longest wait; a server that asks for more has its error shown instead
    jitter        a number between 0 and 1, by which a wait is shortened by up to a half, so that
                  clients which failed together do not come back together
    """

    attempts: int = 5
    max_wait_s: float = 60.0
    jitter: Callable[[], float] = random.random

    def after(self, error: HolySheepError, attempt: int) -> RetryScheduled | None:
        """What follows on attempt number `attempt`, which ended in `error`; None if that is the end."""
        if attempt >= self.attempts or not is_passing(error):
            return None
        asked_s = error.retry_after_s if isinstance(error, APIError) else None
        if asked_s is not None and asked_s > self.max_wait_s:
            return None
        backoff_s = min(self.max_wait_s, _FIRST_WAIT_S * 2 ** (attempt - 1))
        wait_s = asked_s if asked_s is not None else backoff_s * (1 - self.jitter() / 2)
        return RetryScheduled(_problem(error), round(max(0.0, wait_s), 2), attempt + 1, self.attempts)


def is_passing(error: HolySheepError) -> bool:
    """True if the same request may fare better in a moment."""
    if isinstance(error, APIError):
        return error.status_code in _RETRIED_STATUSES or 500 <= error.status_code != 501
    return isinstance(error, ConnectionFailedError | DisconnectedError) and not isinstance(error, CertificateError)


def _problem(error: HolySheepError) -> str:
    if isinstance(error, APIError):
        return str(error.status_code)
    return "connection closed" if isinstance(error, DisconnectedError) else "no connection"
