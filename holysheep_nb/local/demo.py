"""`holysheep-nb demo`: the gateway and JupyterLab on the quickstart, with everything set."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from holysheep_nb.errors import ConfigurationError, LocalModelError
from holysheep_nb.local.process import EngineName, Gateway, require_extra, start_gateway
from holysheep_nb.local.progress import draw_progress

QUICKSTART = "01-quickstart.ipynb"
HOST = "127.0.0.1"
LAB_START_TIMEOUT_S = 120.0
LAB_STOP_TIMEOUT_S = 10.0
POLL_S = 0.2
# `jupyter lab`, but it does not outlive us.
LAB_PROGRAM = (
    "from holysheep_nb.local.follow import follow_parent; follow_parent();from jupyterlab.labapp import main; main()"
)


@dataclass(frozen=True)
class DemoOptions:
    """What `holysheep-nb demo` was asked for."""

    folder: Path = Path("holysheep-demo")
    port: int = 0
    opens_browser: bool = True
    engine: EngineName = "smollm2"
    script: Path | None = None
    notebook: Path | None = None
    """The notebook to copy and open; None is the quickstart."""


def run_demo(options: DemoOptions) -> None:
    """Runs the demo until SIGINT, SIGTERM, or the end of JupyterLab; then both children have ended.

    Raises LocalModelError if one of them does not start, ConfigurationError if the notebook is not there.
    """
    require_extra("jupyterlab")
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.default_int_handler)
    try:
        notebook = copy_notebook(options.notebook or find_quickstart(), options.folder)
        print(f"Starting the {options.engine} engine and JupyterLab …", flush=True)
        gateway = start_gateway(options.engine, script=options.script, on_progress=draw_progress)
        with gateway, _lab(notebook, options, gateway) as lab:
            while lab.poll() is None and gateway.is_running:
                time.sleep(POLL_S)
            if lab.poll() is None:
                raise LocalModelError("The local gateway has ended by itself, and JupyterLab with it.")
        print("JupyterLab has ended, and the gateway with it.", flush=True)
    except KeyboardInterrupt:
        print("JupyterLab and the gateway have ended.", flush=True)


def find_quickstart() -> Path:
    """The quickstart notebook of the installed package or of the checkout; ConfigurationError without."""
    here = Path(__file__).resolve()
    for path in (here.with_name(QUICKSTART), here.parents[2] / "notebooks" / QUICKSTART):
        if path.is_file():
            return path
    raise ConfigurationError(f"This installation lacks {QUICKSTART}: install holysheep_nb again.")


def copy_notebook(source: Path, folder: Path) -> Path:
    """A copy of `source` in `folder`, which is made if need be.

    A copy that was changed since is left alone: the new one gets a number. Raises ConfigurationError if it
    cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for target in _names(folder / source.name):
            if not target.exists():
                shutil.copyfile(source, target)
                return target
            if target.read_bytes() == source.read_bytes():
                return target
    except OSError as error:
        raise ConfigurationError(
            f"{source.name} cannot be copied to {folder}: {error.strerror or error}. Choose another --dir.",
            details=repr(error),
        ) from error
    raise AssertionError("the names never end")


def _names(path: Path) -> Iterator[Path]:
    yield path
    number = 2
    while True:
        yield path.with_name(f"{path.stem}-{number}{path.suffix}")
        number += 1


@contextmanager
def _lab(notebook: Path, options: DemoOptions, gateway: Gateway) -> Iterator[subprocess.Popen[bytes]]:
    """JupyterLab on `notebook`, once it answers; ended, kernels and all, at the end of the block."""
    port = options.port or _free_port()
    token = secrets.token_urlsafe(24)
    page = f"/lab/tree/{quote(notebook.name)}"
    command = [sys.executable, "-c", LAB_PROGRAM, f"--ServerApp.ip={HOST}", f"--ServerApp.port={port}"]
    command += ["--ServerApp.port_retries=0", f"--ServerApp.root_dir={notebook.parent.resolve()}"]
    command += [f"--LabApp.default_url={page}", f"--ServerApp.open_browser={options.opens_browser}"]
    command += ["--ServerApp.log_level=WARN"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")
    # Its own session: on Ctrl-C it would ask on the terminal whether it should end.
    lab = subprocess.Popen(command, stdin=subprocess.PIPE, env=lab_environment(gateway, token), start_new_session=True)
    try:
        _await_lab(lab, port)
        print(f"JupyterLab is at http://{HOST}:{port}{page}?token={token}", flush=True)
        print(f"The model is {gateway.models[0]}; Ctrl-C ends both.", flush=True)
        yield lab
    finally:
        _end_lab(lab)


def lab_environment(gateway: Gateway, token: str) -> dict[str, str]:
    """The environment of JupyterLab and its kernels: this one, pointed at `gateway`.

    The keys go here and not on the command line, where every user of the machine could read them.
    """
    environment = dict(os.environ)
    environment["HOLYSHEEP_BASE_URL"] = gateway.base_url
    environment["HOLYSHEEP_WS_URL"] = gateway.ws_url
    environment["HOLYSHEEP_API_KEY"] = gateway.key
    environment["HOLYSHEEP_MODEL"] = gateway.models[0]
    environment["JUPYTER_TOKEN"] = token
    return environment


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _await_lab(lab: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + LAB_START_TIMEOUT_S
    while time.monotonic() < deadline:
        if lab.poll() is not None:
            raise LocalModelError(
                f"JupyterLab did not start on port {port} (it says why above); try another with --port."
            )
        try:
            # No proxy: this is a question to our own machine.
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            with opener.open(f"http://{HOST}:{port}/api", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(POLL_S)
    raise LocalModelError(f"JupyterLab did not answer for {LAB_START_TIMEOUT_S:g} s and was ended.")


def _end_lab(lab: subprocess.Popen[bytes]) -> None:
    """Ends JupyterLab, which ends its kernels; by force after 10 s or a second Ctrl-C."""
    if lab.poll() is not None:
        return
    lab.terminate()
    try:
        lab.wait(LAB_STOP_TIMEOUT_S)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        lab.kill()
        lab.wait()
