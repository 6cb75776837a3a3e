"""The gateway as a child: how it starts, fails, and ends with its parent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from local_gateways import health, is_alive, wait_until

from holysheep_nb.errors import LocalModelError
from holysheep_nb.local import start_gateway
from holysheep_nb.local.process import require_extra

PARENT = """
import sys, time
from holysheep_nb.local import start_gateway
gateway = start_gateway("script")
print(gateway.pid, flush=True)
{then}
"""


READY = {"base_url": "http://127.0.0.1:1/v1", "ws_url": "ws://127.0.0.1:1/v1", "models": ["m"]}


def start_parent(then: str) -> tuple[subprocess.Popen[str], int]:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(then=then)], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
    )
    assert parent.stdout is not None
    return parent, int(parent.stdout.readline())


def test_stop_ends_the_child_and_may_be_called_twice() -> None:
    gateway = start_gateway("script")
    assert gateway.is_running
    assert health(gateway)["engine"] == "script"
    gateway.stop()
    gateway.stop()
    assert not gateway.is_running
    assert not is_alive(gateway.pid)


def test_the_key_is_in_no_repr_and_on_no_command_line() -> None:
    with start_gateway("script") as gateway:
        assert gateway.key not in repr(gateway)
        assert gateway.key not in " ".join(psutil.Process(gateway.pid).cmdline())
        assert len(gateway.key) >= 32


def test_every_start_has_another_key() -> None:
    with start_gateway("script") as one, start_gateway("script") as two:
        assert one.key != two.key


def test_the_child_dies_when_its_parent_is_killed() -> None:
    parent, child = start_parent("time.sleep(60)")
    parent.kill()
    parent.wait()
    wait_until(lambda: not is_alive(child))


def test_the_child_dies_when_its_parent_ends_and_a_fork_holds_the_pipe() -> None:
    then = "import os\nif os.fork() == 0:\n    time.sleep(20)\n    os._exit(0)\nos.kill(os.getpid(), 9)"
    parent, child = start_parent(then)
    parent.wait()
    wait_until(lambda: not is_alive(child))


def test_the_child_dies_when_its_parent_ends_normally() -> None:
    parent, child = start_parent("")
    assert parent.wait(10) == 0
    wait_until(lambda: not is_alive(child))


def test_an_interrupt_of_the_parents_group_does_not_reach_the_child() -> None:
    deaf = "import signal\nsignal.signal(signal.SIGINT, lambda *_: None)\n"
    parent = subprocess.Popen(
        [sys.executable, "-c", deaf + PARENT.format(then="time.sleep(60)")],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    try:
        os.killpg(parent.pid, signal.SIGINT)
        with pytest.raises(AssertionError, match="never"):
            wait_until(lambda: not is_alive(child), timeout_s=1)
    finally:
        parent.kill()
        parent.wait()
    wait_until(lambda: not is_alive(child))


def test_a_child_that_cannot_start_raises_its_own_sentence(tmp_path: Path) -> None:
    with pytest.raises(LocalModelError, match=r"none\.json cannot be read"):
        start_gateway("script", script=tmp_path / "none.json")


def test_a_child_that_crashes_leaves_its_complaint_in_the_details(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/nonexistent")
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(LocalModelError, match="ended before it was ready"):
        start_gateway("script")


def test_a_silent_child_is_ended_after_the_timeout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mute = tmp_path / "mute"
    mute.write_text("#!/bin/sh\nexec sleep 60\n")
    mute.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(mute))
    monkeypatch.setattr("holysheep_nb.local.process.STOP_TIMEOUT_S", 0.2)
    with pytest.raises(LocalModelError, match=r"said nothing for 0\.3 s"):
        start_gateway("script", start_timeout_s=0.3)


def fake_child(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *lines: object) -> None:
    """Has a child started that says these lines, and then lives until its stdin ends."""
    fake = tmp_path / "fake"
    fake.write_text("#!/bin/sh\necho not json\n" + "".join(f"echo '{json.dumps(line)}'\n" for line in lines) + "cat\n")
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))


def test_progress_of_the_child_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake_child(monkeypatch, tmp_path, {"progress": [1, 9]}, {"progress": [9, 9]}, READY)
    seen: list[tuple[int, int]] = []
    with start_gateway("script", on_progress=lambda done, total: seen.append((done, total))) as gateway:
        assert (gateway.base_url, gateway.ws_url, gateway.models) == (*list(READY.values())[:2], ["m"])
    assert seen == [(1, 9), (9, 9)]


@pytest.mark.parametrize(
    "nonsense",
    [
        {"base_url": "http://127.0.0.1:1/v1", "models": ["m"]},
        {**READY, "models": []},
        {**READY, "models": [1]},
        {**READY, "base_url": 7},
        {"progress": "much"},
    ],
)
def test_a_child_that_says_nonsense_is_one_sentence_and_ended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, nonsense: dict[str, object]
) -> None:
    fake_child(monkeypatch, tmp_path, nonsense)
    before = psutil.Process().children()
    with pytest.raises(LocalModelError, match="What the local gateway said at its start is not understood"):
        start_gateway("script")
    assert psutil.Process().children() == before


def test_a_missing_extra_says_what_to_install() -> None:
    with pytest.raises(LocalModelError) as caught:
        require_extra("json", "no_such_module")
    assert str(caught.value) == 'This needs more packages: pip install "holysheep_nb[local]".'
    assert caught.value.details == "missing: no_such_module"
