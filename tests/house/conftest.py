import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

DEADLINE_S = 240  # patience with a busy machine, not an expectation
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def tracked(root: Path) -> list[Path]:
    """Every file that a clone holds."""
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=root, check=True, capture_output=True
    ).stdout
    names = [name for name in listing.decode().split("\0") if name]
    return [root / name for name in names if (root / name).is_file()]


@pytest.fixture(scope="session")
def free_ports() -> tuple[int, int]:
    """Two ports that nothing listened on a moment ago."""
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]


@pytest.fixture(scope="session")
def wait_until_ready() -> Callable[[str, "subprocess.Popen[bytes]"], None]:
    """Wait for the retriever at an address, which a process runs."""

    def wait(url: str, process: "subprocess.Popen[bytes]") -> None:
        pause, deadline = threading.Event(), time.monotonic() + DEADLINE_S
        while time.monotonic() < deadline and process.poll() is None:
            try:
                if httpx.get(f"{url}/readyz").is_success:
                    return
            except httpx.TransportError:
                pass  # it does not listen yet
            pause.wait(0.1)
        pytest.fail("the retriever never became ready")

    return wait
