from pathlib import Path

import pytest

from tests.support.command_line import CommandLine


@pytest.fixture
def nightpress(tmp_path: Path, prefect_url: str) -> CommandLine:
    """The console script, with the session's Prefect server."""
    home = tmp_path / "home"
    home.mkdir()
    environment = {
        "PREFECT_API_URL": prefect_url,
        "PREFECT_HOME": str(home),
        "NIGHTPRESS_GATE_ENGINE": "built-in",  # the other one takes seconds to load
    }
    return CommandLine(folder=home, environment=environment)
