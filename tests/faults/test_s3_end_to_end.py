"""The commands against a store in S3, as a person types them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from tests.support.s3_servers import S3Server, moto

TEXT = "The press prints at night what the day has written. " * 8


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with moto(tmp_path_factory.mktemp("moto")) as running:
        yield running


def nightpress(server: S3Server, folder: Path, *arguments: str) -> dict[str, object]:
    """Run a command, and return the JSON object it prints."""
    done = subprocess.run(
        [Path(sys.executable).with_name("nightpress"), *arguments, "--json", "--quiet",
         "--store", server.url("end-to-end")],
        cwd=folder,
        env={**os.environ, **server.environment(), "PREFECT_HOME": str(folder / "prefect")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = orjson.loads(done.stdout)
    return found


@pytest.mark.slow
def test_a_collection_in_s3_is_indexed_listed_and_searched(server: S3Server, tmp_path: Path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "press.txt").write_text(TEXT)
    run = ("run", "--source", "docs", "--embedder", "hashing")
    report = nightpress(server, tmp_path, *run)
    assert report["promoted"] is True
    status = nightpress(server, tmp_path, "status")
    assert status["store"] == server.url("end-to-end")
    found = nightpress(server, tmp_path, "search", "what does the press print?")
    assert found["version"] == report["version"]
    assert found["hits"][0]["uri"] == "press.txt"  # type: ignore[index]
