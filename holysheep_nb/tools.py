"""Python functions that a model may call: what it is told about them, and its arguments read.

@tool(safe=True)
def find(city: str, count: int = 3) -> list[str]:
    "Sights of a city."
"""

from __future__ import annotations

import functools
import inspect
import json
import math
import re
from collections.abc import Callable
from typing import Any, NoReturn, TypeAlias, overload

from .errors import ToolArgumentsError, UsageError

Arguments: TypeAlias = tuple[tuple[Any, ...], dict[str, Any]]

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SENTENCE_CHARACTERS = 1000
_MAX_DIGITS = 600  # the least that Python's own limit can be set to is 640


def _as_keywords(arguments: dict[str, Any]) -> Arguments:
    return (), arguments


class Tool:
    """A function that a model may call. It is called like the function, too.

    function         what is called: synchronous, or asynchronous if `is_async`
    name             what the model calls it by: letters, digits, _ and -, 64 at most
    description      what the model is told about it
    parameters       JSON schema of the arguments, of type "object"
    read             makes positional and keyword arguments of the object that the model sent; raises
                     `ToolArgumentsError`. Without it they are passed by keyword as they came
    is_safe          called without approval
    runs_in_thread   called in a thread of its own, not on the main thread
    runs_on_stream_thread   awaited where answers stream: for asynchronous functions that wait for a network alone
    timeout_s        how long a call may take in seconds, or None

    `make_tool` and `@tool` make one of a function; a tool with a ready schema is made directly.
    Raises `UsageError`.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str,
        description: str,
        parameters: dict[str, Any],
        read: Callable[[dict[str, Any]], Arguments] = _as_keywords,
        is_safe: bool = False,
        runs_in_thread: bool = False,
        runs_on_stream_thread: bool = False,
        timeout_s: float | None = None,
    ) -> None:
        functools.update_wrapper(self, function, updated=())
        self.function = function
        self.name = name
        self.description = description
        self.parameters = parameters
        self.read = read
        self.is_safe = is_safe
        self.is_async = _is_async(function)
        self.runs_in_thread = runs_in_thread
        self.runs_on_stream_thread = runs_on_stream_thread
        self.timeout_s = timeout_s
        _check(self)

    def __call__(self, /, *arguments: Any, **named: Any) -> Any:
        return self.function(*arguments, **named)

    def __get__(self, instance: Any, owner: type | None = None) -> Tool:
        """A tool that was made of a method takes no `self` where it is asked for at an object."""
        if instance is None or not hasattr(self.function, "__get__"):
            return self
        return _make(self.function.__get__(instance, owner), self)

    def __repr__(self) -> str:
        names = ", ".join(self.parameters.get("properties", {}))
        kinds = [("safe", self.is_safe), ("async", self.is_async), ("thread", self.runs_in_thread)]
        notes = [kind for kind, is_so in kinds if is_so]
        notes += [f"{self.timeout_s:g} s at most"] if self.timeout_s is not None else []
        return f"<Tool {self.name}({names})" + "".join(f", {note}" for note in notes) + ">"

    def definition(self) -> dict[str, Any]:
        """The tool as a request has it: the OpenAI form."""
        function = {"name": self.name, "description": self.description, "parameters": self.parameters}
        return {"type": "function", "function": function}

    def read_arguments(self, text: str) -> Arguments:
        """Positional and keyword arguments for `function`, from the JSON that a model sent.

        No text is no arguments. Raises `ToolArgumentsError`, and nothing else, with a sentence the model can
        act on.
        """
        try:
            return self.read(_read_object(text))
        except ToolArgumentsError as error:
            raise ToolArgumentsError(_one_line(str(error))) from None
        except Exception as error:
            sentence = f"The arguments of {self.name} could not be read: {type(error).__name__}: {error}"
            raise ToolArgumentsError(_one_line(sentence)) from error


@overload
def tool(function: Callable[..., Any], /) -> Tool: ...


@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    safe: bool = False,
    thread: bool = False,
    timeout: float | None = None,
) -> Callable[[Callable[..., Any]], Tool]: ...


def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    safe: bool = False,
    thread: bool = False,
    timeout: float | None = None,
) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Makes a tool of a function: `@tool`, or `@tool(safe=True)`.

    name         in place of the function's
    description  in place of the docstring's
    safe         True if it may be called without asking a person
    thread       True to call it in a thread of its own; it then runs beside cells and other tools
    timeout      seconds that a call may take

    The schema comes from the signature, whose types are those of pydantic, and the descriptions from the
    docstring. Arguments are checked before the function is called. Raises `UsageError`.
    """

    def decorate(function: Callable[..., Any]) -> Tool:
        if isinstance(function, Tool):
            raise UsageError(f"{function.name} is a tool already: say all about it in one @tool(...).")
        return _make(function, None, name, description, safe, thread, timeout)

    return decorate if function is None else decorate(function)


def make_tool(function: Callable[..., Any] | Tool) -> Tool:
    """The tool that a function is; a `Tool` is itself. Raises `UsageError`."""
    return function if isinstance(function, Tool) else _make(function)


def _make(
    function: Callable[..., Any],
    like: Tool | None = None,
    name: str | None = None,
    description: str | None = None,
    safe: bool = False,
    thread: bool = False,
    timeout: float | None = None,
) -> Tool:
    from .signatures import Signature

    if like is not None:
        name, description, safe = like.name, like.description, like.is_safe
        thread, timeout = like.runs_in_thread, like.timeout_s
    if not callable(function):
        raise UsageError(f"A tool is made of a function, and this is of type {type(function).__name__}.")
    if isinstance(function, type):
        raise UsageError(f"The class {function.__name__!r} cannot be a tool: write a function that makes one.")
    name = _name_of(function) if name is None else name
    told, parameter_descriptions = _read_docstring(function)
    signature = Signature(name, function, parameter_descriptions)
    return Tool(
        function,
        name=name,
        description=told if description is None else description,
        parameters=signature.schema,
        read=signature.read,
        is_safe=safe,
        runs_in_thread=thread,
        timeout_s=timeout,
    )


def _check(made: Tool) -> None:
    if not isinstance(made.name, str) or not _NAME.fullmatch(made.name):
        raise UsageError(
            f"{made.name!r} cannot be the name of a tool: give it one of letters, digits, _ and -, of 64 characters "
            "at most, with tool(name=...)."
        )
    if made.is_async and made.runs_in_thread:
        raise UsageError(f"The tool {made.name} is asynchronous: leave out thread=True, it runs beside others anyway.")
    timeout_s = made.timeout_s
    if timeout_s is not None and not (type(timeout_s) in (int, float) and 0 < timeout_s < math.inf):
        raise UsageError(f"The timeout of the tool {made.name} must be a number of seconds above 0.")


def _is_async(function: Callable[..., Any]) -> bool:
    functions = (getattr(function, "__func__", function), type(function).__call__)
    return any(inspect.iscoroutinefunction(each) for each in functions)


def _name_of(function: Callable[..., Any]) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    return str(getattr(function, "__name__", type(function).__name__))


def _read_docstring(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """What a docstring says: about the function, and about each of its parameters."""
    import docstring_parser

    while isinstance(function, functools.partial):
        function = function.func
    if not hasattr(function, "__name__"):
        function = type(function).__call__ if inspect.getdoc(type(function).__call__) else type(function)
    text = inspect.getdoc(function) or ""
    try:
        parsed = docstring_parser.parse(text)
    except Exception:  # it reads what people write for people: then the text is the description
        return text, {}
    descriptions = {
        name.strip().lstrip("*\\"): " ".join(each.description.split())
        for each in parsed.params
        if each.description
        for name in each.arg_name.split(",")
    }
    told = [part.strip() for part in (parsed.short_description, parsed.long_description) if part]
    return "\n\n".join(told) or (text if not parsed.meta else ""), descriptions


def _read_object(text: str) -> dict[str, Any]:
    """The JSON object that a text is. Raises `ToolArgumentsError`."""
    if not text.strip():
        return {}
    try:
        value = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_refuse_constant, parse_float=_finite, parse_int=_integer
        )
        json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string"):
            raise ToolArgumentsError(
                "The arguments are cut off: they end before the JSON object does; send the whole object."
            ) from None
        raise ToolArgumentsError(
            f"The arguments are not JSON: {error.msg}, at character {error.pos + 1}; send one JSON object."
        ) from None
    except UnicodeEncodeError:
        raise ToolArgumentsError("The arguments hold half a character (a lone surrogate); send whole ones.") from None
    except RecursionError:
        raise ToolArgumentsError("The arguments are nested too deeply: send a flatter object.") from None
    if not isinstance(value, dict):
        raise ToolArgumentsError(f"The arguments must be a JSON object, and are {_kind(value)}.")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ToolArgumentsError(f"The name {name!r} is given twice in one object; give it once.")
        found[name] = value
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ToolArgumentsError(f"The arguments hold {name}, which is not JSON; send a number or null.")


def _finite(text: str) -> float:
    if math.isinf(number := float(text)):
        raise ToolArgumentsError(f"The number {text[:20]} in the arguments is too large.")
    return number


def _integer(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise ToolArgumentsError(f"The number {text[:20]}… in the arguments has too many digits.")
    return int(text)


def _kind(value: Any) -> str:
    kinds = {list: "an array", str: "a string", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


def _one_line(sentence: str) -> str:
    """The sentence on one line, of printable characters, and not too long to read."""
    line = " ".join(sentence.split())
    line = line if len(line) <= _SENTENCE_CHARACTERS else line[:_SENTENCE_CHARACTERS] + "…"
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)
