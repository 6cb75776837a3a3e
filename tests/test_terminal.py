"""Without a notebook: terminal IPython, and plain Python scripts, in processes of their own."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from raw_server import DONE, HANG, RESET, RawServer, answer, chunk, json_answer, sse_head

IPYTHON = [sys.executable, "-m", "IPython", "--no-banner", "--colors=NoColor", "--no-confirm-exit"]


@pytest.fixture(autouse=True)
def _own_profile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)


def run_ipython(tmp_path: Path, source: str) -> subprocess.CompletedProcess[str]:
    """Runs cells of an .ipy file in terminal IPython."""
    script = tmp_path / "cells.ipy"
    script.write_text(f"%load_ext holysheep_nb\n{source}", "utf-8")
    return subprocess.run([*IPYTHON, str(script)], capture_output=True, text=True, timeout=30, check=False)


def run_python(source: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, timeout=30, check=False)


class Terminal:
    """Terminal IPython on a pseudo-terminal, as a person sits before it."""

    def __init__(self) -> None:
        main, own = pty.openpty()
        self._main = main
        self._process = subprocess.Popen([*IPYTHON, "--simple-prompt"], stdin=own, stdout=own, stderr=own)
        os.close(own)
        self.text = ""
        self.wait_for("In [1]: ")

    def type(self, text: str) -> None:
        os.write(self._main, text.encode())

    def interrupt(self) -> None:
        """What Ctrl-C does."""
        self._process.send_signal(signal.SIGINT)

    def wait_for(self, text: str, timeout_s: float = 20.0) -> float:
        """When `text` was on the screen. What stands up to its end is taken off `self.text`."""
        deadline = time.monotonic() + timeout_s
        while text not in self.text:
            assert select.select([self._main], [], [], max(0, deadline - time.monotonic()))[0], self.text
            self.text += re.sub(r"\x1b\[\??\d*[a-zA-Z]", "", os.read(self._main, 65536).decode().replace("\r\n", "\n"))
        self.text = self.text.partition(text)[2]
        return time.monotonic()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._main)


@pytest.fixture
def terminal(at_server: RawServer) -> Iterator[Terminal]:
    opened = Terminal()
    yield opened
    opened.close()


def test_in_a_terminal_the_text_is_printed_as_it_arrives(at_server: RawServer, terminal: Terminal) -> None:
    at_server.play(sse_head(), chunk("first "), 0.5, chunk("second"), DONE)
    terminal.type("%load_ext holysheep_nb\n")
    terminal.wait_for("In [2]: ")
    terminal.type("%%holysheep\n")
    terminal.type("Hi\n\n\n")
    first_at = terminal.wait_for("first ")
    second_at = terminal.wait_for("second\n")
    assert second_at - first_at > 0.3
    terminal.wait_for("raw · ")
    terminal.wait_for("In [3]: ")
    terminal.type("_.text\n")
    terminal.wait_for("Out[3]: 'first second'")


def test_ctrl_c_ends_the_answer_and_keeps_it(at_server: RawServer, terminal: Terminal) -> None:
    at_server.play(sse_head(), chunk("so far"), HANG)
    terminal.type("%load_ext holysheep_nb\n")
    terminal.wait_for("In [2]: ")
    terminal.type("%%holysheep\nHi\n\n\n")
    terminal.wait_for("so far")
    terminal.interrupt()
    at_server.wait_for_disconnect(at_server.asked[0])
    terminal.wait_for("raw · stopped · ")
    terminal.wait_for("KeyboardInterrupt: Interrupted; what came is kept (6 characters).\n")
    terminal.wait_for("In [3]: ")
    assert "Traceback" not in terminal.text
    terminal.type("_.text, _.status\n")
    terminal.wait_for("Out[3]: ('so far', 'stopped')")


def test_a_file_of_cells_runs_in_terminal_ipython(at_server: RawServer, tmp_path: Path) -> None:
    at_server.play(answer("Hel", "lo"))
    done = run_ipython(tmp_path, "%holysheep models\nget_ipython().run_cell_magic('holysheep', '', 'Hi')\n")
    assert done.stderr == ""
    assert "\nraw-large   –       –\n" in done.stdout
    assert "\nHello\nraw · 3 + 5 tokens · cost unknown · " in done.stdout
    assert done.returncode == 0


def test_an_error_in_a_file_of_cells_is_one_line(at_server: RawServer, tmp_path: Path) -> None:
    at_server.play(json_answer({"error": {"message": "wrong"}}, "401 Unauthorized"))
    done = run_ipython(tmp_path, "get_ipython().run_cell_magic('holysheep', '', 'Hi')\n")
    said = done.stdout + done.stderr
    assert "AuthenticationError: 127.0.0.1:" in said
    assert "Traceback" not in said


def test_a_script_streams_text_with_the_plainest_door(at_server: RawServer) -> None:
    at_server.play(answer("Hel", "lo"))
    done = run_python(
        "from holysheep_nb import stream_chat_completion_sse\n"
        "for text in stream_chat_completion_sse('raw', [{'role': 'user', 'content': 'Hi'}]):\n"
        "    print(text, end='|', flush=True)\n"
    )
    assert (done.stdout, done.stderr, done.returncode) == ("Hel|lo|", "", 0)


def test_a_script_asks_a_chat_and_prints_nothing_of_its_own(at_server: RawServer) -> None:
    at_server.play(answer("Hello"))
    done = run_python(
        "from holysheep_nb import Chat\n"
        "run = Chat().ask('Hi').result()\n"
        "print([run.text, run.status, run.usage.output_tokens])\n"
    )
    assert (done.stdout, done.stderr, done.returncode) == ("['Hello', 'complete', 5]\n", "", 0)


def test_a_script_awaits_a_chat(at_server: RawServer) -> None:
    at_server.play(answer("Hello"))
    done = run_python(
        "import asyncio\n"
        "from holysheep_nb import Chat\n"
        "async def main():\n"
        "    print((await Chat().ask('Hi')).text)\n"
        "asyncio.run(main())\n"
    )
    assert (done.stdout, done.stderr, done.returncode) == ("Hello\n", "", 0)


def test_a_cut_stream_raises_in_the_plainest_door_after_the_text(at_server: RawServer) -> None:
    at_server.play(sse_head(), chunk("half"), 0.05, RESET)
    done = run_python(
        "from holysheep_nb import stream_chat_completion_sse\n"
        "for text in stream_chat_completion_sse('raw', [{'role': 'user', 'content': 'Hi'}]):\n"
        "    print(text)\n"
    )
    assert done.stdout == "half\n"
    assert "was closed: the answer is cut off, and what came is kept (4 characters)." in done.stderr
    assert "hs-test-key" not in done.stderr
    assert done.returncode == 1


def test_a_script_that_ends_in_mid_stream_ends_quietly(at_server: RawServer) -> None:
    at_server.play(sse_head(), chunk("a"), HANG)
    began = time.monotonic()
    done = run_python(
        "from holysheep_nb import stream_chat_completion_sse\n"
        "texts = stream_chat_completion_sse('raw', [{'role': 'user', 'content': 'Hi'}])\n"
        "print(next(texts))\n"
    )
    assert (done.stdout, done.stderr, done.returncode) == ("a\n", "", 0)
    assert time.monotonic() - began < 5
    at_server.wait_for_disconnect(at_server.asked[0])
