"""Format, lint, types and the front end's own tests: one command runs them all."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def check(*command: str, folder: Path = ROOT) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-6000:]}\n{done.stderr[-3000:]}"


def test_ruff_finds_nothing() -> None:
    check(sys.executable, "-m", "ruff", "check", ".")


def test_ruff_would_format_nothing() -> None:
    check(sys.executable, "-m", "ruff", "format", "--check", ".")


def test_the_package_is_typed() -> None:
    check(sys.executable, "-m", "mypy")


def test_the_front_end_passes_its_own_checks_and_tests() -> None:
    npm = shutil.which("npm")
    assert npm, "npm is missing: install Node.js 20 or later"
    assert (ROOT / "js/node_modules").is_dir(), f"run `npm ci` in {os.fspath(ROOT / 'js')}"
    check(npm, "test", folder=ROOT / "js")
