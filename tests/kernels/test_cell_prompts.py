"""Prompts with values of the notebook, from a cell to what the server reads."""

from __future__ import annotations

import json
from typing import Any

import pytest
from live_kernel import LiveKernel
from raw_server import KEY, RawServer, answer

SEVEN_PROMPTS = {
    "{v:k for k,v in d.items()}": "{v:k for k,v in d.items()}",
    "print({'foo': 'bar'})": "print({'foo': 'bar'})",
    "{": "{",
    '{"a": 1}': '{"a": 1}',
    r"\frac{a}{b}": r"\frac{a}{b}",
    "${x}": "${x}",
    '{{"{{x}}"}}': "{{x}}",
}


def last_content(server: RawServer) -> Any:
    """What the last prompt was when it arrived."""
    return server.asked[-1].json["messages"][-1]["content"]


@pytest.mark.parametrize(("prompt", "sent"), SEVEN_PROMPTS.items())
@pytest.mark.parametrize("is_called", [False, True], ids=["cell", "called"])
def test_the_seven_prompts_arrive_as_written(
    kernel: LiveKernel, server: RawServer, prompt: str, sent: str, is_called: bool
) -> None:
    server.play(answer("Yes."))
    kernel.run("x, a, b, d = 1, 2, 3, {}")
    code = f"get_ipython().run_cell_magic('holysheep', '', {prompt!r})" if is_called else f"%%holysheep\n{prompt}"
    assert kernel.run(code).status == "ok"
    assert last_content(server) == sent


def test_a_prompt_reads_the_cells_above(kernel: LiveKernel, server: RawServer) -> None:
    server.play(answer("An answer with {{braces}}."))
    number = kernel.evaluate("get_ipython().execution_count")
    kernel.run("%time 6 * 7\n6 * 7")
    kernel.run("%%holysheep\nHi")
    kernel.run(f"%%holysheep\n{{{{In[{number}]}}}} gave {{{{Out[{number}]}}}}; you said: {{{{Out[{number + 1}]}}}}")
    assert last_content(server) == "%time 6 * 7\n6 * 7 gave 42; you said: An answer with {{braces}}."


def test_the_line_of_a_cell_is_not_expanded(kernel: LiveKernel, server: RawServer) -> None:
    server.play(answer("Yes."))
    kernel.run("x = 1")
    kernel.run("%%holysheep -s 'Say {x} $x {{x}}.'\nHi")
    assert server.asked[-1].json["messages"][0]["content"] == "Say {x} $x {{x}}."


def test_a_missing_name_is_one_sentence_and_nothing_is_sent(kernel: LiveKernel, server: RawServer) -> None:
    kernel.run("frame = 1\nchat = get_ipython().magics_manager.registry['HolySheepMagics'].chat")
    cell = kernel.run("%%holysheep\nLook: {{frme}}")
    assert cell.traceback == ["UsageError: There is no 'frme' in this notebook for {{frme}}. Did you mean frame?"]
    assert server.requests == []
    assert kernel.evaluate("len(chat.conversation.exchanges)") == 0


FAILING = """
import json

def load(text):
    return json.loads(text)

load("{")
"""


def test_the_last_error_goes_with_its_code_and_without_paths(kernel: LiveKernel, server: RawServer) -> None:
    server.play(answer("Like this."))
    number = kernel.evaluate("get_ipython().execution_count")
    kernel.run(FAILING)
    kernel.run("%%holysheep\n{{not_there}}")
    kernel.run("print('fine')")
    sent = []
    for name in ("Err", "Err[-1]", f"Err[{number}]"):
        assert kernel.run(f"%%holysheep --new\nFix this: {{{{{name}}}}}").status == "ok"
        sent.append(last_content(server))
    assert sent[0] == sent[1] == sent[2]
    assert sent[0].startswith(f"Fix this: \n\nCell In[{number}]:\n\n{FAILING.strip()}\n\nIt raised:\n\n")
    assert (
        f'  Cell In[{number}], line 6, in <module>\n    load("{{")\n  Cell In[{number}], line 4, in load\n' in sent[0]
    )
    assert "  json.decoder, line " in sent[0]
    assert sent[0].endswith(
        "\nJSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"
    )
    assert "/" not in sent[0]


def test_code_that_does_not_parse_is_an_error_too(kernel: LiveKernel, server: RawServer) -> None:
    server.play(answer("Like this."))
    kernel.run("x = = 1")
    kernel.run("%%holysheep\n{{Err}}")
    assert "x = = 1\n\nIt raised:\n\n  Cell In[" in last_content(server)
    assert last_content(server).endswith(", line 1\n    x = = 1\nSyntaxError: invalid syntax")


def test_errors_are_bounded_and_forgotten_with_the_extension(kernel: LiveKernel, server: RawServer) -> None:
    cell = kernel.run("%%holysheep\n{{Err}}")
    assert cell.traceback == ["UsageError: {{Err}} cannot be inserted. No cell has raised an error yet."]
    first = kernel.evaluate("get_ipython().execution_count")
    for _ in range(52):
        kernel.run("1 / 0")
    cell = kernel.run(f"%%holysheep\n{{{{Err[{first}]}}}}")
    assert f"There is no Err[{first}]: the cells that raised errors are {first + 2}, " in cell.traceback[0]
    assert len(cell.traceback[0]) < 600
    kernel.run(f"# {'long ' * 2000}\ndef boom(n): return boom(n)\nboom(1)")
    server.play(answer("Yes."))
    kernel.run("%%holysheep\n{{Err}}")
    assert len(last_content(server)) < 11_000
    assert "RecursionError" in last_content(server)


def test_a_figure_goes_to_a_model_that_takes_images(kernel: LiveKernel, server: RawServer) -> None:
    server.play(answer("A line."))
    kernel.run("import matplotlib.figure\nfig = matplotlib.figure.Figure(figsize=(2, 1))")
    cell = kernel.run("%%holysheep gpt-4.1\nWhat is in {{fig}}?")
    text, image, rest = last_content(server)
    assert (text["text"], rest["text"]) == ("What is in (a figure, 200 × 100)", "?")
    assert image["image_url"]["url"].startswith("data:image/png;base64,")
    cell.widget().say("bye")
    kept = json.dumps(cell.run_metadata, ensure_ascii=False)
    assert "What is in (a figure, 200 × 100)" in kept
    assert "base64" not in kept


def test_what_is_attached_goes_with_the_prompt(kernel: LiveKernel, server: RawServer) -> None:
    server.play(answer("Yes."))
    kernel.run("open('sales.csv', 'w').write('a,b\\n')\nd = {'n': 1}")
    cell = kernel.run("%%holysheep -a d --attach '*.csv'\nRead {{d['n']}} file.")
    assert cell.status == "ok"
    sent = 'Read 1 file.\n\nd:\n\n{"n": 1}\n\nsales.csv:\n\n```\na,b\n```'
    assert last_content(server) == sent
    cell.widget().say("bye")
    assert cell.run_metadata["turns"][0]["parts"] == [{"type": "text", "text": sent}]


def test_a_dry_run_shows_what_would_be_sent_and_sends_nothing(kernel: LiveKernel, server: RawServer) -> None:
    kernel.run("x = 7\nimport os\ndel os.environ['HOLYSHEEP_API_KEY']")
    cell = kernel.run("%%holysheep --dry-run --out plan -s 'Be brief.'\nWhat is {{x}}?")
    assert cell.status == "ok"
    (output,) = cell.outputs
    assert output.kind == "execute_result"
    for text in (output.data["text/markdown"], output.data["text/plain"]):
        assert "Nothing was sent." in text
        assert "What is 7?" in text
        assert KEY not in text
    assert server.requests == []
    assert kernel.evaluate("[plan.messages, _ is plan]") == [
        [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is 7?"}],
        True,
    ]
    called = kernel.run("get_ipython().run_cell_magic('holysheep', '--dry-run', 'Hi {{x}}')")
    assert "Hi 7" in called.text
    kernel.run(f"os.environ['HOLYSHEEP_API_KEY'] = {KEY!r}")
    server.play(answer("Yes."))
    kernel.run("%%holysheep\nFirst")
    assert server.asked[-1].json["messages"] == [{"role": "user", "content": "First"}]


def test_a_key_in_a_value_is_refused(kernel: LiveKernel, server: RawServer) -> None:
    kernel.run("import os")
    for line in ("", "--dry-run"):
        cell = kernel.run(f"%%holysheep {line}\nCheck {{{{os.environ['HOLYSHEEP_API_KEY']}}}}")
        assert cell.traceback == ["UsageError: The prompt contains the value of HOLYSHEEP_API_KEY: take it out."]
    assert server.requests == []
