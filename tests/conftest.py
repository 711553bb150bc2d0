"""What every test shares: offline by default, few threads, opt-in markers, models built once."""

import os
import shutil
import socket
import tempfile
import time
from pathlib import Path

# set before anything imports Gradio, Hugging Face or tokenizers
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
_scratch = tempfile.TemporaryDirectory(prefix="mowe-tests-")
os.environ["GRADIO_TEMP_DIR"] = f"{_scratch.name}/gradio"
os.environ["HF_HOME"] = f"{_scratch.name}/huggingface"

import pytest  # noqa: E402
import torch  # noqa: E402

import mowe  # noqa: E402, F401  before torchaudio, transformers and peft (decision 0002)

ROOT = Path(__file__).parents[1]
STARTED = time.monotonic()
OPT_IN = ("gpu", "network", "slow")
# What the small machines have; more makes timings and rounding differ. Of two processes side by
# side each has one.
THREADS = 1 if "PYTEST_XDIST_WORKER" in os.environ else 2


def pytest_addoption(parser: pytest.Parser) -> None:
    for name in OPT_IN:
        parser.addoption(f"--run-{name}", action="store_true", help=f"also run {name} tests")
    parser.addoption("--gpu-device", default="cuda", help="where gpu tests run; cpu rehearses")
    parser.addoption("--within", type=float, help="seconds; later tests are skipped")


def pytest_configure(config: pytest.Config) -> None:
    torch.set_num_threads(THREADS)


def pytest_runtest_setup(item: pytest.Item) -> None:
    within = item.config.getoption("--within")
    if within is not None and time.monotonic() - STARTED > within:
        pytest.skip(f"{within:.0f} seconds were over before it began")


def pytest_unconfigure(config: pytest.Config) -> None:
    _scratch.cleanup()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for name in OPT_IN:
        if not config.getoption(f"--run-{name}"):
            skip = pytest.mark.skip(reason=f"{name}: opt in with --run-{name}")
            for item in items:
                if item.get_closest_marker(name):
                    item.add_marker(skip)


@pytest.fixture(autouse=True)
def this_machine_only(request, monkeypatch):
    """A connection to any other machine fails the test, unless it is marked `network`."""
    if request.node.get_closest_marker("network"):
        return
    connect = socket.socket.connect

    def connect_here(self: socket.socket, address) -> None:
        if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise OSError(f"this test is offline, yet it connects to {address[0]}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect_here)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the browser that `make test` has found or installed."""
    names = (os.environ.get("MOWE_CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
    found = next(filter(None, (shutil.which(name) for name in names if name)), None)
    assert found, "no Chromium: run `make test`, which installs it or says how"
    return found


@pytest.fixture(scope="module")  # its event loop must not meet other tests
def browser(chromium, tmp_path_factory):
    """Chromium, running."""
    from browsing import open_browser

    with open_browser(chromium, tmp_path_factory.mktemp("microphone")) as running:
        yield running


@pytest.fixture(scope="session")
def components() -> dict[str, Path]:
    """Folder of every pinned pretrained component, by name; `make test` has fetched them."""
    from mowe import weights

    return {name: weights.resolve(f"package:{name}") for name in weights.COMPONENTS}


@pytest.fixture(scope="session")
def tiny_model():
    """The `tiny-random` mixture on the CPU in float32. Shared: do not change it."""
    from mowe.checkpoint import MoWE

    torch.manual_seed(0)
    return MoWE.from_preset("tiny-random", device="cpu", dtype=torch.float32).eval()


@pytest.fixture(scope="session")
def mini_assistant():
    """The shipped `mini` checkpoint behind its assistant. Shared: it keeps no state."""
    from mowe.assistant import load

    return load("mini", device="cpu")


@pytest.fixture(scope="session")
def examples() -> Path:
    """Folder of the shipped example clips."""
    return ROOT / "assets" / "examples"
