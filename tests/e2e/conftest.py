from pathlib import Path

import pytest

from tests.support.command_line import CommandLine


@pytest.fixture
def nightpress(tmp_path: Path, prefect_url: str) -> CommandLine:
    """The console script with the session's Prefect server, hashing embedder, source and store."""
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "source").mkdir()
    environment = {
        "PREFECT_API_URL": prefect_url,
        "PREFECT_HOME": str(home),
        "NIGHTPRESS_SOURCE": str(tmp_path / "source"),
        "NIGHTPRESS_STORE": str(tmp_path / "store"),
        "NIGHTPRESS_EMBEDDER": "hashing",
        "NIGHTPRESS_GATE_ENGINE": "built-in",  # the other one takes seconds to load
    }
    return CommandLine(folder=home, environment=environment)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "source"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"
