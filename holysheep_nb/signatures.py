"""What a function takes: as a JSON schema for a model, and the arguments of a model as Python values."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping
from typing import Any

import pydantic
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import PydanticSerializationError, to_jsonable_python

from .errors import ToolArgumentsError, UsageError
from .parameters import Kind, Parameter, read_parameters, undefined_name

_BRIEF_CHARACTERS = 60
_DEFAULT_CHARACTERS = 200
_MAX_PROBLEMS = 4


class Signature:
    """The parameters of the function that a tool is made of.

    schema  JSON schema of an object with an argument for each; `**kwargs` are further properties

    Accepted is what pydantic accepts of JSON where nothing is lost: "5" or 5.0 for an int, 1 or "yes" for a bool,
    an ISO text for a date, an array for a tuple or a set. Refused are a fraction for an int, true or false for a
    number, a number for a str, and the texts "nan" and "inf" for a float. What a class of the user's accepts for
    its fields is its own to say.

    Raises `UsageError` for a signature that cannot be read, and for a type that has no JSON.
    """

    def __init__(self, tool_name: str, function: Callable[..., Any], descriptions: Mapping[str, str]) -> None:
        self._tool_name = tool_name
        self._parameters = read_parameters(tool_name, function)
        self._fields = {f"argument_{i}": each for i, each in enumerate(self._parameters)}
        self._extra = next((each for each in self._parameters if each.kind is Kind.VAR_KEYWORD), None)
        self._keys = {each.key: each for each in self._parameters if each is not self._extra}
        try:
            self._model, schema = _build(self._fields)
        except Exception as error:
            raise _refusal(tool_name, self._fields, error) from error
        self.schema = self._tidy(schema, descriptions)

    def read(self, arguments: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Positional and keyword arguments, of the annotated types. Raises `ToolArgumentsError`.

        What was not given is left to the function, except before an argument that can only be given by position.
        """
        known = {key: value for key, value in arguments.items() if key in self._keys}
        others = {key: value for key, value in arguments.items() if key not in self._keys}
        problems = []
        if self._extra:
            known[self._extra.key] = others
        else:
            problems = [self._unknown(key) for key in others]
        try:
            values = self._model.model_validate_json(json.dumps(known))
        except pydantic.ValidationError as error:
            problems += self._problems(error, known)
        if problems:
            raise ToolArgumentsError("; ".join(problems[:_MAX_PROBLEMS]) + ".")
        is_given = values.model_fields_set
        return self._sort({p.key: getattr(values, f) for f, p in self._fields.items() if f in is_given or p.is_filled})

    def _sort(self, given: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        positional: list[Any] = []
        named: dict[str, Any] = {}
        places = [i for i, p in enumerate(self._parameters) if p.key in given and p.is_positional(given[p.key])]
        for i, parameter in enumerate(self._parameters):
            is_given = parameter.key in given
            value = given.get(parameter.key, parameter.default)
            if parameter.kind is Kind.VAR_POSITIONAL:
                positional += value if is_given else ()
            elif parameter.kind is Kind.VAR_KEYWORD:
                named.update(value if is_given else {})
            elif places and i <= places[-1]:
                positional.append(value)
            elif is_given:
                named[parameter.name] = value
        return tuple(positional), named

    def _tidy(self, schema: dict[str, Any], descriptions: Mapping[str, str]) -> dict[str, Any]:
        properties: dict[str, Any] = {}
        for parameter in self._parameters:
            each = _without_titles(schema["properties"][parameter.key])
            if not parameter.is_filled:
                each.pop("default", None)
                each.update(_default(parameter.default))
            if parameter.name in descriptions:
                each.setdefault("description", descriptions[parameter.name])
            properties[parameter.key] = each
        extra = properties.pop(self._extra.key) if self._extra else {"additionalProperties": False}
        required = [each.key for each in self._parameters if each.is_required]
        return {
            "type": "object",
            "properties": properties,
            **({"required": required} if required else {}),
            "additionalProperties": extra.get("additionalProperties", True),
            **({"$defs": _without_titles(schema["$defs"], are_names=True)} if "$defs" in schema else {}),
        }

    def _unknown(self, key: str) -> str:
        close = difflib.get_close_matches(key, self._keys, n=1, cutoff=0.5)
        there = f"it takes {', '.join(self._keys)}" if self._keys else "it takes none"
        return f"{self._tool_name} has no argument {_short(repr(key))}: " + (f"use {close[0]!r}" if close else there)

    def _problems(self, error: pydantic.ValidationError, arguments: Mapping[str, Any]) -> list[str]:
        """What is wrong with each argument; what the branches of a union want is joined by "or"."""
        found: dict[str, list[str]] = {}
        for each in error.errors(include_url=False, include_context=False):
            if each["type"] == "json_invalid":  # it was JSON for Python, whose limit is higher
                return ["The arguments are nested too deeply: send a flatter object"]
            is_missing = each["type"] == "missing"
            path = self._path(arguments, each["loc"], is_missing)
            if is_missing:
                found[f"The argument {path!r} is missing"] = []
            elif path:
                found.setdefault(f"The argument {path!r} is {_brief(each['input'])}", []).append(_reason(each["msg"]))
            else:
                found.setdefault("The arguments cannot be read", []).append(_reason(each["msg"]))
        return [f"{what}: {', or '.join(dict.fromkeys(why))}" if why else what for what, why in found.items()]

    def _path(self, arguments: Mapping[str, Any], location: tuple[int | str, ...], is_missing: bool) -> str:
        """Where in the JSON an error is: `where.points[2].x`. Steps that name a branch of a union are left out."""
        path = ""
        value: Any = arguments
        for i, step in enumerate(location):
            if self._extra and not path and step == self._extra.key:
                value = value[step]
            elif isinstance(value, Mapping) and (step in value or (is_missing and i == len(location) - 1)):
                path += f".{_short(str(step))}" if path else _short(str(step))
                value = value.get(step)
            elif isinstance(value, list) and isinstance(step, int) and step < len(value):
                path += f"[{step}]"
                value = value[step]
        return path


class _Schemas(GenerateJsonSchema):
    def enum_schema(self, schema: Any) -> dict[str, Any]:
        """Values that say nothing are told with their names."""
        made = super().enum_schema(schema)
        if not all(isinstance(member.value, str) for member in schema["members"]):
            names = ", ".join(f"{to_jsonable_python(each.value)!r} is {each.name}" for each in schema["members"])
            made["description"] = f"{made['description']}\n\n{names}" if "description" in made else names
        return made


def _build(fields: Mapping[str, Parameter]) -> tuple[type[pydantic.BaseModel], dict[str, Any]]:
    """A pydantic model with a field for each parameter, and its JSON schema; the field's names clash with nothing."""
    definitions: dict[str, Any] = {
        name: (
            each.annotation,
            pydantic.Field(alias=each.key)
            if each.is_filled
            else pydantic.Field(... if each.is_required else None, alias=each.key),
        )
        for name, each in fields.items()
    }
    config = pydantic.ConfigDict(allow_inf_nan=False)
    model = pydantic.create_model("ToolArguments", __config__=config, **definitions)
    model.model_rebuild(raise_errors=True)
    return model, model.model_json_schema(schema_generator=_Schemas)


def _refusal(tool_name: str, fields: Mapping[str, Parameter], error: Exception) -> UsageError:
    """Why there is no schema, said of the parameter it is for."""
    for name, parameter in fields.items():
        try:
            _build({name: parameter})
        except Exception as own:
            return UsageError(_refusal_sentence(tool_name, parameter.name, own), details=str(own))
    return UsageError(f"There is no JSON schema of what {tool_name} takes: {_first_line(error)}", details=str(error))


def _refusal_sentence(tool_name: str, name: str, error: Exception) -> str:
    if isinstance(error, NameError):
        return undefined_name(tool_name, error, name)
    if getattr(error, "code", None) == "typed-dict-version":
        return f"{name!r} of {tool_name} is a TypedDict of typing: import TypedDict from typing_extensions instead."
    if isinstance(error, PydanticSchemaGenerationError | PydanticInvalidForJsonSchema | PydanticSerializationError):
        return (
            f"A model cannot send {name!r} of {tool_name}, whose type has no JSON: annotate it with text, numbers, "
            "lists, dicts, dataclasses or pydantic models, or bind it with functools.partial."
        )
    return f"There is no JSON schema of {name!r} of {tool_name}: {_first_line(error)}"


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"


def _without_titles(schema: dict[str, Any], *, are_names: bool = False) -> dict[str, Any]:
    """The schema without the titles that pydantic makes of names. `are_names`: it holds schemas by name."""
    tidy: dict[str, Any] = {}
    for key, value in schema.items():
        if not are_names and key == "title" and isinstance(value, str):
            continue
        if isinstance(value, dict) and (are_names or key not in ("default", "const")):
            tidy[key] = _without_titles(
                value, are_names=not are_names and key in ("properties", "$defs", "patternProperties")
            )
        elif isinstance(value, list) and key in ("anyOf", "oneOf", "allOf", "prefixItems"):
            tidy[key] = [_without_titles(each) for each in value]
        else:
            tidy[key] = value
    return tidy


def _default(value: Any) -> dict[str, Any]:
    """What the schema says of a default: nothing of one that is long or has no JSON."""
    try:
        plain = to_jsonable_python(value)
        return {"default": plain} if len(json.dumps(plain, allow_nan=False)) <= _DEFAULT_CHARACTERS else {}
    except (PydanticSerializationError, ValueError):
        return {}


def _reason(message: str) -> str:
    for start in ("Value error, ", "Assertion failed, "):
        message = message.removeprefix(start)
    if message.startswith("Input should"):
        message = "it" + message.removeprefix("Input")
    return message[:1].lower() + message[1:].rstrip(".")


def _brief(value: Any) -> str:
    return _short(json.dumps(value, ensure_ascii=False, default=repr))


def _short(text: str) -> str:
    return text if len(text) <= _BRIEF_CHARACTERS else text[:_BRIEF_CHARACTERS] + "…"
