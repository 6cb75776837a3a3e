"""Tab completion in a shell, and the page behind `%%holysheep?`: what is known here, and nothing from the network."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from raw_server import RawServer
from traitlets.config import Config

from holysheep_nb import aliases
from holysheep_nb.mcp.servers import servers


@pytest.fixture
def shell(at_server: RawServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[InteractiveShell]:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.setattr(aliases, "aliases_path", lambda: tmp_path / "aliases.json")
    aliases.do_alias_line(["fast", "gemini-2.5-flash"])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recorded.json").write_text("{}")
    InteractiveShell.clear_instance()
    config = Config()
    config.HistoryManager.enabled = False
    shell = InteractiveShell.instance(config=config)
    shell.display_pub = CapturingDisplayPublisher(parent=shell)
    shell.extension_manager.load_extension("holysheep_nb")
    shell.run_cell("def find_order(number: int) -> str:\n    'Finds.'\n    return ''\nfigure_data = 3\n_hidden = 1")
    yield shell
    shell.extension_manager.unload_extension("holysheep_nb")
    shell.restore_sys_module_state()
    InteractiveShell.clear_instance()


def completed(shell: InteractiveShell, code: str) -> list[str]:
    """The code as each completion would make it; "|" is the cursor."""
    at = code.index("|")
    code = code.replace("|", "")
    with provisionalcompleter(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [code[: each.start] + each.text + code[at:] for each in shell.Completer.completions(code, at)]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("%%holysheep --max-t|\nHi", ["%%holysheep --max-tokens\nHi"]),
        ("%%holysheep --tra|", ["%%holysheep --transport"]),
        ("%%holysheep gp|\nHi", ["%%holysheep gpt-4.1\nHi"]),
        ("%%holysheep fa|\nHi", ["%%holysheep fast\nHi"]),
        ("%%holysheep --bg deep|\nHi", ["%%holysheep --bg deepseek-v3.2\nHi"]),
        ("%%holysheep -m claude-s|", ["%%holysheep -m claude-sonnet-4.5"]),
        ("%%holysheep --model=claude-s|", ["%%holysheep --model=claude-sonnet-4.5"]),
        ("%%holysheep --fallback claude-s|", ["%%holysheep --fallback claude-sonnet-4.5"]),
        ("%%holysheep -T find|", ["%%holysheep -T find_order"]),
        ("%%holysheep --approve a|", ["%%holysheep --approve ask", "%%holysheep --approve auto"]),
        ("%%holysheep -f c|", ["%%holysheep -f code"]),
        ("\n%%holysheep -f c|", ["\n%%holysheep -f code"]),
        ("%holysheep sto|", ["%holysheep stop"]),
        ("x = 1\n%holysheep sto|", ["x = 1\n%holysheep stop"]),
        ("%holysheep alias --remove f|", ["%holysheep alias --remove fast"]),
        ("%holysheep alias quick gemini|", ["%holysheep alias quick gemini-2.5-flash"]),
        ("%holysheep prices gpt|", ["%holysheep prices gpt-4.1"]),
        ("%holysheep login --s|", ["%holysheep login --save"]),
    ],
)
def test_a_word_is_completed(shell: InteractiveShell, code: str, expected: list[str]) -> None:
    assert completed(shell, code) == expected


@pytest.mark.parametrize(
    "code",
    [
        *(
            "%%holysheep gpt-4.1 gem|\nHi",
            "%%holysheep -m gpt-4.1 gem|",
            "%%holysheep -s 'gem|",
            "%%holysheep -o seed gem|",
        ),
        *("%%holysheep\ngem|", "%%holysheep gpt-4.1\n%%holysheep gem|", "%%holysheepish gem|", "%holysheep stop gem|"),
    ],
)
def test_no_model_is_offered_where_none_may_stand(shell: InteractiveShell, code: str) -> None:
    assert not [line for line in completed(shell, code) if "gemini" in line]


def test_an_empty_word_is_offered_models_and_options(shell: InteractiveShell) -> None:
    offered = [line.split()[-1] for line in completed(shell, "%%holysheep |")]
    assert offered[:2] == ["fast", "claude-sonnet-4.5"]
    assert {"raw", "--model", "-T", "--max-cost"} <= set(offered)
    assert "figure_data" not in offered
    verbs = [line.split()[-1] for line in completed(shell, "%holysheep |")]
    assert {"alias", "cost", "help", "models", "prices", "version"} <= set(verbs)


def test_tools_are_functions_and_not_other_variables(shell: InteractiveShell) -> None:
    assert [line.split()[-1] for line in completed(shell, "%%holysheep -T |")] == ["find_order"]


def test_files_are_completed_where_an_option_takes_one(shell: InteractiveShell) -> None:
    assert [line.split()[-1] for line in completed(shell, "%%holysheep --replay reco|")] == ["recorded.json"]


def test_listed_models_are_offered_from_then_on_and_nothing_is_asked_for_completion(
    shell: InteractiveShell, at_server: RawServer
) -> None:
    assert "%%holysheep raw-large" not in completed(shell, "%%holysheep raw-|")
    assert at_server.requests == []
    shell.run_cell("%holysheep models")
    count = len(at_server.requests)
    assert completed(shell, "%%holysheep raw-|") == ["%%holysheep raw-large"]
    assert len(at_server.requests) == count == 1


def test_models_that_were_given_a_price_are_offered(shell: InteractiveShell) -> None:
    shell.run_cell("%holysheep prices my-model 1 2")
    assert completed(shell, "%%holysheep my|") == ["%%holysheep my-model"]


def test_a_broken_file_of_aliases_leaves_the_rest(shell: InteractiveShell, tmp_path: Path) -> None:
    (tmp_path / "aliases.json").write_text("{")
    assert completed(shell, "%%holysheep gp|") == ["%%holysheep gpt-4.1"]


def test_other_lines_are_completed_as_ever(shell: InteractiveShell) -> None:
    assert "figure_data" in completed(shell, "figure_d|")
    assert "%%holysheep" in completed(shell, "%%holy|")


def test_unloading_takes_the_completion_out(shell: InteractiveShell) -> None:
    assert len(shell.Completer.custom_matchers) == 1
    shell.extension_manager.unload_extension("holysheep_nb")
    assert shell.Completer.custom_matchers == []


# The page


@pytest.mark.parametrize("name", ["%%holysheep", "%holysheep"])
def test_the_page_of_the_magic_has_examples_options_verbs_and_what_is_set(shell: InteractiveShell, name: str) -> None:
    page = shell.object_inspect(name)["docstring"]
    assert (
        page.index("    %%holysheep\n    Why is the sky blue?")
        < page.index("--max-tokens")
        < page.index("%holysheep cost")
    )
    assert "raw answers unless another is named. Short names: fast (gemini-2.5-flash)." in page
    magics = shell.magics_manager.registry["HolySheepMagics"]
    magics.model = "fast"
    assert "gemini-2.5-flash answers unless" in shell.object_inspect(name)["docstring"]
    assert list(servers) == []
