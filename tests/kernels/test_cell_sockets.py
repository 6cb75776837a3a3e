"""Tools over a WebSocket, while the main thread of the kernel is busy with them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from live_kernel import LiveKernel
from websockets.sync.server import ServerConnection, serve

DEFINE = """
import sqlite3, time
import matplotlib
matplotlib.use("agg")
import matplotlib.pyplot as plt
from holysheep_nb import tool

db = sqlite3.connect(":memory:")
db.execute("create table t (n int)")
figure, axes = plt.subplots()

@tool(safe=True)
def work(seconds: float) -> list:
    "Keeps the main thread busy, with things of another cell."
    db.execute("insert into t values (?)", (seconds,))
    plt.figure(figure.number)
    plt.plot([1, 2, 3])
    time.sleep(seconds)
    return [db.execute("select count(*) from t").fetchone()[0], len(axes.lines)]
"""


class PingingServer:
    """Speaks the block protocol, and cuts a client that does not answer its pings in time."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.results: list[dict[str, Any]] = []
        self.left = threading.Event()
        self._server = serve(self._answer, "127.0.0.1", 0, ping_interval=0.3, ping_timeout=0.3)
        self._thread = threading.Thread(target=self._server.serve_forever, name="pinging-server", daemon=True)

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self._server.socket.getsockname()[1]}/v1"

    def _answer(self, connection: ServerConnection) -> None:
        def say(**message: Any) -> None:
            connection.send(json.dumps(message))

        try:
            connection.recv()
            say(type="content_block", content="Working. ")
            call = {"name": "work", "arguments": json.dumps({"seconds": self.seconds})}
            say(type="function_call", id="c1", function=call)
            say(type="done", finish_reason="tool_calls")
            self.results.append(json.loads(connection.recv()))
            say(type="content_block", content="Done.")
            say(type="done", finish_reason="stop")
        finally:
            self.left.set()

    def __enter__(self) -> PingingServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join(5)


@pytest.fixture
def tools(kernel: LiveKernel) -> Iterator[None]:
    assert kernel.run(DEFINE).status == "ok"
    yield
    kernel.run("import os; os.environ.pop('HOLYSHEEP_WS_URL', None)")


def begin(kernel: LiveKernel, server: PingingServer) -> Any:
    kernel.run(f"import os; os.environ['HOLYSHEEP_WS_URL'] = {server.ws_url!r}")
    return kernel.begin("%%holysheep -T work\nWork.")


@pytest.mark.usefixtures("tools")
def test_the_socket_stays_alive_while_a_tool_keeps_the_main_thread_busy(kernel: LiveKernel) -> None:
    with PingingServer(seconds=2.5) as server:
        cell = begin(kernel, server).wait(timeout_s=90)
    assert cell.status == "ok", cell.traceback
    assert [(each["id"], json.loads(each["result"])) for each in server.results] == [("c1", [1, 1])]
    assert kernel.evaluate("[_.status, _.text, _.request.transport, _.turn.route_changed]") == [
        "complete",
        "Working. \n\nDone.",
        "ws",
        "",
    ]


@pytest.mark.usefixtures("tools")
def test_the_interrupt_button_ends_the_tool_and_closes_the_socket(kernel: LiveKernel) -> None:
    with PingingServer(seconds=60) as server:
        cell = begin(kernel, server)
        widget = cell.widget()
        kernel.wait_for(lambda: any(part.get("state") == "running" for part in widget.parts))
        time.sleep(1)
        pressed_at = time.monotonic()
        kernel.interrupt()
        cell.wait()
        assert cell.ended_at - pressed_at < 1
        assert server.left.wait(1)
    assert cell.markdown.startswith("Working. \n\n<details><summary><code>work(")
    assert kernel.evaluate("[_.status, _.text]") == ["stopped", "Working. "]
