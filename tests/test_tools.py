"""Functions as tools: what a model is told about them, and what they get of what it sends."""

from __future__ import annotations

import asyncio
import datetime
import decimal
import enum
import functools
import inspect
import json
import pathlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_type_hints

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field, TypeAdapter, field_validator
from typing_extensions import TypedDict

from holysheep_nb import tool
from holysheep_nb.errors import ToolArgumentsError, UsageError
from holysheep_nb.tools import Tool, make_tool


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Place(BaseModel):
    title: str
    lat: float = 0.0
    near: list[Place] = []


class Picky(BaseModel):
    text: str

    @field_validator("text")
    @classmethod
    def check(cls, text: str) -> str:
        if text == "bad":
            raise ValueError("bad is not good.")
        return {"good": "better"}[text]


@dataclass
class Point:
    x: int
    y: int = 0


class Options(TypedDict, total=False):
    size: int
    color: Color


def read(function: Callable[..., Any], **arguments: Any) -> Any:
    return make_tool(function).read_arguments(json.dumps(arguments))


def refusal(function: Callable[..., Any], text: str) -> str:
    with pytest.raises(ToolArgumentsError) as caught:
        make_tool(function).read_arguments(text)
    return str(caught.value)


def misuse(make: Callable[[], Any]) -> str:
    with pytest.raises(UsageError) as caught:
        make()
    return str(caught.value)


def find(city: str, count: int = 3) -> str:
    """Finds sights.

    The best of them.

    Args:
        city: where to look
        count: how many,
            at most
    """
    return f"{count} in {city}"


def test_a_definition_has_the_openai_form_and_nothing_more() -> None:
    assert make_tool(find).definition() == {
        "type": "function",
        "function": {
            "name": "find",
            "description": "Finds sights.\n\nThe best of them.",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string", "description": "where to look"},
                    "count": {"type": "integer", "default": 3, "description": "how many, at most"},
                },
                "required": ["city"],
                "additionalProperties": False,
            },
        },
    }


def test_a_function_without_parameters_takes_an_empty_object() -> None:
    def now() -> str: ...

    made = make_tool(now)
    assert (made.description, made.parameters) == (
        "",
        {"type": "object", "properties": {}, "additionalProperties": False},
    )
    assert [made.read_arguments(text) for text in ("", " \n", "{}")] == [((), {})] * 3


NUMPY = "Does it.\n\nParameters\n----------\na : int\n    the a\nb : str\n    the b"
SPHINX = "Does it.\n\n:param a: the a\n:param str b: the b\n:returns: nothing"
EPYDOC = "Does it.\n\n@param a: the a\n@param b: the b\n@return: nothing"
GOOGLE = "Does it.\n\nArgs:\n    a (int): the a\n    b: the b\n\nReturns:\n    nothing"


@pytest.mark.parametrize("text", [NUMPY, SPHINX, EPYDOC, GOOGLE], ids=["numpy", "sphinx", "epydoc", "google"])
def test_descriptions_come_from_the_docstring_in_each_style(text: str) -> None:
    def do(a: int, b: str) -> None: ...

    do.__doc__ = text
    made = make_tool(do)
    assert made.description == "Does it."
    assert {name: each["description"] for name, each in made.parameters["properties"].items()} == {
        "a": "the a",
        "b": "the b",
    }


def test_a_description_at_the_annotation_goes_before_the_docstring() -> None:
    def do(a: Annotated[int, Field(description="A")], b: Annotated[str, "B"], c: Color) -> None: ...

    do.__doc__ = GOOGLE + "\n"
    properties = make_tool(do).parameters["properties"]
    assert [each.get("description") for each in properties.values()] == ["A", "B", None]


@given(st.text() | st.text("Args:Parameters\n -:@param`a` ", max_size=60))
def test_no_docstring_raises(text: str) -> None:
    def do(a: int) -> None: ...

    do.__doc__ = text
    assert isinstance(make_tool(do).description, str)


def test_a_schema_has_no_titles_but_keeps_what_is_called_so() -> None:
    def do(title: Place, default: Literal["title"] = "title") -> None: ...

    schema = make_tool(do).parameters
    assert schema["properties"] == {
        "title": {"$ref": "#/$defs/Place"},
        "default": {"type": "string", "const": "title", "default": "title"},
    }
    assert schema["$defs"]["Place"]["properties"] == {
        "title": {"type": "string"},
        "lat": {"type": "number", "default": 0.0},
        "near": {"type": "array", "items": {"$ref": "#/$defs/Place"}, "default": []},
    }


def test_an_enum_whose_values_say_nothing_is_told_with_its_names() -> None:
    def do(color: Color, level: Level) -> None: ...

    assert make_tool(do).parameters["$defs"] == {
        "Color": {"type": "string", "enum": ["red", "blue"]},
        "Level": {"type": "integer", "enum": [1, 2], "description": "1 is LOW, 2 is HIGH"},
    }


def test_limits_are_in_the_schema_and_are_held() -> None:
    def do(a: Annotated[int, Field(gt=0)], b: int | None = Field(None, le=3), c: list[int] = Field([])) -> None: ...  # noqa: B008

    assert make_tool(do).parameters["properties"] == {
        "a": {"type": "integer", "exclusiveMinimum": 0},
        "b": {"anyOf": [{"type": "integer", "maximum": 3}, {"type": "null"}], "default": None},
        "c": {"type": "array", "items": {"type": "integer"}, "default": []},
    }
    assert refusal(do, '{"a": 0}') == "The argument 'a' is 0: it should be greater than 0."
    first, second = read(do, a=1), read(do, a=1)
    assert first == ((), {"a": 1, "b": None, "c": []})
    assert first[1]["c"] is not second[1]["c"]


def test_a_default_that_has_no_json_or_is_long_is_not_told() -> None:
    def do(a: Any = object(), b: str = "x" * 1000, c: float = float("inf"), d: Color = Color.RED) -> None: ...  # noqa: B008

    properties = make_tool(do).parameters["properties"]
    assert {name: each.get("default") for name, each in properties.items()} == {
        "a": None,
        "b": None,
        "c": None,
        "d": "red",
    }


def test_arguments_are_of_the_annotated_types() -> None:
    def do(
        day: datetime.date,
        price: decimal.Decimal,
        key: uuid.UUID,
        path: pathlib.Path,
        pair: tuple[int, str],
        seen: set[int],
        by_number: dict[int, Point],
        place: Place,
        options: Options,
        color: Color | None,
    ) -> None: ...

    identity = uuid.uuid4()
    arguments, named = read(
        do,
        day="2024-02-29",
        price=1.10,
        key=str(identity),
        path="a/b",
        pair=[1, "x"],
        seen=[1, 1, 2],
        by_number={"7": {"x": 1}},
        place={"title": "here", "near": [{"title": "there"}]},
        options={"color": "red"},
        color=None,
    )
    assert arguments == ()
    assert named == {
        "day": datetime.date(2024, 2, 29),
        "price": decimal.Decimal("1.1"),
        "key": identity,
        "path": pathlib.Path("a/b"),
        "pair": (1, "x"),
        "seen": {1, 2},
        "by_number": {7: Point(1)},
        "place": Place(title="here", near=[Place(title="there")]),
        "options": {"color": Color.RED},
        "color": None,
    }


def test_defaults_are_left_to_the_function() -> None:
    assert read(find, city="Rome") == ((), {"city": "Rome"})


def test_null_is_taken_where_none_is_the_default() -> None:
    def do(a: int = None) -> None: ...  # type: ignore[assignment]  # noqa: RUF013

    assert read(do, a=None) == ((), {"a": None})


def test_each_kind_of_parameter_gets_its_arguments_as_python_passes_them() -> None:
    def do(a: int, b: int = 2, /, c: int = 3, *args: int, d: int = 4, **rest: float) -> Any:
        return a, b, c, args, d, rest

    schema = make_tool(do).parameters
    assert schema["properties"]["args"] == {"type": "array", "items": {"type": "integer"}}
    assert (schema["required"], schema["additionalProperties"]) == (["a"], {"type": "number"})

    def call(**arguments: Any) -> Any:
        positional, named = read(do, **arguments)
        return do(*positional, **named)

    assert call(a=1) == (1, 2, 3, (), 4, {})
    assert call(a=1, c=5, d=6) == (1, 2, 5, (), 6, {})
    assert call(a=1, args=[7, 8]) == (1, 2, 3, (7, 8), 4, {})
    assert call(a=1, args=[], z=1) == (1, 2, 3, (), 4, {"z": 1.0})
    assert refusal(do, '{"a": 1, "z": "x"}') == (
        "The argument 'z' is \"x\": it should be a valid number, unable to parse string as a number."
    )


def test_names_that_a_pydantic_model_has_itself_are_free() -> None:
    def do(model_config: int, schema: str, copy: int, json: Any, _x: int, argument_0: int, self: int) -> None: ...

    given_ = {"model_config": 1, "schema": "s", "copy": 2, "json": [], "_x": 3, "argument_0": 4, "self": 5}
    assert read(do, **given_) == ((), given_)


def test_a_text_stays_a_text_where_a_number_may_be_too() -> None:
    def do(a: int | str, b: list[int] | list[str]) -> None: ...

    assert read(do, a="5", b=["6"])[1] == {"a": "5", "b": ["6"]}


def test_what_loses_nothing_is_accepted() -> None:
    def do(a: int, b: float = 0, c: bool = False, d: str = "") -> None: ...

    assert read(do, a="5", b="1.5", c="yes")[1] == {"a": 5, "b": 1.5, "c": True}
    assert type(read(do, a=5.0)[1]["a"]) is int


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"n": true}', "The argument 'n' is true: it should be a number."),
        ('{"numbers": [1, false]}', "The argument 'numbers[1]' is false: it should be a number."),
        ('{"one": true}', "The argument 'one' is true: it should be a number."),
        ('{"level": true}', "The argument 'level' is true: it should be a number."),
        ('{"n": 1.5}', "The argument 'n' is 1.5: it should be a valid integer, got a number with a fractional part."),
        ('{"f": "nan"}', "The argument 'f' is \"nan\": it should be a finite number."),
        ('{"text": 5}', "The argument 'text' is 5: it should be a valid string."),
        ('{"place": {}}', "The argument 'place.title' is missing."),
        (
            '{"place": {"title": "a", "near": [{"title": null}]}}',
            "The argument 'place.near[0].title' is null: it should be a valid string.",
        ),
        (
            '{"either": null}',
            "The argument 'either' is null: it should be a valid integer, or it should be a valid string.",
        ),
        ('{"color": "pink"}', "The argument 'color' is \"pink\": it should be 'red' or 'blue'."),
        ('{"picky": {"text": "bad"}}', "The argument 'picky.text' is \"bad\": bad is not good."),
        ('{"picky": {"text": "?"}}', "The arguments of do could not be read: KeyError: '?'"),
        ('{"colour": "red"}', "do has no argument 'colour': use 'color'."),
        (
            '{"n": null, "nn": 1}',
            "do has no argument 'nn': use 'n'; The argument 'n' is null: it should be a valid integer.",
        ),
    ],
)
def test_a_wrong_argument_is_one_sentence_that_says_which_and_why(text: str, sentence: str) -> None:
    def do(
        n: int = 0,
        numbers: list[int] = [],  # noqa: B006
        one: Literal[1] = 1,
        level: Level = Level.LOW,
        f: float = 0,
        text: str = "",
        place: Place = Place(title=""),  # noqa: B008
        either: int | str = 0,
        color: Color = Color.RED,
        picky: Picky = Picky(text="good"),  # noqa: B008
    ) -> None: ...

    assert refusal(do, text) == sentence


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{}", "The argument 'city' is missing."),
        ('{"town": "x"}', "find has no argument 'town': it takes city, count; The argument 'city' is missing."),
        ('{"city": "x", "n\\n": 1}', "find has no argument 'n\\n': it takes city, count."),
        ('{"city": "Ro', "The arguments are cut off: they end before the JSON object does; send the whole object."),
        ('{"city": "x",', "The arguments are cut off: they end before the JSON object does; send the whole object."),
        (
            '{"city" "x"}',
            "The arguments are not JSON: Expecting ':' delimiter, at character 9; send one JSON object.",
        ),
        ("{} {}", "The arguments are not JSON: Extra data, at character 4; send one JSON object."),
        ('["x"]', "The arguments must be a JSON object, and are an array."),
        ('"x"', "The arguments must be a JSON object, and are a string."),
        ("null", "The arguments must be a JSON object, and are null."),
        ("true", "The arguments must be a JSON object, and are true or false."),
        ("5", "The arguments must be a JSON object, and are a number."),
        ('{"city": "a", "city": "b"}', "The name 'city' is given twice in one object; give it once."),
        ('{"count": NaN}', "The arguments hold NaN, which is not JSON; send a number or null."),
        ('{"count": -Infinity}', "The arguments hold -Infinity, which is not JSON; send a number or null."),
        ('{"count": 1e999}', "The number 1e999 in the arguments is too large."),
        ('{"count": ' + "9" * 5000 + "}", f"The number {'9' * 20}… in the arguments has too many digits."),
        ('{"city": ' + "[" * 300 + "]" * 300 + "}", "The arguments are nested too deeply: send a flatter object."),
        ("[" * 100_000, "The arguments are nested too deeply: send a flatter object."),
        ('{"city": "\\ud800"}', "The arguments hold half a character (a lone surrogate); send whole ones."),
        ('{"\ud800": 1}', "The arguments hold half a character (a lone surrogate); send whole ones."),
    ],
)
def test_what_is_no_object_of_the_right_arguments_is_one_sentence(text: str, sentence: str) -> None:
    assert refusal(find, text) == sentence


def test_a_sentence_is_short_however_long_the_arguments_are() -> None:
    def do(**numbers: int) -> None: ...

    assert len(refusal(do, json.dumps({f"n{i}" * 100: "x" * 10_000 for i in range(100)}))) <= 1001
    assert len(refusal(find, json.dumps({f"n{i}" * 100: "x" * 10_000 for i in range(100)}))) <= 1001


def test_a_tool_is_called_like_its_function() -> None:
    made = tool(find)
    assert made("Rome", count=2) == find("Rome", count=2)
    assert (made.__name__, made.__doc__, inspect.signature(made)) == ("find", find.__doc__, inspect.signature(find))


def test_an_asynchronous_tool_is_awaited_like_its_function() -> None:
    @tool
    async def later(a: int) -> int:
        return a + 1

    assert (later.is_async, make_tool(find).is_async) == (True, False)
    assert asyncio.run(later(1)) == 2


def test_the_decorator_works_bare_called_and_with_options() -> None:
    plain, called = tool(find), tool()(find)
    assert (plain.parameters, plain.description) == (called.parameters, called.description)
    assert [plain.is_safe, plain.runs_in_thread, plain.timeout_s] == [False, False, None]
    made = tool(name="look-up", description="Looks.", safe=True, thread=True, timeout=1.5)(find)
    assert (made.name, made.description, made.is_safe, made.runs_in_thread, made.timeout_s) == (
        *("look-up", "Looks.", True, True, 1.5),
    )
    assert repr(made) == "<Tool look-up(city, count), safe, thread, 1.5 s at most>"


def test_a_tool_passes_through() -> None:
    made = make_tool(find)
    assert make_tool(made) is made


class Shelf:
    """Not this."""

    def __init__(self) -> None:
        self.books = ["a"]

    def put(self, book: str) -> int:
        """Puts a book."""
        self.books.append(book)
        return len(self.books)

    @tool(safe=True, timeout=2)
    def count(self, least: int = 0) -> int:
        """Counts."""
        return max(least, len(self.books))

    @classmethod
    def make(cls, size: int) -> str:
        return f"{cls.__name__} of {size}"

    def __call__(self, row: int) -> str:
        """Calls."""
        return self.books[row]


@pytest.mark.parametrize(
    ("function", "name", "description", "arguments", "result"),
    [
        (Shelf().put, "put", "Puts a book.", {"book": "b"}, 2),
        (Shelf().count, "count", "Counts.", {"least": 5}, 5),
        (Shelf.make, "make", "", {"size": 3}, "Shelf of 3"),
        (Shelf(), "Shelf", "Calls.", {"row": 0}, "a"),
        (functools.partial(find, count=1), "find", "Finds sights.\n\nThe best of them.", {"city": "x"}, "1 in x"),
        (functools.partial(find, "y"), "find", "Finds sights.\n\nThe best of them.", {"count": 9}, "9 in y"),
        (tool(name="double")(lambda x: x * 2), "double", "", {"x": 2}, 4),
        (len, "len", "Return the number of items in a container.", {"obj": [1]}, 1),
    ],
)
def test_methods_partials_objects_lambdas_and_builtins_are_tools(
    function: Any, name: str, description: str, arguments: dict[str, Any], result: Any
) -> None:
    made = make_tool(function)
    assert (made.name, made.description, list(made.parameters["properties"])) == (name, description, list(arguments))
    positional, named = made.read_arguments(json.dumps(arguments))
    assert made.function(*positional, **named) == result
    assert made(*positional, **named) is not None


def test_a_method_that_is_a_tool_stays_one_at_its_object() -> None:
    shelf = Shelf()
    assert (shelf.count(3), Shelf.count(shelf, 4)) == (3, 4)
    assert (shelf.count.is_safe, shelf.count.timeout_s) == (True, 2)


def test_a_tool_is_made_of_a_ready_schema() -> None:
    schema = {"type": "object", "properties": {"from": {"type": "string"}}}
    made = Tool(lambda **named: named, name="fetch", description="Fetches.", parameters=schema)
    assert made.definition()["function"] == {"name": "fetch", "description": "Fetches.", "parameters": schema}
    assert made.read_arguments('{"from": "x", "to": 1}') == ((), {"from": "x", "to": 1})
    with pytest.raises(ToolArgumentsError, match=r"^The arguments are cut off"):
        made.read_arguments("{")


def test_names_in_annotations_are_those_of_the_notebook() -> None:
    notebook: dict[str, Any] = {}
    source = (
        "{future}\nfrom dataclasses import dataclass\n@dataclass\nclass City:\n    name: str\n"
        "def go(city: 'City', cities: list['City'] = ()) -> 'Missing': ...\n"
    )
    for future in ("", "from __future__ import annotations"):
        exec(source.format(future=future), notebook)
        _, named = read(notebook["go"], city={"name": "Rome"}, cities=[{"name": "Bonn"}])
        assert named == {"city": notebook["City"]("Rome"), "cities": [notebook["City"]("Bonn")]}


class Later(BaseModel):
    what: NotThere  # type: ignore[name-defined]  # noqa: F821


def takes_missing(x: NotThere) -> None: ...  # type: ignore[name-defined]  # noqa: F821
def takes_later(x: Later) -> None: ...
def takes_object(n: int, x: Shelf) -> None: ...
def takes_function(n: int, x: Callable[[int], int]) -> None: ...
def takes_five(x: 5) -> None: ...  # type: ignore[valid-type]
async def waits(n: int) -> None: ...


NO_JSON = (
    "A model cannot send 'x' of {}, whose type has no JSON: annotate it with text, numbers, lists, dicts, dataclasses "
    "or pydantic models, or bind it with functools.partial."
)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: make_tool(5), "A tool is made of a function, and this is of type int."),  # type: ignore[arg-type]
        (lambda: make_tool(Shelf), "The class 'Shelf' cannot be a tool: write a function that makes one."),
        (
            lambda: make_tool(max),
            "What max takes cannot be read: write a function with annotated parameters that calls it.",
        ),
        (
            lambda: make_tool(lambda x: x),
            "'<lambda>' cannot be the name of a tool: give it one of letters, digits, _ and -, of 64 characters at "
            "most, with tool(name=...).",
        ),
        (
            lambda: tool(name="a b")(find),
            "'a b' cannot be the name of a tool: give it one of letters, digits, _ and -, of 64 characters at most, "
            "with tool(name=...).",
        ),
        (
            lambda: make_tool(takes_missing),
            "There is no 'NotThere', which the annotation of 'x' in takes_missing names: define it in the notebook "
            "before the tool.",
        ),
        (
            lambda: make_tool(takes_later),
            "There is no 'NotThere', which the annotation of 'x' in takes_later names: define it in the notebook "
            "before the tool.",
        ),
        (lambda: make_tool(takes_object), NO_JSON.format("takes_object")),
        (lambda: make_tool(takes_five), NO_JSON.format("takes_five")),
        (lambda: make_tool(takes_function), NO_JSON.format("takes_function")),
        (
            lambda: tool(thread=True)(waits),
            "The tool waits is asynchronous: leave out thread=True, it runs beside others anyway.",
        ),
        (lambda: tool(timeout=0)(find), "The timeout of the tool find must be a number of seconds above 0."),
        (lambda: tool(timeout=float("nan"))(find), "The timeout of the tool find must be a number of seconds above 0."),
        (lambda: tool(timeout=True)(find), "The timeout of the tool find must be a number of seconds above 0."),
        (lambda: tool(tool(find)), "find is a tool already: say all about it in one @tool(...)."),
    ],
)
def test_what_cannot_be_a_tool_is_one_sentence(make: Callable[[], Any], sentence: str) -> None:
    assert misuse(make) == sentence


def f_any(a, b=1): ...  # type: ignore[no-untyped-def]
def f_int(a: int) -> None: ...
def f_float(a: float, b: float = 0) -> None: ...
def f_bool(a: bool) -> None: ...
def f_str(a: str, b: str | None = None) -> None: ...
def f_literal(a: Literal["x", 1, None]) -> None: ...
def f_enum(a: Color, b: Level = Level.LOW) -> None: ...
def f_optional(a: int | None, b: str | None = None) -> None: ...
def f_union(a: int | str | list[int]) -> None: ...
def f_list(a: list[int], b: list[list[str]] = []) -> None: ...  # noqa: B006
def f_dict(a: dict[str, float], b: dict[int, bool] = {}) -> None: ...  # noqa: B006
def f_tuple(a: tuple[int, str], b: tuple[int, ...] = ()) -> None: ...
def f_set(a: set[int], b: frozenset[str] = frozenset()) -> None: ...
def f_model(a: Place) -> None: ...
def f_picky(a: Picky | list[Picky]) -> None: ...
def f_dataclass(a: Point, b: list[Point] = []) -> None: ...  # noqa: B006
def f_typed_dict(a: Options) -> None: ...
def f_date(a: datetime.date, b: datetime.datetime | None = None) -> None: ...
def f_times(a: datetime.timedelta, b: datetime.time | None = None) -> None: ...
def f_decimal(a: decimal.Decimal) -> None: ...
def f_uuid(a: uuid.UUID, b: pathlib.Path | None = None) -> None: ...
def f_bytes(a: bytes) -> None: ...
def f_limited(a: Annotated[int, Field(gt=0, lt=9)], b: Annotated[str, Field(max_length=2)] = "") -> None: ...
def f_positional(a: int, b: int = 2, /) -> None: ...
def f_keyword(*, a: int, b: str = "") -> None: ...
def f_rest(a: int = 1, *b: int, **others: str) -> None: ...


SIMPLE = [
    *(f_any, f_int, f_float, f_bool, f_str, f_literal, f_enum, f_optional, f_union, f_list, f_dict, f_tuple, f_set),
    *(f_model, f_dataclass, f_typed_dict, f_limited, f_positional, f_keyword, f_rest),
]
ALL = [*SIMPLE, f_picky, f_date, f_times, f_decimal, f_uuid, f_bytes]
TOOLS = [make_tool(function) for function in ALL]

TEXTS = st.sampled_from(["", "x", "5", "1.5", "red", "yes", "bad", "good", "nan", "2024-02-29", "é\ud800"])
NUMBERS = st.integers(-3, 9) | st.integers() | st.floats(width=32)
LEAVES = st.none() | st.booleans() | NUMBERS | TEXTS | st.text(max_size=5)
KEYS = st.sampled_from(["a", "b", "title", "near", "lat", "x", "y", "size", "color", "text", "7"]) | st.text(max_size=3)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=2), max_leaves=4
)


FORMATS = {
    "date": ["2024-02-29", "2024-02-30"],
    "date-time": ["2024-02-29T10:00:00Z"],
    "duration": ["P1D", "PT0.5S"],
    "time": ["10:00", "10:00:01+02:00"],
    "uuid": [str(uuid.UUID(int=7))],
    "path": ["a/b", ""],
    "binary": ["", "\u00e9"],
}


def instances(schema: dict[str, Any], root: dict[str, Any], depth: int = 3) -> st.SearchStrategy[Any]:
    """Values that a schema means."""
    if "$ref" in schema:
        return instances(root["$defs"][schema["$ref"].rpartition("/")[2]], root, depth)
    if "anyOf" in schema:
        return st.one_of([instances(each, root, depth) for each in schema["anyOf"]])
    if "const" in schema or "enum" in schema:
        return st.sampled_from(schema.get("enum", [schema.get("const")]))
    match schema.get("type"):
        case "integer":
            return st.integers(
                schema.get("exclusiveMinimum", -(10**15)) + 1, schema.get("exclusiveMaximum", 10**15) - 1
            )
        case "number":
            return st.integers(-(10**15), 10**15) | st.floats(allow_nan=False, allow_infinity=False)
        case "string" if "format" in schema:
            return st.sampled_from(FORMATS[schema["format"]])
        case "string":
            return st.text(st.characters(exclude_categories=["Cs"]), max_size=schema.get("maxLength", 5))
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
        case "array" if "prefixItems" in schema:
            return st.tuples(*(instances(each, root, depth) for each in schema["prefixItems"])).map(list)
        case "array" if depth <= 0:
            return st.just([])
        case "array":
            return st.lists(instances(schema["items"], root, depth - 1), max_size=3)
        case "object":
            return objects(schema, root, depth)
    return st.recursive(st.none() | st.integers(), lambda inner: st.lists(inner, max_size=2), max_leaves=3)


def objects(schema: dict[str, Any], root: dict[str, Any], depth: int) -> st.SearchStrategy[dict[str, Any]]:
    required = schema.get("required", [])
    properties = {
        name: instances(each, root, depth - 1)
        for name, each in schema.get("properties", {}).items()
        if depth > 0 or name in required
    }
    fixed = st.fixed_dictionaries(
        {name: each for name, each in properties.items() if name in required},
        optional={name: each for name, each in properties.items() if name not in required},
    )
    more = schema.get("additionalProperties")
    if not isinstance(more, dict):
        return fixed
    names = st.integers(0, 99).map(str)
    others = st.dictionaries(names, instances(more, root, depth - 1), max_size=2)
    return st.builds(lambda one, other: {**other, **one}, fixed, others)


def arguments_for(made: Tool) -> st.SearchStrategy[dict[str, Any]]:
    """What a model may send: what the schema means, what it does not, and both."""
    properties = made.parameters["properties"]
    each = {name: instances(schema, made.parameters) | TEXTS | VALUES for name, schema in properties.items()}
    mixed = st.fixed_dictionaries({}, optional=each)
    others = st.dictionaries(KEYS, VALUES, max_size=2)
    meant = objects(made.parameters, made.parameters, 3)
    return meant | mixed | st.builds(lambda one, other: {**other, **one}, mixed, others) | st.dictionaries(KEYS, VALUES)


def assert_is_of(value: Any, annotation: Any) -> None:
    """A Python value is of the type itself, nothing coerced."""
    TypeAdapter(annotation).validate_python(value, strict=True)


@pytest.mark.parametrize("function", ALL, ids=lambda function: function.__name__)
def test_a_call_gets_the_annotated_types_or_is_refused_in_one_line(function: Callable[..., Any]) -> None:
    made = TOOLS[ALL.index(function)]
    hints = {"others": dict[str, str], **get_type_hints(function, include_extras=True)}
    hints.update({"b": tuple[int, ...], "others": dict[str, str]} if function is f_rest else {})
    counts = {"called": 0, "refused": 0}

    @settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
    @given(arguments_for(made))
    def check(arguments: dict[str, Any]) -> None:
        came = attempt(made, json.dumps(arguments))
        if isinstance(came, str):
            counts["refused"] += 1
            assert is_one_sentence(came)
            return
        counts["called"] += 1
        positional, named = came
        bound = inspect.signature(function).bind(*positional, **named).arguments
        for name, value in bound.items():
            if function is not f_picky:
                assert_is_of(value, hints.get(name, Any))
        assert set(bound) - {"others"} <= {*arguments, *({"a"} if function is f_rest else {})}

    check()
    assert min(counts.values()) >= 5


def attempt(made: Tool, text: str) -> tuple[tuple[Any, ...], dict[str, Any]] | str:
    """The arguments for the function, or the sentence that refuses them."""
    try:
        return made.read_arguments(text)
    except ToolArgumentsError as error:
        return str(error)


def is_one_sentence(text: str) -> bool:
    return 10 < len(text) < 12_000 and len(text.splitlines()) == 1 and text.isprintable() and bool(text.encode())


FRAGMENTS = st.sampled_from(
    [*'{}[]":,', '{"a":', "null", "true", "1e9", "NaN", "\\u", "\\ud800", "\ud800", "\x00", "\ufeff"]
)


@settings(max_examples=500, deadline=None)
@given(st.text(st.characters()) | st.lists(FRAGMENTS | st.text(max_size=2), max_size=12).map("".join))
def test_no_text_at_all_raises_anything_but_a_tool_arguments_error(text: str) -> None:
    for made in TOOLS:
        came = attempt(made, text)
        assert not isinstance(came, str) or is_one_sentence(came)


@pytest.mark.parametrize("made", TOOLS, ids=lambda made: made.name)
def test_every_schema_is_a_valid_json_schema_and_json(made: Tool) -> None:
    Draft202012Validator.check_schema(made.parameters)
    assert json.loads(json.dumps(made.parameters, allow_nan=False)) == made.parameters
    assert '"title": "' not in json.dumps(made.parameters)


@pytest.mark.parametrize("function", SIMPLE, ids=lambda function: function.__name__)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_what_the_schema_accepts_is_accepted(function: Callable[..., Any], data: st.DataObject) -> None:
    made = TOOLS[ALL.index(function)]
    arguments = data.draw(objects(made.parameters, made.parameters, 3))
    assume(Draft202012Validator(made.parameters).is_valid(arguments))
    made.read_arguments(json.dumps(arguments))
