"""The parameters of a function, with the types that a model's arguments get."""

from __future__ import annotations

import contextlib
import functools
import inspect
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal, Optional, TypeAlias, Union

import pydantic
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from .errors import UsageError

Kind: TypeAlias = inspect.Parameter

_CONTAINERS = ("builtins", "collections", "collections.abc")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a function.

    key       its name in the JSON; that of `**kwargs` is none that a model could send
    default   `inspect.Parameter.empty` if there is none
    is_filled True if the default is pydantic's to make: `= Field(default_factory=list)`
    """

    name: str
    key: str
    kind: Any
    annotation: Any
    default: Any = Kind.empty
    is_filled: bool = False

    @property
    def is_required(self) -> bool:
        is_one = self.kind not in (Kind.VAR_POSITIONAL, Kind.VAR_KEYWORD)
        return is_one and self.default is Kind.empty and not self.is_filled

    def is_positional(self, value: Any) -> bool:
        """True if the value can only be given by position, as can what comes before it."""
        return self.kind is Kind.POSITIONAL_ONLY or (self.kind is Kind.VAR_POSITIONAL and bool(value))


def read_parameters(tool_name: str, function: Callable[..., Any]) -> list[Parameter]:
    """The parameters that a model may give; those that `functools.partial` bound are not. Raises `UsageError`."""
    try:
        signature = inspect.signature(function)
    except NameError as error:
        raise UsageError(undefined_name(tool_name, error)) from error
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"What {tool_name} takes cannot be read: write a function with annotated parameters that calls it."
        ) from error
    bound = function.keywords if isinstance(function, functools.partial) else {}
    names = _names(function)
    return [
        _read_parameter(each, _resolve(tool_name, each, names))
        for each in signature.parameters.values()
        if each.name not in bound
    ]


def _read_parameter(parameter: inspect.Parameter, annotation: Any) -> Parameter:
    name, kind, default = parameter.name, parameter.kind, parameter.default
    is_field = isinstance(default, FieldInfo)
    if is_field:
        annotation = Annotated[annotation, default]
    elif default is None:
        annotation = Optional[annotation]  # noqa: UP045  # `Any | None` is an error in Python 3.10
    if typing.get_origin(annotation) is Annotated:
        texts = [pydantic.Field(description=each) for each in annotation.__metadata__ if isinstance(each, str)]
        annotation = _annotate(annotation, *texts[:1])
    annotation = _without_booleans(annotation)
    if kind is Kind.VAR_POSITIONAL:
        return Parameter(name, name, kind, list[annotation])
    if kind is Kind.VAR_KEYWORD:
        return Parameter(name, f"**{name}", kind, dict[str, annotation])
    if is_field:
        return Parameter(name, name, kind, annotation, is_filled=not default.is_required())
    return Parameter(name, name, kind, annotation, default)


def _names(function: Callable[..., Any]) -> dict[str, Any]:
    """The names that an annotation may use: those of the notebook, and those around a function within another."""
    while isinstance(function, functools.partial):
        function = function.func
    defined = inspect.unwrap(function if hasattr(function, "__name__") else type(function).__call__)
    names = dict(getattr(defined, "__globals__", {}))
    code = getattr(defined, "__code__", None)
    for name, cell in zip(code.co_freevars if code else (), getattr(defined, "__closure__", None) or (), strict=False):
        with contextlib.suppress(ValueError):  # a cell that is still empty
            names[name] = cell.cell_contents
    return names


def _resolve(tool_name: str, parameter: inspect.Parameter, names: dict[str, Any]) -> Any:
    if parameter.annotation is Kind.empty:
        return Any
    holder = types.SimpleNamespace(__annotations__={parameter.name: parameter.annotation})
    try:
        return typing.get_type_hints(holder, names, include_extras=True)[parameter.name]
    except NameError as error:
        raise UsageError(undefined_name(tool_name, error, parameter.name)) from error
    except Exception as error:
        raise UsageError(
            f"The annotation of {parameter.name!r} in {tool_name} cannot be read: {type(error).__name__}: {error}."
        ) from error


def undefined_name(tool_name: str, error: NameError, parameter_name: str = "") -> str:
    """The sentence for an annotation with a name that nothing has."""
    where = (
        f"the annotation of {parameter_name!r} in {tool_name}" if parameter_name else f"an annotation of {tool_name}"
    )
    return f"There is no {error.name!r}, which {where} names: define it in the notebook before the tool."


def _without_booleans(annotation: Any) -> Any:
    """The annotation, its numbers taking no true or false: Python counts these as 1 and 0, a model does not."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if _is_number(annotation):
        return Annotated[annotation, pydantic.BeforeValidator(_refuse_boolean)]
    if origin is Annotated:
        if _is_number(arguments[0]):
            return Annotated[annotation, pydantic.BeforeValidator(_refuse_boolean)]
        return _annotate(_without_booleans(arguments[0]), *annotation.__metadata__)
    is_union = origin in (Union, types.UnionType)
    if (not is_union and getattr(origin, "__module__", "") not in _CONTAINERS) or origin in (type, Callable):
        return annotation
    changed = tuple(_without_booleans(each) for each in arguments)
    if all(new is old for new, old in zip(changed, arguments, strict=True)):
        return annotation
    return Union[changed] if is_union else origin[changed]  # noqa: UP007


def _annotate(annotation: Any, *metadata: Any) -> Any:
    annotated: Any = Annotated
    parts = (annotation, *metadata)
    return annotated[parts] if metadata else annotation


def _is_number(annotation: Any) -> bool:
    """True for what takes numbers alone, or none."""
    origin = typing.get_origin(annotation)
    if origin in (Union, types.UnionType):
        members = [each for each in typing.get_args(annotation) if each is not types.NoneType]
        return all(_is_number(each) for each in members)
    if origin is Literal:
        values = list(typing.get_args(annotation))
    elif isinstance(annotation, type) and issubclass(annotation, Enum):
        values = [member.value for member in annotation]
    else:
        return annotation is int or annotation is float
    return any(type(each) in (int, float) for each in values) and not any(type(each) is bool for each in values)


def _refuse_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        raise PydanticCustomError("boolean", "Input should be a number")
    return value
