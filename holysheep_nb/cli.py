"""`holysheep-nb`: the built-in model on a terminal, the demo in JupyterLab, and the move of code to HolySheep."""

from __future__ import annotations

import argparse
import html
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from holysheep_nb.errors import HolySheepError, UsageError
from holysheep_nb.migrate.options import NEWEST_JOURNAL, check_together
from holysheep_nb.migrate.options import add_options as add_migrate_options
from holysheep_nb.shadow.options import add_options as add_shadow_options
from holysheep_nb.version import __version__

ANY_SCRIPT = Path()
"""`--script` without a file: the script engine that says what it was told."""
INTERRUPTED = 130
"""The exit code of `shadow` after Ctrl-C: what came is kept."""
FOUND = 3
"""The exit code of `migrate` without `--write`, when there is something to move or to look at."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `holysheep-nb ARGV`.

    The exit code is 0, 1 after an error (one sentence on stderr), or 2 for wrong usage; `migrate` that only looks
    gives 3 when it found something.
    """
    arguments = _parser().parse_args(argv)
    try:
        if arguments.command == "serve":
            _serve(arguments)
        elif arguments.command == "migrate":
            return _migrate(arguments)
        elif arguments.command == "shadow":
            return _shadow(arguments)
        else:
            _demo(arguments)
    except HolySheepError as error:
        if getattr(arguments, "is_json", False):
            print(json.dumps({"error": str(error), "details": error.details}), flush=True)
        else:
            print(f"holysheep-nb: {error}", file=sys.stderr, flush=True)
        return 2 if isinstance(error, UsageError) else 1
    except KeyboardInterrupt:
        return 0
    return 0


def _serve(arguments: argparse.Namespace) -> None:
    from holysheep_nb.local.process import SERVER_MODULES, require_extra

    engine = _engine(arguments)
    require_extra(*SERVER_MODULES, *(["xllamacpp"] if engine == "smollm2" else []))
    from holysheep_nb.local.serve import ServeOptions, serve

    serve(
        ServeOptions(
            engine=engine,
            script=_script(arguments),
            deltas_per_s=arguments.rate,
            host=arguments.host,
            port=arguments.port,
            allow_remote=arguments.allow_remote,
            is_json=arguments.is_json,
            watches_stdin=arguments.watches_stdin,
        )
    )


def _demo(arguments: argparse.Namespace) -> None:
    from holysheep_nb.local.demo import DemoOptions, run_demo

    run_demo(
        DemoOptions(
            folder=arguments.dir,
            port=arguments.port,
            opens_browser=not arguments.no_browser,
            engine=_engine(arguments),
            script=_script(arguments),
            notebook=arguments.notebook,
        )
    )


def _migrate(arguments: argparse.Namespace) -> int:
    check_together(arguments)
    if arguments.estimates and arguments.is_json:
        raise UsageError("--roi writes a table: leave out --json.")
    if arguments.rollback is not None:
        return _roll_back(arguments)
    if arguments.estimates:
        print(_estimate(arguments), end="" if not arguments.paths else "\n", flush=True)
    if not arguments.paths:
        if arguments.estimates:
            return 0
        raise UsageError("Name the files or folders to look at, as in: holysheep-nb migrate src notebooks.")
    from holysheep_nb.migrate import plan, write
    from holysheep_nb.migrate.journal import keys_file
    from holysheep_nb.migrate.report import colour

    base_url = {} if arguments.base_url is None else {"base_url": arguments.base_url}
    report = plan(arguments.paths, models=arguments.models, **base_url)
    journal = write(report) if arguments.writes else None
    if arguments.is_json:
        print(json.dumps({**report.to_dict(), "diff": report.diff(), "journal": journal and str(journal)}), flush=True)
    else:
        if not arguments.writes:
            is_coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
            print(colour(report.diff()) if is_coloured else report.diff(), end="")
        print(report.to_text(), end="")
        if journal is not None:
            print(f"Written. To go back: holysheep-nb migrate --rollback {journal}")
            if any(change.keys for change in report.changes):
                print(f"Until then the keys that were taken out are in {keys_file(journal)}, for you alone.")
        elif report.changes:
            print("Nothing was written: --write does it.")
    return FOUND if report.findings and not arguments.writes else 0


def _estimate(arguments: argparse.Namespace) -> str:
    from holysheep_nb.config import Settings
    from holysheep_nb.migrate.estimate import estimate

    return html.unescape(estimate(arguments, Settings()).to_markdown())


def _shadow(arguments: argparse.Namespace) -> int:
    from holysheep_nb.config import Settings
    from holysheep_nb.kernel import stream_thread, wait_blocking
    from holysheep_nb.shadow.opening import open_shadow

    comparison = open_shadow(arguments, Settings())
    print(comparison.progress, file=sys.stderr, flush=True)
    try:
        wait_blocking(
            stream_thread.submit(comparison.run(lambda progress: print(progress, file=sys.stderr, flush=True)))
        )
    except KeyboardInterrupt:
        comparison.stop()
        print(f"holysheep-nb: {comparison.interrupted}", file=sys.stderr, flush=True)
        return INTERRUPTED
    report = comparison.report()
    report.save(comparison.report_path)
    print(html.unescape(report.decision()))
    print(f"\nThe report is in {comparison.report_path}.")
    return 0


def _roll_back(arguments: argparse.Namespace) -> int:
    from holysheep_nb.migrate import roll_back

    done = roll_back(None if arguments.rollback == NEWEST_JOURNAL else arguments.rollback)
    if arguments.is_json:
        refused = [{"path": str(each.path), "diff": each.diff} for each in done.refused]
        print(json.dumps({"restored": [str(path) for path in done.restored], "refused": refused}), flush=True)
    else:
        for path in done.restored:
            print(f"Restored: {path}")
        for each in done.refused:
            print(f"Left as it is, for it was edited or moved since: {each.path}\n{each.diff}", end="")
    return 1 if done.refused else 0


def _engine(arguments: argparse.Namespace) -> Literal["smollm2", "script"]:
    """The engine that is meant: a script asks for the script engine."""
    if arguments.script is not None and arguments.engine == "smollm2":
        raise UsageError("--script is for the script engine: leave out --engine smollm2.")
    return "script" if arguments.script is not None or arguments.engine == "script" else "smollm2"


def _script(arguments: argparse.Namespace) -> Path | None:
    script: Path | None = arguments.script
    return None if script == ANY_SCRIPT else script


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="holysheep-nb", description=__doc__)
    parser.add_argument("--version", action="version", version=f"holysheep-nb {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="run the local gateway", description="Runs the local gateway.")
    _add_engine(serve)
    serve.add_argument("--rate", type=_rate, default=50.0, help="deltas per second of a script, 0: no limit")
    serve.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: %(default)s)")
    serve.add_argument("--port", type=_port, default=0, help="the port to listen on (default: any free one)")
    serve.add_argument("--allow-remote", action="store_true", help="accept a --host that is not loopback")
    serve.add_argument("--json", dest="is_json", action="store_true", help="JSON lines on stdout")
    serve.add_argument(
        "--watch-stdin", dest="watches_stdin", action="store_true", help="end when stdin or the parent does"
    )

    demo = commands.add_parser(
        "demo",
        help="run the gateway and JupyterLab on the quickstart",
        description="Runs the local gateway and JupyterLab on a copy of the quickstart notebook.",
    )
    _add_engine(demo)
    demo.add_argument("--port", type=_port, default=0, help="JupyterLab's port (default: any free one)")
    demo.add_argument("--no-browser", action="store_true", help="print the URL instead of opening it")
    demo.add_argument(
        "--dir",
        type=Path,
        default=Path("holysheep-demo"),
        help="the folder to work in (default: ./%(default)s)",
    )
    demo.add_argument("--notebook", type=Path, help="another notebook to copy and open")

    migrate = commands.add_parser(
        "migrate",
        help="move scripts and notebooks to HolySheep, and back",
        description="Finds uses of other model APIs in .py and .ipynb files, shows how they would change, and with "
        "--write changes them. The exit code is 3 if something was found and nothing written.",
    )
    add_migrate_options(migrate)
    migrate.add_argument("--json", dest="is_json", action="store_true", help="JSON on stdout")

    shadow = commands.add_parser(
        "shadow",
        help="send the same prompts to another endpoint and to HolySheep",
        description="Sends each prompt of a JSONL file to another endpoint and to HolySheep, and writes a report of "
        "times, tokens, cost and how far the answers agree. Interrupted, it goes on where it was.",
    )
    add_shadow_options(shadow)
    return parser


def _add_engine(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--engine", choices=["smollm2", "script"], help="what answers (default: smollm2, a small real model)"
    )
    parser.add_argument(
        "--script",
        type=Path,
        nargs="?",
        const=ANY_SCRIPT,
        metavar="FILE",
        help="play this JSON script, recorded .sse stream or text; without FILE, repeat what was said. "
        "What a script says, tool calls too, is in the docstring of holysheep_nb.local.script_file",
    )


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError("a port is between 0 and 65535")
    return port


def _rate(text: str) -> float:
    rate = float(text)
    if not 0 <= rate < float("inf"):
        raise argparse.ArgumentTypeError("a rate is 0 or more deltas per second")
    return rate
