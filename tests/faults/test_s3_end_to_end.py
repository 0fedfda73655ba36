"""The commands against a store in S3, as a person types them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_line import CommandLine
from tests.support.s3_servers import S3Server, moto

TEXT = "The press prints at night what the day has written. " * 8


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with moto(tmp_path_factory.mktemp("moto")) as running:
        yield running


@pytest.mark.slow
def test_a_collection_in_s3_is_indexed_listed_and_searched(
    nightpress: CommandLine, server: S3Server, tmp_path: Path
):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "press.txt").write_text(TEXT)
    nightpress.environment |= server.environment()
    told = ("--json", "--quiet", "--store", server.url("end-to-end"))
    source = ("--source", str(tmp_path / "docs"), "--embedder", "hashing")
    report = nightpress("run", *source, *told).json
    assert report["promoted"] is True
    assert nightpress("status", *told).json["store"] == server.url("end-to-end")
    found = nightpress("search", "what does the press print?", *told).json
    assert found["version"] == report["version"]
    assert found["hits"][0]["uri"] == "press.txt"
