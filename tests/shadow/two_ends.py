"""What the tests of comparisons have in common: two servers, and a comparison of them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raw_server import RawServer

from holysheep_nb.config import Settings
from holysheep_nb.kernel import stream_thread, wait_blocking
from holysheep_nb.shadow.opening import ShadowTask, open_shadow
from holysheep_nb.shadow.options import add_options

OLD_KEY = "sk-old-key-0123456789"
NEW_KEY = "hs-new-key-0123456789"


@dataclass
class TwoEnds:
    """Both servers, and the folder of prompts, results and report."""

    old: RawServer
    new: RawServer
    folder: Path

    @property
    def prompts(self) -> Path:
        return self.folder / "prompts.jsonl"

    @property
    def words(self) -> list[str]:
        """The options that name the old end."""
        return ["--old-base-url", self.old.base_url, "--old-key-name", "OLD_KEY"]

    def write(self, prompts: Iterable[Any]) -> None:
        lines = ({"prompt": each} if isinstance(each, str) else each for each in prompts)
        self.prompts.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")

    def open(self, *words: str) -> ShadowTask:
        parser = argparse.ArgumentParser()
        add_options(parser)
        given = [str(self.prompts), *self.words, "--old-model", "old-large", "--model", "new-large", *words]
        return open_shadow(parser.parse_args(given), Settings())

    def compare(self, *words: str, on_progress: Callable[[str], None] = lambda _: None) -> ShadowTask:
        comparison = self.open(*words)
        wait_blocking(stream_thread.submit(comparison.run(on_progress)))
        return comparison


def asked(server: RawServer) -> list[str]:
    """What each request said last, in order."""
    return [request.json["messages"][-1]["content"] for request in server.asked]
