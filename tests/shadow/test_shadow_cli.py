"""`holysheep-nb shadow` on a terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from raw_server import answer
from two_ends import NEW_KEY, OLD_KEY, TwoEnds, asked

from holysheep_nb import cli

FIFTY = [f"Prompt {number}" for number in range(50)]


def words(ends: TwoEnds) -> list[str]:
    return ["shadow", str(ends.prompts), *ends.words, "--old-model", "a", "--model", "b"]


def test_it_says_how_far_it_is_and_ends_in_the_figures(ends: TwoEnds, capsys: pytest.CaptureFixture[str]) -> None:
    ends.write(["one", "two"])
    for server in (ends.old, ends.new):
        server.play(answer("yes"))
    assert cli.main(words(ends)) == 0
    shown = capsys.readouterr()
    assert shown.err.splitlines() == [f"{count} of 2 prompts are compared." for count in (0, 1, 2)]
    assert shown.out.startswith("## What it comes to\n\n- Median time to first token: ")
    assert shown.out.endswith(f"\nThe report is in {ends.folder / 'prompts.shadow.md'}.\n")
    assert sorted(path.name for path in ends.folder.iterdir()) == [
        "prompts.jsonl",
        "prompts.shadow-times.png",
        "prompts.shadow-tokens.png",
        "prompts.shadow.jsonl",
        "prompts.shadow.md",
    ]


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is a signal")
def test_ctrl_c_keeps_what_came_and_the_next_run_sends_the_rest(ends: TwoEnds) -> None:
    ends.write(FIFTY)
    for server in (ends.old, ends.new):
        server.play(answer("yes", pause_s=0.05))
    command = [sys.executable, "-m", "holysheep_nb", *words(ends), "--concurrency", "2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stderr is not None
        for line in child.stderr:
            if line.startswith("20 of 50"):
                child.send_signal(signal.SIGINT)
                break
        rest = child.stderr.read()
        assert child.wait(30) == cli.INTERRUPTED == 130
    assert "holysheep-nb: Interrupted; 2" in rest
    assert "Traceback" not in rest
    results = ends.folder / "prompts.shadow.jsonl"
    kept = len(results.read_text("utf-8").splitlines()) - 1
    assert 20 <= kept < 30
    before = len(ends.old.asked)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert len(ends.old.asked) - before == 50 - kept
    assert set(asked(ends.old)) == set(FIFTY)
    assert len(results.read_text("utf-8").splitlines()) == 51
    for key in (OLD_KEY, NEW_KEY):
        assert key not in f"{done.stdout}{done.stderr}{rest}"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--old-price", "1"], "two numbers with a comma between them are needed"),
        (["--old-price", "1,-1"], "the numbers are 0 or more"),
        (["--budget", "0"], "it is a number above 0"),
        (["--agree-at", "2"], "it is a number from 0 to 1"),
    ],
)
def test_a_wrong_option_is_said(ends: TwoEnds, more: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main([*words(ends), *more])
    assert said in capsys.readouterr().err


def test_an_address_without_the_name_of_its_key_is_refused(ends: TwoEnds, capsys: pytest.CaptureFixture[str]) -> None:
    ends.write(["one"])
    assert cli.main(["shadow", str(ends.prompts), "--old-base-url", ends.old.base_url]) == 2
    assert "with --old-key-name." in capsys.readouterr().err


def test_without_matplotlib_one_sentence_says_what_to_install(ends: TwoEnds) -> None:
    block = "import sys; sys.modules['matplotlib'] = None"
    code = f"{block}\nfrom holysheep_nb.cli import main\nsys.exit(main({words(ends)}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (
        1,
        'holysheep-nb: The plots need one more package: pip install "holysheep_nb[shadow]".\n',
    )
