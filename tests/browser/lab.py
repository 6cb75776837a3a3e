"""JupyterLab in Chromium: one server for the session, a notebook and a page for each test."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import nbformat
from playwright.sync_api import BrowserContext, Dialog, Locator, Page

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
CHROMIUM_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
KEY = "hs-test-key-0123456789"
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"

_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 10.0
_PAGE_TIMEOUT_MS = 60_000
_MAX_TABS = 40

_KERNEL = "window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel"
_CELLS = "window.jupyterapp.shell.currentWidget.content"


class Lab:
    """A JupyterLab server on loopback, with folders of its own for all that it keeps."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self._token = secrets.token_hex(16)
        self._log = folder / "lab.log"
        folders = {
            "JUPYTER_CONFIG_DIR": folder / "config",
            "JUPYTER_DATA_DIR": folder / "data",
            "JUPYTER_RUNTIME_DIR": folder / "runtime",
            "JUPYTERLAB_SETTINGS_DIR": folder / "settings",
            "JUPYTERLAB_WORKSPACES_DIR": folder / "workspaces",
            "IPYTHONDIR": folder / "ipython",
        }
        for path in (self.root, *folders.values()):
            path.mkdir()
        self._write_setting(folder / "settings", "notification", {"fetchNews": "false", "checkForUpdates": False})
        port = _free_port()
        self.base_url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1"]
        command += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
        command += [f"--IdentityProvider.token={self._token}", f"--ServerApp.root_dir={self.root}"]
        command += ["--LabApp.expose_app_in_browser=True", "--LabApp.extension_manager=readonly"]
        env = {name: value for name, value in os.environ.items() if not name.startswith("HOLYSHEEP_")}
        env |= {name: str(path) for name, path in folders.items()} | {"JUPYTER_PLATFORM_DIRS": "0"}
        with self._log.open("w") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=env, cwd=self.root)

    @staticmethod
    def _write_setting(folder: Path, name: str, setting: dict[str, Any]) -> None:
        extension = folder / "@jupyterlab" / "apputils-extension"
        extension.mkdir(parents=True, exist_ok=True)
        (extension / f"{name}.jupyterlab-settings").write_text(json.dumps(setting))

    def wait(self) -> Lab:
        """Waits until it answers."""
        deadline = time.monotonic() + _START_TIMEOUT_S
        while True:
            with contextlib.suppress(OSError):
                self.ask("GET", "api/status")
                return self
            assert self._process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.1)

    def stop(self) -> None:
        self.end_kernels()
        self._process.terminate()
        try:
            self._process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def ask(self, method: str, path: str) -> Any:
        request = urllib.request.Request(
            f"{self.base_url}/{path}", method=method, headers={"Authorization": f"token {self._token}"}
        )
        with urllib.request.urlopen(request, timeout=20) as reply:
            body = reply.read()
        return json.loads(body) if body else None

    def end_kernels(self) -> None:
        """Shuts every kernel down, as the running-sessions panel does."""
        for session in self.ask("GET", "api/sessions"):
            self.ask("DELETE", f"api/sessions/{session['id']}")

    def address(self, name: str) -> str:
        return f"{self.base_url}/lab/tree/{name}?token={self._token}&reset"


class Notebook:
    """A notebook open in a page. Cells are counted from 0."""

    def __init__(self, lab: Lab, context: BrowserContext, name: str, sources: list[str]) -> None:
        self._lab = lab
        self._context = context
        self.name = name
        self.path = lab.root / name
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, self.path)
        self.foreign_requests: list[str] = []
        self.errors: list[str] = []
        self.page = self._new_page()

    def _new_page(self) -> Page:
        page = self._context.new_page()
        page.set_default_timeout(_PAGE_TIMEOUT_MS)
        page.on("dialog", _accept)
        page.on("request", lambda request: self._note_request(request.url))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        return page

    def _note_request(self, url: str) -> None:
        if urlsplit(url).scheme not in ("data", "blob") and not url.startswith(self._lab.base_url):
            self.foreign_requests.append(url)

    # Opening

    def open(self) -> Notebook:
        """Opens the page, and waits for a kernel that is ready to run cells."""
        self.page.goto(self._lab.address(self.name))
        self.wait_connected()
        self.page.wait_for_function(f"() => {_KERNEL}.status === 'idle'")
        return self

    def reload(self) -> None:
        """Reloads the page, and waits until it has its kernel back."""
        self.page.reload()
        self.wait_connected()

    def leave(self) -> None:
        """Closes the page; the kernel goes on."""
        self.page.close()

    def come_back(self) -> None:
        """Opens the notebook in a new page, and waits until it has its kernel back."""
        self.page = self._new_page()
        self.page.goto(self._lab.address(self.name))
        self.wait_connected()

    def reopen_without_kernel(self) -> None:
        """Shuts the kernel down, and opens the saved notebook in a new page."""
        self._lab.end_kernels()
        self.page.close()
        self.page = self._new_page()
        self.page.goto(self._lab.address(self.name))
        self.page.wait_for_selector(".jp-Notebook .jp-Cell")

    def wait_connected(self) -> None:
        self.page.wait_for_function(f"() => {_KERNEL}?.connectionStatus === 'connected'")

    def close(self) -> None:
        self.page.close()
        self._lab.end_kernels()

    # What a person does

    def begin(self, index: int) -> None:
        """Starts a cell."""
        self.page.evaluate(
            f"(index) => {{ {_CELLS}.activeCellIndex = index;"
            " void window.jupyterapp.commands.execute('notebook:run-cell'); }",
            index,
        )

    def run(self, index: int) -> None:
        """Runs a cell to its end."""
        self.begin(index)
        self.wait_ended(index)

    def wait_ended(self, index: int, timeout_s: float = 30.0) -> None:
        """Waits for the prompt: the status bar may say Idle while a cell awaits."""
        self.page.wait_for_function(
            "(index) => /^\\[\\d+\\]:$/.test(document.querySelectorAll('.jp-Notebook .jp-Cell')[index]"
            "?.querySelector('.jp-InputPrompt')?.textContent.trim())",
            arg=index,
            timeout=timeout_s * 1000,
        )

    def wait_frozen(self, index: int) -> None:
        """Waits until a cell has ended and its output that stays has taken the widget's place."""
        self.wait_ended(index)
        self.wait(lambda: self.widget(index).count() == 0)

    def tab_to(self, target: Locator) -> None:
        """Presses Tab until the target has the focus."""
        for _ in range(_MAX_TABS):
            if target.evaluate("(element) => element === document.activeElement"):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError("Tab does not lead there")

    def save(self) -> Any:
        """Saves, and gives the file's notebook."""
        self.page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")
        return nbformat.read(self.path, as_version=4)

    # What a person sees

    def cell(self, index: int) -> Locator:
        return self.page.locator(".jp-Notebook .jp-Cell").nth(index)

    def output(self, index: int) -> Locator:
        return self.cell(index).locator(".jp-Cell-outputArea")

    def widget(self, index: int) -> Locator:
        return self.output(index).locator(".holysheep")

    def call(self, index: int, name: str) -> Locator:
        """The calls of a tool in the answer of a cell."""
        name_only = self.page.locator(".holysheep-tool-call-name", has_text=re.compile(f"^{re.escape(name)}$"))
        return self.widget(index).locator(".holysheep-tool-call").filter(has=name_only)

    def card(self, index: int, name: str) -> Locator:
        """Where a cell asks for approval of a tool."""
        return self.widget(index).get_by_role("group", name=f"Approve {name}?")

    def is_running(self, index: int) -> bool:
        return self.cell(index).locator(".jp-InputPrompt").first.inner_text().strip() == "[*]:"

    def text(self, index: int) -> str:
        """What the output of a cell shows, in one line."""
        return " ".join(" ".join(self.output(index).all_inner_texts()).split())

    def wait_text(self, index: int, shown: str, timeout_s: float = 30.0) -> None:
        """Waits until the output of a cell shows a text, spaces aside."""
        shown = " ".join(shown.split())
        try:
            self.wait(lambda: shown in self.text(index), timeout_s)
        except AssertionError:
            raise AssertionError(f"{shown[-80:]!r} is not shown, but {self.text(index)[-300:]!r}") from None

    def wait(self, condition: Callable[[], object], timeout_s: float = 30.0, otherwise: str = "") -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, f"{otherwise or 'it has not happened'} after {timeout_s} s"
            self.page.wait_for_timeout(20)


def _accept(dialog: Dialog) -> None:
    dialog.accept()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
