"""`%holysheep VERB` prints something true, and unloading leaves nothing behind."""

from __future__ import annotations

import pytest
from live_kernel import WIDGET_VIEW, LiveKernel
from raw_server import HANG, RawServer, answer, chunk, sse_head

import holysheep_nb

CUT = [sse_head(), chunk("so far"), HANG]


def test_help_names_every_verb_and_option(kernel: LiveKernel) -> None:
    for code in ("%holysheep", "%holysheep help"):
        text = kernel.run(code).text
        for word in ("--model", "--bg", "--out", "--live", "--new", "%holysheep show", "%holysheep models"):
            assert word in text


def test_config_shows_the_settings_and_never_the_key(kernel: LiveKernel, server: RawServer) -> None:
    kernel.run("%config HolySheepMagics.model = 'raw-large'")
    cell = kernel.run("%holysheep config")
    assert "raw-large" in cell.text
    assert server.base_url in cell.text
    assert "key (HOLYSHEEP_API_KEY)" in cell.text
    assert "hs-test-key" not in f"{cell.text}{cell.stream}{cell.outputs}"
    shown = kernel.run("%config HolySheepMagics")
    assert "hs-test-key" not in f"{shown.text}{shown.stream}{shown.outputs}"
    kernel.run("del os.environ['HOLYSHEEP_API_KEY']")
    assert "not set" in kernel.run("%holysheep config").text


def test_a_setting_takes_effect_in_the_next_cell(kernel: LiveKernel, server: RawServer) -> None:
    server.play(answer("A"))
    kernel.run("%config HolySheepMagics.model = 'raw-large'\n%config HolySheepMagics.temperature = 0.5")
    kernel.run("%%holysheep\nHi")
    assert (server.asked[0].json["model"], server.asked[0].json["temperature"]) == ("raw-large", 0.5)


@pytest.mark.parametrize("code", ["%holysheep models", "if True:\n    %holysheep models", "%time %holysheep models"])
def test_models_lists_what_the_server_offers_and_marks_the_chosen(
    kernel: LiveKernel, server: RawServer, code: str
) -> None:
    cell = kernel.run(code)
    assert cell.status == "ok"
    first, second = cell.text.split("\n")[1:3]
    assert first.split(maxsplit=3) == ["raw", "–", "–", "the one that answers"]
    assert second.split() == ["raw-large", "–", "–"]


def test_stop_ends_what_streams_and_says_how_many(kernel: LiveKernel, server: RawServer) -> None:
    server.play(CUT)
    assert kernel.run("%holysheep stop").text == "No answer is streaming."
    kernel.run("%%holysheep --bg --out one\nHi")
    kernel.run("%%holysheep --bg --out two\nHi")
    server.wait_for_request(2)
    assert kernel.run("%holysheep stop").text == "Stopped 2 answer(s)."
    for request in server.asked:
        server.wait_for_disconnect(request)
    kernel.run("%holysheep wait")
    assert kernel.evaluate("[one.status, two.status]") == ["stopped", "stopped"]


def test_wait_waits_for_the_end_and_says_what_still_goes_on(kernel: LiveKernel, server: RawServer) -> None:
    server.play(answer("a", "b", "c", pause_s=0.3))
    assert kernel.run("%holysheep wait").text == "No answer is streaming."
    kernel.run("%%holysheep --bg --out kept\nHi")
    assert kernel.run("%holysheep wait 0.1").text in ("raw: connecting", "raw: streaming")
    assert kernel.run("%holysheep wait").text == "raw: complete"
    assert kernel.evaluate("kept.text") == "abc"


def test_show_puts_the_last_or_the_named_answer_into_this_cell(kernel: LiveKernel, server: RawServer) -> None:
    server.play(answer("A"))
    server.play(answer("B"))
    kernel.run("%%holysheep -l first\nHi")
    kernel.run("%%holysheep\nHi")
    assert kernel.run("%holysheep show").markdown.startswith("B\n\n<sub>")
    assert kernel.run("%holysheep show first").markdown.startswith("A\n\n<sub>")


def test_show_in_mid_stream_shows_what_has_come(kernel: LiveKernel, server: RawServer) -> None:
    server.play(CUT)
    cell = kernel.run("%%holysheep --bg\nHi")
    widget = cell.widget()
    kernel.wait_for(lambda: widget.text == "so far")
    cell = kernel.run("%holysheep show")
    assert "so far" in f"{cell.text} {cell.outputs}"
    widget.say("stop")


def test_show_without_an_answer_says_so(kernel: LiveKernel) -> None:
    assert kernel.run("%holysheep show").traceback == ["UsageError: There is no answer yet."]


def test_reset_forgets_the_conversation_and_leaves_the_outputs(kernel: LiveKernel, server: RawServer) -> None:
    server.play(answer("A"))
    first = kernel.run("%%holysheep\none", cell_id="1")
    assert kernel.run("%holysheep reset").text == "Forgot 1 exchange(s). The next cell starts afresh."
    kernel.run("%%holysheep\ntwo", cell_id="2")
    assert [m["content"] for m in server.asked[1].json["messages"]] == ["two"]
    assert first.markdown.startswith("A")


def test_version_is_the_package_s(kernel: LiveKernel) -> None:
    assert kernel.run("%holysheep version").text == f"holysheep_nb {holysheep_nb.__version__}"


THREADS = "[t.name for t in __import__('threading').enumerate() if t.name.startswith('holysheep')]"


def test_unloading_leaves_no_thread_magic_or_transformer(kernel: LiveKernel, server: RawServer) -> None:
    server.play(CUT)
    cell = kernel.run("%%holysheep --bg --out kept\nHi")
    widget = cell.widget()
    kernel.wait_for(lambda: widget.text == "so far")
    assert kernel.evaluate(THREADS) == ["holysheep-stream"]
    assert kernel.run("%unload_ext holysheep_nb").status == "ok"
    server.wait_for_disconnect(server.asked[0])
    assert kernel.evaluate(THREADS) == []
    assert kernel.evaluate("[kept.status, kept.text]") == ["stopped", "so far"]
    assert kernel.evaluate("[t for t in map(repr, get_ipython().input_transformers_post) if 'holysheep' in t]") == []
    assert "UsageError: Cell magic `%%holysheep` not found" in kernel.run("%%holysheep\nHi").stream


def test_loading_twice_registers_once(kernel: LiveKernel, server: RawServer) -> None:
    server.play(answer("A"))
    kernel.run("%load_ext holysheep_nb\n%reload_ext holysheep_nb\n%reload_ext holysheep_nb")
    cell = kernel.run("%%holysheep\nHi")
    assert (len(cell.outputs), len(server.asked), cell.markdown[0]) == (1, 1, "A")
    assert kernel.evaluate("sum('holysheep' in repr(t) for t in get_ipython().input_transformers_post)") == 1


def test_without_a_person_no_widget_is_opened(kernel: LiveKernel, server: RawServer) -> None:
    server.play(answer("A"))
    cell = kernel.run("%%holysheep\nHi", allow_stdin=False)
    assert kernel.widgets == []
    assert [sorted(output.data) for output in cell.outputs] == [["text/markdown", "text/plain"]]
    assert WIDGET_VIEW not in cell.outputs[0].data
    assert cell.markdown.startswith("A\n\n<sub>")
