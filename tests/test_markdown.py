"""Frozen markdown: dollars and formulas, and what may stand behind a fence."""

from __future__ import annotations

import time

import nbformat
import pytest
from nbconvert import HTMLExporter

from holysheep_nb.view.markdown import safe_markdown


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
