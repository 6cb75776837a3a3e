from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from live_kernel import LiveKernel
from raw_server import KEY, RawServer


class KernelHolder:
    """One kernel process for all tests; a test that leaves it in a bad state costs a new one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kernel: LiveKernel | None = None

    def kernel(self) -> LiveKernel:
        if self._kernel is None:
            env = {name: value for name, value in os.environ.items() if not name.startswith("HOLYSHEEP_")}
            self._kernel = LiveKernel(self._folder, env)
        return self._kernel

    def drop(self) -> None:
        if self._kernel is not None:
            self._kernel.shut_down()
            self._kernel = None


@pytest.fixture(scope="session")
def kernel_holder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KernelHolder]:
    holder = KernelHolder(tmp_path_factory.mktemp("kernel"))
    yield holder
    holder.drop()


@pytest.fixture
def kernel(kernel_holder: KernelHolder, server: RawServer, request: pytest.FixtureRequest) -> Iterator[LiveKernel]:
    """A kernel with the extension just loaded, whose endpoint is `server`."""
    kernel = kernel_holder.kernel()
    kernel.cells.clear()
    kernel.widgets.clear()
    kernel.messages.clear()
    kernel.keeps_messages = request.config.getoption("--key-hunt")
    kernel.run(
        "%reset -f\n"
        "import os\n"
        "get_ipython().config.pop('HolySheepMagics', None)\n"
        f"os.environ.update(HOLYSHEEP_API_KEY={KEY!r}, HOLYSHEEP_BASE_URL={server.base_url!r}, HOLYSHEEP_MODEL='raw')\n"
        "%reload_ext holysheep_nb"
    )
    yield kernel
    try:
        kernel.run("%unload_ext holysheep_nb", timeout_s=10)
    except AssertionError:
        kernel_holder.drop()


@pytest.fixture
def clicks_in_mid_cell(kernel: LiveKernel) -> None:
    """For tests in which the page says something while a cell awaits."""
    if kernel.evaluate("__import__('ipykernel').version_info[0]") < 7:
        pytest.skip("ipykernel 6 hears the page only between cells")
