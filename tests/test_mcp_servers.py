"""MCP servers: their tools as tools of a chat, their end noticed, their processes gone."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from mcp_server import PIXEL

from holysheep_nb.content import Content
from holysheep_nb.errors import ConfigurationError, McpServerError, ToolArgumentsError, UsageError
from holysheep_nb.execution import execute_with
from holysheep_nb.kernel import stream_thread
from holysheep_nb.mcp import server as module
from holysheep_nb.mcp.server import McpServer
from holysheep_nb.mcp.servers import McpServers
from holysheep_nb.mcp.tools import make_tools, name_tools, read_result
from holysheep_nb.mcp.verb import read_mcp_line
from holysheep_nb.tool_calls import Result

SCRIPT = str(Path(__file__).parent / "mcp_server.py")
COMMAND = (sys.executable, SCRIPT)
ENDED = "The MCP server t has ended: `%holysheep mcp restart t` starts it again."


def on_stream_thread(work: Coroutine[Any, Any, Any], timeout_s: float = 45.0) -> Any:
    return stream_thread.submit(work).result(timeout_s)


@pytest.fixture
def servers() -> Iterator[McpServers]:
    servers = McpServers()
    yield servers
    servers.close()


@pytest.fixture
def started(servers: McpServers) -> McpServer:
    on_stream_thread(servers.add(McpServer("t", COMMAND)))
    return servers["t"]


def call(server: McpServer, name: str, arguments: dict[str, Any] | None = None) -> Content:
    return on_stream_thread(server.tool(name)(**arguments or {}))


def process_of(server: McpServer) -> psutil.Process:
    return psutil.Process(int(call(server, "process_id").text))


def wait_until(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


@contextlib.contextmanager
def no_capture(_: Any) -> Iterator[None]:
    yield


async def execute(server: McpServer, name: str, arguments: dict[str, Any]) -> Result:
    """A call as a run makes it."""
    made = execute_with(no_capture, dict, takes_images=True)
    return await made(server.tool(name), (), arguments)


def test_the_tools_of_a_server_have_its_name_description_and_schema(started: McpServer) -> None:
    add = started.tool("add")
    assert add.definition()["function"] == {
        "name": "t_add",
        "description": add.description,
        "parameters": {**add.parameters, "required": ["a"]},
    }
    assert add.description.startswith("Adds two numbers.\n")
    assert set(add.parameters["properties"]) == {"a", "b"}
    assert started.tool("files/read.text").name == "t_files_read_text"
    assert started.state == "ready"


def test_no_tool_is_safe_whatever_its_server_says(started: McpServer) -> None:
    assert {tool.name: tool.is_safe for tool in started.tools} == {tool.name: False for tool in started.tools}
    assert len(started.tools) == 9


def test_text_images_links_and_structure_come_as_content(started: McpServer) -> None:
    assert call(started, "add", {"a": 2, "b": 3}) == Content("5")
    picture = call(started, "picture")
    assert picture.text == "Look:\n(image 1)\n(the resource notes: file:///notes.txt)"
    assert picture.images == (f"data:image/png;base64,{base64.b64encode(PIXEL).decode()}",)
    assert call(started, "structure") == Content('{"city": "Zürich", "height_m": 408}')


def test_a_result_that_is_an_error_is_an_error_with_its_text(started: McpServer) -> None:
    result = on_stream_thread(execute(started, "fail", {}))
    assert (result.outcome, result.text, result.details) == ("error", "no such city", "")


def test_arguments_are_checked_against_the_schema_before_the_call(started: McpServer) -> None:
    assert started.tool("add").read_arguments('{"a": 1}') == ((), {"a": 1})
    with pytest.raises(ToolArgumentsError, match=r"^The arguments of t_add do not fit its schema: a: 'x' is not of"):
        started.tool("add").read_arguments('{"a": "x"}')
    with pytest.raises(ToolArgumentsError, match=r"schema: 'a' is a required property\.$"):
        started.tool("add").read_arguments("{}")


@pytest.mark.parametrize("schema", [{"type": "nonsense"}, {"type": "object", "$ref": "http://127.0.0.1:9/schema"}])
def test_a_schema_that_cannot_be_used_leaves_the_arguments_to_the_server(schema: dict[str, Any]) -> None:
    listed = SimpleNamespace(name="x", title=None, description="", input_schema=schema)

    async def call(_name: str, _arguments: dict[str, Any]) -> Content:
        return Content("")

    tool = make_tools("t", [listed], call, 1.0)["x"]
    assert tool.read_arguments('{"a": 1}') == ((), {"a": 1})


def test_names_are_cut_cleaned_and_unique() -> None:
    assert name_tools("t", ["a b", "a_b", "a.b"]) == ["t_a_b", "t_a_b_2", "t_a_b_3"]
    long, other = name_tools("t", ["x" * 80, "x" * 81])
    assert (len(long), len(other), other[-3:]) == (64, 64, "x_2")


def test_embedded_resources_and_sound_are_told_in_words() -> None:
    text = SimpleNamespace(type="resource", resource=SimpleNamespace(uri="file:///a", text="inside", mime_type=None))
    blob = SimpleNamespace(type="resource", resource=SimpleNamespace(uri="file:///b", mime_type="application/zip"))
    sound = SimpleNamespace(type="audio", data="", mime_type="audio/wav")
    odd = SimpleNamespace(type="image", data="AAAA", mime_type="image/svg+xml")
    result = SimpleNamespace(content=[text, blob, sound, odd], structured_content=None, is_error=False)
    assert read_result(result) == Content(
        "(the resource file:///a)\ninside\n(the resource file:///b, of type application/zip)\n"
        "(audio, which a model cannot read)\n(an image that cannot be shown: it is of type 'image/svg+xml')"
    )


def test_the_process_gets_no_key(servers: McpServers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLYSHEEP_API_KEY", "hs-secret")
    monkeypatch.setenv("OTHER_API_KEY", "other-secret")
    monkeypatch.setenv("HANDED", "over")
    line = f"add --env GIVEN='a b' --env HANDED t {sys.executable} {SCRIPT}"
    server = McpServers()
    with monkeypatch.context() as patch:
        patch.setattr("holysheep_nb.mcp.verb.servers", server)
        assert on_stream_thread(read_mcp_line(line)).startswith("The MCP server t is ready. -T t offers its 9 tool(s)")
    environment = json.loads(call(server["t"], "environment").text)
    server.close()
    assert (environment["GIVEN"], environment["HANDED"]) == ("a b", "over")
    assert "secret" not in json.dumps(environment)


def test_a_cancelled_call_is_cancelled_at_the_server(started: McpServer, tmp_path: Path) -> None:
    file = tmp_path / "end"
    future = stream_thread.submit(execute(started, "sleep", {"seconds": 60, "file": str(file)}))
    time.sleep(0.5)
    future.cancel()
    wait_until(file.exists)
    assert call(started, "add", {"a": 1}).text == "2"


def test_a_call_has_a_timeout(servers: McpServers) -> None:
    on_stream_thread(servers.add(McpServer("t", COMMAND, timeout_s=0.3)))
    result = on_stream_thread(execute(servers["t"], "sleep", {"seconds": 60}))
    assert (result.text, result.outcome) == ("The call took longer than 0.3 s.", "error")


def test_calls_run_beside_each_other_while_the_main_thread_is_busy(started: McpServer) -> None:
    async def three() -> list[Result]:
        return await asyncio.gather(*(execute(started, "sleep", {"seconds": 1}) for _ in range(3)))

    call(started, "add", {"a": 1})
    began = time.monotonic()
    assert [result.text for result in on_stream_thread(three())] == ["awake"] * 3
    assert time.monotonic() - began < 2.5


def test_a_server_that_dies_in_mid_call_is_noticed_and_can_be_restarted(started: McpServer) -> None:
    old = process_of(started)
    result = on_stream_thread(execute(started, "die", {}))
    assert (result.text, result.outcome) == (ENDED, "error")
    assert "a word on stderr" in result.details
    assert started.state == "ended"
    on_stream_thread(started.start())
    assert process_of(started).pid != old.pid
    assert call(started, "add", {"a": 1}).text == "2"


def test_a_server_that_dies_between_calls_is_noticed(started: McpServer) -> None:
    process_of(started).kill()
    wait_until(lambda: started.state == "ended")
    with pytest.raises(McpServerError) as caught:
        call(started, "add", {"a": 1})
    assert str(caught.value) == ENDED


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (
            ("no-such-command-anywhere",),
            "the command 'no-such-command-anywhere' cannot be run (No such file or directory).",
        ),
        (
            (sys.executable, "-c", "import sys; sys.exit('no config')"),
            "it ended at once; the last that it wrote is 'no config'.",
        ),
    ],
)
def test_a_server_that_does_not_start_is_one_sentence(
    servers: McpServers, command: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(McpServerError) as caught:
        on_stream_thread(servers.add(McpServer("t", command)))
    assert str(caught.value) == f"The MCP server t did not start: {sentence}"
    assert ("no config" in caught.value.details) is ("no config" in sentence)
    assert "t" not in servers


def test_a_server_that_never_answers_is_given_up(servers: McpServers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "START_TIMEOUT_S", 1.5)
    with pytest.raises(McpServerError) as caught:
        on_stream_thread(servers.add(McpServer("t", (*COMMAND, "--mute"))))
    assert str(caught.value) == (
        "The MCP server t did not start: it did not answer within 1.5 s; the last that it wrote is 'a word on stderr'."
    )
    assert [p for p in psutil.Process().children() if SCRIPT in p.cmdline()] == []


def test_a_name_is_taken_once_and_free_after_removal(started: McpServer, servers: McpServers) -> None:
    process = process_of(started)
    with pytest.raises(UsageError, match=r"There is an MCP server t already: `%holysheep mcp remove t` ends it\."):
        on_stream_thread(servers.add(McpServer("t", COMMAND)))
    on_stream_thread(servers.remove("t"))
    assert not process.is_running()
    on_stream_thread(servers.add(McpServer("t", COMMAND)))
    assert list(servers) == ["t"]


def test_a_server_that_is_removed_while_it_starts_ends(servers: McpServers) -> None:
    adding = stream_thread.submit(servers.add(McpServer("t", (*COMMAND, "--mute"))))
    wait_until(lambda: any(SCRIPT in p.cmdline() for p in psutil.Process().children()))
    assert servers["t"].state == "starting"
    on_stream_thread(servers.remove("t"))
    with pytest.raises(McpServerError, match="did not start: it was stopped"):
        adding.result(10)
    assert [p for p in psutil.Process().children() if SCRIPT in p.cmdline()] == []


def test_closing_ends_even_a_process_that_does_not_want_to() -> None:
    servers = McpServers()
    on_stream_thread(servers.add(McpServer("t", (*COMMAND, "--slow-to-die"))))
    process = process_of(servers["t"])
    servers.close()
    assert not process.is_running()
    assert list(servers) == []


def test_the_exit_of_python_leaves_no_process() -> None:
    code = (
        "from holysheep_nb.mcp.servers import servers\nfrom holysheep_nb.mcp.server import McpServer\n"
        "from holysheep_nb.kernel import stream_thread\n"
        f"stream_thread.submit(servers.add(McpServer('t', {(*COMMAND, '--slow-to-die')!r}))).result(30)\n"
        "print(stream_thread.submit(servers['t'].tool('process_id')()).result(9).text)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    outlived = psutil.pid_exists(int(done.stdout))
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(int(done.stdout)).kill()
    assert (outlived, done.stderr) == (False, "")


@pytest.fixture
def http_server() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([*COMMAND, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def is_listening() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    wait_until(is_listening, 20.0)
    yield f"http://127.0.0.1:{port}/mcp", process
    process.kill()
    process.wait()


def test_a_server_is_reached_over_http_and_its_end_noticed(
    servers: McpServers, http_server: tuple[str, subprocess.Popen[bytes]]
) -> None:
    url, process = http_server
    on_stream_thread(servers.add(McpServer("t", url)))
    assert call(servers["t"], "add", {"a": 1}).text == "2"
    process.kill()
    process.wait()
    result = on_stream_thread(execute(servers["t"], "add", {"a": 1}))
    assert (result.text, result.outcome) == (ENDED, "error")
    with pytest.raises(McpServerError, match=r"^The MCP server t did not start: All connection attempts failed"):
        on_stream_thread(servers["t"].start())


def test_list_says_what_there_is(servers: McpServers, started: McpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holysheep_nb.mcp.verb.servers", servers)
    text = on_stream_thread(read_mcp_line("list"))
    assert text.split("\n")[0] == f"t  ready  {sys.executable} {SCRIPT}"
    assert "  -T t.add  Adds two numbers." in text.split("\n")
    process_of(started).kill()
    wait_until(lambda: started.state == "ended")
    assert on_stream_thread(read_mcp_line("")) == f"t  ended  {sys.executable} {SCRIPT}"
    assert "is ready" in on_stream_thread(read_mcp_line("restart t"))
    assert on_stream_thread(read_mcp_line("remove t")) == "The MCP server t is removed."
    assert on_stream_thread(read_mcp_line("list")).startswith("There is no MCP server.")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("ad t x", "%holysheep mcp takes one of: add [--env"),
        ("add t", "%holysheep mcp add needs a name, and a command or an address"),
        ("add --header x t u", "%holysheep mcp add takes --env KEY=VALUE and --timeout SECONDS, and not '--header'."),
        ("add --env SOME_KEY=x t cat", "SOME_KEY is not handed to MCP servers."),
        ("add --env NOT_SET_ANYWHERE t cat", "There is no variable 'NOT_SET_ANYWHERE' here"),
        ("add --timeout soon t cat", "--timeout takes a number of seconds, and 'soon' is none."),
        ("add --timeout -1 t cat", "An MCP server needs a command or an address, and a timeout above 0 seconds."),
        ("add a.b cat", "'a.b' cannot be the name of an MCP server"),
        ("add t ftp://host/x", "The address 'ftp://host/x' of an MCP server must begin with http:// or https://."),
        ("add t 'x", "The line cannot be read (no closing quotation): check its quotes."),
    ],
)
def test_a_line_that_says_something_else_is_one_sentence(line: str, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        read_mcp_line(line, {"SOME_KEY"})
    assert str(caught.value).startswith(sentence)


def test_without_the_sdk_one_sentence_says_what_to_install(
    servers: McpServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mcp", None)
    with pytest.raises(ConfigurationError, match=r'pip install "holysheep_nb\[mcp\]"\.$'):
        on_stream_thread(servers.add(McpServer("t", COMMAND)))
    assert "t" not in servers


def test_a_server_that_is_not_there_or_has_no_such_tool_is_one_sentence(
    started: McpServer, servers: McpServers
) -> None:
    assert servers.find_tools("u.add") is None
    assert servers.find_tools("t") == started.tools
    assert servers.find_tools("t.files/read.text") == [started.tool("files/read.text")]
    with pytest.raises(UsageError, match="The MCP server t has no tool 'ad'; it has: add, environment"):
        servers.find_tools("t.ad")
    with pytest.raises(UsageError, match="There is no MCP server 'u'; there are: t"):
        servers["u"]
    assert os.getpid() != process_of(started).pid
