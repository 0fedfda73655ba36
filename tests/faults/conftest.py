from pathlib import Path

import pytest

from tests.support.command_line import CommandLine
from tests.support.prefect_server import shared_server


@pytest.fixture
def nightpress(tmp_path: Path) -> CommandLine:
    """The console script, with the session's Prefect server."""
    home = tmp_path / "home"
    home.mkdir()
    environment = {"PREFECT_API_URL": shared_server(), "PREFECT_HOME": str(home)}
    return CommandLine(folder=home, environment=environment)
