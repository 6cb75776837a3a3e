"""When the frozen markdown takes the widget's place, the page does not jump."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from lab import Notebook
from raw_server import DONE, RawServer, Step, answer, chunk, sse_head

pytestmark = pytest.mark.browser

OpenNotebook = Callable[..., Notebook]

ANSWERS = {
    "paragraphs": "The first paragraph has `code` in it, and goes on long enough to be broken into lines on a page of"
    " ordinary width, as the answers of models are, and then a few words more to be sure of that, and some more.\n\n"
    "The second one is **short**.",
    "list": "Three things:\n\n- one\n- two\n  - two a\n  - two b\n- three\n\nThe end.",
    "code": "# A heading\n\nA paragraph.\n\n```python\nimport math\n\ndef area(r):\n    return math.pi * r ** 2\n\n"
    "print(area(2))\n```\n\nThe end.",
    "table": "A table:\n\n| a | b | c |\n|---|--:|:-:|\n" + "| 1 | 2 | 3 |\n" * 5,
    "quote and math": "> A quote.\n\nThen a formula $x^2 + y^2$ and\n\n$$\n\\int_0^1 x^2 \\, dx = \\frac{1}{3}\n$$\n\n"
    "The end.",
    "reasoning": "The answer is a paragraph.",
}
LINE_PX = 22
PAUSE_S = 0.4

# A sample of each frame: where the text of the answer begins, how high the output is, and who shows it.
SAMPLE = """(cell) => {
  const samples = [];
  window.samples = samples;
  const sample = () => {
    if (window.samples !== samples) return;
    requestAnimationFrame(sample);
    const area = cell.querySelector(".jp-Cell-outputArea");
    const live = area?.querySelector(".holysheep-transcript > .holysheep-text");
    const frozen = area?.querySelector(".jp-RenderedMarkdown:not(.holysheep-text)");
    const answer = live ?? frozen;
    const first = [...answer?.querySelectorAll("p, h1, li, td") ?? []].find((one) => !one.closest("details"));
    if (!first) {
      if (samples.length > 0) samples.push({by: "nothing"});
      return;
    }
    const isOver = area.querySelector(".holysheep-footer:not([hidden])") !== null;
    window.samples.push({
      by: live ? (isOver ? "live, over" : "live") : "frozen",
      top: first.getBoundingClientRect().top - cell.getBoundingClientRect().top,
      height: area.getBoundingClientRect().height,
      text: answer.textContent,
    });
  };
  sample();
}"""


def steps(name: str) -> list[Step]:
    text = ANSWERS[name]
    if name != "reasoning":
        return [*answer(text)[:-2], PAUSE_S, *answer(text)[-2:]]
    thought = chunk(reasoning_content="I think of this, and of that.")
    return [sse_head(), thought, 0.2, chunk(text), PAUSE_S, chunk(finish_reason="stop"), DONE]


def test_the_answer_stays_where_it_is_when_it_is_frozen(open_notebook: OpenNotebook, server: RawServer) -> None:
    for name in ANSWERS:
        server.play(steps(name))
    notebook = open_notebook(*["%%holysheep --new\nHi"] * len(ANSWERS))
    jumps = {}
    for index, name in enumerate(ANSWERS, start=1):
        notebook.cell(index).evaluate(SAMPLE)
        notebook.begin(index)
        notebook.wait_ended(index)
        # Formulas are set after the markdown was rendered.
        notebook.page.wait_for_timeout(600)
        samples = notebook.page.evaluate("() => window.samples")
        shown = {sample["by"] for sample in samples}
        assert {"live", "frozen"} <= shown
        last = [sample for sample in samples if sample["by"] == "live"][-1]
        after = [sample for sample in samples if sample["by"] == "frozen"]
        top = max(abs(sample["top"] - last["top"]) for sample in after)
        height = after[-1]["height"] - last["height"]
        if top > 2 or abs(height) > LINE_PX:
            jumps[name] = {"top": top, "height": height}
    assert jumps == {}
