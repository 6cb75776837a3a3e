"""`%holysheep migrate`, `shadow` and `profile` in a real kernel."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from live_kernel import LiveKernel
from raw_server import RawServer, answer

OLD_KEY = "sk-old-key-0123456789"
SCRIPT = 'from openai import OpenAI\n\nclient = OpenAI(api_key="sk-Zq4t8Xw1Lm5Rk9Yb2Nc7Vd3")\n'


@pytest.fixture
def old() -> Iterator[RawServer]:
    """The old endpoint."""
    with RawServer() as raw:
        raw.play(answer("yes it is", pause_s=0.05))
        yield raw


@pytest.fixture
def there(kernel: LiveKernel, tmp_path: Path) -> Iterator[Path]:
    """A folder with a script, which the kernel works in."""
    (before,) = kernel.evaluate("[os.getcwd()]")
    kernel.run(
        f"os.environ.update(OLD_KEY={OLD_KEY!r}, XDG_STATE_HOME={str(tmp_path / 'state')!r})\n"
        f"os.environ.pop('JPY_SESSION_NAME', None)\nos.makedirs({str(tmp_path / 'work')!r})\n"
        f"os.chdir({str(tmp_path / 'work')!r})"
    )
    (tmp_path / "work" / "app.py").write_text(SCRIPT, "utf-8")
    yield tmp_path / "work"
    names = ("JPY_SESSION_NAME", "OLD_KEY", "XDG_STATE_HOME")
    kernel.run(f"os.chdir({before!r})\nfor name in {names!r}: os.environ.pop(name, None)")


def test_migrate_shows_a_table_writes_when_told_and_goes_back(kernel: LiveKernel, there: Path) -> None:
    shown = kernel.run("%holysheep migrate .").markdown
    assert shown.startswith("2 findings (2 exact) in 1 file; 1 file to rewrite.\n\n| place | what |")
    assert "<details><summary>The diff</summary>\n\n```diff\n" in shown
    assert shown.endswith("Nothing was written: `--write` does it.\n")
    assert (there / "app.py").read_text("utf-8") == SCRIPT
    written = kernel.run("%holysheep migrate . --write").markdown
    assert "Written: `app.py`.\n`%holysheep migrate --rollback` goes back." in written
    assert "HOLYSHEEP_API_KEY" in (there / "app.py").read_text("utf-8")
    assert kernel.run("%holysheep migrate --rollback").markdown == "Restored: `app.py`.\n"
    assert (there / "app.py").read_text("utf-8") == SCRIPT
    for text in (shown, written):
        assert "sk-Zq4t8" not in text
        assert str(there) not in text


@pytest.mark.parametrize("session", ["{folder}/open.ipynb", "elsewhere/open.ipynb"])
def test_the_notebook_that_is_open_is_not_rewritten(kernel: LiveKernel, there: Path, session: str) -> None:
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "outputs": [], "execution_count": None, "source": SCRIPT}
    notebook = json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    (there / "open.ipynb").write_text(notebook, "utf-8")
    kernel.run(f"os.environ['JPY_SESSION_NAME'] = {session.format(folder=there)!r}")
    for line in ("%holysheep migrate . --write", "%holysheep migrate open.ipynb --write"):
        (said,) = kernel.run(line).traceback
        assert said.startswith("UsageError: open.ipynb is open here, and what is not saved would be lost: save")
    assert (there / "open.ipynb").read_text("utf-8") == notebook
    assert (there / "app.py").read_text("utf-8") == SCRIPT
    assert kernel.run("%holysheep migrate . ").status == "ok"
    assert kernel.run("%holysheep migrate app.py --write").status == "ok"


def test_migrate_estimates_a_month(kernel: LiveKernel, there: Path) -> None:
    line = "%holysheep migrate --roi --monthly-tokens 1M,1M --old-price 2,8 --price 1,4"
    assert "Saved: 5.00 USD a month" in kernel.run(line).markdown
    assert kernel.run("%holysheep migrate").traceback == [
        "UsageError: Name the files or folders to look at, as in: %holysheep migrate src notebooks."
    ]
    (said,) = kernel.run("%holysheep migrate . --rite").traceback
    assert said.startswith("UsageError: %holysheep migrate: unrecognized arguments: --rite")


def write_prompts(folder: Path, count: int) -> None:
    (folder / "p q.jsonl").write_text("".join(f'{{"prompt": "Prompt {n}"}}\n' for n in range(count)), "utf-8")


def test_shadow_awaits_shows_the_report_and_saves_it(
    kernel: LiveKernel, there: Path, server: RawServer, old: RawServer
) -> None:
    write_prompts(there, 3)
    server.play(answer("yes it is"))
    cell = kernel.run(
        f"%holysheep shadow 'p q.jsonl' --old-base-url {old.base_url} --old-key-name OLD_KEY --old-model a"
    )
    assert cell.status == "ok"
    kinds = [next(iter(sorted(output.data))) for output in cell.outputs]
    assert kinds == ["text/plain", "text/markdown", "image/png", "image/png", "text/markdown"]
    assert cell.outputs[0].data["text/plain"] == "3 of 3 prompts are compared. The report is in p q.shadow.md."
    assert cell.outputs[0].updates == 4
    assert cell.outputs[1].data["text/markdown"].startswith("### Shadow: 127.0.0.1:")
    assert "- Answers that agree: 3 of 3 (100 %)" in cell.outputs[4].data["text/markdown"]
    assert (there / "p q.shadow.md").is_file()
    assert len(old.asked) == len(server.asked) == 3
    assert "key-0123456789" not in str([output.data for output in cell.outputs])


def test_the_interrupt_button_ends_shadow_and_keeps_what_came(
    kernel: LiveKernel, there: Path, server: RawServer, old: RawServer
) -> None:
    write_prompts(there, 30)
    server.play(answer("yes it is", pause_s=0.1))
    line = f"%holysheep shadow 'p q.jsonl' --old-base-url {old.base_url} --old-key-name OLD_KEY --old-model a"
    cell = kernel.begin(f"{line} --concurrency 1")
    kernel.wait_for(lambda: cell.text.startswith("3 of 30"), 20)
    kernel.interrupt()
    cell.wait()
    assert cell.traceback == ["KeyboardInterrupt: The wait was interrupted."]
    assert cell.text.startswith("Interrupted; ")
    kept = len((there / "p q.shadow.jsonl").read_text("utf-8").splitlines()) - 1
    assert kept >= 3
    assert cell.text.endswith(f"the same line again sends the other {30 - kept}.")
    before = len(old.asked)
    assert kernel.run(f"{line} --concurrency 10").status == "ok"
    assert len(old.asked) - before == 30 - kept


def test_profile_switches_the_whole_notebook_and_back(
    kernel: LiveKernel, there: Path, server: RawServer, old: RawServer
) -> None:
    server.play(answer("own"))
    kernel.run(f"%holysheep profile add other {old.base_url} OLD_KEY raw=there")
    assert kernel.run("%holysheep profile other").text.startswith(f"other answers: {old.base_url}, with OLD_KEY.")
    assert kernel.run("%%holysheep --new\nHi").markdown.startswith("yes it is")
    kernel.run("from holysheep_nb import Chat\nrun = await Chat().ask('Hi', show=False)")
    assert kernel.evaluate("[run.text]") == ["yes it is"]
    config = kernel.run("%holysheep config").text
    assert old.base_url in config
    assert "key (OLD_KEY)" in config
    assert [request.json["model"] for request in old.asked] == ["there", "there"]
    assert kernel.run("%holysheep profile holysheep").text.startswith("HolySheep answers: ")
    assert kernel.run("%%holysheep --new\nHi").markdown.startswith("own")
    assert {request.headers["authorization"] for request in old.asked} == {f"Bearer {OLD_KEY}"}
    assert OLD_KEY not in str([request.headers for request in server.requests])
    kernel.run("%holysheep profile other\n%reload_ext holysheep_nb")
    assert "   (answers)" in kernel.run("%holysheep profile").text.splitlines()[0]
