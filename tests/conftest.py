"""What holds for every test: no settings of the person who runs them, and no luck."""

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.prefect_server import shared_server

MEMORY = Path("/dev/shm")  # noqa: S108 - where waiting for a disk is no part of what is tested
ROOM_BYTES = 4 * 1024**3

settings.register_profile("house", deadline=None, derandomize=True, database=None)
settings.load_profile("house")

for _name in [name for name in os.environ if name.startswith(("NIGHTPRESS_", "PREFECT_"))]:
    del os.environ[_name]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # tests that a shell runs in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)

if "TMPDIR" not in os.environ and MEMORY.is_dir():
    _found = os.statvfs(MEMORY)
    if not _found.f_flag & os.ST_NOEXEC and _found.f_bavail * _found.f_frsize >= ROOM_BYTES:
        os.environ["TMPDIR"], tempfile.tempdir = str(MEMORY), None


@pytest.fixture(scope="session")
def prefect_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the Prefect server of the session lives, whichever process of it asks."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "prefect"


@pytest.fixture(scope="session")
def prefect_url(prefect_folder: Path) -> Iterator[str]:
    """Address of the API of a real Prefect server, one for the whole session."""
    with shared_server(prefect_folder) as url:
        yield url
