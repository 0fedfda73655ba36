"""What holds for every test: no settings of the person who runs them, and no luck."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.prefect_server import shared_server

settings.register_profile("house", deadline=None, derandomize=True, database=None)
settings.load_profile("house")

for _name in [name for name in os.environ if name.startswith(("NIGHTPRESS_", "PREFECT_"))]:
    del os.environ[_name]


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
