"""The magics in a shell of a notebook that a program runs: no front end, no kernel process."""

from __future__ import annotations

import gc
import re
import sys
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.interactiveshell import ExecutionResult, InteractiveShell
from raw_server import DONE, HANG, RawServer, answer, chunk, json_answer, sse_head
from traitlets.config import Config

from holysheep_nb import Run, __version__
from holysheep_nb.errors import (
    AnswerFormatError,
    AuthenticationError,
    BudgetError,
    ConfigurationError,
    ConnectionFailedError,
    HolySheepError,
    LocalModelError,
    MissingKeyError,
    ProtocolError,
    UsageError,
)
from holysheep_nb.kernel import stream_thread
from holysheep_nb.pricing.spending import Spending


class NotebookShell(InteractiveShell):
    """What ipykernel makes of a shell, as far as the magics look."""

    kernel = SimpleNamespace(_allow_stdin=False)


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[NotebookShell]:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    InteractiveShell.clear_instance()
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    shell = NotebookShell.instance(config=config)
    shell.display_pub = CapturingDisplayPublisher(parent=shell)
    yield shell
    shell.extension_manager.unload_extension("holysheep_nb")
    shell.restore_sys_module_state()
    NotebookShell.clear_instance()


@pytest.fixture
def loaded(shell: NotebookShell, at_server: RawServer) -> NotebookShell:
    shell.extension_manager.load_extension("holysheep_nb")
    return shell


def run_cell(shell: InteractiveShell, source: str, cell_id: str | None = None) -> ExecutionResult:
    shell.display_pub.outputs.clear()
    return shell.run_cell(source, store_history=True, cell_id=cell_id)


def shown(shell: InteractiveShell) -> list[dict[str, Any]]:
    """The outputs of the last cell as they are in the end: MIME bundles, updates in place."""
    by_id: dict[str, dict[str, Any]] = {}
    for output in shell.display_pub.outputs:
        by_id[output["transient"]["display_id"]] = output["data"]
    return list(by_id.values())


def shown_text(shell: InteractiveShell) -> str:
    (output,) = shown(shell)
    return output["text/plain"]


def last_error(result: ExecutionResult) -> str:
    """The sentence of what failed the cell."""
    assert isinstance(result.error_in_exec, HolySheepError)
    return str(result.error_in_exec)


def magics(shell: InteractiveShell) -> Any:
    return shell.magics_manager.registry["HolySheepMagics"]


# Loading


def traces(shell: InteractiveShell) -> tuple[Any, ...]:
    return (
        list(shell.input_transformers_post),
        [callback for callbacks in shell.events.callbacks.values() for callback in callbacks],
        list(shell.configurables),
        sorted(shell.magics_manager.registry),
        "holysheep" in shell.magics_manager.magics["line"] or "holysheep" in shell.magics_manager.magics["cell"],
        [thread.name for thread in threading.enumerate() if thread.name.startswith("holysheep")],
    )


def test_unloading_leaves_the_shell_as_it_was(shell: NotebookShell, at_server: RawServer) -> None:
    stream_thread.stop()
    before = traces(shell)
    shell.extension_manager.load_extension("holysheep_nb")
    at_server.play(answer("a"))
    run_cell(shell, "%%holysheep\nHi")
    assert traces(shell) != before
    gone = weakref.ref(magics(shell))
    shell.extension_manager.unload_extension("holysheep_nb")
    assert traces(shell) == before
    shell.reset()
    gc.collect()
    assert gone() is None


def test_unloading_stops_what_streams(shell: NotebookShell, at_server: RawServer) -> None:
    at_server.play(sse_head(), chunk("a"), HANG)
    shell.extension_manager.load_extension("holysheep_nb")
    run_cell(shell, "%%holysheep --bg --out run\nHi")
    request = at_server.wait_for_request()
    shell.extension_manager.unload_extension("holysheep_nb")
    at_server.wait_for_disconnect(request)
    assert shell.user_ns["run"].status == "stopped"


def test_loading_twice_is_loading_once(loaded: NotebookShell, at_server: RawServer) -> None:
    at_server.play(answer("a"))
    once = traces(loaded)
    loaded.extension_manager.reload_extension("holysheep_nb")
    sys.modules["holysheep_nb"].load_ipython_extension(loaded)
    assert [len(each) if isinstance(each, list) else each for each in traces(loaded)[:3]] == [
        len(each) for each in once[:3]
    ]
    run_cell(loaded, "%%holysheep\nHi")
    assert len(at_server.asked) == 1


def test_loading_asks_for_nothing_and_starts_no_thread(shell: NotebookShell) -> None:
    stream_thread.stop()
    shell.extension_manager.load_extension("holysheep_nb")
    assert [each for each in threading.enumerate() if each.name == "holysheep-stream"] == []


def test_loading_again_works_after_unloading(shell: NotebookShell, at_server: RawServer) -> None:
    at_server.play(answer("a"))
    for _ in range(2):
        shell.extension_manager.load_extension("holysheep_nb")
        assert run_cell(shell, "%%holysheep\nHi").result.text == "a"
        shell.extension_manager.unload_extension("holysheep_nb")


# Asking


def test_the_value_of_a_cell_is_its_run_and_it_is_shown_once(loaded: NotebookShell, at_server: RawServer) -> None:
    at_server.play(answer("Hello"))
    result = run_cell(loaded, "%%holysheep\nHi")
    assert result.success
    assert isinstance(result.result, Run)
    assert loaded.user_ns["_"] is result.result
    assert loaded.user_ns["Out"][result.execution_count] is result.result
    (output,) = shown(loaded)
    assert output["text/plain"] == "Hello"
    assert output["text/markdown"].startswith("Hello\n\n<sub>raw · 3 + 5 tokens · ")
    assert [output["update"] for output in loaded.display_pub.outputs][:2] == [False, True]


def test_the_run_evaluated_later_shows_its_frozen_output(loaded: NotebookShell, at_server: RawServer) -> None:
    at_server.play(answer("Hello"))
    run_cell(loaded, "%%holysheep --out first\nHi")
    run_cell(loaded, "first")
    assert shown_text(loaded) == "Hello"


def test_out_names_the_run_also_when_it_fails(loaded: NotebookShell, at_server: RawServer) -> None:
    at_server.play(json_answer({"error": {"message": "wrong"}}, "401 Unauthorized"))
    result = run_cell(loaded, "%%holysheep --out answer_1\nHi")
    assert isinstance(result.error_in_exec, AuthenticationError)
    run = loaded.user_ns["answer_1"]
    assert (run.status, run.error) == ("failed", result.error_in_exec)
    assert loaded.user_ns["_"] is run


def test_an_error_is_one_line_and_not_a_page_of_traceback(
    loaded: NotebookShell, at_server: RawServer, capsys: pytest.CaptureFixture[str]
) -> None:
    at_server.play(json_answer({"error": {"message": "wrong"}}, "401 Unauthorized"))
    run_cell(loaded, "%%holysheep\nHi")
    assert capsys.readouterr().out == (
        f"AuthenticationError: 127.0.0.1:{at_server.port} refused the key (401: wrong). "
        "Set HOLYSHEEP_API_KEY to a valid key.\n"
    )


def test_no_raise_lets_the_cell_pass_and_shows_the_error(loaded: NotebookShell, at_server: RawServer) -> None:
    at_server.play(json_answer({"error": {"message": "wrong"}}, "401 Unauthorized"))
    result = run_cell(loaded, "%%holysheep --no-raise\nHi")
    assert result.success
    assert shown_text(loaded) == str(result.result.error)


def test_the_line_and_the_prompt_are_not_expanded_by_ipython(loaded: NotebookShell, at_server: RawServer) -> None:
    at_server.play(answer("a"))
    loaded.user_ns["x"] = "expanded"
    run_cell(loaded, "%%holysheep -s '{x} $x'\nUse {x} and $x.\n\n  indented\n")
    assert at_server.asked[0].json["messages"] == [
        {"role": "system", "content": "{x} $x"},
        {"role": "user", "content": "Use {x} and $x.\n\n  indented"},
    ]


def test_neither_are_they_when_code_calls_the_magic(loaded: NotebookShell, at_server: RawServer) -> None:
    at_server.play(answer("a"))
    loaded.user_ns["x"] = "expanded"
    run_cell(loaded, "def f():\n    get_ipython().run_cell_magic('holysheep', \"-s '{x} $x'\", 'Use {x}.')\nf()")
    assert at_server.asked[-1].json["messages"][0] == {"role": "system", "content": "{x} $x"}


def test_the_options_of_the_line_go_into_the_request(loaded: NotebookShell, at_server: RawServer) -> None:
    at_server.play(answer("a"))
    run_cell(loaded, "%%holysheep raw-large -t 0.5 --max-tokens 7 -o seed 1\nHi")
    body = at_server.asked[0].json
    assert (body["model"], body["temperature"], body["max_tokens"], body["seed"]) == ("raw-large", 0.5, 7, 1)


def test_settings_can_be_changed_with_config(loaded: NotebookShell, at_server: RawServer) -> None:
    at_server.play(answer("a"))
    run_cell(loaded, '%config HolySheepMagics.model = "raw-large"\n%config HolySheepMagics.max_tokens = 9')
    run_cell(loaded, "%%holysheep\nHi")
    assert (at_server.asked[0].json["model"], at_server.asked[0].json["max_tokens"]) == ("raw-large", 9)


def contents(server: RawServer) -> list[str]:
    return [message["content"] for message in server.asked[-1].json["messages"]]


def test_a_cell_run_again_replaces_its_own_exchange(loaded: NotebookShell, at_server: RawServer) -> None:
    at_server.play(answer("A"))
    run_cell(loaded, "%%holysheep\none", "cell-1")
    run_cell(loaded, "%%holysheep\ntwo", "cell-2")
    assert contents(at_server) == ["one", "A", "two"]
    run_cell(loaded, "%%holysheep\none again", "cell-1")
    assert contents(at_server) == ["one again"]
    run_cell(loaded, "%%holysheep --new\nthree", "cell-3")
    assert contents(at_server) == ["three"]


def test_json_is_parsed_and_a_parse_error_keeps_the_text(loaded: NotebookShell, at_server: RawServer) -> None:
    at_server.play(answer('{"a": 1}'))
    at_server.play(answer("no json"))
    assert run_cell(loaded, "%%holysheep -f json\nHi").result.value == {"a": 1}
    result = run_cell(loaded, "%%holysheep -f json\nHi")
    assert isinstance(result.error_in_exec, AnswerFormatError)
    assert last_error(result) == (
        "The answer is not JSON (Expecting value: line 1 column 1 (char 0)); its text is kept."
    )
    assert loaded.user_ns["_"].text == "no json"


def test_code_goes_into_the_next_cell(loaded: NotebookShell, at_server: RawServer) -> None:
    at_server.play(answer("Sure:\n```python\nx = 1\n```\nDone."))
    run_cell(loaded, "%%holysheep -f code\nHi")
    assert loaded.rl_next_input == "x = 1"


def test_a_background_cell_gives_its_run_at_once(loaded: NotebookShell, at_server: RawServer) -> None:
    at_server.play(sse_head(), 0.3, chunk("late"), DONE)
    run = run_cell(loaded, "%%holysheep --bg\nHi").result
    assert not run.is_finished
    assert run.result().text == "late"


def test_the_magic_called_from_code_waits_for_its_answer(loaded: NotebookShell, at_server: RawServer) -> None:
    at_server.play(answer("a"))
    source = "[get_ipython().run_cell_magic('holysheep', '', 'Hi').text for _ in range(3)]"
    assert run_cell(loaded, source).result == ["a", "a", "a"]


def test_the_magic_inside_a_timed_cell_waits_for_its_answer(loaded: NotebookShell, at_server: RawServer) -> None:
    at_server.play(answer("a"))
    result = run_cell(loaded, "%%time\nx = get_ipython().run_cell_magic('holysheep', '', 'Hi').text")
    assert result.success
    assert loaded.user_ns["x"] == "a"


def test_a_cell_that_awaits_leaves_the_loop_free(loaded: NotebookShell, at_server: RawServer) -> None:
    at_server.play(sse_head(), chunk("a"), 0.2, chunk("b"), DONE)
    run_cell(
        loaded,
        "import asyncio\nticks = []\n"
        "asyncio.get_running_loop().call_later(0.05, lambda: ticks.append(1))\n"
        "run = await get_ipython().magics_manager.registry['HolySheepMagics'].run_cell_awaited('', '', 'Hi')\n"
        "ended = list(ticks)",
    )
    assert (loaded.user_ns["run"].text, loaded.user_ns["ended"]) == ("ab", [1])


TOOL_CELL = "def where_is(city: str) -> str:\n    'Where a city is.'\n    return f'{city} is here'"


def test_a_recorded_cell_is_replayed_without_a_server_and_without_a_key(
    loaded: NotebookShell, at_server: RawServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = {"index": 0, "id": "c", "function": {"name": "where_is", "arguments": '{"city": "Paris"}'}}
    at_server.play(sse_head(), chunk(tool_calls=[call]), chunk(finish_reason="tool_calls"), DONE)
    at_server.play(answer("It ", "is here."))
    file = tmp_path / "my recording.json"
    run_cell(loaded, TOOL_CELL)
    cell = "%%holysheep -T where_is --approve auto --new {} '{}'\nWhere is Paris?"
    recorded = run_cell(loaded, cell.format("--record", file)).result
    assert (recorded.status, recorded.request.replayed_from) == ("complete", "")
    assert "replayed" not in shown(loaded)[0]["text/markdown"]
    asked = len(at_server.requests)

    monkeypatch.delenv("HOLYSHEEP_API_KEY")
    monkeypatch.setenv("HOLYSHEEP_BASE_URL", "http://127.0.0.1:1/v1")
    replayed = run_cell(loaded, cell.format("--replay", file)).result
    assert (replayed.status, replayed.text, replayed.usage) == ("complete", "It is here.", recorded.usage)
    assert [part.metadata() for part in replayed.tool_calls] == [part.metadata() for part in recorded.tool_calls]
    assert [turn.text for turn in replayed.turns] == [turn.text for turn in recorded.turns]
    assert shown(loaded)[0]["text/markdown"].endswith(" · replayed from my recording.json</sub>")
    assert len(at_server.requests) == asked


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("--replay {file}", "The cassette {file} cannot be read (No such file or directory)."),
        ("--record {file}/f.json", "The cassette {file}/f.json cannot be written (No such file or directory)."),
        (
            "--record {file} --replay {file}",
            "A run is recorded or replayed, not both: leave out --record or --replay.",
        ),
    ],
)
def test_a_cassette_that_cannot_be_used_is_one_sentence_and_nothing_is_sent(
    loaded: NotebookShell, at_server: RawServer, tmp_path: Path, options: str, sentence: str
) -> None:
    file = tmp_path / "f.json"
    result = run_cell(loaded, f"%%holysheep {options.format(file=file)}\nHi")
    assert isinstance(result.error_in_exec, UsageError)
    assert last_error(result) == sentence.format(file=file)
    assert (at_server.requests, shown(loaded)) == ([], [])


# What is refused in a cell


@pytest.mark.parametrize(
    ("cell", "kind", "sentence"),
    [
        ("%%holysheep\n\n", UsageError, "The prompt is empty: write it below the first line of the cell."),
        (
            "%%holysheep --temprature 1\nHi",
            UsageError,
            "There is no option --temprature. Did you mean --temperature? `%holysheep help` lists them.",
        ),
        (
            "%%holysheep --api-base api.test\nHi",
            ConfigurationError,
            "The address 'api.test' needs a scheme and a host, as in https://api.holysheep.ai/v1: "
            "set HOLYSHEEP_BASE_URL.",
        ),
        (
            "%%holysheep --api-base http://api.test/v1 --api-key-name K\nHi",
            ConfigurationError,
            "The key is not sent over plain http to api.test: use https://, or an address on this machine.",
        ),
    ],
)
def test_a_wrong_cell_is_one_sentence_and_nothing_is_sent(
    loaded: NotebookShell, at_server: RawServer, cell: str, kind: type[HolySheepError], sentence: str
) -> None:
    result = run_cell(loaded, cell)
    assert isinstance(result.error_in_exec, kind)
    assert last_error(result) == sentence
    assert (at_server.requests, shown(loaded)) == ([], [])


def test_a_cell_without_a_key_says_what_to_do(loaded: NotebookShell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOLYSHEEP_API_KEY")
    result = run_cell(loaded, "%%holysheep\nHi")
    assert isinstance(result.error_in_exec, MissingKeyError)
    assert last_error(result) == (
        "There is no API key: set HOLYSHEEP_API_KEY or type it after `%holysheep login`, or run `%holysheep local` "
        "for a small built-in model that needs none."
    )


def test_html_instead_of_a_stream_is_one_sentence(loaded: NotebookShell, at_server: RawServer) -> None:
    at_server.play(sse_head("text/html"), b"<html>Sign in</html>")
    result = run_cell(loaded, "%%holysheep\nHi")
    assert isinstance(result.error_in_exec, ProtocolError)
    assert last_error(result) == (
        f"127.0.0.1:{at_server.port} answered with text/html instead of a stream of events: check HOLYSHEEP_BASE_URL."
    )
    assert result.error_in_exec.details == "<html>Sign in</html>"


def test_a_refused_connection_fails_the_cell_and_leaves_earlier_ones_alone(
    loaded: NotebookShell, at_server: RawServer
) -> None:
    at_server.play(answer("kept"))
    run_cell(loaded, "%%holysheep --out first\nHi")
    loaded.magics_manager.registry["HolySheepMagics"].base_url = "http://127.0.0.1:9/v1"
    result = run_cell(loaded, "%%holysheep\nHi")
    assert isinstance(result.error_in_exec, ConnectionFailedError)
    assert (loaded.user_ns["first"].text, len(magics(loaded).chat.conversation.exchanges)) == ("kept", 2)


# Verbs

MODELS = (
    "            input   output\n"
    "raw         –       –        the one that answers\n"
    "raw-large   –       –\n\n"
    "USD per million tokens; – is unknown."
)
VERBS = ["help", "config", "models", "stop", "wait", "show", "reset", "local", "version", "alias", "prices", "cost"]


def test_help_lists_every_verb_and_every_option(loaded: NotebookShell) -> None:
    run_cell(loaded, "%holysheep help")
    text = shown_text(loaded)
    for word in [*VERBS, "--out", "--bg", "-f"]:
        assert word in text
    run_cell(loaded, "%holysheep")
    assert shown_text(loaded) == text


def test_config_shows_the_settings_and_not_the_key(loaded: NotebookShell, at_server: RawServer) -> None:
    run_cell(loaded, "%holysheep config")
    assert shown_text(loaded).split("\n")[:6] == [
        "model                     raw",
        f"base_url                  {at_server.base_url}",
        "ws_url                    wss://stream.holysheep.ai/v1",
        "transport                 auto",
        "key (HOLYSHEEP_API_KEY)   set",
        "system                    -",
    ]
    assert "hs-test-key" not in shown_text(loaded)


def test_models_lists_what_the_endpoint_offers(loaded: NotebookShell) -> None:
    run_cell(loaded, "%holysheep models")
    assert shown_text(loaded) == MODELS


def test_a_verb_can_be_called_from_code_that_cannot_await(loaded: NotebookShell) -> None:
    run_cell(loaded, "def f():\n    %holysheep models\nf()")
    assert shown_text(loaded) == MODELS


def test_stop_and_wait_say_what_they_found(loaded: NotebookShell, at_server: RawServer) -> None:
    at_server.play(sse_head(), chunk("a"), HANG)
    run_cell(loaded, "%holysheep stop")
    assert shown_text(loaded) == "No answer is streaming."
    run_cell(loaded, "%holysheep wait")
    assert shown_text(loaded) == "No answer is streaming."
    run_cell(loaded, "%%holysheep --bg\nHi")
    at_server.wait_for_request()
    run_cell(loaded, "%holysheep stop\n%holysheep wait 5")
    texts = [output["text/plain"] for output in shown(loaded)]
    assert "Stopped 1 answer(s)." in texts
    # By then the answer may have ended.
    assert texts[-1] in ("raw: stopped", "No answer is streaming.")


def test_wait_gives_up_after_the_seconds_it_was_given(loaded: NotebookShell, at_server: RawServer) -> None:
    at_server.play(sse_head(), chunk("a"), HANG)
    run_cell(loaded, "%%holysheep --bg\nHi")
    at_server.wait_for_request()
    run_cell(loaded, "%holysheep wait 0.2")
    assert shown_text(loaded) == "raw: streaming"


def test_show_puts_an_answer_into_this_cell(loaded: NotebookShell, at_server: RawServer) -> None:
    at_server.play(answer("first"))
    at_server.play(answer("second"))
    run_cell(loaded, "%%holysheep -l 'my first'\nHi")
    run_cell(loaded, "%%holysheep\nHi")
    run_cell(loaded, "%holysheep show")
    assert shown_text(loaded) == "second"
    run_cell(loaded, "%holysheep show my first")
    assert shown_text(loaded) == "first"


def test_reset_forgets_what_was_said(loaded: NotebookShell, at_server: RawServer) -> None:
    at_server.play(answer("A"))
    run_cell(loaded, "%%holysheep\none")
    run_cell(loaded, "%holysheep reset")
    assert shown_text(loaded) == "Forgot 1 exchange(s). The next cell starts afresh."
    run_cell(loaded, "%%holysheep\ntwo")
    assert contents(at_server) == ["two"]


def test_version_is_the_packages(loaded: NotebookShell) -> None:
    run_cell(loaded, "%holysheep version")
    assert shown_text(loaded) == f"holysheep_nb {__version__}"


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (
            "modles",
            "There is no %holysheep modles. Did you mean models? `%holysheep help` lists the verbs.",
        ),
        ("xyzzy", "There is no %holysheep xyzzy. `%holysheep help` lists the verbs."),
        ("wait long", "%holysheep wait takes a number of seconds, and 'long' is none."),
        ("show nothing", "No answer has the label 'nothing'."),
        ("show", "There is no answer yet."),
        ("local smollm", "%holysheep local takes script or stop, and 'smollm' is neither."),
    ],
)
def test_a_wrong_verb_is_refused_in_one_sentence(loaded: NotebookShell, line: str, sentence: str) -> None:
    result = run_cell(loaded, f"%holysheep {line}")
    assert isinstance(result.error_in_exec, UsageError)
    assert last_error(result) == sentence


def test_local_stop_without_local_says_so(loaded: NotebookShell) -> None:
    run_cell(loaded, "%holysheep local stop")
    assert shown_text(loaded) == "The built-in model is not running."


def test_a_script_that_is_not_there_is_named_in_one_sentence(loaded: NotebookShell, tmp_path: Path) -> None:
    path = tmp_path / "no such.json"
    result = run_cell(loaded, f"%holysheep local script {path}")
    assert isinstance(result.error_in_exec, LocalModelError)
    assert last_error(result).startswith(f"The script {path} cannot be read: ")


@pytest.mark.parametrize("quote", ["", '"'])
def test_a_script_from_a_file_answers_until_local_ends(loaded: NotebookShell, tmp_path: Path, quote: str) -> None:
    path = tmp_path / "small talk.json"
    path.write_text('{"models": {"script-talk": {"answers": [{"text": "Baa."}]}}}')
    run_cell(loaded, f"%holysheep local script {quote}{path}{quote}")
    assert shown_text(loaded) == (
        "script-talk plays small talk.json from this machine. `%holysheep local stop` ends that."
    )
    assert run_cell(loaded, "%%holysheep\nHello").result.text == "Baa."
    run_cell(loaded, "%holysheep local stop")


# Names, prices, costs


def test_a_cell_asks_the_model_that_its_alias_stands_for(loaded: NotebookShell, at_server: RawServer) -> None:
    at_server.play(answer("a"))
    run_cell(loaded, "%holysheep alias quick raw-large")
    try:
        run_cell(loaded, "%%holysheep quick\nHi")
        assert at_server.asked[0].json["model"] == "raw-large"
        run_cell(loaded, "%holysheep models")
        assert "raw-large   –       –        alias quick\n" in shown_text(loaded)
        run_cell(loaded, "%holysheep alias")
        assert shown_text(loaded) == "quick   raw-large"
    finally:
        run_cell(loaded, "%holysheep alias --remove quick")


def test_prices_are_shown_set_and_taken_back(loaded: NotebookShell) -> None:
    run_cell(loaded, "%holysheep prices")
    assert shown_text(loaded) == (
        "                    input   output\n"
        "gpt-4.1             –       8.00     www.holysheep.ai, 2026-04-14\n"
        "claude-sonnet-4.5   –       15.00    www.holysheep.ai, 2026-04-14\n"
        "gemini-2.5-flash    –       2.50     www.holysheep.ai, 2026-04-14\n"
        "deepseek-v3.2       –       0.42     www.holysheep.ai, 2026-04-14\n\n"
        "USD per million tokens; – is unknown. %holysheep prices MODEL INPUT OUTPUT sets one."
    )
    published = shown_text(loaded)
    run_cell(loaded, "%holysheep prices gpt-4.1 - 7.125")
    first = shown_text(loaded).split("\n")[1]
    assert first.startswith("gpt-4.1             –       7.125    %holysheep prices, 2")
    assert shown_text(loaded).count("gpt-4.1") == 1
    run_cell(loaded, "%holysheep prices --remove gpt-4.1")
    assert shown_text(loaded) == published


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (
            "prices gpt-4.1 8",
            "%holysheep prices takes [MODEL INPUT OUTPUT] or --remove MODEL, in USD per million tokens; "
            "- is an unknown price.",
        ),
        ("prices gpt-4.1 a 8", "A price is a number of US dollars per million tokens, and 'a' is none."),
        ("prices gpt-4.1 -1 8", "A price is a number of US dollars per million tokens, and '-1' is none."),
        ("prices gpt-4.1 nan 8", "A price is a number of US dollars per million tokens, and 'nan' is none."),
        ("prices --remove raw", "No price was set for 'raw'."),
        ("cost today", "%holysheep cost takes nothing."),
    ],
)
def test_a_wrong_line_about_costs_is_refused_in_one_sentence(loaded: NotebookShell, line: str, sentence: str) -> None:
    result = run_cell(loaded, f"%holysheep {line}")
    assert isinstance(result.error_in_exec, UsageError)
    assert last_error(result) == sentence


def cost_rows(shell: InteractiveShell) -> dict[str, list[str]]:
    run_cell(shell, "%holysheep cost")
    heading, *lines = shown_text(shell).split("\n")
    assert heading.split() == ["runs", "tokens", "cost"]
    return {line[:13].strip(): re.split(r" {2,}", line[16:]) for line in lines}


def test_cost_sums_the_last_cell_the_notebook_and_the_day(
    loaded: NotebookShell, at_server: RawServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    fresh = Spending()
    for module in ("tally", "pricing.meter", "pricing.verb"):
        monkeypatch.setattr(f"holysheep_nb.{module}.spending", fresh)
    assert cost_rows(loaded) == {name: ["0", "–", "–"] for name in ("last cell", "this notebook", "today")}
    run_cell(loaded, "%holysheep prices raw 1000 2000")
    for _ in range(3):
        at_server.play(answer("a"))
    run_cell(loaded, "%%holysheep\nHi", cell_id="1")
    run_cell(loaded, "%%holysheep\nHi", cell_id="2")
    run_cell(loaded, "%%holysheep\nHi", cell_id="2")
    three = ["3", "9 + 15", "$0.039"]
    assert cost_rows(loaded) == {"last cell": ["2", "6 + 10", "$0.026"], "this notebook": three, "today": three}


def test_a_cell_with_a_limit_ends_there_and_fails_with_its_text_kept(
    loaded: NotebookShell, at_server: RawServer
) -> None:
    at_server.play(sse_head(), *(chunk(f" w{number}") for number in range(500)), HANG)
    run_cell(loaded, "%config HolySheepMagics.prices = {'raw': (0, 1000)}")
    result = run_cell(loaded, "%%holysheep --max-cost 0.05\nHi")
    assert isinstance(result.error_in_exec, BudgetError)
    assert loaded.user_ns["_"].status == "budget"
    assert shown_text(loaded) == loaded.user_ns["_"].text
    assert loaded.user_ns["_"].text.count(" w") <= 55
