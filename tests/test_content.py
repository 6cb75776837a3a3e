"""What a value of the notebook is to a model."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import math
import sqlite3
import subprocess
import sys
import warnings
from collections import OrderedDict, deque, namedtuple
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import PurePosixPath
from types import MappingProxyType, SimpleNamespace
from typing import Any
from uuid import UUID

import matplotlib
import numpy as np
import pandas as pd
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

matplotlib.use("agg")

import matplotlib.pyplot as plt

from holysheep_nb.content import MAX_IMAGES, Content, images, to_content
from holysheep_nb.errors import UsageError


class Color(Enum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


class TextColor(str, Enum):
    BLUE = "blue"


Point = namedtuple("Point", "x y")


@dataclass
class City:
    name: str
    founded: date
    key: str = field(default="secret", repr=False)


class Order(pydantic.BaseModel):
    number: int
    price: Decimal
    password: pydantic.SecretStr = pydantic.SecretStr("secret")


class Numbers(pydantic.RootModel[list[int]]):
    pass


class Plain:
    pass


class Broken:
    def __repr__(self) -> str:
        raise ValueError("no")


class Unbound:
    """Like a proxy of a web framework outside a request."""

    @property
    def __class__(self) -> Any:
        raise RuntimeError("outside of a request")


def text(value: Any, **options: Any) -> str:
    content = to_content(value, **options)
    assert content.images == ()
    return content.text


def open_image(url: str) -> Image.Image:
    """What is in the data URL, read by a library that knows PNG."""
    head, _, data = url.partition(",")
    assert head == "data:image/png;base64"
    image = Image.open(io.BytesIO(base64.b64decode(data, validate=True)))
    image.load()
    assert image.format == "PNG"
    return image


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("as it | is\n", "as it | is\n"),
        ("", ""),
        (5, "5"),
        (False, "false"),
        (None, "null"),
        (0.5, "0.5"),
        (math.nan, "NaN"),
        ([math.inf, -math.inf], '["Infinity", "-Infinity"]'),
        ({"lat": 48.9, "city": "Zürich 🐑"}, '{"lat": 48.9, "city": "Zürich 🐑"}'),
        ([True, (4,), None], "[true, [4], null]"),
        ({3, 1, 2}, "[1, 2, 3]"),
        (range(3), "[0, 1, 2]"),
        ({"a": 1}.keys(), '["a"]'),
        ({"a": 1}.values(), "[1]"),
        (deque([1]), "[1]"),
        (OrderedDict(b=1, a=2), '{"b": 1, "a": 2}'),
        (MappingProxyType({"a": 1}), '{"a": 1}'),
        (
            {1: "a", None: "b", (1, 2): "c", date(2024, 1, 2): "d"},
            '{"1": "a", "null": "b", "[1, 2]": "c", "2024-01-02": "d"}',
        ),
        (Color.RED, "red"),
        ({Color.RED: Level.HIGH}, '{"red": 3}'),
        (TextColor.BLUE, "blue"),
        (Point(1, 2), '{"x": 1, "y": 2}'),
        (City("Rom", date(2024, 1, 2)), '{"name": "Rom", "founded": "2024-01-02"}'),
        (Order(number=1, price="2.50"), '{"number": 1, "price": "2.50", "password": "**********"}'),
        ([Numbers([1, 2])], "[[1, 2]]"),
        (date(2024, 1, 2), "2024-01-02"),
        (datetime(2024, 1, 2, 3, 4, tzinfo=timezone.utc), "2024-01-02T03:04:00+00:00"),
        (timedelta(days=1, hours=2), "1 day, 2:00:00"),
        ([Decimal("1.10")], '["1.10"]'),
        (PurePosixPath("data/a.csv"), "data/a.csv"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (1 + 2j, "(1+2j)"),
        (ValueError("no"), "ValueError('no')"),
        (np.float32(1.5), "1.5"),
        (np.int64(3), "3"),
        (np.bool_(True), "true"),
        (np.float64("nan"), "NaN"),
        (np.datetime64("2024-01-02"), "2024-01-02"),
        (np.longdouble(2), "2.0"),
        (np.array(7), "7"),
        ({"p": np.array([[0.5, 1]])}, '{"p": [[0.5, 1.0]]}'),
        (pd.Timestamp("2024-01-02"), "2024-01-02T00:00:00"),
        ([pd.NaT, pd.NA], '["NaT", "<NA>"]'),
    ],
    ids=repr,
)
def test_a_value_reads_as(value: Any, expected: str) -> None:
    assert text(value) == expected


def test_a_row_of_a_database_has_its_names() -> None:
    connection = sqlite3.connect(":memory:")
    connection.row_factory = sqlite3.Row
    assert text(connection.execute("select 1 as n, 'x' as t").fetchall()) == '[{"n": 1, "t": "x"}]'


def test_an_object_is_its_repr_without_its_address() -> None:
    assert text(Plain()) == f"<{__name__}.Plain object>"
    assert text([Plain]) == json.dumps([f"<class '{__name__}.Plain'>"])


def test_an_object_that_shows_text_in_a_notebook_is_that_text() -> None:
    class Note:
        def _repr_markdown_(self) -> str:
            return "**bold**"

    class Page:
        def _repr_html_(self) -> str:
            return "<b>bold</b>"

    class Both(Page):
        def __repr__(self) -> str:
            return "Both()"

    assert (text(Note()), text(Page()), text(Both())) == ("**bold**", "<b>bold</b>", "Both()")


def test_an_integer_of_more_digits_than_python_writes_is_hexadecimal() -> None:
    assert text([2**20_000]) == json.dumps([hex(2**20_000)])


def test_a_value_whose_code_fails_gives_a_sentence() -> None:
    assert text(Broken()) == "(Broken: it cannot be read: ValueError)"
    assert text({"a": Broken(), "b": 1}) == '{"a": "(Broken: it cannot be read: ValueError)", "b": 1}'
    assert text(Unbound()) == "(Unbound: it cannot be read: RuntimeError)"


def test_an_interrupt_while_a_value_is_read_goes_through() -> None:
    class Slow:
        def __repr__(self) -> str:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        to_content([Slow()])


async def coroutine() -> None:
    """Awaited by nobody."""


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: b"x" * 1234, "A model cannot read 1,234 bytes: decode them to text, or make an image of them."),
        (lambda: bytearray(1), "A model cannot read 1 byte: decode them to text, or make an image of them."),
        (lambda: memoryview(b"ab"), "A model cannot read 2 bytes: decode them to text, or make an image of them."),
        (lambda: (n for n in [1]), "A model cannot read a generator: make a list of its items."),
        (lambda: map(str, [1]), "A model cannot read a map: make a list of its items."),
        (lambda: sqlite3.connect(":memory:").cursor(), "A model cannot read a Cursor: make a list of its items."),
        (coroutine, "A model cannot read a coroutine: await it, and take what it gives."),
        (asyncio.sleep, "A model cannot read a coroutine: await it, and take what it gives."),
        (lambda: print, "A model cannot read a function: call it, and take what it gives."),
        (lambda: coroutine, "A model cannot read a function: call it, and take what it gives."),
        (lambda: io.StringIO("a"), "A model cannot read an open file: read it, and take its text."),
        (lambda: math, "A model cannot read a module: take what you need of it."),
    ],
)
def test_what_has_no_content_is_refused_in_one_sentence(make: Any, sentence: str) -> None:
    value = make(0) if make is asyncio.sleep else make()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UsageError) as caught:
            to_content(value)
        del value
    assert str(caught.value) == sentence


def test_what_has_no_content_is_named_among_other_things() -> None:
    assert text({"n": 1, "raw": b"abc", "f": len}) == '{"n": 1, "raw": "(3 bytes)", "f": "(a function)"}'


def test_an_endless_iterator_among_other_things_is_not_read() -> None:
    assert text([iter(int, 1)]) == '["(a callable iterator)"]'


def test_a_cycle_is_named() -> None:
    value: dict[str, Any] = {"a": []}
    value["a"].append(value)
    assert text(value) == '{"a": ["(the dict that this is in)"]}'


def test_the_same_list_twice_is_no_cycle() -> None:
    twice = [1]
    assert text([twice, twice]) == "[[1], [1]]"


def test_what_is_nested_too_deeply_is_named() -> None:
    value: Any = 1
    for _ in range(10_000):
        value = [value]
    assert text(value) == "[" * 100 + '"(list: too deep to be read)"' + "]" * 100


def test_text_is_cut_and_says_so() -> None:
    cut = text("x" * 1_234_567)
    assert len(cut) == 20_000
    assert cut == "x" * 19_957 + "\n(cut: the first 19,957 of 1,234,567 bytes)"
    assert text("x" * 20_000) == "x" * 20_000


def test_json_is_cut_and_says_so() -> None:
    assert text({"a": "x" * 300}, max_bytes=100) == '{"a": "' + "x" * 59 + "\n(cut: the first 66 of 309 bytes)"


def test_a_list_of_any_length_is_read_only_as_far_as_it_is_shown() -> None:
    cut = text(range(10**15))
    assert cut.startswith("[0, 1, 2, 3, ")
    assert cut.endswith("bytes of a range of 1,000,000,000,000,000 items)")
    assert len(cut) <= 20_000


@pytest.mark.parametrize("max_bytes", range(100, 108))
def test_a_cut_never_splits_a_character(max_bytes: int) -> None:
    cut = text("a🐑" * 1000, max_bytes=max_bytes)
    assert "\ufffd" not in cut
    assert max_bytes - 5 < len(cut.encode("utf-8")) <= max_bytes


def test_a_lone_surrogate_is_replaced() -> None:
    assert text("a\ud800b") == "a?b"
    assert text({"\udfff": ["\ud800"]}) == '{"?": ["?"]}'


def test_a_data_frame_is_its_size_its_types_and_its_rows() -> None:
    days = pd.to_datetime(["2024-01-02", None]).astype("datetime64[ns]")
    frame = pd.DataFrame({"n": [1, 2], "x": [0.1 + 0.2, math.nan], "t": days})
    frame["s"] = pd.Series(["a|b", "c\nd"], dtype=object)
    assert text(frame) == (
        "DataFrame, 2 rows × 4 columns\n"
        "types: n int64, x float64, t datetime64[ns], s object\n"
        "\n"
        "|  | n | x | t | s |\n"
        "| --- | --- | --- | --- | --- |\n"
        "| 0 | 1 | 0.3 | 2024-01-02 00:00:00 | a\\|b |\n"
        "| 1 | 2 | NaN | NaT | c\\nd |"
    )


def test_a_series_is_a_table_of_one_column() -> None:
    series = pd.Series([1, 2], index=pd.Index(["a", "b"], name="key"), name="n")
    table = "| key | n |\n| --- | --- |\n| a | 1 |\n| b | 2 |"
    assert text(series) == f"Series, 2 values\ntypes: n int64\n\n{table}"
    assert text(pd.Series([True])) == "Series, 1 value\ntypes: value bool\n\n|  | value |\n| --- | --- |\n| 0 | True |"


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (pd.DataFrame(), "DataFrame, 0 rows × 0 columns"),
        (pd.DataFrame(index=range(3)), "DataFrame, 3 rows × 0 columns"),
        (pd.DataFrame({"a": np.array([], dtype="int64")}), "DataFrame, 0 rows × 1 column\ntypes: a int64"),
        (
            pd.DataFrame([[1, 2.5]], columns=["a", "a"]),
            "DataFrame, 1 row × 2 columns\ntypes: a int64, a float64\n\n"
            "|  | a | a |\n| --- | --- | --- |\n| 0 | 1 | 2.5 |",
        ),
        (
            pd.DataFrame({"c": pd.Categorical(["u", None])}),
            "DataFrame, 2 rows × 1 column\ntypes: c category\n\n|  | c |\n| --- | --- |\n| 0 | u |\n| 1 | NaN |",
        ),
        (
            pd.DataFrame(
                [[1]],
                index=pd.MultiIndex.from_tuples([("a", 1)], names=["k", None]),
                columns=pd.MultiIndex.from_tuples([("x", "y")]),
            ),
            "DataFrame, 1 row × 1 column\ntypes: x, y int64\n\n| k |  | x, y |\n| --- | --- | --- |\n| a | 1 | 1 |",
        ),
        (
            pd.DataFrame({"o": [[1] * 1000, Broken(), Plain()]}, dtype=object),
            "DataFrame, 3 rows × 1 column\ntypes: o object\n\n|  | o |\n| --- | --- |\n"
            "| 0 | [1, 1, 1, 1, 1, 1, ...] |\n| 1 | (Broken: ValueError) |\n"
            f"| 2 | {f'<{__name__}.Plain object>'} |",
        ),
    ],
    ids=["nothing", "no columns", "no rows", "same names", "categories", "levels", "objects"],
)
def test_a_data_frame_of_any_kind_reads_as(frame: pd.DataFrame, expected: str) -> None:
    assert text(frame) == expected


def test_a_long_cell_is_cut() -> None:
    assert f"| 0 | {'x' * 39}… |" in text(pd.DataFrame({"a": ["x" * 1_000_000]}))


def test_a_million_rows_of_200_columns_stay_small() -> None:
    frame = pd.DataFrame(np.zeros((1_000_000, 200), dtype="int8"), columns=[f"c{n}" for n in range(200)])
    read = text(frame)
    assert len(read.encode("utf-8")) <= 2000
    title, types, _, head, _, first, *_, last = read.splitlines()
    assert title == "DataFrame, 1,000,000 rows × 200 columns"
    assert types.startswith("types: c0 int8, c1 int8, ")
    assert types.endswith(" more)")
    assert head.startswith("|  | c0 | c1 | ")
    assert (head.endswith(" | … |"), first[:8], last[:12]) == (True, "| 0 | 0 ", "| 999999 | 0")
    assert "| … | … |" in read


@pytest.mark.parametrize("max_bytes", [100, 300, 1000, 5000])
def test_a_table_of_long_words_stays_within_its_bytes(max_bytes: int) -> None:
    frame = pd.DataFrame({"ä" * 100 + str(n): ["🐑" * 100] * 60 for n in range(30)})
    read = text(frame, max_bytes=max_bytes)
    assert len(read.encode("utf-8")) <= min(max_bytes, 2000)
    assert read.startswith("DataFrame, 60 rows × 30 columns\n")


def test_all_rows_are_shown_if_they_fit() -> None:
    assert "…" not in text(pd.DataFrame({"a": range(50)}))
    assert "\n| 24 | 24 |\n| … | … |\n| 26 | 26 |\n" in text(pd.DataFrame({"a": range(51)}))


class PolarsFrame:
    """The part of a polars DataFrame that is read. Counts the rows that were."""

    def __init__(self, columns: dict[str, Any]) -> None:
        self.data = columns
        self.columns = list(columns)
        self.dtypes = ["Int64"] * len(columns)
        self.width = len(columns)
        self.height = len(next(iter(columns.values()), ()))
        self.shape = (self.height, self.width)

    def select(self, names: list[str]) -> PolarsFrame:
        return PolarsFrame({name: self.data[name] for name in names})

    def __getitem__(self, rows: slice) -> PolarsFrame:
        return PolarsFrame({name: values[rows] for name, values in self.data.items()})

    def rows(self) -> list[tuple[Any, ...]]:
        assert self.height <= 50
        return list(zip(*self.data.values(), strict=True))


def test_a_data_frame_of_polars_is_a_table_without_an_index(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "polars", SimpleNamespace(DataFrame=PolarsFrame))  # type: ignore[arg-type]
    assert text(PolarsFrame({"a": [1, None], "b|": [3, 4]})) == (
        "PolarsFrame, 2 rows × 2 columns\ntypes: a Int64, b| Int64\n\n"
        "| a | b\\| |\n| --- | --- |\n| 1 | 3 |\n| None | 4 |"
    )
    wide = text(PolarsFrame({f"c{n}": range(10**6) for n in range(20)}))
    assert "\n| … | … |" in wide
    assert "| 999999 | 999999 |" in wide
    assert len(wide.encode("utf-8")) <= 2000


def test_an_array_is_its_shape_its_measures_and_its_values() -> None:
    assert text(np.arange(6).reshape(2, 3)) == "ndarray, 2 × 3, int64, min 0, max 5, mean 2.5\n[[0 1 2]\n [3 4 5]]"
    assert text(np.array([1.0, math.nan])) == "ndarray, 2, float64, min 1.0, max 1.0, mean 1, 1 NaN\n[ 1. nan]"
    assert text(np.array([math.nan])) == "ndarray, 1, float64, all NaN\n[nan]"
    assert text(np.array([], dtype="int8")) == "ndarray, 0, int8\n[]"
    assert text(np.array(["a", "b"])) == "ndarray, 2, <U1\n['a' 'b']"


def test_a_large_array_stays_small_whatever_numpy_prints() -> None:
    with np.printoptions(threshold=sys.maxsize):
        read = text(np.zeros((1000, 1000)))
        deep = text(np.zeros((4,) * 8, dtype="int8"))
    assert read.startswith("ndarray, 1,000 × 1,000, float64, min 0.0, max 0.0, mean 0\n[[0. 0. 0. ... 0. 0. 0.]\n")
    assert len(read.encode("utf-8")) < 500
    assert len(deep.encode("utf-8")) <= 2000


def test_tables_and_arrays_in_other_things_follow_below() -> None:
    value = {"n": 1, "frame": pd.DataFrame({"a": [1]}), "array": np.zeros(200)}
    assert text(value) == (
        '{"n": 1, "frame": "(see [1] below)", "array": "(see [2] below)"}\n\n'
        "[1] DataFrame, 1 row × 1 column\ntypes: a int64\n\n|  | a |\n| --- | --- |\n| 0 | 1 |\n\n"
        "[2] ndarray, 200, float64, min 0.0, max 0.0, mean 0\n[0. 0. 0. ... 0. 0. 0.]"
    )


def test_a_thousand_tables_are_read_only_as_far_as_they_are_shown() -> None:
    frames = [pd.DataFrame({"a": range(100)}) for _ in range(1000)]
    read = text(frames)
    assert read.endswith(" bytes of a list of 1,000 items)")
    assert len(read.encode("utf-8")) <= 20_000


def test_a_styled_data_frame_is_the_data_frame() -> None:
    styler = pytest.importorskip("pandas.io.formats.style").Styler
    frame = pd.DataFrame({"a": [1]})
    assert text(styler(frame)) == text(frame)


@pytest.fixture
def figure() -> Any:
    figure, axes = plt.subplots()
    axes.plot([1, 2])
    yield figure
    plt.close("all")


def test_a_figure_is_an_image_of_its_size(figure: Any) -> None:
    content = to_content(figure)
    assert content.text == "(a figure, 640 × 480)"
    (url,) = content.images
    image = open_image(url)
    assert image.size == (640, 480)
    assert len(image.convert("RGB").getcolors(1_000_000)) > 2


@pytest.mark.parametrize("take", [lambda f: f.axes[0], lambda f: f.axes[0].lines[0], lambda f: f.subfigures(1, 2)[0]])
def test_what_is_drawn_on_a_figure_shows_the_figure(figure: Any, take: Any) -> None:
    content = to_content(take(figure))
    assert (content.text, len(content.images)) == ("(a figure, 640 × 480)", 1)


def test_a_figure_and_pyplot_stay_as_they_are(figure: Any) -> None:
    other = plt.figure()
    matplotlib.rcParams["savefig.bbox"] = "tight"

    def state() -> Any:
        axes = figure.axes[0]
        return (
            (figure.dpi, tuple(figure.get_size_inches()), figure.get_facecolor(), id(figure.canvas)),
            (axes.get_position().bounds, axes.get_xlim(), axes.get_ylim(), axes.get_axes_locator()),
            (plt.get_fignums(), plt.gcf() is other, dict(matplotlib.rcParams)),
        )

    try:
        before = state()
        assert to_content(figure).text == "(a figure, 640 × 480)"
        assert state() == before
    finally:
        matplotlib.rcParams["savefig.bbox"] = "standard"


def test_a_figure_of_many_inches_is_drawn_with_fewer_pixels() -> None:
    figure = matplotlib.figure.Figure(figsize=(100, 10))
    content = to_content(figure)
    assert open_image(content.images[0]).size == (1568, 156)
    assert figure.dpi == 100


def test_a_figure_that_cannot_be_drawn_says_why(figure: Any) -> None:
    figure.axes[0].set_title("$\\nonsense$")
    content = to_content({"figure": figure, "n": 1})
    assert content.images == ()
    assert json.loads(content.text)["figure"].startswith("(a figure that cannot be shown: ")
    assert "nonsense" in content.text


def test_what_pyplot_returns_is_one_image() -> None:
    try:
        content = to_content(plt.subplots(1, 2))
    finally:
        plt.close("all")
    assert content.text == '["(image 1: a figure, 640 × 480)", ["(image 1)", "(image 1)"]]'
    assert len(content.images) == 1


def test_images_in_other_things_are_numbered_in_their_order(figure: Any) -> None:
    content = to_content({"plot": figure, "scores": [1], "photo": Image.new("RGB", (2, 3)), "again": figure})
    assert json.loads(content.text) == {
        "plot": "(image 1: a figure, 640 × 480)",
        "scores": [1],
        "photo": "(image 2: an image, 2 × 3)",
        "again": "(image 1)",
    }
    assert [open_image(url).size for url in content.images] == [(640, 480), (2, 3)]


def test_of_many_images_the_first_are_shown() -> None:
    content = to_content([Image.new("L", (1, 1)) for _ in range(100)])
    assert len(content.images) == MAX_IMAGES
    assert json.loads(content.text)[MAX_IMAGES:] == ["(an image that is left out: only the first 8 are shown)"] * 92


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "I", "F", "I;16"])
def test_an_image_of_any_mode_is_shown_and_stays_as_it_is(mode: str) -> None:
    image = Image.new(mode, (3000, 30))
    content = to_content(image)
    assert content.text == "(an image, 1568 × 16)"
    assert open_image(content.images[0]).size == (1568, 16)
    assert (image.mode, image.size) == (mode, (3000, 30))


def test_an_image_of_wide_numbers_is_shown_from_black_to_white() -> None:
    values = np.array([[1000.0, 2000.0, 3000.0]], dtype="float32")
    shown = open_image(to_content(Image.fromarray(values)).images[0])
    assert np.asarray(shown).tolist() == [[0, 127, 255]]


def test_an_image_of_many_bytes_is_made_smaller() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1500, 1500, 3), dtype="uint8")
    (url,) = to_content(Image.fromarray(noise)).images
    assert len(base64.b64decode(url.partition(",")[2])) <= images.MAX_BYTES
    assert open_image(url).size == (735, 735)


def test_an_image_without_pixels_says_so() -> None:
    assert text(Image.new("RGB", (0, 3))) == "(an image that cannot be shown: it has no pixels)"


def png(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (width, height)).save(file, "png")
    return file.getvalue()


@pytest.mark.parametrize("wrap", [lambda data: data, lambda data: (data, {"width": 5})])
def test_an_object_that_shows_png_in_a_notebook_is_that_image(wrap: Any) -> None:
    class Drawing:
        def _repr_png_(self) -> Any:
            return wrap(png(4, 5))

    content = to_content(Drawing())
    assert (content.text, open_image(content.images[0]).size) == ("(an image, 4 × 5)", (4, 5))


def test_png_that_is_too_large_is_made_smaller_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = png(3000, 30)
    assert (images.read_png(data).width, images.read_png(data).height) == (1568, 16)
    monkeypatch.delitem(sys.modules, "PIL.Image")
    with pytest.raises(ValueError, match=r"^it is too large \(3000 × 30\)$"):
        images.read_png(data)
    with pytest.raises(ValueError, match=r"^it is not PNG$"):
        images.read_png(b"GIF89a")


def test_an_object_that_shows_no_png_after_all_is_its_repr() -> None:
    class Drawing:
        def _repr_png_(self) -> None:
            return None

        def __repr__(self) -> str:
            return "Drawing()"

    assert text(Drawing()) == "Drawing()"


def test_reading_values_imports_no_library() -> None:
    source = (
        "import sys; from holysheep_nb.content import to_content; "
        "to_content([{'a': 1.5}, object(), {1}]); "
        "print([n for n in ('numpy', 'pandas', 'matplotlib', 'PIL', 'polars', 'pydantic') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout == "[]\n"


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()))
    | st.decimals()
    | st.dates()
    | st.binary(max_size=5)
    | st.complex_numbers()
    | st.builds(Plain)
    | st.builds(Broken)
    | st.sampled_from([len, Plain, Color.RED, np.float32(0.1), np.arange(3), pd.NaT])
)
KEYS = (
    st.text(st.characters(exclude_categories=())) | st.integers() | st.floats() | st.none() | st.tuples(st.integers())
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(KEYS, inner)
        | st.frozensets(st.integers() | st.text())
        | st.builds(Point, inner, inner)
    ),
    max_leaves=30,
)


@given(VALUES.map(lambda value: [value]))
def test_any_nested_value_is_json_that_can_be_encoded(value: Any) -> None:
    content = to_content(value, max_bytes=1_000_000)
    content.text.encode("utf-8")

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    assert isinstance(json.loads(content.text, parse_constant=refuse), list)


@given(VALUES, st.integers(100, 400))
def test_any_value_stays_within_its_bytes_or_is_refused(value: Any, max_bytes: int) -> None:
    try:
        content = to_content(value, max_bytes=max_bytes)
    except UsageError:
        return
    assert len(content.text.encode("utf-8")) <= max_bytes
    assert content == Content(content.text)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


@given(JSON.filter(lambda value: not isinstance(value, str)))
def test_what_json_has_words_for_comes_back_as_it_was(value: Any) -> None:
    assert json.loads(to_content(value, max_bytes=1_000_000).text) == value
