"""Functions of the notebook as tools: called where the notebook lives, with a person in charge."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from live_kernel import Cell, LiveKernel, Widget
from raw_server import DONE, RawServer, Step, answer, call_chunk, calling, chunk, sse_head

DEFINE = """
import sqlite3, threading, time
from holysheep_nb import tool

calls = []
db = sqlite3.connect(":memory:")
db.execute("create table t (n int)")

def add(a: int, b: int = 1) -> int:
    "Adds two numbers."
    calls.append((a, b))
    return a + b

@tool(safe=True)
def rows(n: int) -> list:
    "Writes to the notebook's own connection, and reads it."
    db.execute("insert into t values (?)", (n,))
    print("printed", n)
    return [threading.current_thread() is threading.main_thread(), *db.execute("select n from t").fetchall()]

@tool(safe=True)
def sleep(seconds: float) -> str:
    time.sleep(seconds)
    return "awake"

@tool(safe=True)
async def later(seconds: float) -> str:
    import asyncio
    await asyncio.sleep(seconds)
    return f"after {seconds} s on the main thread: {threading.current_thread() is threading.main_thread()}"

@tool(safe=True, thread=True)
def aside() -> bool:
    return threading.current_thread() is threading.main_thread()

@tool(safe=True, timeout=0.3)
def slow() -> str:
    time.sleep(30)

@tool(safe=True)
def fail() -> None:
    raise ValueError("no such thing in /home/somebody/secret/place.txt")
"""


@pytest.fixture
def tools(kernel: LiveKernel) -> None:
    assert kernel.run(DEFINE).status == "ok"


def begin(kernel: LiveKernel, server: RawServer, line: str, *rounds: list[Step], then: str = "Done.") -> Cell:
    for steps in rounds:
        server.play(steps)
    server.play(answer(then))
    return kernel.begin(f"%%holysheep {line}\nDo it", cell_id="c")


def told(server: RawServer, number: int = -1) -> list[str]:
    """What the tools' messages of a request say."""
    return [m["content"] for m in server.asked[number].json["messages"] if m["role"] == "tool"]


def wait_for_question(kernel: LiveKernel, widget: Widget, count: int = 1) -> list[dict[str, Any]]:
    def waiting() -> list[dict[str, Any]]:
        return [part for part in widget.parts if part["type"] == "tool_call" and part["state"] == "waiting"]

    kernel.wait_for(lambda: len(waiting()) == count and widget.state["status"]["state"] == "waiting")
    return waiting()


@pytest.mark.usefixtures("tools", "clicks_in_mid_cell")
def test_a_call_waits_for_approval_and_its_result_goes_back(kernel: LiveKernel, server: RawServer) -> None:
    cell = begin(kernel, server, "-T add", calling(("add", {"a": 2, "b": 3}), text="Let me add."))
    widget = cell.widget()
    (question,) = wait_for_question(kernel, widget)
    assert (question["name"], json.loads(question["arguments"])) == ("add", {"a": 2, "b": 3})
    assert question["question"]["description"] == "Adds two numbers."
    assert set(question["question"]["schema"]["properties"]) == {"a", "b"}
    assert len(server.asked) == 1
    widget.say("approve", call_id=question["call_id"], arguments=None, always=False)
    cell.wait()
    assert cell.status == "ok"
    assert kernel.evaluate("calls") == [[2, 3]]
    sent = server.asked[1].json["messages"][1:]
    assert [m["role"] for m in sent] == ["assistant", "tool"]
    assert sent[0]["content"] == "Let me add."
    assert sent[0]["tool_calls"][0]["function"] == {"name": "add", "arguments": '{"a": 2, "b": 3}'}
    assert (sent[1]["tool_call_id"], sent[1]["content"]) == ("id_add_0", "5")
    assert server.asked[1].json["tools"][0]["function"]["name"] == "add"
    assert kernel.evaluate("[_.text, _.status, [c.name for c in _.tool_calls]]") == [
        "Let me add.\n\nDone.",
        "complete",
        ["add"],
    ]
    assert "<details><summary><code>add(" in cell.markdown


@pytest.mark.usefixtures("tools", "clicks_in_mid_cell")
def test_edited_arguments_are_checked_called_and_told(kernel: LiveKernel, server: RawServer) -> None:
    cell = begin(kernel, server, "-T add", calling(("add", {"a": 2})))
    widget = cell.widget()
    (question,) = wait_for_question(kernel, widget)
    widget.say("approve", call_id=question["call_id"], arguments='{"a": "many"}', always=False)
    kernel.wait_for(lambda: any((p.get("question") or {}).get("problem") for p in widget.parts))
    widget.say("approve", call_id=question["call_id"], arguments='{"a": 7}', always=False)
    cell.wait()
    assert kernel.evaluate("calls") == [[7, 1]]
    assert told(server) == ['(The person changed the arguments to {"a": 7}.)\n8']
    assert "Changed by you to" in cell.markdown


@pytest.mark.usefixtures("tools", "clicks_in_mid_cell")
def test_a_denied_call_is_not_made_and_the_model_hears_why(kernel: LiveKernel, server: RawServer) -> None:
    cell = begin(kernel, server, "-T add", calling(("add", {"a": 2})))
    widget = cell.widget()
    (question,) = wait_for_question(kernel, widget)
    widget.say("deny", call_id=question["call_id"], reason="too dear")
    cell.wait()
    assert (cell.status, kernel.evaluate("calls")) == ("ok", [])
    assert told(server) == ["The call was denied: too dear"]
    assert "· denied</summary>" in cell.markdown


@pytest.mark.usefixtures("tools", "clicks_in_mid_cell")
def test_always_approves_this_tool_from_then_on(kernel: LiveKernel, server: RawServer) -> None:
    rounds = [calling(("add", {"a": n})) for n in (1, 2)]
    cell = begin(kernel, server, "-T add", *rounds, answer("Done."), calling(("add", {"a": 3})))
    widget = cell.widget()
    (question,) = wait_for_question(kernel, widget)
    widget.say("approve", call_id=question["call_id"], arguments=None, always=True)
    cell.wait()
    assert kernel.run("%%holysheep -T add\nAgain").status == "ok"
    assert kernel.evaluate("calls") == [[1, 1], [2, 1], [3, 1]]


@pytest.mark.usefixtures("tools", "clicks_in_mid_cell")
def test_stop_ends_a_run_that_waits_for_approval(kernel: LiveKernel, server: RawServer) -> None:
    cell = begin(kernel, server, "-T add", calling(("add", {"a": 2}), text="First this."))
    widget = cell.widget()
    wait_for_question(kernel, widget)
    widget.say("stop")
    cell.wait()
    assert (cell.status, cell.run_metadata["status"]) == ("ok", "stopped")
    assert "not called</summary>" in cell.markdown
    assert cell.markdown.startswith("First this.")
    server.play(answer("Next."))
    assert kernel.run("%%holysheep\nGo on", cell_id="next").status == "ok"
    assert [m["role"] for m in server.asked[-1].json["messages"]][-2:] == ["assistant", "user"]


@pytest.mark.usefixtures("tools")
def test_a_safe_tool_runs_on_the_main_thread_with_the_notebooks_own_things(
    kernel: LiveKernel, server: RawServer
) -> None:
    cell = begin(kernel, server, "-T rows", calling(("rows", {"n": 4}), ("rows", {"n": 5}))).wait()
    assert cell.status == "ok"
    assert [json.loads(text) for text in told(server)] == [[True, [4]], [True, [4], [5]]]
    assert cell.stream == ""
    assert "printed 4" in cell.markdown


@pytest.mark.usefixtures("tools")
def test_the_interrupt_button_ends_a_tool_at_once_and_keeps_what_came(kernel: LiveKernel, server: RawServer) -> None:
    cell = begin(kernel, server, "-T sleep", calling(("sleep", {"seconds": 60}), text="Good night."))
    widget = cell.widget()
    kernel.wait_for(lambda: any(part.get("state") == "running" for part in widget.parts))
    time.sleep(0.3)
    pressed_at = time.monotonic()
    kernel.interrupt()
    cell.wait()
    assert cell.ended_at - pressed_at < 1.0
    assert (cell.status, cell.error and cell.error["ename"]) == ("error", "Interrupted")
    assert len(cell.traceback) == 1
    assert cell.markdown.startswith("Good night.")
    assert "<details><summary><code>sleep({&quot;seconds&quot;: 60})</code> · stopped</summary>" in cell.markdown
    assert "exception was never retrieved" not in cell.stream
    assert kernel.evaluate("[_.status, _.text]") == ["stopped", "Good night."]
    assert len(server.asked) == 1
    assert kernel.run("1 + 1").text == "2"
    later = kernel.begin("import time; time.sleep(30)")
    time.sleep(0.5)
    kernel.interrupt()
    assert later.wait().error["ename"] == "KeyboardInterrupt"  # type: ignore[index]


@pytest.mark.usefixtures("tools")
def test_the_interrupt_button_ends_an_asynchronous_tool(kernel: LiveKernel, server: RawServer) -> None:
    cell = begin(kernel, server, "-T later", calling(("later", {"seconds": 60}), text="Good night."))
    widget = cell.widget()
    kernel.wait_for(lambda: any(part.get("state") == "running" for part in widget.parts))
    time.sleep(0.2)
    pressed_at = time.monotonic()
    kernel.interrupt()
    cell.wait()
    assert cell.ended_at - pressed_at < 1.0
    assert kernel.evaluate("[_.status, _.text]") == ["stopped", "Good night."]


@pytest.mark.usefixtures("tools")
def test_asynchronous_and_threaded_tools_run_where_they_belong(kernel: LiveKernel, server: RawServer) -> None:
    calls = calling(("later", {"seconds": 0.2}), ("later", {"seconds": 0.1}), ("aside", {}))
    begin(kernel, server, "-T later -T aside", calls).wait()
    assert told(server) == [
        "after 0.2 s on the main thread: True",
        "after 0.1 s on the main thread: True",
        "false",
    ]


@pytest.mark.usefixtures("tools")
def test_what_goes_wrong_in_a_tool_is_told_to_the_model_and_shown_in_full(
    kernel: LiveKernel, server: RawServer
) -> None:
    calls = calling(("fail", {}), ("slow", {}), ("rows", '{"n": '), ("rows", {"m": 1}), ("nothing", {}))
    cell = begin(kernel, server, "-T fail -T slow -T rows", calls).wait()
    assert cell.status == "ok"
    said = told(server)
    assert said[0] == "ValueError: no such thing in place.txt"
    assert said[1] == "The call took longer than 0.3 s."
    assert said[4] == "There is no tool 'nothing'; there are: fail, slow, rows."
    assert kernel.evaluate("list(db.execute('select * from t'))") == []
    assert "/home/somebody/secret/place.txt" in cell.markdown
    assert json.loads(server.asked[-1].json["messages"][1]["tool_calls"][2]["function"]["arguments"]) == {}


@pytest.mark.usefixtures("tools")
def test_the_last_round_makes_no_calls_and_says_so(kernel: LiveKernel, server: RawServer) -> None:
    rounds = [calling(("rows", {"n": 1}), text="More."), calling(("rows", {"n": 2}), text="More.")]
    cell = begin(kernel, server, "-T rows --max-rounds 2", *rounds).wait()
    assert (cell.status, cell.run_metadata["status"]) == ("ok", "truncated")
    assert kernel.evaluate("list(db.execute('select * from t'))") == [[1]]
    assert "--max-rounds allows more" in cell.markdown
    assert len(server.asked) == 2


@pytest.mark.usefixtures("tools")
def test_cut_arguments_never_run(kernel: LiveKernel, server: RawServer) -> None:
    steps: list[Step] = [sse_head(), call_chunk(0, "rows", '{"n": 1'), chunk(finish_reason="length"), DONE]
    cell = begin(kernel, server, "-T rows", steps).wait()
    assert (cell.status, len(server.asked)) == ("ok", 1)
    assert kernel.evaluate("list(db.execute('select * from t'))") == []
    assert "reached the token limit" in cell.markdown


@pytest.mark.usefixtures("tools")
def test_without_a_front_end_a_call_is_denied_at_once(kernel: LiveKernel, server: RawServer) -> None:
    for steps in (calling(("add", {"a": 2})), answer("Done.")):
        server.play(steps)
    began = time.monotonic()
    cell = kernel.run("%%holysheep -T add\nDo it", allow_stdin=False)
    assert time.monotonic() - began < 1.5
    assert (cell.status, kernel.evaluate("calls")) == ("ok", [])
    assert told(server)[0].startswith("The call was denied: Nobody is here to approve")


@pytest.mark.usefixtures("tools")
def test_a_policy_decides_without_a_question(kernel: LiveKernel, server: RawServer) -> None:
    rounds = [calling(("add", {"a": 2})), answer("Done."), calling(("add", {"a": 3}))]
    begin(kernel, server, "-T add --approve auto", *rounds).wait()
    kernel.run("%%holysheep -T add --approve deny\nAgain")
    assert kernel.evaluate("calls") == [[2, 1]]
    assert told(server)[-1].startswith("The call was denied: Tools that are not marked as safe")


@pytest.mark.usefixtures("tools")
def test_a_background_run_calls_tools_between_cells(kernel: LiveKernel, server: RawServer) -> None:
    cell = begin(kernel, server, "-T rows --bg --out bg", calling(("rows", {"n": 9}))).wait()
    kernel.run("import time; time.sleep(0.5)")
    kernel.wait_for(lambda: any("holysheep" in output.metadata for output in cell.outputs))
    assert kernel.evaluate("[bg.status, bg.text]") == ["complete", "Done."]
    assert json.loads(told(server)[0]) == [True, [9]]


@pytest.mark.usefixtures("tools")
def test_tools_are_served_while_synchronous_code_waits(kernel: LiveKernel, server: RawServer) -> None:
    server.play(calling(("rows", {"n": 3})))
    server.play(answer("Done."))
    cell = kernel.run(
        "from holysheep_nb import Chat\nrun = Chat(tools=[rows]).ask('Do it', show=False).result()\nprint(run.text)"
    )
    assert (cell.status, cell.stream) == ("ok", "Done.\n")
    assert json.loads(told(server)[0]) == [True, [3]]


@pytest.mark.usefixtures("tools")
def test_a_name_that_is_no_function_is_one_sentence(kernel: LiveKernel, server: RawServer) -> None:
    cell = kernel.run("%%holysheep -T ad\nDo it")
    assert cell.traceback == [
        "UsageError: There is no function 'ad' in this notebook: run the cell that defines it. Did you mean add?"
    ]
    assert server.asked == []


DRAW = """
import matplotlib.pyplot as plt
kept, axes = plt.subplots()

@tool(safe=True)
def draw(returns: bool) -> object:
    "Draws a figure."
    figure, axes = plt.subplots(figsize=(2, 2))
    axes.plot([1, 2, 3])
    return figure if returns else "drawn"

@tool(safe=True)
def extend() -> object:
    "Adds to a figure of the notebook."
    axes.plot([3, 2, 1])
    return kept
"""


@pytest.mark.usefixtures("tools")
def test_a_figure_is_shown_once_and_the_notebooks_own_stay_open(kernel: LiveKernel, server: RawServer) -> None:
    assert kernel.run("%matplotlib inline\n%config InlineBackend.close_figures = False\n" + DRAW).status == "ok"
    for steps in (calling(("draw", {"returns": True}), ("draw", {"returns": False}), ("extend", {})), answer("Done.")):
        server.play(steps)
    cell = kernel.run("%%holysheep gpt-4o -T draw -T extend\nDraw", cell_id="d")
    assert cell.status == "ok"
    pictures = [output for output in cell.outputs if "image/png" in output.data]
    assert len(pictures) == 3
    assert kernel.evaluate("[len(plt.get_fignums()), len(axes.lines)]")[1] == 1
    assert kernel.evaluate("plt.fignum_exists(kept.number)")


@pytest.mark.usefixtures("tools")
def test_a_traceback_names_cells_and_no_file_of_this_machine(kernel: LiveKernel, server: RawServer) -> None:
    cell = begin(kernel, server, "-T fail", calling(("fail", {}))).wait()
    assert "File Cell In[" in cell.markdown
    assert "ipykernel_" not in cell.markdown


@pytest.mark.usefixtures("tools", "clicks_in_mid_cell")
def test_calls_with_the_same_id_are_told_apart_and_an_approved_one_waits_for_those_before_it(
    kernel: LiveKernel, server: RawServer
) -> None:
    def twice(first: int, second: int) -> list[Step]:
        functions = [{"name": "add", "arguments": json.dumps({"a": a})} for a in (first, second)]
        calls = [{"index": i, "id": "call", "type": "function", "function": f} for i, f in enumerate(functions)]
        return [sse_head(), chunk(tool_calls=calls), chunk(finish_reason="tool_calls"), DONE]

    cell = begin(kernel, server, "-T add", twice(1, 2), twice(3, 4))
    widget = cell.widget()
    for round_number in (1, 2):
        first, second = wait_for_question(kernel, widget, 2)
        widget.say("approve", call_id=second["call_id"], arguments=None, always=False)
        kernel.wait_for(lambda: any(part.get("state") == "queued" for part in widget.parts))
        assert kernel.widgets[-1] is widget
        widget.say("approve", call_id=first["call_id"], arguments=None, always=False)
        server.wait_for_request(round_number + 1)
    cell.wait()
    assert kernel.evaluate("calls") == [[1, 1], [2, 1], [3, 1], [4, 1]]
    sent = [m for m in server.asked[-1].json["messages"] if m["role"] == "tool"]
    assert [m["content"] for m in sent] == ["2", "3", "4", "5"]
    assert len({m["tool_call_id"] for m in sent}) == 4
    asked = [call["id"] for m in server.asked[-1].json["messages"] for call in m.get("tool_calls", ())]
    assert asked == [m["tool_call_id"] for m in sent]
    assert cell.markdown.count("<details><summary><code>add(") == 4
