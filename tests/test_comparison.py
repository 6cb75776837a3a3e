"""Several models asked at once, without a notebook."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from raw_server import HANG, RawServer, answer, chunk, json_answer, sse_head

from holysheep_nb import Chat, HolySheepError
from holysheep_nb.difference import find_difference
from holysheep_nb.errors import UsageError
from holysheep_nb.view.frozen_comparison import comparison_markdown, frozen_comparison


def test_all_models_are_asked_at_once_with_the_same_messages(at_server: RawServer) -> None:
    at_server.play(answer("a", "b", pause_s=0.2))
    chat = Chat()
    chat.ask("Before").result()
    began = time.monotonic()
    comparison = chat.compare("Which?", models=["a", "b", "c"]).result()
    assert time.monotonic() - began < 1.0
    assert [run.text for run in comparison] == ["ab"] * 3
    asked = [request.json for request in at_server.asked[1:]]
    assert sorted(each["model"] for each in asked) == ["a", "b", "c"]
    assert [[m["content"] for m in each["messages"]] for each in asked] == [["Before", "ab", "Which?"]] * 3


def test_two_complete_beside_one_that_fails(at_server: RawServer) -> None:
    at_server.play(answer("one"))
    at_server.play(json_answer({"error": {"message": "busy"}}, "500 Internal Server Error"))
    at_server.play(answer("three"))
    chat = Chat()
    chat.settings.max_attempts = 1
    comparison = chat.compare("Which?", models=["a", "b", "c"]).result()
    assert sorted(run.status for run in comparison) == ["complete", "complete", "failed"]
    assert comparison.error is None


def test_only_if_all_fail_is_an_error_raised(at_server: RawServer) -> None:
    at_server.play(json_answer({"error": {"message": "busy"}}, "500 Internal Server Error"))
    chat = Chat()
    chat.settings.max_attempts = 1
    with pytest.raises(HolySheepError, match=r"^None of 2 models answered\. a: .*500"):
        chat.compare("Which?", models=["a", "b"]).result()


def test_later_prompts_go_on_from_the_first_complete_answer_until_one_is_kept(at_server: RawServer) -> None:
    at_server.play(answer("one"))
    at_server.play(answer("two"))
    chat = Chat()
    comparison = chat.compare("Which?", models=["a", "b"], cell="x").result()
    assert comparison.kept is None
    first, second = (run.text for run in comparison.runs)
    chat.ask("And?", cell="y").result()
    comparison.keep("b")
    chat.ask("And?", cell="y").result()
    comparison.keep(0)
    chat.ask("And?", cell="y").result()
    sent = [[m["content"] for m in request.json["messages"]] for request in at_server.asked[2:]]
    assert sent == [["Which?", text, "And?"] for text in (first, second, first)]
    assert {first, second} == {"one", "two"}


def test_a_cell_that_was_run_again_meanwhile_goes_on_from_what_it_has_now(at_server: RawServer) -> None:
    at_server.play(sse_head(), chunk("slow"), 0.5, chunk(" one"), *answer()[-3:])
    chat = Chat()
    comparison = chat.compare("Which?", models=["a", "b"], cell="x")
    at_server.wait_for_request(2)
    at_server.play(answer("new"))
    chat.ask("Which now?", cell="x").result()
    comparison.result()
    chat.ask("And?", cell="y").result()
    assert [m["content"] for m in at_server.asked[-1].json["messages"]] == ["Which now?", "new", "And?"]


def test_stop_ends_all_and_keeps_what_came(at_server: RawServer) -> None:
    at_server.play(sse_head(), chunk("so far"), HANG)
    comparison = Chat().compare("Which?", models=["a", "b"])
    while not all(run.text for run in comparison):
        time.sleep(0.005)
    comparison.stop()
    comparison.result()
    assert [(run.status, run.text) for run in comparison] == [("stopped", "so far")] * 2
    assert comparison.answer is None
    assert comparison.keep(1).model == "raw"


def test_the_figures_are_a_frame_with_a_row_for_each(at_server: RawServer) -> None:
    pytest.importorskip("pandas")
    at_server.play(answer("one", "two"))
    comparison = Chat().compare("Which?", models=["a", "b"]).result()
    frame = comparison.to_frame()
    assert list(frame["model"]) == ["a", "b"]
    assert list(frame["tokens"]) == [5, 5]
    assert set(frame.columns) >= {"state", "first_delta_s", "deltas_per_s", "seconds", "cost", "is_kept", "text"}


def test_best_finds_the_least_or_the_most(at_server: RawServer) -> None:
    at_server.play(answer("short"))
    comparison = Chat().compare("Which?", models=["a", "b"]).result()
    quick, slow = comparison.runs
    quick.timing.total_s, slow.timing.total_s = 1.0, 2.0
    assert comparison.best("seconds") is quick
    assert comparison.best(lambda run: run.timing.seconds) is slow
    with pytest.raises(UsageError, match="There is no figure 'price': it is one of first_delta_s, "):
        comparison.best("price")


def test_what_cannot_be_compared_is_refused_before_anything_is_sent(at_server: RawServer) -> None:
    chat = Chat()
    with pytest.raises(UsageError, match=r"Name 2 to 8 models to compare; here are 1\."):
        chat.compare("Which?", models=["a"])
    with pytest.raises(UsageError, match="A cassette holds one answer"):
        chat.compare("Which?", models=["a", "b"], record="x.json")
    assert at_server.requests == []


def test_a_run_is_found_by_place_and_name(at_server: RawServer) -> None:
    at_server.play(answer("x"))
    comparison = Chat().compare("Which?", models=["a", "a", "b"]).result()
    assert comparison.names == ["a (1)", "a (2)", "b"]
    assert comparison["a (2)"] is comparison[1] is comparison.runs[1]
    assert comparison[-1] is comparison["b"]
    with pytest.raises(UsageError, match=r"There is no 'c' in this comparison: it is a place from 0, or a \(1\), "):
        comparison["c"]


def test_the_frozen_output_is_a_table_and_the_answers_under_headings(at_server: RawServer) -> None:
    at_server.play(answer("An **answer** | with a bar"))
    comparison = Chat().compare("Which?", models=["a|b", "<img src=x>"], cell="x").result()
    comparison.keep(0)
    markdown = comparison_markdown(comparison)
    assert markdown.startswith("| model | first token | tokens/s | tokens | cost | time | state |\n|---|")
    assert re.search(r"\n\| \*\*a&#124;b\*\* \| \d+\.\d+ s", markdown)
    assert "\n| &lt;img src=x&gt; | " in markdown
    assert "\n\n### a|b · kept\n\nAn **answer** | with a bar" in markdown
    assert "<img" not in markdown
    assert "Later cells go on from a|b, which was kept." in markdown
    data, metadata = frozen_comparison(comparison)
    assert data["text/plain"].startswith("a|b (kept):\nAn **answer**")
    kept = metadata["holysheep"]
    assert kept["turns"][-1]["parts"][0]["text"] == "An **answer** | with a bar"
    assert [len(column["turns"]) for column in kept["columns"]] == [0, 2]
    assert (kept["kept"], kept["cell"]) == (0, "x")


def test_a_difference_has_every_word_of_both_texts() -> None:
    left, right = "Prefer the merge join:\nboth are sorted.", "Prefer a hash join: both are sorted. Always."
    found = find_difference(left, right)
    assert found.pieces == (
        ("same", "Prefer"),
        ("left", " the merge"),
        ("right", " a hash"),
        ("same", " join: both are sorted."),
        ("right", " Always."),
    )
    assert not found.is_cut


def test_a_difference_of_long_texts_is_cut_and_says_so() -> None:
    began = time.monotonic()
    found = find_difference("the cat " * 50_000, "the dog " * 50_000)
    assert found.is_cut
    assert time.monotonic() - began < 10


def test_a_terminal_prints_each_answer_under_its_model(at_server: RawServer, tmp_path: Path) -> None:
    at_server.play(answer("An answer."))
    script = tmp_path / "cells.ipy"
    script.write_text(
        "%load_ext holysheep_nb\n"
        "get_ipython().run_cell_magic('holysheep', '-m a -m b --out both', 'Which?')\n"
        "both.keep(1)\nprint(both)\n"
    )
    command = [sys.executable, "-m", "IPython", "--no-banner", "--colors=NoColor", str(script)]
    environment = {**os.environ, "IPYTHONDIR": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    assert (done.stderr, done.stdout.count("An answer.")) == ("", 2)
    assert {"## a", "## b"} <= set(done.stdout.splitlines())
    assert "Later cells go on from a, as none was kept" in done.stdout
    assert "Later cells go on from b, which was kept." in done.stdout
