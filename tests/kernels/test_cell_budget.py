"""In a real kernel: a budget ends an answer in the page, keys complete, and `?` shows the page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from live_kernel import LiveKernel
from raw_server import HANG, RawServer, answer, chunk, sse_head

PRICES = "%config HolySheepMagics.prices = {'raw': (0, 1000)}"
FRESH = "from holysheep_nb import tally\nfrom holysheep_nb.pricing import meter, spending\nspending.__init__()"
ENDLESS = [sse_head(), *(chunk(f" w{number}") for number in range(500)), HANG]


def test_a_budget_ends_the_answer_and_refuses_the_next_without_a_request(kernel: LiveKernel, server: RawServer) -> None:
    server.play(ENDLESS)
    kernel.run(f"{FRESH}\n{PRICES}\n%config HolySheepMagics.budget = 0.05")
    cell = kernel.begin("%%holysheep\nHi")
    widget = cell.widget()
    cell.wait()
    assert cell.status == "error"
    assert widget.state["status"]["state"] == "budget"
    assert widget.state["status"]["message"].startswith("The notebook's budget of $0.05 is used up")
    assert widget.state["stats"]["cost"] == "≈ $0.05"
    server.wait_for_disconnect(server.asked[0])
    widget.say("bye")
    assert "ended by its budget" in cell.markdown
    assert cell.markdown.count(" w") <= 55
    assert cell.run_metadata["cost"]["usd"] == pytest.approx(0.05)
    refused = kernel.run("%%holysheep\nAnd now?")
    assert refused.traceback == [
        "UsageError: The notebook's budget of $0.05 is used up ($0.05 spent): nothing was sent. "
        "`%config HolySheepMagics.budget = USD` sets another."
    ]
    assert len(server.requests) == 1


def test_the_button_resumes_nothing_that_the_budget_does_not_allow(kernel: LiveKernel, server: RawServer) -> None:
    server.play(sse_head(), *(chunk(f" w{number}") for number in range(40)))
    kernel.run(f"{FRESH}\n{PRICES}\n%config HolySheepMagics.budget = 1.0")
    cell = kernel.begin("%%holysheep --no-raise\nHi")
    widget = cell.widget()
    cell.wait()
    kernel.wait_for(lambda: widget.state["status"]["state"] == "truncated")
    assert widget.state["status"]["can_resume"]
    # A cell that is run takes the button away.
    kernel.evaluate("setattr(get_ipython().magics_manager.registry['HolySheepMagics'], 'budget', 0.01)")
    count = len(server.requests)
    widget.say("resume")
    kernel.wait_for(lambda: widget.state["status"]["message"].startswith("The notebook's budget of $0.01 is used up"))
    assert widget.state["status"]["state"] == "truncated"
    assert widget.state["status"]["can_resume"]
    assert len(server.requests) == count


def test_a_finished_answer_tells_the_page_what_it_cost(kernel: LiveKernel, server: RawServer) -> None:
    server.play(answer("a"))
    cell = kernel.begin("%%holysheep\nHi")
    widget = cell.widget()
    cell.wait()
    assert widget.state["stats"]["cost"] == "cost unknown"
    assert "3 + 5 tokens · cost unknown · " in cell.markdown


@pytest.fixture
def client(kernel: LiveKernel) -> Iterator[BlockingKernelClient]:
    """A second front end, which asks one thing after the other."""
    client = kernel._manager.blocking_client()
    client.start_channels()
    client.wait_for_ready(timeout=20)
    yield client
    client.stop_channels()


def test_a_kernel_completes_the_lines_of_the_magic(
    kernel: LiveKernel, client: BlockingKernelClient, server: RawServer
) -> None:
    kernel.run("def find_order(n: int) -> str: ...")
    for code, expected in (
        ("%%holysheep --max-c", ["--max-cost"]),
        ("%%holysheep gpt-4.", ["gpt-4.1"]),
        ("%%holysheep -T find", ["find_order"]),
        ("%holysheep vers", ["version"]),
    ):
        reply = client.complete(code, reply=True, timeout=20)["content"]
        assert reply["matches"] == expected
        assert code[reply["cursor_start"] :] == code.split()[-1]
    assert server.requests == []


def test_a_kernel_shows_the_page_of_the_magic(kernel: LiveKernel, client: BlockingKernelClient) -> None:
    reply = client.inspect("%%holysheep", reply=True, timeout=20)["content"]
    assert "Why is the sky blue?" in reply["data"]["text/plain"]
    shown = kernel.run("%%holysheep?")
    assert "--max-cost" in shown.reply["payload"][0]["data"]["text/plain"]
