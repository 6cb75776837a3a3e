"""The magic and the Python face, called from code in every place where a notebook may call them."""

from __future__ import annotations

import itertools
import json
import time

import pytest
from live_kernel import LiveKernel
from raw_server import DONE, HANG, RawServer, answer, chunk, sse_head

TOP_LEVEL_LOOP = """
texts = []
for question in ["one", "two", "three"]:
    texts.append(get_ipython().run_cell_magic("holysheep", "", question).text)
"""
LOOP_IN_A_FUNCTION = """
def ask_all(questions):
    return [get_ipython().run_cell_magic("holysheep", "", question).text for question in questions]

texts = ask_all(["one", "two", "three"])
"""
LOOP_IN_A_COROUTINE = """
async def ask_all(questions):
    return [get_ipython().run_cell_magic("holysheep", "", question).text for question in questions]

texts = await ask_all(["one", "two", "three"])
"""


@pytest.mark.parametrize("code", [TOP_LEVEL_LOOP, LOOP_IN_A_FUNCTION, LOOP_IN_A_COROUTINE])
def test_a_loop_asks_and_shows_each_answer(kernel: LiveKernel, server: RawServer, code: str) -> None:
    for text in ("A", "B", "C"):
        server.play(answer(text))
    cell = kernel.run(code)
    assert cell.status == "ok"
    assert kernel.evaluate("texts") == ["A", "B", "C"]
    assert [output.data["text/markdown"][0] for output in cell.outputs] == ["A", "B", "C"]


@pytest.mark.usefixtures("clicks_in_mid_cell")
def test_stop_reaches_an_answer_in_a_top_level_loop(kernel: LiveKernel, server: RawServer) -> None:
    server.play([sse_head(), chunk("A"), HANG])
    server.play(answer("B"))
    cell = kernel.begin(TOP_LEVEL_LOOP)
    widget = cell.widget()
    kernel.wait_for(lambda: widget.text == "A")
    widget.say("stop")
    cell.wait()
    assert kernel.evaluate("texts") == ["A", "B", "B"]


@pytest.mark.usefixtures("clicks_in_mid_cell")
def test_an_awaiting_cell_works_after_a_nested_one(kernel: LiveKernel, server: RawServer) -> None:
    server.play(answer("A"))
    server.play(answer("B"))
    server.play([sse_head(), chunk("C"), HANG])
    kernel.run("def ask(): return get_ipython().run_cell_magic('holysheep', '', 'Hi')\nask()")
    assert kernel.run("%%holysheep\nHi").markdown.startswith("B")
    cell = kernel.begin("%%holysheep --out kept\nHi")
    widget = cell.widget()
    kernel.wait_for(lambda: widget.text == "C")
    widget.say("stop")
    cell.wait()
    assert kernel.evaluate("kept.status") == "stopped"


def test_time_around_a_cell_gives_the_run_and_the_time(kernel: LiveKernel, server: RawServer) -> None:
    server.play(answer("A"))
    cell = kernel.run("%%time\n%%holysheep --out kept\nHi")
    assert cell.status == "ok"
    assert "Wall time" in cell.stream
    assert cell.markdown.startswith("A\n\n<sub>")
    assert kernel.evaluate("kept.text") == "A"


def test_capture_around_a_cell_takes_the_whole_output(kernel: LiveKernel, server: RawServer) -> None:
    server.play(answer("A"))
    cell = kernel.run("%%capture taken\n%%holysheep --out kept\nHi")
    assert (cell.status, cell.outputs) == ("ok", [])
    assert kernel.evaluate("kept.text") == "A"
    shown = kernel.run("taken.show()")
    assert shown.markdown.startswith("A\n\n<sub>")
    assert not [mime for output in shown.outputs for mime in output.data if "widget" in mime]


def test_capture_of_another_cell_leaves_a_background_answer_in_place(kernel: LiveKernel, server: RawServer) -> None:
    server.play(answer("A", "B", pause_s=0.2))
    first = kernel.run("%%holysheep --bg\nHi")
    kernel.run("%%capture taken\nimport time\ntime.sleep(0.6)")
    kernel.wait_for(lambda: "text/markdown" in first.outputs[0].data)
    assert first.markdown.startswith("AB")
    assert kernel.evaluate("len(taken.outputs)") == 0


def test_result_gives_the_run_in_a_cell(kernel: LiveKernel, server: RawServer) -> None:
    server.play(answer("A"))
    cell = kernel.run('from holysheep_nb import Chat\nrun = Chat().ask("Hi")\nrun.result().text')
    assert cell.status == "ok"
    assert kernel.evaluate("[_, run.status]") == ["A", "complete"]
    assert cell.markdown.startswith("A\n\n<sub>")


def test_await_gives_the_run_and_shows_the_answer_once(kernel: LiveKernel, server: RawServer) -> None:
    server.play(answer("A"))
    cell = kernel.run('from holysheep_nb import Chat\nawait Chat().ask("Hi")')
    assert cell.status == "ok"
    assert kernel.evaluate("_.text") == "A"
    assert len(cell.outputs) == 1
    assert cell.markdown.startswith("A\n\n<sub>")


def test_three_are_gathered_in_the_time_of_one(kernel: LiveKernel, server: RawServer) -> None:
    server.play(answer("a", "b", "c", pause_s=0.2))
    began = time.monotonic()
    cell = kernel.run(
        "import asyncio\n"
        "from holysheep_nb import Chat\n"
        'runs = await asyncio.gather(*(Chat().ask(f"Hi {n}") for n in range(3)))'
    )
    assert cell.ended_at - began < 1.5
    assert kernel.evaluate("[run.text for run in runs]") == ["abc"] * 3
    assert [output.data["text/markdown"][:3] for output in cell.outputs] == ["abc"] * 3


def test_the_events_of_a_stream_come_as_they_are_sent(kernel: LiveKernel, server: RawServer) -> None:
    server.play(answer("a", "b", pause_s=0.1))
    kernel.run(
        "from holysheep_nb import Chat\n"
        "from holysheep_nb.events import TextDelta\n"
        'texts = [event.text async for event in Chat().stream("Hi") if isinstance(event, TextDelta)]'
    )
    assert kernel.evaluate("texts") == ["a", "b"]


def test_an_evaluated_run_shows_its_frozen_output_again(kernel: LiveKernel, server: RawServer) -> None:
    server.play(answer("A"))
    kernel.run("%%holysheep --out kept\nHi")
    cell = kernel.run("kept")
    assert (len(cell.outputs), cell.markdown[0], cell.error) == (1, "A", None)


def test_the_value_of_the_cell_is_not_shown_a_second_time(kernel: LiveKernel, server: RawServer) -> None:
    server.play(answer("A"))
    cell = kernel.run("%%holysheep\nHi")
    assert [(output.kind, sorted(output.data)) for output in cell.outputs] == [
        ("display_data", ["text/markdown", "text/plain"])
    ]
    assert kernel.evaluate(f"[_.text, Out[{cell.reply['execution_count']}].text]") == ["A", "A"]


def test_format_code_puts_the_code_into_a_new_cell_below(kernel: LiveKernel, server: RawServer) -> None:
    server.play(answer("Here:\n\n```python\n", "print(1)\n", "```\n"))
    cell = kernel.run("%%holysheep -f code\nHi")
    assert [(payload["source"], payload["text"], payload["replace"]) for payload in cell.reply["payload"]] == [
        ("set_next_input", "print(1)", False)
    ]


def test_format_json_gives_the_parsed_value(kernel: LiveKernel, server: RawServer) -> None:
    server.play(answer('{"a": ', "[1, 2]}"))
    cell = kernel.run("%%holysheep -f json --out kept\nHi")
    assert kernel.evaluate("kept.value") == {"a": [1, 2]}
    assert json.loads(cell.markdown.split("```")[1].removeprefix("json")) == {"a": [1, 2]}


def test_format_json_keeps_what_is_no_json(kernel: LiveKernel, server: RawServer) -> None:
    server.play(answer("no json"))
    cell = kernel.run("%%holysheep -f json --out kept\nHi")
    assert (cell.status, len(cell.traceback)) == ("error", 1)
    assert cell.traceback[0].startswith("AnswerFormatError: The answer is not JSON (")
    assert "no json" in cell.markdown
    assert kernel.evaluate("[kept.text, kept.value, kept is _]") == ["no json", None, True]


def test_format_text_gives_plain_text_alone(kernel: LiveKernel, server: RawServer) -> None:
    server.play(answer("**A**"))
    cell = kernel.run("%%holysheep -f text\nHi")
    assert [output.data for output in cell.outputs] == [{"text/plain": "**A**"}]


def test_a_cell_run_again_replaces_its_own_exchange(kernel: LiveKernel, server: RawServer) -> None:
    server.play(answer("A"))
    for cell_id, prompt in (("1", "one"), ("2", "two"), ("1", "one again"), ("3", "three")):
        kernel.run(f"%%holysheep\n{prompt}", cell_id=cell_id)
    assert [m["content"] for m in server.asked[2].json["messages"]] == ["one again"]
    assert [m["content"] for m in server.asked[3].json["messages"]] == ["one again", "A", "two", "A", "three"]


def test_the_magic_line_and_the_prompt_are_sent_as_they_are(kernel: LiveKernel, server: RawServer) -> None:
    server.play(answer("A"))
    kernel.run("x = 1\n")
    kernel.run('%%holysheep -s "{x} $x" -o stop \'["}"]\'\n  {x} $x\n\n  `{y}` "quoted" \\n')
    body = server.asked[0].json
    assert body["messages"] == [
        {"role": "system", "content": "{x} $x"},
        {"role": "user", "content": '  {x} $x\n\n  `{y}` "quoted" \\n'},
    ]
    assert body["stop"] == ["}"]


BUSY_2_S = "import time\nuntil = time.monotonic() + 2\nwhile time.monotonic() < until:\n    sum(range(1000))"


def test_a_background_answer_streams_on_while_a_cell_computes(kernel: LiveKernel, server: RawServer) -> None:
    server.play(answer(*[f"{n} " for n in range(1000)], pause_s=0.005))
    first = kernel.run("%%holysheep --bg --out kept\nHi")
    widget = first.widget()
    kernel.wait_for(lambda: widget.patches)
    began = time.monotonic()
    kernel.run(BUSY_2_S)
    ended = time.monotonic()
    arrived = [at for at, _ in widget.patches if began < at < ended]
    assert ended - began > 2.0
    assert len(arrived) >= 20
    assert max(later - at for at, later in itertools.pairwise(arrived)) < 0.5
    kernel.run("%holysheep stop")
    kernel.run("%holysheep wait")
    kernel.wait_for(lambda: "text/markdown" in first.outputs[0].data)
    assert kernel.evaluate("kept.text") == widget.text


@pytest.mark.usefixtures("clicks_in_mid_cell")
def test_a_background_answer_can_be_stopped_while_a_cell_computes_over_a_subshell(
    kernel: LiveKernel, server: RawServer
) -> None:
    """ipykernel 7.4 routes it back to the main shell: then it works when the cell is over (FACTS 1)."""
    server.play([sse_head(), chunk("A"), HANG])
    cell = kernel.run("%%holysheep --bg --out kept\nHi")
    widget = cell.widget()
    kernel.wait_for(lambda: widget.text == "A")
    subshell_id = kernel.create_subshell()
    cell = kernel.begin("import time\ntime.sleep(0.5)")
    widget.say("stop", subshell_id=subshell_id)
    cell.wait()
    server.wait_for_disconnect(server.asked[0])
    kernel.wait_for(lambda: widget.state["status"]["state"] == "stopped")


def test_a_failed_background_answer_says_so_in_its_own_output(kernel: LiveKernel, server: RawServer) -> None:
    server.play([sse_head(), chunk("half")])
    cell = kernel.run("%%holysheep --bg --out kept\nHi")
    kernel.wait_for(lambda: "text/markdown" in cell.outputs[0].data)
    assert cell.status == "ok"
    assert "the answer is cut off, and what came is kept (4 characters)." in cell.markdown


def test_reasoning_is_folded_away_in_the_frozen_output(kernel: LiveKernel, server: RawServer) -> None:
    server.play([sse_head(), chunk(reasoning_content="Hm."), chunk("A"), chunk(finish_reason="stop"), DONE])
    cell = kernel.run("%%holysheep --out kept\nHi")
    assert "<details><summary>Thought for" in cell.markdown
    assert kernel.evaluate("kept.text") == "A"
