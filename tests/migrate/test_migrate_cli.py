"""`holysheep-nb migrate` on a terminal."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from holysheep_nb import cli
from holysheep_nb.migrate import plan, require_extra

KEY = "sk-Zq4t8Xw1Lm5Rk9Yb2Nc7Vd3"
SOURCE = f'import openai\n\nclient = openai.OpenAI(api_key="{KEY}")\n'


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "a.py").write_text(SOURCE, "utf-8")
    monkeypatch.chdir(folder)
    return folder


def test_a_dry_run_shows_the_diff_and_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["migrate", "."]) == cli.FOUND == 3
    shown = capsys.readouterr().out
    assert '-client = openai.OpenAI(api_key="(key removed)")' in shown
    assert "+import os" in shown
    assert "a.py:3  exact   openai client" in shown
    assert shown.endswith("2 findings (2 exact) in 1 file; 1 file to rewrite.\nNothing was written: --write does it.\n")
    assert KEY not in shown
    assert Path("a.py").read_text("utf-8") == SOURCE


def test_writing_and_going_back(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["migrate", "a.py", "--write"]) == 0
    assert "Written. To go back: holysheep-nb migrate --rollback " in capsys.readouterr().out
    assert "HOLYSHEEP_API_KEY" in Path("a.py").read_text("utf-8")
    assert cli.main(["migrate", "."]) == 0
    assert "Nothing to move in 1 file." in capsys.readouterr().out
    assert cli.main(["migrate", "--rollback"]) == 0
    assert "Restored: " in capsys.readouterr().out
    assert Path("a.py").read_text("utf-8") == SOURCE


def test_going_back_over_an_edit_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["migrate", ".", "--write"])
    with Path("a.py").open("a", encoding="utf-8") as file:
        file.write("mine = 1\n")
    assert cli.main(["migrate", "--rollback"]) == 1
    shown = capsys.readouterr().out
    assert "Left as it is, for it was edited or moved since: " in shown
    assert "+mine = 1" in shown


def test_json_holds_the_report_and_the_journal(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["migrate", ".", "--write", "--json"]) == 0
    shown = capsys.readouterr().out
    report = json.loads(shown)
    assert report["counts"] == {"exact": 2, "review": 0, "manual": 0}
    assert report["findings"][0]["line"] == 3
    assert KEY not in shown
    assert cli.main(["migrate", "--rollback", report["journal"], "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"restored": [str(Path("a.py").resolve())], "refused": []}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Name the files or folders to look at"),
        (["missing"], "There is no file or folder missing."),
        ([".", "--rollback", "x", "--write"], "--rollback takes a journal"),
        ([".", "--models", "none.json"], "The table of models none.json cannot be read"),
    ],
)
def test_wrong_usage_is_said(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["migrate", *arguments]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("table", ["[]", '{"gpt-4": 4}', '{"gpt-4": ""}', "{"])
def test_a_wrong_table_is_said(table: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("models.json").write_text(table, "utf-8")
    assert cli.main(["migrate", ".", "--models", "models.json"]) == 2
    assert "The table of models models.json" in capsys.readouterr().err


def test_an_address_that_must_not_get_the_key_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["migrate", ".", "--base-url", "http://example.org/v1"]) == 1
    assert "The key is not sent over plain http" in capsys.readouterr().err


def test_markdown_is_a_table_without_keys() -> None:
    Path("b.py").write_text('import openai\nc = openai.OpenAI(**{"a|b": `1`})\n'.replace("`", ""), "utf-8")
    markdown = plan(["."]).to_markdown()
    assert markdown.startswith("3 findings (2 exact, 1 manual) in 2 files; 1 file to rewrite.\n\n| place | what |")
    assert '| a.py:3 | openai client | exact | `client = openai.OpenAI(api_key="(key removed)")` | `client' in markdown
    assert "a\\|b" in markdown
    assert KEY not in markdown
    rows = [line.replace("\\|", "") for line in markdown.splitlines() if line.startswith("|")]
    assert {row.count("|") for row in rows} == {7}


def test_without_the_extra_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    code = (
        "import sys; sys.modules['libcst'] = None\nfrom holysheep_nb.cli import main; sys.exit(main(['migrate', '.']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr == 'holysheep-nb: This needs more packages: pip install "holysheep_nb[migrate]".\n'
    require_extra()
