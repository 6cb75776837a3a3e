"""The corpus: files as people have them, what they become, and what is found in them.

A snippet is a text with three parts, `=== before`, `=== after` and `=== findings`; without `=== after` the file
stays as it is. A notebook's cells begin with `# %% [code]` or `# %% [markdown]`. A finding is a line: place,
certainty, kind and reason.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holysheep_nb.migrate.finding import Finding
from holysheep_nb.migrate.models import ModelTable, load_models
from holysheep_nb.migrate.report import FileChange
from holysheep_nb.migrate.scan import scan_file

CORPUS = Path(__file__).parent / "corpus"
MODELS: ModelTable = load_models()


@dataclass(frozen=True)
class Snippet:
    """A file of the corpus. `content` and `expected` are its bytes before and after."""

    name: str
    before: str
    after: str | None
    findings: list[str]

    @property
    def path(self) -> Path:
        return Path(self.name)

    @property
    def content(self) -> bytes:
        return self._bytes(self.before)

    @property
    def expected(self) -> bytes:
        return self.content if self.after is None else self._bytes(self.after)

    def _bytes(self, text: str) -> bytes:
        return notebook(text) if self.name.endswith(".ipynb") else text.encode()

    def scan(self, content: bytes | None = None) -> tuple[list[Finding], FileChange | None]:
        """What is found in it, as it is or with other bytes."""
        return scan_file(self.path, self.content if content is None else content, MODELS)


def snippets() -> list[Snippet]:
    """Every file of the corpus."""
    return [read_snippet(path) for path in sorted(CORPUS.glob("*.txt"))]


def read_snippet(path: Path) -> Snippet:
    """One file of the corpus."""
    parts = re.split(r"^=== (before|after|findings)\n", path.read_bytes().decode(), flags=re.MULTILINE)[1:]
    named = dict(zip(parts[::2], parts[1::2], strict=True))
    return Snippet(
        path.name.removesuffix(".txt"), named["before"], named.get("after"), named.get("findings", "").splitlines()
    )


def describe(finding: Finding) -> str:
    """A finding as a line of the corpus."""
    place = str(finding.line) if finding.cell is None else f"{finding.cell}/{finding.line}"
    return f"{place} {finding.certainty} {finding.kind} | {finding.reason}".rstrip(" |")


def notebook(text: str, *, indent: int | None = 1, as_string: bool = False) -> bytes:
    """A notebook as Jupyter writes it, with outputs and metadata that nobody may touch."""
    cells: list[dict[str, Any]] = []
    for number, found in enumerate(
        re.finditer(r"^# %% \[(\w+)\]\n(.*?)\n?(?=^# %% \[|\Z)", text, re.MULTILINE | re.DOTALL)
    ):
        source = found[2]
        cell: dict[str, Any] = {"cell_type": found[1], "id": f"cell-{number}", "metadata": {"tags": ["keep"]}}
        if found[1] == "code":
            output = {"name": "stdout", "output_type": "stream", "text": ['model="gpt-4" é  \n', "openai.OpenAI()"]}
            cell |= {"execution_count": number, "outputs": [output]}
        cells.append({**cell, "source": source if as_string else source.splitlines(keepends=True)})
    metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}, "zeta": 1.50}
    content = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return (json.dumps(content, indent=indent, ensure_ascii=False) + "\n").encode()


def cells_of(content: bytes) -> str:
    """The cells of a notebook, as the corpus writes them."""
    lines = []
    for cell in json.loads(content)["cells"]:
        lines += [f"# %% [{cell['cell_type']}]", "".join(cell["source"])]
    return "\n".join(lines) + "\n"
