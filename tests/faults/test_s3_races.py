"""Eight writers append to one log: nothing lost, nothing doubled, no gap."""

import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from index_store.storage.folder import FolderStorage
from index_store.storage.remote import RemoteStorage
from tests.support.append_race import race
from tests.support.s3_servers import S3Server, moto, seaweedfs

WRITERS = 8


@pytest.fixture(scope="module", params=[moto, seaweedfs], ids=["moto", "seaweedfs"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[S3Server]:
    with request.param(tmp_path_factory.mktemp("server")) as running:
        yield running


def test_appends_race_in_a_folder(tmp_path: Path):
    result = race(lambda: FolderStorage(tmp_path), 80, WRITERS, time.monotonic)
    assert (result.acknowledged, result.records, result.lost, result.doubled) == (80, 80, 0, 0)


def test_appends_race_in_s3(server: S3Server):
    storage = RemoteStorage(server.url(uuid4().hex), server.options())
    result = race(lambda: storage, 40, WRITERS, time.monotonic)
    assert (result.acknowledged, result.records, result.lost, result.doubled) == (40, 40, 0, 0)
