"""Writing and going back: whole files, byte for byte, whatever happens in between."""

from __future__ import annotations

import json
import os
import random
import signal
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from migrate_snippets import snippets

from holysheep_nb.errors import HolySheepError, UsageError
from holysheep_nb.migrate import plan, roll_back, write
from holysheep_nb.migrate.journal import journal_folder
from holysheep_nb.migrate.report import Report
from holysheep_nb.migrate.secret import find_keys

CHANGING = [each for each in snippets() if each.after is not None]
KEY = "sk-Zq4t8Xw1Lm5Rk9Yb2Nc7Vd3"
SOURCE = f'import openai\n\nclient = openai.OpenAI(api_key="{KEY}")  # é\n'.encode()


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder of the test's own, and a project beside it to work in."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "state"


def corpus(folder: Path) -> dict[Path, bytes]:
    """The corpus as files, with their bytes."""
    files = {}
    for snippet in CHANGING:
        path = folder / snippet.name
        path.write_bytes(snippet.content)
        files[path] = snippet.content
    return files


def contents(files: dict[Path, bytes]) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in files}


def planned(name: str = "a.py", content: bytes = SOURCE) -> tuple[Path, Report]:
    path = Path(name)
    path.write_bytes(content)
    return path, plan([path])


def test_every_file_of_the_corpus_comes_back_byte_for_byte(tmp_path: Path) -> None:
    files = corpus(tmp_path / "project")
    report = plan([tmp_path / "project"])
    journal = write(report)
    assert journal is not None
    assert contents(files) == {tmp_path / "project" / each.name: each.expected for each in CHANGING}
    done = roll_back(journal)
    assert done.refused == ()
    assert set(done.restored) == set(files)
    assert contents(files) == files


def test_the_journal_goes_once_all_is_back(state: Path) -> None:
    _, report = planned()
    write(report)
    roll_back()
    assert [path for path in state.rglob("*") if path.is_file()] == []


def test_no_key_is_in_the_journal(tmp_path: Path) -> None:
    corpus(tmp_path / "project")
    journal = write(plan([tmp_path / "project"]))
    assert journal is not None
    text = json.dumps(json.loads(journal.read_bytes()), ensure_ascii=False)
    assert find_keys(text) == []
    assert "0123456789abcdef0123456789abcdef" not in text
    assert any(find_keys(each.content.decode()) for each in CHANGING)


def test_keys_and_journal_are_the_users_alone_and_outside_of_the_project(state: Path) -> None:
    _, report = planned()
    journal = write(report)
    assert journal is not None
    keys = journal.parent / "keys" / journal.name
    assert KEY in keys.read_text("utf-8")
    for file in (journal, keys):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert file.is_relative_to(state)
    assert stat.S_IMODE(keys.parent.stat().st_mode) == 0o700
    assert sorted(path.name for path in Path().iterdir()) == ["a.py"]


def test_permissions_and_links_stay(tmp_path: Path) -> None:
    target = tmp_path / "real.py"
    target.write_bytes(SOURCE)
    target.chmod(0o751)
    link = Path("a.py")
    link.symlink_to(target)
    write(plan([link]))
    assert link.is_symlink()
    assert b"HOLYSHEEP_API_KEY" in target.read_bytes()
    assert stat.S_IMODE(target.stat().st_mode) == 0o751
    (journal,) = journal_folder().glob("*.json")
    roll_back(journal)
    assert target.read_bytes() == SOURCE
    assert stat.S_IMODE(target.stat().st_mode) == 0o751


def test_a_file_that_was_edited_since_is_refused_with_what_was_edited(tmp_path: Path) -> None:
    files = corpus(tmp_path / "project")
    edited = tmp_path / "project" / "openai_client.py"
    journal = write(plan([tmp_path / "project"]))
    mine = edited.read_bytes() + f'more = "{KEY}"\n'.encode()
    edited.write_bytes(mine)
    done = roll_back(journal)
    (refusal,) = done.refused
    assert refusal.path == edited
    assert '+more = "(key removed)"' in refusal.diff
    assert KEY not in refusal.diff
    assert edited.read_bytes() == mine
    assert {path for path, old in files.items() if path.read_bytes() != old} == {edited}


def test_after_a_refusal_the_journal_still_works() -> None:
    path, report = planned()
    write(report)
    new = path.read_bytes()
    path.write_bytes(new + b"x = 1\n")
    assert roll_back().refused
    path.write_bytes(new)
    assert roll_back().refused == ()
    assert path.read_bytes() == SOURCE


def test_a_file_that_is_gone_is_refused() -> None:
    path, report = planned()
    write(report)
    path.unlink()
    (refusal,) = roll_back().refused
    assert refusal.diff == ""


def test_a_file_that_was_edited_after_the_report_is_not_written() -> None:
    path, report = planned()
    path.write_bytes(b"mine\n")
    with pytest.raises(HolySheepError, match=r"a\.py was edited while this ran: run it again\."):
        write(report)
    assert path.read_bytes() == b"mine\n"
    assert not journal_folder().exists()


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_said_and_the_rest_can_be_undone() -> None:
    first, _ = planned("a.py")
    Path("closed").mkdir()
    second, _ = planned("closed/b.py")
    report = plan([first, second])
    Path("closed").chmod(0o500)
    try:
        with pytest.raises(HolySheepError, match=r"closed/b\.py cannot be written \(Permission denied\)"):
            write(report)
    finally:
        Path("closed").chmod(0o700)
    assert first.read_bytes() != SOURCE
    roll_back()
    assert (first.read_bytes(), second.read_bytes()) == (SOURCE, SOURCE)


def test_without_a_journal_going_back_says_so() -> None:
    with pytest.raises(UsageError, match=r"^There is no journal of files below "):
        roll_back()


def test_the_newest_journal_is_that_of_this_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, report = planned()
    write(report)
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.chdir(other)
    with pytest.raises(UsageError):
        roll_back()
    elsewhere, report = planned()
    write(report)
    roll_back()
    assert elsewhere.read_bytes() == SOURCE
    assert (tmp_path / "project" / path).read_bytes() != SOURCE


@pytest.mark.parametrize("content", ["[]", "{}", "x", '{"version": 99, "files": []}'])
def test_another_file_is_no_journal(content: str) -> None:
    Path("j.json").write_text(content, "utf-8")
    with pytest.raises(UsageError, match=r"^j\.json is not a journal of this version"):
        roll_back("j.json")


def test_without_its_keys_nothing_is_put_back() -> None:
    path, report = planned()
    journal = write(report)
    assert journal is not None
    (journal.parent / "keys" / journal.name).unlink()
    new = path.read_bytes()
    with pytest.raises(HolySheepError, match="cannot be read: no file was put back"):
        roll_back()
    assert path.read_bytes() == new


def test_bytes_that_are_not_utf_8_come_back() -> None:
    content = b"# -*- coding: latin-1 -*-\nimport openai\nname = '\xe9'\nclient = openai.OpenAI()\n"
    path, report = planned(content=content)
    write(report)
    assert path.read_bytes() != content
    roll_back()
    assert path.read_bytes() == content


def test_keys_that_no_journal_needs_are_removed_by_the_next_write() -> None:
    folder = journal_folder() / "keys"
    folder.mkdir(parents=True)
    for name, age_s in (("old.json", 7200), ("new.json", 0)):
        (folder / name).write_text("{}", "utf-8")
        os.utime(folder / name, (time.time() - age_s,) * 2)
    _, report = planned()
    journal = write(report)
    assert journal is not None
    assert {path.name for path in folder.iterdir()} == {"new.json", journal.name}
    roll_back()


def kill_at(delay_s: float, work: Callable[[], object]) -> None:
    """Does the work in a child that is killed after a while."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    time.sleep(delay_s)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_killed_write_leaves_each_file_old_or_new_and_can_be_undone(tmp_path: Path) -> None:
    project = tmp_path / "project"
    files = corpus(project)
    report = plan([project])
    new = {change.path: change.new for change in report.changes}
    begin = time.monotonic()
    write(report)
    duration_s = time.monotonic() - begin
    roll_back()
    chance = random.Random(7)
    halfway = 0
    for _ in range(50):
        kill_at(chance.uniform(0, duration_s * 1.2), lambda: write(report))
        now = contents(files)
        assert {path for path in files if now[path] not in (files[path], new[path])} == set()
        halfway += any(now[path] == files[path] for path in files) and any(now[path] == new[path] for path in files)
        if list(journal_folder().glob("*.json")):
            assert roll_back().refused == ()
        assert contents(files) == files
        assert sorted(path.name for path in project.iterdir()) == sorted(path.name for path in files)
    assert halfway > 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_killed_rollback_can_be_run_again(tmp_path: Path) -> None:
    files = corpus(tmp_path / "project")
    report = plan([tmp_path / "project"])
    chance = random.Random(11)
    for _ in range(10):
        journal = write(report)
        assert journal is not None
        kill_at(chance.uniform(0, 0.05), roll_back)
        if journal.exists():
            assert roll_back(journal).refused == ()
        assert contents(files) == files
