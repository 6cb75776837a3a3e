"""Builds the front end when Python builds the package: js/ → holysheep_nb/static/."""

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUNDLE = ROOT / "holysheep_nb" / "static" / "widget.js"


def build(target_name: str, version: str) -> None:
    """Runs the npm build; an sdist brings its bundle along and needs no Node."""
    if BUNDLE.exists() and (ROOT / "PKG-INFO").exists():
        return
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit(
            "holysheep_nb builds its front end with npm, which is not on this machine: "
            "install Node.js 20 or newer, or install the released wheel, which needs no Node."
        )
    for command in (["ci", "--no-audit", "--no-fund"], ["run", "build"]):
        subprocess.run([npm, *command], cwd=ROOT / "js", check=True)
