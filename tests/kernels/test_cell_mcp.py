"""`%holysheep mcp` in a real kernel: tools of servers in cells, and no process left behind."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from live_kernel import LiveKernel
from raw_server import RawServer, answer, calling
from test_cell_tools import begin, told, wait_for_question

SCRIPT = Path(__file__).parent.parent / "mcp_server.py"
ADD = f"%holysheep mcp add t {sys.executable} {SCRIPT}"
KEY_PART = "hs-test-key"


@pytest.fixture
def added(kernel: LiveKernel) -> LiveKernel:
    cell = kernel.run(ADD, timeout_s=45)
    assert (cell.status, cell.stream) == ("ok", "")
    assert cell.text == ("The MCP server t is ready. -T t offers its 9 tool(s) to a model, -T t.add one of them.")
    return kernel


def processes(kernel: LiveKernel) -> list[psutil.Process]:
    """The servers that the kernel has started."""
    (pid,) = kernel.evaluate("[os.getpid()]")
    return [child for child in psutil.Process(pid).children(recursive=True) if str(SCRIPT) in child.cmdline()]


def wait_until_gone(found: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(found, timeout=10)
    assert alive == []


@pytest.mark.usefixtures("clicks_in_mid_cell")
def test_a_call_of_a_server_s_tool_waits_for_approval_and_always_holds_for_that_tool(
    added: LiveKernel, server: RawServer
) -> None:
    rounds = [calling(("t_add", {"a": n})) for n in (1, 2)]
    cell = begin(added, server, "-T t", *rounds, answer("Done."), calling(("t_process_id", {})))
    widget = cell.widget()
    (question,) = wait_for_question(added, widget)
    assert question["question"]["description"].startswith("Adds two numbers.")
    assert question["question"]["schema"]["required"] == ["a"]
    widget.say("approve", call_id=question["call_id"], arguments=None, always=True)
    cell.wait()
    assert cell.status == "ok"
    assert told(server) == ["2", "3"]
    offered = [each["function"]["name"] for each in server.asked[0].json["tools"]]
    assert (len(offered), offered[0], offered[-2]) == (9, "t_add", "t_files_read_text")
    other = added.begin("%%holysheep -T t\nAgain")
    (question,) = wait_for_question(added, other.widget())
    assert question["name"] == "t_process_id"
    other.widget().say("deny", call_id=question["call_id"], reason="")
    other.wait()


def test_one_tool_of_a_server_is_offered_alone_and_once(added: LiveKernel, server: RawServer) -> None:
    begin(added, server, "-T t.add -T t.add -T t.environment --approve auto", calling(("t_environment", {}))).wait()
    assert [each["function"]["name"] for each in server.asked[0].json["tools"]] == ["t_add", "t_environment"]
    (text,) = told(server)
    assert KEY_PART not in text
    assert "HOLYSHEEP_API_KEY" not in json.loads(text)


def test_wrong_arguments_errors_and_the_end_of_the_server_are_told_to_the_model(
    added: LiveKernel, server: RawServer
) -> None:
    calls = calling(("t_add", {"a": "x"}), ("t_fail", {}))
    after = [calling(("t_die", {})), answer("Done."), calling(("t_add", {"a": 4}))]
    cell = begin(added, server, "-T t --approve auto", calls, *after).wait()
    assert cell.status == "ok"
    said = told(server)
    assert said[0].startswith("The arguments of t_add do not fit its schema: a: 'x' is not of type 'integer'")
    assert said[1:] == [
        "no such city",
        "The MCP server t has ended: `%holysheep mcp restart t` starts it again.",
    ]
    asked = len(server.asked)
    assert added.run("%%holysheep -T t\nAgain").traceback == [f"McpServerError: {said[2]}"]
    assert len(server.asked) == asked
    assert added.run("%holysheep mcp list").text == f"t  ended  {sys.executable} {SCRIPT}"
    assert "is ready" in added.run("%holysheep mcp restart t", timeout_s=45).text
    assert added.run("%%holysheep -T t.add --approve auto\nAgain").status == "ok"
    assert told(server)[-1] == "5"


def test_a_call_is_made_while_the_main_thread_is_busy(added: LiveKernel, server: RawServer) -> None:
    for steps in (calling(("t_add", {"a": 2})), answer("Done.")):
        server.play(steps)
    busy = (
        "import time\n"
        "from holysheep_nb import Chat\n"
        "from holysheep_nb.mcp.servers import servers\n"
        "run = Chat(tools=servers['t'].tools, approve='auto').ask('Do it', show=False)\n"
        "until = time.monotonic() + 10\n"
        "while not run.is_finished and time.monotonic() < until: time.sleep(0.01)\n"
        "print(run.status, run.text)"
    )
    assert added.run(busy).stream == "complete Done.\n"
    assert told(server) == ["3"]


def test_the_interrupt_button_ends_a_call_at_once_and_at_the_server(
    added: LiveKernel, server: RawServer, tmp_path: Path
) -> None:
    file = tmp_path / "end"
    call = calling(("t_sleep", {"seconds": 60, "file": str(file)}), text="Good night.")
    cell = begin(added, server, "-T t.sleep --approve auto", call)
    widget = cell.widget()
    added.wait_for(lambda: any(part.get("state") == "running" for part in widget.parts))
    time.sleep(0.3)
    pressed_at = time.monotonic()
    added.interrupt()
    cell.wait()
    assert cell.ended_at - pressed_at < 2.0
    assert added.evaluate("[_.status, _.text]") == ["stopped", "Good night."]
    until = time.monotonic() + 10
    while not file.exists():
        assert time.monotonic() < until
        time.sleep(0.02)
    assert file.read_text("utf-8") == "cancelled"
    assert len(processes(added)) == 1


def test_a_name_of_a_server_and_of_a_function_is_refused(added: LiveKernel, server: RawServer) -> None:
    added.run("def t(): ...")
    assert added.run("%%holysheep -T t\nDo it").traceback == [
        "UsageError: 't' is a function of this notebook and an MCP server's too: give one of them another name."
    ]
    assert (
        added.run("%%holysheep -T t.ad\nDo it")
        .traceback[0]
        .startswith("UsageError: The MCP server t has no tool 'ad'; it has: add,")
    )
    assert server.asked == []


def test_a_server_that_does_not_start_prints_nothing_but_its_sentence(kernel: LiveKernel) -> None:
    code = "import sys; print('junk'); print('trouble', file=sys.stderr); sys.exit(1)"
    cell = kernel.run(f'%holysheep mcp add t {sys.executable} -c "{code}"', timeout_s=45)
    assert cell.traceback == [
        "McpServerError: The MCP server t did not start: it ended at once; the last that it wrote is 'trouble'."
    ]
    assert cell.stream == ""
    assert kernel.run("%holysheep mcp").text.startswith("There is no MCP server.")


def test_unloading_ends_the_servers(added: LiveKernel) -> None:
    found = processes(added)
    assert len(found) == 1
    assert added.run("%unload_ext holysheep_nb").status == "ok"
    assert not any(process.is_running() for process in found)
    added.run("%load_ext holysheep_nb")
    assert added.run("%holysheep mcp list").text.startswith("There is no MCP server.")


@pytest.fixture
def own_kernel(tmp_path: Path) -> Iterator[LiveKernel]:
    """A kernel that the test may end."""
    kernel = LiveKernel(tmp_path, dict(os.environ))
    yield kernel
    kernel.shut_down()


@pytest.mark.parametrize("how", ["exit", "kill"])
def test_no_process_outlives_the_kernel(own_kernel: LiveKernel, how: str) -> None:
    own_kernel.run("import os\n%load_ext holysheep_nb")
    own_kernel.run(ADD, timeout_s=45)
    found = processes(own_kernel)
    assert len(found) == 1
    kernel: Any = own_kernel
    if how == "exit":
        kernel._client.shutdown()
    else:
        os.kill(own_kernel.evaluate("os.getpid()"), 9)
    wait_until_gone(found)
