"""`holysheep-nb`: the built-in model on a terminal, and the demo in JupyterLab."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from holysheep_nb.errors import HolySheepError, UsageError
from holysheep_nb.version import __version__

ANY_SCRIPT = Path()
"""`--script` without a file: the script engine that says what it was told."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `holysheep-nb ARGV`.

    The exit code is 0, 1 after an error (one sentence on stderr), or 2 for wrong usage.
    """
    arguments = _parser().parse_args(argv)
    try:
        if arguments.command == "serve":
            _serve(arguments)
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
        help="play this JSON script, recorded .sse stream or text; without FILE, repeat what was said",
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
