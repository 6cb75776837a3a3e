"""The gateway as a child process: started, waited for, and ended with this process."""

from __future__ import annotations

import atexit
import importlib.util
import json
import os
import queue
import secrets
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

from holysheep_nb.errors import LocalModelError
from holysheep_nb.keys import Key

START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 5.0
SERVER_MODULES = ("starlette", "uvicorn")
KEY_ENV = "HOLYSHEEP_GATEWAY_KEY"
_STDERR_LINES = 50

EngineName = Literal["smollm2", "script"]
OnProgress = Callable[[int, int], None]


def require_extra(*modules: str) -> None:
    """LocalModelError, with the command to type, if a module of the extra `local` is not installed."""
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        raise LocalModelError(
            'This needs more packages: pip install "holysheep_nb[local]".',
            details=f"missing: {', '.join(missing)}",
        )


@dataclass
class Gateway:
    """A running gateway. It ends with `stop()`, with this process, or with the `with` block it is used in."""

    base_url: str
    """`http://127.0.0.1:PORT/v1`."""
    ws_url: str
    """`ws://127.0.0.1:PORT/v1`."""
    models: Sequence[str]
    """The ids of its models, the default one first."""
    key: str = field(repr=False)
    _child: subprocess.Popen[bytes] = field(repr=False)

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._child.pid

    @property
    def is_running(self) -> bool:
        """True until the child has ended."""
        return self._child.poll() is None

    def stop(self) -> None:
        """Ends the gateway and waits for it (seconds at most); nothing happens if it has ended already."""
        _end(self._child)
        atexit.unregister(self.stop)

    def __enter__(self) -> Gateway:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()


def start_gateway(
    engine: EngineName = "smollm2",
    *,
    script: str | os.PathLike[str] | None = None,
    deltas_per_s: float | None = None,
    on_progress: OnProgress | None = None,
    start_timeout_s: float = START_TIMEOUT_S,
) -> Gateway:
    """A gateway on loopback, ready to answer, as a child of this process that dies with it.

    Blocks until it is ready: about a second, and the download (93 MB) the first time, which `on_progress`
    hears of as bytes done and total, on the calling thread. `script` is the file the engine `script` plays (without
    one it says what it was told), at `deltas_per_s` where the file does not say. `start_timeout_s` is how long
    the child may say nothing. Raises LocalModelError, in the child's own sentence, if it does not start.
    """
    require_extra(*SERVER_MODULES, *(["xllamacpp"] if engine == "smollm2" else []))
    key = Key(KEY_ENV, secrets.token_urlsafe(24))
    command = [sys.executable, "-m", "holysheep_nb", "serve", f"--engine={engine}", "--json", "--watch-stdin"]
    if script is not None:
        command.append(f"--script={Path(script)}")
    if deltas_per_s is not None:
        command.append(f"--rate={deltas_per_s}")
    child = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # PYTHONSAFEPATH: a file json.py in the notebook's folder must not break the child.
        env={**os.environ, KEY_ENV: key.reveal(), "PYTHONSAFEPATH": "1"},
        # Its own session: an interrupt of the kernel goes to the kernel's whole process group.
        start_new_session=True,
    )
    try:
        ready = _await_ready(child, on_progress or (lambda done, total: None), start_timeout_s)
        gateway = Gateway(**_read_announcement(ready), key=key.reveal(), _child=child)
    except BaseException:
        _end(child)
        raise
    atexit.register(gateway.stop)
    return gateway


def _await_ready(child: subprocess.Popen[bytes], on_progress: OnProgress, start_timeout_s: float) -> dict[str, Any]:
    """The child's ready line; what it says before is progress or why it failed."""
    assert child.stdout is not None
    assert child.stderr is not None
    lines: queue.Queue[bytes | None] = queue.Queue()
    complaints: deque[bytes] = deque(maxlen=_STDERR_LINES)
    threading.Thread(target=_drain, args=(child.stdout, lines.put), daemon=True).start()
    reading = threading.Thread(target=_drain, args=(child.stderr, complaints.append), daemon=True)
    reading.start()
    while True:
        try:
            line = lines.get(timeout=start_timeout_s)
        except queue.Empty:
            raise LocalModelError(
                f"The local gateway said nothing for {start_timeout_s:g} s and was ended; try again."
            ) from None
        if line is None:
            reading.join(STOP_TIMEOUT_S)
            raise LocalModelError(
                "The local gateway ended before it was ready; `holysheep-nb serve` in a terminal shows why.",
                details=b"".join(line for line in complaints if line).decode(errors="replace"),
            )
        message = _parse(line)
        if "base_url" in message:
            return message
        if "error" in message:
            raise LocalModelError(message["error"], details=message.get("details", ""))
        if "progress" in message:
            on_progress(*_read_progress(message))


def _read_progress(message: dict[str, Any]) -> tuple[int, int]:
    """The bytes done and in total; LocalModelError if the child says anything else."""
    match message["progress"]:
        case [int(done), int(total)]:
            return done, total
    raise _not_understood(message)


def _read_announcement(message: dict[str, Any]) -> dict[str, Any]:
    """What a `Gateway` is made of; LocalModelError if the child says anything else."""
    match message:
        case {"base_url": str(base_url), "ws_url": str(ws_url), "models": [str(), *_] as models}:
            return {"base_url": base_url, "ws_url": ws_url, "models": models}
    raise _not_understood(message)


def _not_understood(message: dict[str, Any]) -> LocalModelError:
    return LocalModelError(
        "What the local gateway said at its start is not understood: "
        "is another version of holysheep_nb installed beside this one?",
        details=json.dumps(message),
    )


def _parse(line: bytes) -> dict[str, Any]:
    """The JSON object of one line, or {} for anything else a library may print."""
    try:
        message = json.loads(line)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}


def _drain(pipe: IO[bytes], put: Callable[[Any], None]) -> None:
    """Hands on every line until the end, then None: a full pipe would stop the child."""
    with pipe:
        for line in pipe:
            put(line)
    put(None)


def _end(child: subprocess.Popen[bytes]) -> None:
    """Closes the child's stdin, which ends it; then harder, if it does not listen."""
    if child.stdin is not None and not child.stdin.closed:
        child.stdin.close()
    deadline = time.monotonic() + STOP_TIMEOUT_S
    for end in (child.terminate, child.kill):
        try:
            child.wait(max(deadline - time.monotonic(), 0.1))
            return
        except subprocess.TimeoutExpired:
            end()
            deadline = time.monotonic() + STOP_TIMEOUT_S
    child.wait()
