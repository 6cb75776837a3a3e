"""The house: who may import whom, and the one place of each third-party library."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import holysheep_nb

PACKAGE = Path(holysheep_nb.__file__).parent


def modules() -> dict[str, Path]:
    """Each module by its name within the package, "" being the package itself."""
    return {
        ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").rstrip("."): path
        for path in sorted(PACKAGE.rglob("*.py"))
    }


MODULES = modules()


def imports(name: str, *, for_types: bool = True) -> set[str]:
    """What a module imports, wherever it does: names within the package begin with a dot.

    `for_types` False leaves out what stands under `if TYPE_CHECKING`.
    """
    path = MODULES[name]
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    package = [part for part in package if part]
    found: set[str] = set()
    for node in _walk(ast.parse(path.read_text("utf-8")), for_types):
        if isinstance(node, ast.Import):
            found |= {_own(alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                above = package[: len(package) - node.level + 1]
                base = "." + ".".join([*above, *([node.module] if node.module else [])])
            else:
                base = _own(node.module or "")
            submodules = {f"{base.rstrip('.')}.{alias.name}" for alias in node.names}
            known = {each for each in submodules if each.startswith(".") and each[1:] in MODULES}
            found |= known or {base}
            if len(known) < len(submodules):
                found.add(base)
    return found


def _walk(node: ast.AST, for_types: bool) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if not for_types and isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield child
        yield from _walk(child, for_types)


def _own(name: str) -> str:
    return "." + name.removeprefix("holysheep_nb").lstrip(".") if name.split(".")[0] == "holysheep_nb" else name


def part_of(name: str, *places: str) -> bool:
    return any(name == place or name.startswith(place + ".") for place in places)


def importers(library: str, *, for_types: bool = True) -> set[str]:
    """The modules that import a library of others."""
    return {name for name in MODULES if any(part_of(each, library) for each in imports(name, for_types=for_types))}


# What each may import of the package; a place stands for what is in it.
LAYERS = {
    "": {"chat", "errors", "magics", "run", "tools", "version"},
    "__main__": {"cli"},
    "agent": {"masks", "conversation", "errors", "events", "parts", "retries", "tool_calls", "transports.base", "wire"},
    "aliases": {"errors"},
    "approvals": set(),
    "chat": {
        *(
            "agent",
            "approvals",
            "attachments",
            "comparison",
            "config",
            "conversation",
            "errors",
            "events",
            "execution",
            "kernel",
            "keys",
            "masks",
        ),
        *("aliases", "parts", "preview", "pricing", "prompts", "route", "run", "timing"),
        *("tool_calls", "tools", "view", "wire"),
    },
    "attachments": {"content", "errors", "options", "parts", "prompts", "view.markdown"},
    "comparison": {"errors", "kernel", "masks", "run"},
    "cli": {"config", "errors", "kernel", "local", "migrate", "shadow", "version"},
    "completion": {"aliases", "chat", "config", "errors", "mcp", "options", "pricing", "tools"},
    "config": {"aliases", "errors", "keys", "pricing", "profiles", "retries"},
    "content": {"content", "errors"},
    "conversation": {"events", "parts"},
    "difference": set(),
    "errors": {"masks"},
    "events": set(),
    "execution": {"content", "errors", "kernel", "tool_calls", "tools"},
    "failures": {"content", "errors", "execution", "kernel"},
    "history": {
        *("chat", "config", "content", "conversation", "difference", "errors", "events", "history", "masks", "pricing"),
        *("run", "timing", "view"),
    },
    "kernel": {"kernel"},
    "keys": set(),
    "local": {"errors", "keys", "local"},
    "login": {"errors", "kernel", "keys", "view"},
    "magics": {
        *(
            "attachments",
            "chat",
            "comparison",
            "config",
            "errors",
            "failures",
            "kernel",
            "mcp",
            "options",
            "preview",
            "prompts",
        ),
        *("completion", "history", "run", "verbs", "view"),
    },
    "manual": {"options"},
    "masks": {"keys"},
    "mcp": {"content", "errors", "kernel", "mcp", "tools", "version"},
    "migrate": {"config", "errors", "migrate"},
    "migrate.estimate": {"config", "conversation", "errors", "pricing", "shadow.report", "view.markdown"},
    "migrate.options": {"errors", "shadow.options"},
    "migrate.verb": {"config", "errors", "migrate", "view"},
    "options": {"errors"},
    "parts": {"events"},
    "pricing": {"conversation", "errors", "masks", "pricing"},
    "profiles": {"errors", "profiles"},
    "profiles.verb": {"config", "errors", "keys", "profiles"},
    "pricing.verb": {"errors", "pricing", "run"},
    "preview": {"content", "masks", "timing", "view.markdown"},
    "prompts": {"content", "errors", "options", "parts", "run"},
    "route": {"agent", "config", "errors", "events", "kernel", "transports", "wire"},
    "retries": {"errors", "events"},
    "run": {
        *("approvals", "conversation", "errors", "events", "kernel", "masks", "parts", "pricing", "tally", "timing"),
    },
    "tally": {"conversation", "errors", "events", "parts", "pricing", "timing"},
    "shadow": {
        *("aliases", "chat", "config", "conversation", "errors", "events", "kernel", "masks", "pricing", "route"),
        *("run", "shadow", "view"),
    },
    "timing": set(),
    "tool_calls": {"approvals", "errors", "events", "parts", "tools"},
    "parameters": {"errors"},
    "signatures": {"errors", "parameters"},
    "tools": {"errors", "signatures"},
    "transports": {"errors", "keys", "masks", "transports"},
    "verbs": {
        *("aliases", "history", "manual", "migrate", "pricing", "profiles", "shadow"),
        *("chat", "config", "errors", "keys", "local", "login", "mcp", "options", "run", "version", "view"),
    },
    "version": set(),
    "view": {
        *("approvals", "comparison", "content", "conversation", "difference", "errors", "kernel", "masks", "parts"),
        *("run", "view"),
    },
    "wire": {"conversation", "errors", "events", "keys", "masks", "parts", "wire"},
}


def layer_of(name: str) -> str:
    return name if name in LAYERS else name.split(".")[0]


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_only_from_the_layers_below_it(name: str) -> None:
    assert layer_of(name) in LAYERS, "a new module: say in LAYERS what it may import"
    allowed = LAYERS[layer_of(name)]
    own = {each[1:] for each in imports(name) if each.startswith(".")}
    assert {each for each in own if not part_of(each, *allowed) and each != ""} == set()


def test_every_layer_exists() -> None:
    assert {layer_of(name) for name in MODULES} == set(LAYERS)


@pytest.mark.parametrize(
    ("library", "places"),
    [
        ("httpx", ["transports.sse"]),
        ("httpx_sse", ["transports.sse"]),
        ("websockets", ["transports.websocket"]),
        ("anywidget", ["view"]),
        ("ipywidgets", ["view"]),
        ("IPython", ["completion", "login", "magics", "verbs", "view", "kernel"]),
        ("nest_asyncio", []),
        ("nest_asyncio2", ["kernel.nesting"]),
        ("docstring_parser", ["tools"]),
        ("pydantic", ["local", "parameters", "signatures"]),
        ("traitlets", ["config", "view"]),
        ("starlette", ["local"]),
        ("uvicorn", ["local"]),
        ("xllamacpp", ["local"]),
        ("platformdirs", ["aliases", "local", "migrate", "pricing"]),
        ("libcst", ["migrate"]),
        ("pathspec", ["migrate"]),
        ("nbformat", []),
        ("jupyterlab", []),
        ("openai", []),
        ("mcp", ["mcp"]),
        ("anyio", ["mcp"]),
        ("jsonschema", ["mcp"]),
        ("referencing", ["mcp"]),
        ("certifi", ["transports.certificates"]),
        ("keyring", ["keys", "login"]),
        ("matplotlib", ["shadow.plots"]),
        ("numpy", []),
        ("pandas", ["comparison"]),
        ("PIL", []),
        ("polars", []),
    ],
)
def test_a_library_stands_behind_one_fence(library: str, places: list[str]) -> None:
    users = importers(library, for_types=False)
    assert {name for name in users if not part_of(name, *places)} == set()


def test_only_the_package_itself_names_ipython_for_types_beside_those_that_use_it() -> None:
    assert importers("IPython") - importers("IPython", for_types=False) <= {""}


@pytest.mark.parametrize(
    ("places", "forbidden"),
    [
        (["view"], [".agent", ".transports", ".wire"]),
        (["transports"], [".conversation", ".view", ".wire"]),
        (["wire", "conversation", "events", "parts"], ["asyncio", "httpx", "traitlets", "threading", "IPython"]),
        (["agent", "run", "wire"], ["threading"]),
    ],
)
def test_some_never_meet(places: list[str], forbidden: list[str]) -> None:
    names = [name for name in MODULES if part_of(name, *places)]
    assert len(names) >= len(places)
    met = {(name, each) for name in names for each in imports(name) if part_of(each, *forbidden)}
    assert met == set()


def test_nothing_but_the_package_imports_the_magics() -> None:
    assert {name for name in MODULES if ".magics" in imports(name)} == {""}
    readers = {name for name in MODULES if ".options" in imports(name)}
    assert readers == {"attachments", "completion", "magics", "manual", "prompts", "verbs"}
    assert {name for name in MODULES if ".verbs" in imports(name)} == {"magics"}


def test_the_package_does_not_need_the_migration() -> None:
    users = {name for name in MODULES if any(part_of(each, ".migrate") for each in imports(name))}
    assert {name for name in users if not part_of(name, "migrate")} <= {"cli", "verbs"}


def test_only_the_kernel_knows_threads_outside_the_local_gateway() -> None:
    users = {name for name in importers("threading") | importers("signal") if not part_of(name, "local")}
    assert {name.split(".")[0] for name in users} == {"kernel"}


def test_the_public_names_are_these() -> None:
    assert holysheep_nb.__all__ == [
        "Chat",
        "HolySheepError",
        "Run",
        "__version__",
        "load_ipython_extension",
        "stream_chat_completion_sse",
        "stream_with_websocket",
        "tool",
        "unload_ipython_extension",
    ]
    assert all(getattr(holysheep_nb, name) is not None for name in holysheep_nb.__all__)


def test_a_name_the_package_does_not_have_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"^module 'holysheep_nb' has no attribute 'ask'$"):
        holysheep_nb.ask  # noqa: B018


def imported_by(source: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; before = set(sys.modules); {source}; print(*(set(sys.modules) - before))"],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    return {name.split(".")[0] for name in done.stdout.split()}


def test_importing_the_package_imports_nothing_heavy() -> None:
    heavy = {"IPython", "httpx", "httpx_sse", "pydantic", "anywidget", "ipywidgets", "asyncio", "traitlets"}
    assert imported_by("import holysheep_nb") & heavy == set()


def test_a_script_that_asks_imports_no_widget() -> None:
    widgets = {"anywidget", "ipywidgets", "pydantic", "nest_asyncio2", "starlette"}
    assert imported_by("from holysheep_nb import Chat, stream_chat_completion_sse") & widgets == set()


def test_loading_the_extension_in_a_terminal_imports_no_widget() -> None:
    source = (
        "from IPython.core.interactiveshell import InteractiveShell; "
        "import holysheep_nb; shell = InteractiveShell(); holysheep_nb.load_ipython_extension(shell)"
    )
    assert imported_by(source) & {"anywidget", "ipywidgets", "pydantic", "nest_asyncio2", "starlette"} == set()
