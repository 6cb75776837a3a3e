"""What can go wrong, as one tree. `str(error)` is one sentence: what happened, and what to do.

HolySheepError
├── UsageError                 the magic's line or an argument is wrong
├── ConfigurationError         a setting is missing or wrong; nothing was sent
│   ├── MissingKeyError            no API key
│   └── LocalModelError            the built-in model cannot be fetched, checked or loaded
├── TransportError             the network, before or during an answer
│   ├── ConnectionFailedError      never reached the server
│   │   └── CertificateError           its certificate is not trusted
│   ├── StalledError               no data for the idle timeout
│   ├── DisconnectedError          the stream ended before the answer did
│   └── StatusError                an HTTP status other than 200, its body still without meaning
├── ProtocolError              what came is not what the protocol says
├── ToolArgumentsError         the arguments of a call are not what the tool takes
├── McpServerError             an MCP server does not start, has ended, or says that a call failed
├── AnswerTooLongError         more came than this package takes
├── BudgetError                a run costs more than it may
├── AnswerFormatError          the answer is whole, but not in the format that was asked for
└── APIError                   the server said no
    ├── AuthenticationError        401, 403
    ├── QuotaError                 402
    ├── ModelNotFoundError         404
    ├── ContextWindowError         the conversation is longer than the model takes
    ├── BadRequestError            400, 413, 422
    ├── RateLimitError             429
    └── ServerError                5xx, or an error object in the middle of the stream
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .masks import mask, mask_all


def show_briefly(error: BaseException, sentence: str) -> None:
    """Lets IPython show `sentence` in place of the traceback, when `error` ends a cell."""
    error._render_traceback_ = lambda: [sentence]  # type: ignore[attr-defined]


def forget_frames(error: BaseException) -> None:
    """Takes the frames off an error and off what caused it: their variables hold what was sent, and some tracebacks
    show variables. A cause whose own words hold a key goes altogether.
    """
    link: BaseException | None = error
    while link is not None:
        link.__traceback__ = None
        below = link.__cause__ or link.__context__
        if below is not None and mask(f"{below} {below!r}") != f"{below} {below!r}":
            link.__cause__ = link.__context__ = below = None
        link = below


class HolySheepError(Exception):
    """Everything this package raises on purpose. No key is in it, whoever's words it repeats.

    `details` is what the server or the library below said, word for word but for keys, or "".
    """

    def __init__(self, sentence: str, *, details: str = "") -> None:
        super().__init__(mask(sentence))
        self.details = mask(details)


class UsageError(HolySheepError):
    """The magic's line or an argument is wrong; nothing was sent."""


class ConfigurationError(HolySheepError):
    """A setting is missing or wrong; nothing was sent."""


class MissingKeyError(ConfigurationError):
    """No API key where one is needed."""


class LocalModelError(ConfigurationError):
    """The built-in model cannot be fetched, checked or loaded."""


class TransportError(HolySheepError):
    """The network failed, before or during an answer."""


class ConnectionFailedError(TransportError):
    """The server was never reached: name, refusal, TLS or connect timeout."""


class CertificateError(ConnectionFailedError):
    """The server's certificate is not trusted, or belongs to another name; nothing was sent."""


class StalledError(TransportError):
    """Nothing came for the idle timeout."""


class DisconnectedError(TransportError):
    """The stream ended before the answer did."""


class StatusError(TransportError):
    """An HTTP status other than 200. `body` is text; what it means, the wire knows."""

    def __init__(self, status_code: int, body: str, headers: Mapping[str, str]) -> None:
        super().__init__(f"The server answered with HTTP status {status_code}.", details=body)
        self.status_code = status_code
        self.body = self.details
        self.headers: dict[str, str] = mask_all(dict(headers))


class ProtocolError(HolySheepError):
    """What came is not what the protocol says."""


class ToolArgumentsError(HolySheepError):
    """The arguments of a call are not what the tool takes; the tool was not called."""


class AnswerTooLongError(HolySheepError):
    """More came than this package takes; what came is kept."""


class BudgetError(HolySheepError):
    """A run, or all runs of a notebook, cost as much as they may; what came is kept. `advice` says what to do."""

    def __init__(self, sentence: str, *, advice: str = "") -> None:
        super().__init__(sentence)
        self.advice = advice


class McpServerError(HolySheepError):
    """An MCP server does not start, has ended, or says that a call failed. `details` is the end of its stderr."""


class AnswerFormatError(HolySheepError):
    """The answer is whole, but not in the format that was asked for; its text is kept."""


class APIError(HolySheepError):
    """The server said no. `status_code` is 0 for an error object inside a stream.

    `retry_after_s` is how long the server asks to wait, or None.
    """

    retry_after_s: float | None = None

    def __init__(self, sentence: str, *, status_code: int = 0, code: Any = None, details: str = "") -> None:
        super().__init__(sentence, details=details)
        self.status_code = status_code
        self.code = mask_all(code)


class AuthenticationError(APIError):
    """401 or 403: the key is wrong, or not allowed to do this."""


class QuotaError(APIError):
    """402: the account has no credit left."""


class ModelNotFoundError(APIError):
    """404: the endpoint has no such model."""


class ContextWindowError(APIError):
    """The conversation is longer than the model takes."""


class BadRequestError(APIError):
    """400, 413 or 422: the server does not take this request as it is."""


class RateLimitError(APIError):
    """429: too many requests."""


class ServerError(APIError):
    """5xx, or an error object in the middle of the stream."""
