"""A real ipykernel process, and a page that watches it: what a front end sees and says, without a browser.

kernel.run("%%holysheep\\nHi")                     # a cell, to its end
cell = kernel.begin("%%holysheep\\nHi"); ...       # the same, while it goes on
cell.widget().say("stop"); cell.wait()
"""

from __future__ import annotations

import ast
import contextlib
import json
import queue
import re
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
_POLL_S = 0.2
_START_TIMEOUT_S = 60.0
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Output:
    """One output of a cell, as the page shows it now."""

    kind: str
    data: dict[str, Any]
    metadata: dict[str, Any] = field(default_factory=dict)
    updates: int = 0


@dataclass
class Cell:
    """One execution of a cell."""

    kernel: LiveKernel
    msg_id: str
    outputs: list[Output] = field(default_factory=list)
    stream: str = ""
    error: dict[str, Any] | None = None
    reply: dict[str, Any] = field(default_factory=dict)
    is_idle: bool = False
    ended_at: float = 0.0

    def wait(self, timeout_s: float = 20.0) -> Cell:
        """Waits for the reply, and until all of the cell's messages have come."""
        self.kernel.wait_for(lambda: self.is_idle and bool(self.reply), timeout_s, "the cell has not ended")
        return self

    @property
    def status(self) -> str:
        return str(self.reply["status"])

    @property
    def traceback(self) -> list[str]:
        """The lines of the traceback the page shows."""
        return [] if self.error is None else _COLOURS.sub("", "\n".join(self.error["traceback"])).split("\n")

    def widget(self, timeout_s: float = 10.0) -> Widget:
        """The answer this cell shows, of which the page has just opened a view."""
        found = [widget for widget in self.kernel.widgets if widget.opened_by == self.msg_id]
        if not found:
            self.kernel.wait_for(
                lambda: any(widget.opened_by == self.msg_id for widget in self.kernel.widgets),
                timeout_s,
                "no widget was opened",
            )
            return self.widget()
        found[0].say("hello")
        return found[0]

    @property
    def markdown(self) -> str:
        """The frozen output's markdown."""
        (output,) = [output for output in self.outputs if "text/markdown" in output.data]
        return str(output.data["text/markdown"])

    @property
    def run_metadata(self) -> dict[str, Any]:
        """The run's data in the frozen output."""
        (output,) = [output for output in self.outputs if "holysheep" in output.metadata]
        return dict(output.metadata["holysheep"])

    @property
    def text(self) -> str:
        """The plain text of all outputs."""
        return "\n".join(str(output.data.get("text/plain", "")) for output in self.outputs)


@dataclass
class Widget:
    """The page's copy of one `AnswerWidget`."""

    kernel: LiveKernel
    comm_id: str
    opened_by: str
    state: dict[str, Any]
    opening_document: dict[str, Any]
    patches: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    documents: list[dict[str, Any]] = field(default_factory=list)
    closed_at: float | None = None
    view: str = field(default_factory=lambda: uuid.uuid4().hex)

    def say(self, command: str, *, subshell_id: str | None = None, **more: Any) -> None:
        """Sends a command, as the view does."""
        content = {"command": command, **({"view": self.view} if command in ("hello", "bye") else {}), **more}
        self.send({"method": "custom", "content": content}, subshell_id=subshell_id)

    def send(self, data: dict[str, Any], *, subshell_id: str | None = None) -> None:
        self.kernel.send("comm_msg", {"comm_id": self.comm_id, "data": data}, subshell_id=subshell_id)

    def ask_document(self, timeout_s: float = 5.0) -> dict[str, Any]:
        """What a resync gives."""
        count = len(self.documents)
        self.say("resync", seq=0)
        self.kernel.wait_for(lambda: len(self.documents) > count, timeout_s, "no document came")
        return self.documents[count]

    @property
    def parts(self) -> list[dict[str, Any]]:
        """The opening document with every patch since applied: nothing else tells the page more."""
        parts = [dict(part) for part in self.opening_document["parts"]]
        for _, patch in self.patches:
            for kind, index, what in patch["ops"]:
                if kind == "append":
                    growing = "arguments" if parts[index]["type"] == "tool_call" else "text"
                    parts[index][growing] = parts[index].get(growing, "") + what
                elif index == len(parts):
                    parts.append(dict(what))
                else:
                    parts[index].update(what)
        return parts

    @property
    def text(self) -> str:
        return text_of(self.parts)


def text_of(parts: list[dict[str, Any]]) -> str:
    """The text of the answer in the parts of a document."""
    return "".join(part["text"] for part in parts if part["type"] == "text")


class LiveKernel:
    """A kernel process, with the page before it."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self._manager = KernelManager()
        self._manager.start_kernel(env={**env, "IPYTHONDIR": str(folder)}, cwd=str(folder))
        self._client: BlockingKernelClient = self._manager.blocking_client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=_START_TIMEOUT_S)
        self._changed = threading.Condition()
        self._is_open = True
        self.cells: dict[str, Cell] = {}
        self.widgets: list[Widget] = []
        self.comms: dict[str, Widget | None] = {}
        self.keeps_messages = False
        self.messages: list[dict[str, Any]] = []
        self.prompts: list[dict[str, Any]] = []
        self._displays: dict[str, Output] = {}
        self._threads = [
            threading.Thread(target=self._read, args=(get,), name="page", daemon=True)
            for get in (self._client.get_iopub_msg, self._client.get_shell_msg)
        ]
        for thread in self._threads:
            thread.start()

    def shut_down(self) -> None:
        self._is_open = False
        for thread in self._threads:
            thread.join(5)
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)

    # What a person does

    def begin(self, code: str, *, cell_id: str | None = None, allow_stdin: bool = True) -> Cell:
        """Starts a cell."""
        content = {
            "code": code,
            "silent": False,
            "store_history": True,
            "user_expressions": {},
            "allow_stdin": allow_stdin,
            "stop_on_error": False,
        }
        message = self._client.session.msg("execute_request", content, metadata={"cellId": cell_id} if cell_id else {})
        cell = Cell(self, message["header"]["msg_id"])
        self.cells[cell.msg_id] = cell
        self._client.shell_channel.send(message)
        return cell

    def run(self, code: str, *, timeout_s: float = 20.0, **options: Any) -> Cell:
        """Runs a cell to its end."""
        return self.begin(code, **options).wait(timeout_s)

    def evaluate(self, expression: str) -> Any:
        """The value of an expression in the kernel, by way of JSON. Leaves no trace in `_` or the history."""
        content = {
            "code": "",
            "silent": True,
            "store_history": False,
            "user_expressions": {"value": f"__import__('json').dumps({expression})"},
            "allow_stdin": False,
        }
        message = self._client.session.msg("execute_request", content)
        cell = self.cells[message["header"]["msg_id"]] = Cell(self, message["header"]["msg_id"])
        self._client.shell_channel.send(message)
        cell.wait()
        value = cell.reply["user_expressions"]["value"]
        assert value["status"] == "ok", value
        return json.loads(ast.literal_eval(value["data"]["text/plain"]))

    def interrupt(self) -> None:
        """The interrupt button."""
        self._manager.interrupt_kernel()

    def restart(self) -> None:
        """The restart button: the kernel is asked to end, and another takes its place."""
        self._manager.restart_kernel()

    def wait_for_prompt(self, timeout_s: float = 10.0) -> None:
        """Waits until the kernel asks for input, which then stands in `prompts`."""
        self.prompts.append(self._client.get_stdin_msg(timeout=timeout_s)["content"])

    def answer_prompt(self, text: str) -> None:
        """Waits until the kernel asks for input, and types it."""
        self.wait_for_prompt()
        self._client.input(text)

    # What a page does

    def send(self, kind: str, content: dict[str, Any], *, subshell_id: str | None = None) -> None:
        message = self._client.session.msg(kind, content)
        if subshell_id is not None:
            message["header"]["subshell_id"] = subshell_id
        self._client.shell_channel.send(message)

    def create_subshell(self) -> str:
        message = self._client.session.msg("create_subshell_request", {})
        self._client.control_channel.send(message)
        while True:
            reply = self._client.get_control_msg(timeout=10)
            if reply["parent_header"].get("msg_id") == message["header"]["msg_id"]:
                return str(reply["content"]["subshell_id"])

    def wait_for(self, condition: Callable[[], object], timeout_s: float = 10.0, otherwise: str = "") -> None:
        """Waits until what came makes the condition true."""
        with self._changed:
            came = self._changed.wait_for(condition, timeout_s)
        assert came, f"{otherwise or 'it has not happened'} after {timeout_s} s"

    def _read(self, get: Callable[..., dict[str, Any]]) -> None:
        while self._is_open:
            with contextlib.suppress(queue.Empty):
                message = get(timeout=_POLL_S)
                now = time.monotonic()
                with self._changed:
                    self._take(message, now)
                    self._changed.notify_all()

    def _take(self, message: dict[str, Any], now: float) -> None:
        kind, content = message["header"]["msg_type"], message["content"]
        if self.keeps_messages:
            self.messages.append(message)
        cell = self.cells.get(message["parent_header"].get("msg_id", ""))
        match kind:
            case "comm_open" | "comm_msg" | "comm_close":
                self._take_comm(kind, content, message["parent_header"].get("msg_id", ""), now)
            case "update_display_data":
                self._update_display(content)
            case "display_data" | "execute_result" if cell:
                self._display(cell, kind, content)
            case "stream" if cell:
                cell.stream += content["text"]
            case "error" if cell:
                cell.error = content
            case "execute_reply" if cell:
                cell.reply, cell.ended_at = content, now
            case "status" if cell and content["execution_state"] == "idle":
                cell.is_idle = True

    def _display(self, cell: Cell, kind: str, content: dict[str, Any]) -> None:
        output = Output(kind, content["data"], content["metadata"])
        cell.outputs.append(output)
        display_id = content.get("transient", {}).get("display_id")
        if display_id:
            self._displays[display_id] = output

    def _update_display(self, content: dict[str, Any]) -> None:
        output = self._displays[content["transient"]["display_id"]]
        output.data, output.metadata = content["data"], content["metadata"]
        output.updates += 1

    def _take_comm(self, kind: str, content: dict[str, Any], parent: str, now: float) -> None:
        comm_id = content["comm_id"]
        if kind == "comm_open":
            state = content["data"]["state"]
            self.comms[comm_id] = None
            if "document" in state:
                self.comms[comm_id] = Widget(self, comm_id, parent, state, state["document"])
                self.widgets.append(self.comms[comm_id])  # type: ignore[arg-type]
            return
        widget = self.comms.get(comm_id)
        if kind == "comm_close":
            self.comms.pop(comm_id, None)
        if widget is None:
            return
        if kind == "comm_close":
            widget.closed_at = now
        elif content["data"]["method"] == "update":
            state = content["data"]["state"]
            widget.state.update(state)
            # A page that asks for the whole state (`request_state`) gets the last patch with it.
            if "patch" in state and "document" not in state:
                widget.patches.append((now, state["patch"]))
            if "document" in state:
                widget.documents.append(state["document"])
