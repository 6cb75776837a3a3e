"""What goes over the comm: patches, documents, and when the widget is closed."""

from __future__ import annotations

import pytest
from live_kernel import WIDGET_VIEW, LiveKernel, text_of
from raw_server import HANG, RawServer, answer, chunk, sse_head

WORDS = [f"word{n} " for n in range(400)]


@pytest.mark.usefixtures("clicks_in_mid_cell")
def test_the_first_delta_is_sent_at_once(kernel: LiveKernel, server: RawServer) -> None:
    server.play([sse_head(), chunk("first"), HANG])
    cell = kernel.begin("%%holysheep\nHi")
    widget = cell.widget()
    kernel.wait_for(lambda: widget.text == "first")
    assert widget.patches[0][0] - server.asked[0].sent_at[1] < 0.1
    widget.say("stop")
    cell.wait()


def test_patches_come_at_a_bounded_rate_without_a_gap_and_give_the_whole_text(
    kernel: LiveKernel, server: RawServer
) -> None:
    server.play(answer(*WORDS, pause_s=0.005))
    kernel.run("%%holysheep --out kept\nHi")
    (widget,) = kernel.widgets
    seconds = widget.patches[-1][0] - widget.patches[0][0]
    assert seconds > 1.5
    assert len(widget.patches) / seconds <= 35
    assert len(widget.patches) / seconds >= 15
    assert [patch["seq"] for _, patch in widget.patches] == list(range(1, len(widget.patches) + 1))
    text = kernel.evaluate("kept.text")
    assert text == "".join(WORDS)
    assert widget.text == text
    final = widget.documents[-1]
    assert final["seq"] == len(widget.patches)
    assert final["parts"] == widget.parts
    assert len(widget.documents) == 1
    sent = sum(len(op[2]) for _, patch in widget.patches for op in patch["ops"] if op[0] == "append")
    assert sent <= len(text)


def test_five_thousand_deltas_at_once_come_in_few_patches(kernel: LiveKernel, server: RawServer) -> None:
    server.play([*answer()[:2], b"".join(chunk(f"{n} ") for n in range(5000)), *answer()[2:]])
    kernel.run("%%holysheep --out kept\nHi")
    (widget,) = kernel.widgets
    assert widget.text == "".join(f"{n} " for n in range(5000))
    assert len(widget.patches) < 100


def test_eight_streams_share_the_rate(kernel: LiveKernel, server: RawServer) -> None:
    server.play(answer(*WORDS, pause_s=0.004))
    kernel.run("\n".join(["from holysheep_nb import Chat", *[f'r{n} = Chat().ask("Hi")' for n in range(8)]]))
    kernel.run("%holysheep wait")
    kernel.run("import asyncio\nawait asyncio.gather(*(r.wait() for r in (r0, r1, r2, r3, r4, r5, r6, r7)))")
    assert len(kernel.widgets) == 8
    arrived = sorted(at for widget in kernel.widgets for at, _ in widget.patches)
    busiest = max(sum(at <= later < at + 1 for later in arrived) for at in arrived)
    assert busiest <= 120
    assert all(widget.text == "".join(WORDS) for widget in kernel.widgets)


@pytest.mark.usefixtures("clicks_in_mid_cell")
def test_resync_in_mid_stream_gives_everything_so_far(kernel: LiveKernel, server: RawServer) -> None:
    server.play(answer(*WORDS, pause_s=0.005))
    cell = kernel.begin("%%holysheep\nHi")
    widget = cell.widget()
    for least in (3, 10, 20):
        kernel.wait_for(lambda least=least: len(widget.patches) >= least)
        document = widget.ask_document()
        assert document["seq"] >= least
        before = widget.opening_document["parts"]
        assert before == []
        replayed = "".join(
            op[2] if op[0] == "append" else op[2].get("text", "")
            for _, patch in widget.patches
            if patch["seq"] <= document["seq"]
            for op in patch["ops"]
        )
        assert text_of(document["parts"]) == replayed
    cell.wait()
    assert widget.text == "".join(WORDS)


@pytest.mark.parametrize("way", ["main shell", "subshell"])
@pytest.mark.usefixtures("clicks_in_mid_cell")
def test_a_reloaded_page_gets_a_current_document_in_mid_stream(kernel: LiveKernel, server: RawServer, way: str) -> None:
    server.play(answer(*WORDS, pause_s=0.005))
    cell = kernel.begin("%%holysheep --out kept\nHi")
    widget = cell.widget()
    kernel.wait_for(lambda: len(widget.patches) >= 10)
    widget.send({"method": "request_state"}, subshell_id=kernel.create_subshell() if way == "subshell" else None)
    kernel.wait_for(lambda: widget.documents)
    document = widget.documents[0]
    assert document["seq"] >= 10
    # A page that starts from the document and applies what comes after it has the whole text.
    widget.opening_document = document
    widget.patches = [(at, patch) for at, patch in widget.patches if patch["seq"] > document["seq"]]
    cell.wait()
    widget.patches = [(at, patch) for at, patch in widget.patches if patch["seq"] > document["seq"]]
    assert widget.text == "".join(WORDS) == kernel.evaluate("kept.text")
    assert [patch["seq"] for _, patch in widget.patches][:1] == [document["seq"] + 1]


def test_status_and_stats_say_how_it_goes(kernel: LiveKernel, server: RawServer) -> None:
    server.play(answer("A"))
    server.play([sse_head(), 0.2, chunk("B"), 0.4, *answer("C")[1:]])
    kernel.run("%%holysheep\nHi", cell_id="1")
    cell = kernel.begin("%%holysheep\nHi there", cell_id="2")
    widget = cell.widget()
    assert widget.state["status"]["state"] == "connecting"
    assert (widget.state["status"]["context"], widget.state["prompt"]) == ("with 1 earlier cell", "Hi there")
    kernel.wait_for(lambda: widget.state["status"]["state"] == "streaming")
    cell.wait()
    assert (widget.state["status"]["state"], widget.state["status"]["message"]) == ("complete", "")
    assert widget.state["stats"]["usage"]["output_tokens"] == 5
    assert 0.2 <= widget.state["stats"]["first_delta_s"] < 0.5


def test_the_key_is_in_nothing_that_is_sent_to_the_page(kernel: LiveKernel, server: RawServer) -> None:
    server.play(answer("A"))
    cell = kernel.run("%%holysheep --live --out kept\nHi")
    other = kernel.run("print(kept.request, vars(kept.request.__class__), kept)\nkept")
    (widget,) = kernel.widgets
    seen = f"{widget.state} {widget.patches} {widget.documents} {cell.outputs} {other.outputs} {other.stream}"
    assert "hs-test-key" not in seen
    assert server.asked[0].headers["authorization"] == "Bearer hs-test-key-0123456789"


def patient(kernel: LiveKernel, hello_timeout_s: float) -> None:
    kernel.run(f"import holysheep_nb.view.place as place\nplace.HELLO_TIMEOUT_S = {hello_timeout_s}")


@pytest.fixture
def impatient_kernel(kernel: LiveKernel) -> LiveKernel:  # type: ignore[misc]
    """A kernel that waits half a second for a page, not ten."""
    patient(kernel, 0.5)
    yield kernel  # type: ignore[misc]
    patient(kernel, 10.0)


def test_the_widget_is_closed_after_the_last_bye_and_not_before(kernel: LiveKernel, server: RawServer) -> None:
    server.play(answer("A"))
    cell = kernel.begin("%%holysheep\nHi")
    widget = cell.widget()
    widget.say("hello", view="another view of the same cell")
    cell.wait()
    kernel.wait_for(lambda: "text/markdown" in cell.outputs[0].data)
    widget.say("bye")
    widget.ask_document()
    assert widget.closed_at is None
    widget.say("bye", view="another view of the same cell")
    kernel.wait_for(lambda: widget.closed_at is not None)


def test_a_closed_widget_leaves_no_comm_behind(kernel: LiveKernel, server: RawServer) -> None:
    server.play(answer("A"))
    before = set(kernel.comms)
    cell = kernel.begin("%%holysheep\nHi")
    widget = cell.widget()
    cell.wait()
    widget.say("bye")
    kernel.wait_for(lambda: set(kernel.comms) == before)


@pytest.mark.usefixtures("clicks_in_mid_cell")
def test_a_bye_before_the_end_closes_only_when_the_answer_is_frozen(kernel: LiveKernel, server: RawServer) -> None:
    """The cell's output was cleared, or its page closed, while the answer came."""
    server.play([sse_head(), chunk("A"), 0.5, *answer("B")[1:]])
    cell = kernel.begin("%%holysheep --out kept\nHi")
    widget = cell.widget()
    kernel.wait_for(lambda: widget.text == "A")
    widget.say("bye")
    assert text_of(widget.ask_document()["parts"]) == "A"
    assert widget.closed_at is None
    cell.wait()
    kernel.wait_for(lambda: widget.closed_at is not None)
    assert (kernel.evaluate("kept.text"), cell.markdown[:2]) == ("AB", "AB")


def test_the_widget_stays_while_a_view_has_not_said_bye(impatient_kernel: LiveKernel, server: RawServer) -> None:
    """A page reloaded in mid-run: the frozen output reached nobody."""
    kernel = impatient_kernel
    server.play(answer("A"))
    cell = kernel.begin("%%holysheep\nHi")
    widget = cell.widget()
    cell.wait()
    # The hint comes a second after the end: later than the half second after which an unseen one is closed.
    kernel.wait_for(lambda: widget.state["keep_hint"] == "%holysheep show puts this answer into the notebook")
    assert text_of(widget.ask_document()["parts"]) == "A"
    assert widget.closed_at is None


def test_the_widget_is_closed_if_no_page_ever_said_hello(impatient_kernel: LiveKernel, server: RawServer) -> None:
    kernel = impatient_kernel
    server.play(answer("A"))
    cell = kernel.run("%%holysheep\nHi")
    (widget,) = kernel.widgets
    assert widget.closed_at is None
    kernel.wait_for(lambda: widget.closed_at is not None, 3.0)
    assert cell.markdown.startswith("A")


def test_a_live_widget_is_never_closed_nor_frozen(impatient_kernel: LiveKernel, server: RawServer) -> None:
    kernel = impatient_kernel
    server.play(answer("A"))
    server.play(answer("B", pause_s=1.0))
    cell = kernel.run("%%holysheep --live\nHi")
    live = cell.widget()
    live.say("bye")
    kernel.run("%%holysheep\nHi")  # takes a second
    assert text_of(live.ask_document()["parts"]) == "A"
    assert [WIDGET_VIEW in output.data for output in cell.outputs] == [True]


def test_a_frozen_output_names_no_widget(kernel: LiveKernel, server: RawServer) -> None:
    server.play(answer("A"))
    cell = kernel.begin("%%holysheep\nHi")
    kernel.wait_for(lambda: cell.outputs)
    assert WIDGET_VIEW in cell.outputs[0].data
    assert "text/markdown" not in cell.outputs[0].data
    cell.wait()
    assert sorted(cell.outputs[0].data) == ["text/markdown", "text/plain"]


def test_a_command_that_is_not_known_changes_nothing(kernel: LiveKernel, server: RawServer) -> None:
    server.play([sse_head(), chunk("A"), 0.3, *answer("B")[1:]])
    cell = kernel.begin("%%holysheep\nHi")
    widget = cell.widget()
    widget.say("explode")
    widget.send({"method": "custom", "content": "stop"})
    widget.send({"method": "custom", "content": None})
    assert cell.wait().markdown.startswith("AB")


def test_evaluating_a_run_that_streams_shows_a_second_view(kernel: LiveKernel, server: RawServer) -> None:
    server.play([sse_head(), chunk("A"), HANG])
    cell = kernel.run("%%holysheep --bg --out kept\nHi")
    widget = cell.widget()
    cell = kernel.run("kept")
    assert cell.outputs[0].data[WIDGET_VIEW]["model_id"] == widget.comm_id
    widget.say("stop")
