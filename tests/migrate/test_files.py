"""Which files are looked at, and that code without models is left alone."""

from __future__ import annotations

import sysconfig
import time
from pathlib import Path

import pytest

from holysheep_nb.errors import UsageError
from holysheep_nb.migrate.files import find_files
from holysheep_nb.migrate.models import load_models
from holysheep_nb.migrate.scan import scan_file


def make(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x = 1\n", "utf-8")


def names(folder: Path, *paths: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in find_files(paths or [folder])]


def test_scripts_and_notebooks_are_found_in_order_and_once(tmp_path: Path) -> None:
    make(tmp_path, "b.py", "a.ipynb", "c.txt", "d/e.py")
    assert names(tmp_path, tmp_path, tmp_path / "b.py") == ["a.ipynb", "b.py", "d/e.py"]


def test_what_gitignore_leaves_out_is_left_out(tmp_path: Path) -> None:
    make(tmp_path, ".git/x.py", "a.py", "build/b.py", "sub/c.py", "sub/keep.py", "sub/deep/d.py", "e_tmp.py")
    (tmp_path / ".gitignore").write_text("build/\n*_tmp.py\nsub/*.py\n", "utf-8")
    (tmp_path / "sub/.gitignore").write_text("!keep.py\ndeep\n", "utf-8")
    assert names(tmp_path) == ["a.py", "sub/keep.py"]
    assert names(tmp_path, tmp_path / "sub") == ["sub/keep.py"]


def test_a_file_that_is_named_is_taken_all_the_same(tmp_path: Path) -> None:
    make(tmp_path, "a.py")
    (tmp_path / ".gitignore").write_text("a.py\n", "utf-8")
    assert names(tmp_path) == []
    assert names(tmp_path, tmp_path / "a.py") == ["a.py"]


def test_environments_and_hidden_folders_are_left_out(tmp_path: Path) -> None:
    make(
        tmp_path,
        "env/lib/a.py",
        ".venv/b.py",
        "node_modules/c.py",
        "x/site-packages/d.py",
        ".ipynb_checkpoints/e.ipynb",
    )
    (tmp_path / "env/pyvenv.cfg").write_text("home = /usr/bin\n", "utf-8")
    assert names(tmp_path) == []


def test_a_link_in_a_circle_ends(tmp_path: Path) -> None:
    make(tmp_path, "a/b.py")
    (tmp_path / "a/again").symlink_to(tmp_path, target_is_directory=True)
    assert names(tmp_path) == ["a/b.py"]


@pytest.mark.parametrize(("name", "said"), [("missing", "There is no file or folder"), ("a.txt", "is neither")])
def test_another_path_is_refused(tmp_path: Path, name: str, said: str) -> None:
    make(tmp_path, "a.txt")
    with pytest.raises(UsageError, match=said):
        find_files([tmp_path / name])


def test_nothing_is_found_in_code_without_models() -> None:
    library, packages = (Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib"))
    # These hold words the scan looks for, and so are parsed.
    telling = [packages / "cryptography/hazmat/primitives/serialization/ssh.py", packages / "httpx_sse/_decoders.py"]
    chosen = [*sorted(library.glob("*.py"))[:60], *sorted((library / "asyncio").glob("*.py"))[:15]]
    for package in ("httpx", "traitlets", "jinja2", "requests"):
        chosen += sorted((packages / package).rglob("*.py"))[:10]
    chosen += [path for path in telling if path.is_file()]
    assert len(chosen) >= 100
    models = load_models()
    begin = time.monotonic()
    found = {path: scan_file(path, path.read_bytes(), models) for path in chosen}
    assert time.monotonic() - begin < 20
    assert {path for path, (findings, change) in found.items() if findings or change} == set()


def test_words_of_models_alone_are_no_finding() -> None:
    source = Path(__file__).with_name("corpus") / "mentions_only.py.txt"
    assert scan_file(Path("a.py"), source.read_bytes().split(b"=== findings")[0], load_models())[1] is None
