"""Frozen markdown: dollars and formulas, and what may stand behind a fence."""

from __future__ import annotations

import random
import re
import time

import nbformat
import pytest
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import markdown2html_mistune
from test_frozen import IMG, rendered

from holysheep_nb.view.markdown import plain, safe_markdown


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("only $5", r"only \$5"),
        ("$5 here\n\nand $6 there", "\\$5 here\n\nand \\$6 there"),
        ("it costs $5 and not $6", r"it costs <span>\$</span>5 and not <span>\$</span>6"),
        (r"it costs \$5 and not \$6", r"it costs <span>\$</span>5 and not <span>\$</span>6"),
        ("US$5 and $x$", r"US<span>\$</span>5 and $x$"),
        ("a $ b $ c", r"a <span>\$</span> b <span>\$</span> c"),
        ("$5 bills, as $x$", r"<span>\$</span>5 bills, as $x$"),
        ("- $5\n- $6", "- <span>\\$</span>5\n- <span>\\$</span>6"),
        ("| $5 | $6 |", r"| <span>\$</span>5 | <span>\$</span>6 |"),
        ("$$$", r"<span>\$</span><span>\$</span><span>\$</span>"),
        ("**$5**", r"**\$5**"),
    ],
)
def test_a_dollar_that_is_no_formula_has_no_partner(text: str, safe: str) -> None:
    assert safe_markdown(text) == safe


@pytest.mark.parametrize(
    "text",
    [
        "`$5` and `$6`",
        "```sh\necho $A $B\n```",
        "    echo $A $B",
        "$x^2$ and $y_1$",
        "$$x$$",
        "$$\nx\n$$",
        "1. $$\n   x\n   $$",
    ],
)
def test_formulas_and_dollars_in_code_stay(text: str) -> None:
    assert safe_markdown(text) == text


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        (r"so \(x^2\) is", "so $x^2$ is"),
        (r"\( x \)", "$x$"),
        (r"f\(x\)", r"f\(x\)"),
        ("\\[\nx\n\\]", "$$\nx\n$$"),
        (r"\(\text{$x$}\)", r"\\(\text{$x$}\\)"),
        (r"\[\text{$x$}\]", r"\\[\text{$x$}\\]"),
        ("$$\nx\n\ny\n$$\n\n$5", "$$\nx\ny\n$$\n\n\\$5"),
        ("> $$\n> x\n> $$\n> y", "> $$ x $$\n> y"),
    ],
)
def test_formulas_are_written_as_notebooks_know_them(text: str, safe: str) -> None:
    assert safe_markdown(text) == safe


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("$a<b$", r"$a\lt b$"),
        ("$$<img src=x onerror=alert(1)>$$", r"$$\lt img src=x onerror=alert(1)>$$"),
        ("$P[X](t)$", "$P[X] (t)$"),
        ("$n![x]: y$", "$n! [x] : y$"),
    ],
)
def test_formulas_hold_no_html_and_no_link(text: str, safe: str) -> None:
    assert safe_markdown(text) == safe


def test_dollars_in_addresses_are_encoded() -> None:
    assert safe_markdown("[$5](https://a.test/$6) <https://b.test/$c>") == (
        r"[\$5](https://a.test/%246) <https://b.test/%24c>"
    )


def test_nbconvert_shows_a_plain_dollar() -> None:
    output = nbformat.v4.new_output(
        "display_data", {"text/markdown": safe_markdown("it costs $5 and not $6\n\nonly $7\n\n| $8 | $9 |\n|---|---|")}
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("", outputs=[output])])
    html, _ = HTMLExporter().from_notebook_node(notebook)
    assert "<p>it costs <span>$</span>5 and not <span>$</span>6</p>" in html
    assert "<p>only $7</p>" in html
    assert "<th><span>$</span>8</th>" in html


@pytest.mark.parametrize(
    ("fence", "safe"),
    [
        ("```python", "```python"),
        ("``` c++ title=x", "```c++"),
        ("```{r} echo", "```"),
        ('```"><img/src=x/onerror=alert(1)>', "```"),
        ("~~~x&quot;&gt;", "~~~"),
        ("```mermaid", "```"),
        ("~~~ Mermaid x", "~~~"),
        ("```mermaids", "```mermaids"),
    ],
)
def test_behind_a_fence_only_the_name_of_a_language_stays(fence: str, safe: str) -> None:
    end = fence[:3]
    assert safe_markdown(f"{fence}\nx\n{end}") == f"{safe}\nx\n{end}"
    assert safe_markdown(f"> {fence}\n> x\n> {end}") == f"> {safe}\n> x\n> {end}"
    assert safe_markdown(f"a\n- {fence}\n  x\n  {end}") == f"a\n\n- {safe}\n  x\n  {end}"


@pytest.mark.parametrize(
    "address",
    ["http:/hub/logout", "HTTPS:hub", "&Tab;http://u", "&#104;ttp://u", "\\http://u", "mail&#116;o:a@b.c", ""],
)
def test_a_link_whose_protocol_is_not_spelt_out_is_text(address: str) -> None:
    assert safe_markdown(f"[a]({address})") == f"[a]&#40;{address})"


def test_a_link_without_a_protocol_is_text() -> None:
    assert safe_markdown("[a](/hub/logout) [b](//evil.test) [c](#d)") == (
        "[a]&#40;/hub/logout) [b]&#40;//evil.test) [c]&#40;#d)"
    )


@pytest.mark.parametrize("piece", ["$", "$a ", r"\(", r"\[ ", "$$ a", "`$", "$`", "> $$\n", "$$\n\n", r"\$"])
def test_many_dollars_take_time_in_proportion(piece: str) -> None:
    text = piece * (40_000 // len(piece))
    begin = time.process_time()
    safe_markdown(text)
    assert time.process_time() - begin < 2


# What begins like a formula, before a block of code


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("`$$` and `a`", "<code>&#36;&#36;</code> and `a`"),
        (r"`\\[` or `\begin{a}`", r"<code>&#92;&#92;&#91;</code> or <code>&#92;begin&#123;a&#125;</code>"),
        (r"\begin{a} x", r"\begin&#123;a} x"),
        ("\\begin{a}\nx & y\n\\end{a}", "\\begin{a}\nx & y\n\\end{a}"),
        ("so \\begin{a}\nx\n\\end{a}", "so \\begin{a} x \\end{a}"),
        ("\\begin{a}\n\nx \\end{a}", "\\begin&#123;a}\n\nx \\end{a}"),
        (r"a \\[ b", r"a \\&#91; b"),
        (r"a \\\[ b \] c", r"a \\\&#91; b \] c"),
        (r"\\$$x$$", r"\\<span>\$</span><span>\$</span>x<span>\$</span><span>\$</span>"),
        (r"\[x \\\]", r"$$x \\ $$"),
        (r"$a \\[2pt] b$", r"$a \\  b$"),
        (r"$\begin{a} x$", r"$\begin {a} x$"),
        (r"$\begin{a} x \end{a}$", r"$\begin{a} x \end{a}$"),
        (r"\(a $$ b\)", r"\(a <span>\$</span><span>\$</span> b\)"),
        ("$a ` b$ `c`", "$a ‘ b$ `c`"),
        ("so\n$$\nx\n$$", "so\n$$ x $$"),
        ("$$\nx\n: y\n$$", "$$ x : y $$"),
        (r"[a](http://u/\\[\begin{a})", r"[a](http://u/\\%5B\begin%7Ba})"),
        ("```\n$x\n```\ny", "```\n$x\n```\n\ny"),
        ("1. $5\n   ```\n   x\n   ```\n2. y", "1. \\$5\n\n   ```\n   x\n   ```\n\n2. y"),
    ],
)
def test_nothing_but_a_formula_begins_like_one(text: str, safe: str) -> None:
    assert safe_markdown(text) == safe


def test_what_is_told_in_one_line_begins_no_formula() -> None:
    assert plain(r"\[ \\[ \begin{a} $$") == r"&#92;\[ &#92;&#92;\[ &#92;begin{a} " + 2 * "<span>&#36;</span>"
    assert plain("from $1 on") == "from &#36;1 on"


SWALLOWED = [
    f"\\begin{{a}}\n```html\n\\end{{a}}\n{IMG}\n```",
    f"\\\\(5\n~~~\n\\\\){IMG}",
    f"```\n\\begin{{a}}\n```\nfoo \\end{{a}}\n```\n{IMG}\n```",
    f"1. $a\n   ```\n   $\n   {IMG}\n   ```",
    f"\\\\[\n```\n`a`\n\\\\]|{IMG}\n```",
    f"`$$`\n\n~~~\n\nx{IMG}\n$$",
    f"`$$`x\n```\n\\\\[ {IMG}\nx\\\\[$$",
    f"$$\\$$\n~~~\n$${IMG}\n~~~",
    f"# a $$\n$$ b\n\n```\n$$ {IMG}\n```",
    f"`$$`$$\n\\{{$$\n$$\n$$x$$\n```\n{IMG}\n$$\n",
    f"](\\\\[(\n```\n\\\\]\n\n{IMG}\n",
]
BEGINNINGS = [
    *["```\n", "\n```\n", "~~~\n", "```html\n", "   ```\n", f"   {IMG}\n", IMG, f"{IMG}\n", "\n", "\n\n", "- ", "1. "],
    *["> ", "$", "$$", "$x$", "$$\n", "\n$$", "\\$", "\\", "\\\\", "\\[", "\\]", "\\(", "\\)", "\\\\[", "\\\\]"],
    *["\\\\(", "\\\\)", "\\begin{a}", "\\end{a}", "\\End{a}", "`$$`", "`\\\\[`", "`\\begin{a}`", "`", "    ", "{", "}"],
    *["x", "5", "|", "|a|\n|-|\n", "# ", "<b>", ": ", "[a](", "](", ")", "http://u"],
]
FORMULA_MARK = re.compile(r"(\$\$?|\\(?:begin|end)\{[a-z]*\*?\}|\\[{}$]|(?:\n\s*)+|\\\\[()\[\]])", re.I)


def hostile_documents(count: int) -> list[str]:
    chance = random.Random(2026)
    pools = [chance.sample(BEGINNINGS, 9) for _ in range(count)]
    return [*SWALLOWED, *("".join(chance.choices(pool, k=chance.randint(2, 16))) for pool in pools)]


def without_formulas(text: str) -> str:
    """What JupyterLab gives its parser: what begins like a formula is out, if it ends before an empty line."""
    left, begun, end = "", "", ""
    for piece in FORMULA_MARK.split(text):
        if begun and piece == end:
            left, begun = f"{left}FORMULA", ""
        elif begun and "\n" in piece.strip(" ")[1:]:
            left, begun = left + begun + piece, ""
        elif begun:
            begun += piece
        elif piece in ("$", "$$", "\\\\(", "\\\\[") or piece.lower().startswith("\\begin{"):
            begun, end = (
                piece,
                {"\\\\(": "\\\\)", "\\\\[": "\\\\]"}.get(piece, re.sub("(?i)begin", "end", piece, count=1)),
            )
        else:
            left += piece
    return left + begun


def is_live(html: str) -> bool:
    return re.search("<(img|details|!--)", html) is not None


def test_jupyterlab_finds_no_formula_that_reaches_into_a_block_of_code() -> None:
    safe = [safe_markdown(document) for document in hostile_documents(6000)]
    assert sum(IMG in each for each in safe) > 200, "code is kept, so there is something to get wrong"
    pages = rendered(*map(without_formulas, safe))
    assert [each for each, page in zip(safe, pages, strict=True) if is_live(page)] == []
    assert is_live(rendered(without_formulas(SWALLOWED[0]))[0]), "it would be live, were it not made safe"


def test_nbconvert_finds_no_formula_that_reaches_into_a_block_of_code() -> None:
    safe = [safe_markdown(document) for document in hostile_documents(1500)]
    assert [each for each in safe if is_live(markdown2html_mistune(each))] == []
    assert is_live(markdown2html_mistune(f"`$$`\n~~~\n{IMG}\n$$\n~~~")), "it would be live, were it not made safe"
