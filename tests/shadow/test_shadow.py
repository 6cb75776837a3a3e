"""Two endpoints compared: figures that the servers' own logs bear out, and runs that can be gone on with."""

from __future__ import annotations

import concurrent.futures
import itertools
import statistics
from dataclasses import dataclass

import pytest
from raw_server import RESET, RawServer, answer, calling, chunk, json_answer, sse_head
from two_ends import NEW_KEY, OLD_KEY, TwoEnds, asked

from holysheep_nb.config import Endpoint
from holysheep_nb.errors import ConfigurationError, MissingKeyError, UsageError
from holysheep_nb.kernel import stream_thread, wait_blocking
from holysheep_nb.profiles import Profile, profiles

FIFTY = [f"Prompt {number}" for number in range(50)]
REFUSED = json_answer({"error": {"message": "too long for me"}}, status="400 Bad Request")


@dataclass
class Logged:
    """What a server wrote down about a request: seconds from its arrival to what went out."""

    first_s: float
    gaps_s: list[float]
    last_s: float


def log_of(server: RawServer) -> dict[str, Logged]:
    """By prompt."""
    logs = {}
    for request in server.asked:
        # The head and the role go out before the texts, the finish, the usage and [DONE] after them.
        texts = request.sent_at[2:-3]
        gaps = [after - before for before, after in itertools.pairwise(texts)]
        prompt = request.json["messages"][-1]["content"]
        logs[prompt] = Logged(texts[0] - request.at, gaps, request.sent_at[-1] - request.at)
    return logs


def test_the_figures_of_fifty_prompts_agree_with_the_servers_own_logs(ends: TwoEnds) -> None:
    ends.write(FIFTY)
    for number in range(50):
        ends.old.play(answer("one ", "two ", "three ", "four", pause_s=0.04 + number / 500, usage=(7, 4)))
        ends.new.play(answer("one ", "two ", "three ", "five", pause_s=0.02 + number / 1000, usage=(6, 5)))
    comparison = ends.compare("--concurrency", "5", "--old-price", "2,8", "--price", "1,4")
    figures = comparison.report().figures
    for server, name, figure in ((ends.old, "old", figures.old), (ends.new, "new", figures.new)):
        assert sorted(asked(server)) == sorted(FIFTY)
        logs = log_of(server)
        late, apart = [], []
        for row in figures.rows:
            seen, log = getattr(row.pair, name), logs[row.prompt.label]
            # Nothing is seen before it was sent; times are rounded to a tenth of a millisecond.
            assert log.first_s - 0.0001 <= seen.first_delta_s
            assert log.last_s - 0.0001 <= seen.total_s
            assert len(seen.gaps_s) == 3
            late += [seen.first_delta_s - log.first_s, seen.total_s - log.last_s]
            apart.append(abs(sum(seen.gaps_s) - sum(log.gaps_s)))
        assert statistics.median(late) < 0.05
        assert statistics.median(apart) < 0.05
        assert figure.first_delta_s == pytest.approx(statistics.median(log.first_s for log in logs.values()), abs=0.05)
        assert figure.total_s == pytest.approx(statistics.median(log.last_s for log in logs.values()), abs=0.05)
        gaps = sorted(gap for log in logs.values() for gap in log.gaps_s)
        assert figure.gap_p95_s == pytest.approx(gaps[142], abs=0.05)
        assert figure.failures == 0
    assert (figures.old.input_tokens, figures.old.output_tokens) == (350, 200)
    assert (figures.new.input_tokens, figures.new.output_tokens) == (300, 250)
    assert figures.old.cost is not None
    assert figures.new.cost is not None
    assert figures.old.cost.usd == pytest.approx((350 * 2 + 200 * 8) / 1e6)
    assert figures.new.cost.usd == pytest.approx((300 * 1 + 250 * 4) / 1e6)
    assert (figures.similarity, figures.agreeing) == (0.75, 0)


def test_interrupted_at_twenty_and_resumed_it_sends_only_the_other_thirty(ends: TwoEnds) -> None:
    ends.write(FIFTY)
    for server in (ends.old, ends.new):
        server.play(answer("yes", pause_s=0.02))
    comparison = ends.open("--concurrency", "1")

    def stop_at_twenty(_: str) -> None:
        if comparison.shadow.done == 20:
            comparison.stop()

    with pytest.raises(concurrent.futures.CancelledError):
        wait_blocking(stream_thread.submit(comparison.run(stop_at_twenty)))
    assert comparison.interrupted == (
        "Interrupted; 20 of 50 prompts are compared. What came is kept: the same line again sends the other 30."
    )
    before = len(ends.old.asked), len(ends.new.asked)
    resumed = ends.compare("--concurrency", "4")
    for server, count in zip((ends.old, ends.new), before, strict=True):
        assert sorted(asked(server)[count:]) == sorted(FIFTY[20:])
    assert len(resumed.report().figures.answered) == 50


def test_a_finished_comparison_sends_nothing_more(ends: TwoEnds) -> None:
    ends.write(["one"])
    ends.old.play(answer("a"))
    ends.new.play(answer("a"))
    ends.compare()
    ends.compare()
    assert (len(ends.old.asked), len(ends.new.asked)) == (1, 1)


def test_no_more_prompts_than_the_limit_are_underway(ends: TwoEnds) -> None:
    ends.write(FIFTY[:9])
    for server in (ends.old, ends.new):
        server.play(answer("yes", pause_s=0.05))
    ends.compare("--concurrency", "3")
    times = [(request.at, 1) for request in ends.old.asked]
    times += [(request.sent_at[-1], -1) for request in ends.old.asked]
    underway, most = 0, 0
    for _, step in sorted(times):
        underway += step
        most = max(most, underway)
    assert most == 3


def test_what_fails_on_one_side_is_counted_with_its_sentence_and_sent_again_only_when_told(ends: TwoEnds) -> None:
    ends.write(["one", "two", "three"])
    for steps in (answer("a"), REFUSED, [sse_head(), chunk("so "), RESET], answer("a")):
        ends.old.play(steps)
    ends.new.play(answer("a"))
    figures = ends.compare("--concurrency", "1").report().figures
    assert (figures.old.failures, figures.new.failures, len(figures.answered)) == (2, 0, 1)
    problems = [row.pair.old.problem for row in figures.rows]
    assert problems[0] == ""
    assert "too long for me" in problems[1]
    assert "the answer is cut off" in problems[2]
    ends.compare()
    assert len(ends.old.asked) == 3
    again = ends.compare("--again", "--concurrency", "1").report().figures
    assert asked(ends.old)[3:] == ["two", "three"]
    assert (again.old.failures, len(again.answered)) == (0, 3)


def test_each_side_gets_its_own_key_and_model_and_everything_else_alike(ends: TwoEnds) -> None:
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
    messages = [{"role": "user", "content": "Look"}]
    ends.write([{"messages": messages, "tools": tools, "temperature": 0, "system": "Be brief.", "stream": False}])
    ends.old.play(calling(("look", '{"a": 1, "b": [2]}')))
    ends.new.play(calling(("look", '{"b":[2],"a":1}')))
    (row,) = ends.compare().report().figures.rows
    (old,), (new,) = ends.old.asked, ends.new.asked
    assert old.headers["authorization"] == f"Bearer {OLD_KEY}"
    assert new.headers["authorization"] == f"Bearer {NEW_KEY}"
    assert (old.json.pop("model"), new.json.pop("model")) == ("old-large", "new-large")
    body = {name: value for name, value in old.json.items() if name != "model"}
    assert body == {name: value for name, value in new.json.items() if name != "model"}
    assert body["tools"] == tools
    assert body["stream"] is True
    assert [each["role"] for each in body["messages"]] == ["system", "user"]
    assert row.likeness is not None
    assert (row.likeness.kind, row.likeness.agrees) == ("calls", True)


def test_a_prompt_s_own_model_is_asked_where_no_other_is_named(ends: TwoEnds, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLYSHEEP_MODEL", "set-here")
    ends.write([{"prompt": "one", "model": "its-own"}, "two"])
    for server in (ends.old, ends.new):
        server.play(answer("a"))
    with pytest.raises(UsageError, match=r"names no model for 127\.0\.0\.1:\d+: name one with --old-model"):
        ends.compare("--old-model", "", "--model", "")
    ends.compare("--old-model", "all", "--model", "", "--concurrency", "1")
    assert [request.json["model"] for request in ends.old.asked] == ["all", "all"]
    assert [request.json["model"] for request in ends.new.asked] == ["its-own", "set-here"]


def test_a_budget_ends_the_comparison_before_it_costs_more(ends: TwoEnds) -> None:
    ends.write(FIFTY)
    for server in (ends.old, ends.new):
        server.play(answer("yes", usage=(10, 10)))
    # 20 tokens at 1,000 USD a million are 0.02 USD a side.
    prices = ("--old-price", "1000,1000", "--price", "1000,1000")
    comparison = ends.compare("--budget", "0.13", "--concurrency", "1", *prices)
    assert len(ends.old.asked) == 3
    assert "The others were not sent: the budget is used up." in comparison.report().to_markdown()
    ends.compare("--budget", "0.13", *prices)
    assert len(ends.old.asked) == 3


def test_a_budget_needs_both_prices(ends: TwoEnds) -> None:
    ends.write(["one"])
    with pytest.raises(UsageError, match=r"A budget needs prices, and old-large at 127\.0\.0\.1:\d+ has none"):
        ends.open("--budget", "1", "--price", "1,1")
    with pytest.raises(UsageError, match=r"A budget needs prices, and new-large at"):
        ends.open("--budget", "1", "--old-price", "1,1")


def test_a_key_stands_in_no_prompt_result_or_report(ends: TwoEnds) -> None:
    ends.write(["one"])
    ends.old.play(answer(f"I saw {OLD_KEY[:9]}", f"{OLD_KEY[9:]} today"))
    ends.new.play(json_answer({"error": {"message": f"what is {NEW_KEY}?"}}, status="400 Bad Request"))
    comparison = ends.compare()
    comparison.report().save(comparison.report_path)
    written = [path.read_bytes() for path in ends.folder.iterdir()]
    assert len(written) == 5
    for key in (OLD_KEY, NEW_KEY):
        assert not any(key.encode() in content for content in written)
    assert b"(OLD_KEY)" in comparison.shadow.results.path.read_bytes()
    ends.write([f"Is {OLD_KEY} yours?"])
    with pytest.raises(UsageError, match=r"^A prompt contains the value of OLD_KEY: take it out\.$"):
        ends.open()
    assert len(ends.new.asked) == 1


def test_one_key_does_not_go_to_two_hosts(ends: TwoEnds) -> None:
    ends.write(["one"])
    with pytest.raises(UsageError, match=r"^HOLYSHEEP_API_KEY belongs to 127\.0\.0\.1:\d+: name another variable"):
        ends.open("--old-key-name", "HOLYSHEEP_API_KEY")


def test_what_is_missing_is_said_before_anything_is_sent(ends: TwoEnds, monkeypatch: pytest.MonkeyPatch) -> None:
    ends.write(["one"])
    with pytest.raises(ConfigurationError, match="A key is named by its environment variable"):
        ends.open("--old-key-name", OLD_KEY)
    monkeypatch.delenv("OLD_KEY")
    with pytest.raises(MissingKeyError, match="There is no API key: set OLD_KEY"):
        ends.open()
    with pytest.raises(UsageError, match=r"--concurrency needs a number above 0\."):
        ends.open("--concurrency", "0")
    assert (ends.old.asked, ends.new.asked) == ([], [])


def test_the_old_endpoint_is_openai_or_a_profile_or_an_address(ends: TwoEnds, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", OLD_KEY)
    ends.write(["one"])
    words, mine = ends.words, Profile("mine", ends.old.base_url, "OLD_KEY")
    monkeypatch.setattr(TwoEnds, "words", [])
    assert ends.open().shadow.old.endpoint == Endpoint("https://api.openai.com/v1", "OPENAI_API_KEY")
    with pytest.raises(UsageError, match="There is no profile 'mine': name the old endpoint with --old-base-url"):
        ends.open("--old-profile", "mine")
    monkeypatch.setitem(profiles.added, "mine", mine)
    assert ends.open("--old-profile", "mine").shadow.old.endpoint == Endpoint(ends.old.base_url, "OLD_KEY")
    with pytest.raises(UsageError, match="leave one out"):
        ends.open("--old-profile", "mine", *words)


def test_a_profile_that_is_in_use_changes_neither_side(ends: TwoEnds, monkeypatch: pytest.MonkeyPatch) -> None:
    ends.write(["one"])
    for server in (ends.old, ends.new):
        server.play(answer("a"))
    monkeypatch.setattr(profiles, "active", Profile("mine", "https://mine.example/v1", "MINE", {"*": "other"}))
    ends.compare()
    assert [server.asked[0].json["model"] for server in (ends.old, ends.new)] == ["old-large", "new-large"]
