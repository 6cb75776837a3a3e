"""`holysheep-nb serve` and `holysheep-nb demo`, as a person runs them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import psutil
import pytest
from local_gateways import is_alive, wait_until

from holysheep_nb.cli import main
from holysheep_nb.local import demo
from holysheep_nb.local.demo import copy_notebook

COMMAND = [sys.executable, "-m", "holysheep_nb"]
EMPTY_NOTEBOOK = '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'


def test_version_names_the_program(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("holysheep-nb ")


def test_another_host_than_loopback_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--script", "--host", "0.0.0.0"]) == 2
    assert (
        capsys.readouterr().err.strip() == "holysheep-nb: 0.0.0.0 is not loopback: add --allow-remote if that is meant."
    )


def test_a_script_for_the_model_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--engine", "smollm2", "--script", "x.json"]) == 2
    assert "leave out --engine smollm2" in capsys.readouterr().err


def test_a_used_port_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert main(["serve", "--script", "--port", str(taken.getsockname()[1])]) == 1
    assert "choose another with --port" in capsys.readouterr().err


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_serve_prints_what_to_export_and_ends_with_0(end: signal.Signals) -> None:
    with subprocess.Popen([*COMMAND, "serve", "--script"], stdout=subprocess.PIPE, text=True) as served:
        assert served.stdout is not None
        exports = {}
        while len(exports) < 4 and (line := served.stdout.readline()):
            if line.startswith("export "):
                name, _, value = line[7:].strip().partition("=")
                exports[name] = value
        key = {"Authorization": f"Bearer {exports['HOLYSHEEP_API_KEY']}"}
        models = httpx.get(exports["HOLYSHEEP_BASE_URL"] + "/models", headers=key, trust_env=False).json()
        assert models["data"][0]["id"] == exports["HOLYSHEEP_MODEL"] == "script"
        assert exports["HOLYSHEEP_WS_URL"] == exports["HOLYSHEEP_BASE_URL"].replace("http:", "ws:")
        served.send_signal(end)
        assert served.wait(10) == 0


def test_the_key_of_the_environment_is_used() -> None:
    environment = {**os.environ, "HOLYSHEEP_GATEWAY_KEY": "my-own-key"}
    command = [*COMMAND, "serve", "--script"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as served:
        assert served.stdout is not None
        lines = [served.stdout.readline() for _ in range(5)]
        served.terminate()
    assert "export HOLYSHEEP_API_KEY=my-own-key\n" in lines


def test_an_edited_copy_of_the_notebook_is_never_overwritten(tmp_path: Path) -> None:
    source = tmp_path / "01-quickstart.ipynb"
    source.write_text(EMPTY_NOTEBOOK)
    folder = tmp_path / "work" / "demo"
    first = copy_notebook(source, folder)
    assert first == folder / "01-quickstart.ipynb"
    assert copy_notebook(source, folder) == first
    first.write_text("edited")
    second = copy_notebook(source, folder)
    assert second == folder / "01-quickstart-2.ipynb"
    second.write_text("edited too")
    assert copy_notebook(source, folder).name == "01-quickstart-3.ipynb"
    assert first.read_text() == "edited"


def test_demo_without_jupyterlab_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["demo", "--no-browser"]) == 1
    assert 'pip install "holysheep_nb[local]"' in capsys.readouterr().err


def test_demo_in_a_folder_that_cannot_be_made_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    notebook = tmp_path / "n.ipynb"
    notebook.write_text(EMPTY_NOTEBOOK)
    arguments = ["demo", "--no-browser", "--script", "--notebook", str(notebook), "--dir", str(tmp_path / "file" / "d")]
    assert main(arguments) == 1
    assert "Choose another --dir" in capsys.readouterr().err


@pytest.fixture
def running_demo(tmp_path: Path) -> subprocess.Popen[str]:
    notebook = tmp_path / "my notebook.ipynb"
    notebook.write_text(EMPTY_NOTEBOOK)
    command = [*COMMAND, "demo", "--no-browser", "--script", "--notebook", str(notebook), "--dir", str(tmp_path / "d")]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def read_url(running: subprocess.Popen[str]) -> str:
    assert running.stdout is not None
    for line in running.stdout:
        if found := re.search(r"http://\S+token=\S+", line):
            return found[0]
    raise AssertionError("it ended without a URL")


def test_demo_opens_the_notebook_with_everything_set_and_sigint_ends_both(
    running_demo: subprocess.Popen[str],
) -> None:
    url = read_url(running_demo)
    children = psutil.Process(running_demo.pid).children()
    assert len(children) == 2
    page = httpx.get(url, follow_redirects=True, trust_env=False)
    assert page.status_code == 200
    assert "/lab/tree/my%20notebook.ipynb" in url
    token = url.partition("token=")[2]
    lab = next(child for child in children if "--ServerApp.ip=127.0.0.1" in child.cmdline())
    environment = lab.environ()
    key = {"Authorization": f"Bearer {environment['HOLYSHEEP_API_KEY']}"}
    models = httpx.get(environment["HOLYSHEEP_BASE_URL"] + "/models", headers=key, trust_env=False).json()
    assert models["data"][0]["id"] == environment["HOLYSHEEP_MODEL"]
    for child in children:
        assert token not in " ".join(child.cmdline())
        assert environment["HOLYSHEEP_API_KEY"] not in " ".join(child.cmdline())
    assert httpx.get(re.sub(r"/lab/.*", "/api/contents", url), trust_env=False).status_code == 403
    running_demo.send_signal(signal.SIGINT)
    assert running_demo.wait(20) == 0
    assert not [child for child in children if is_alive(child.pid)]


def test_a_killed_demo_takes_the_lab_and_the_gateway_with_it(running_demo: subprocess.Popen[str]) -> None:
    read_url(running_demo)
    children = psutil.Process(running_demo.pid).children()
    running_demo.kill()
    running_demo.wait()
    wait_until(lambda: not any(is_alive(child.pid) for child in children), timeout_s=20)


def test_the_lab_ending_ends_the_demo(running_demo: subprocess.Popen[str]) -> None:
    read_url(running_demo)
    children = psutil.Process(running_demo.pid).children()
    lab = next(child for child in children if demo.LAB_PROGRAM in child.cmdline())
    lab.terminate()
    assert running_demo.wait(20) == 0
    assert not [child for child in children if is_alive(child.pid)]
