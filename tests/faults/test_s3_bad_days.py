"""Archives, repairs, a cache and a purge do on S3 what they do in a folder."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from index_store.archive_reading import ArchiveReader
from index_store.cache import CacheOptions, LocalCache
from index_store.exporting import export_version
from index_store.importing import import_archive
from index_store.log import CommitLog
from index_store.log_records import resolve_version
from index_store.repair import repair
from index_store.snapshot import Snapshot, SnapshotOptions
from index_store.storage.folder import FolderStorage
from index_store.storage.remote import RemoteStorage
from tasks.stages.erasing import erase
from tasks.stages.erasure_report import purge_and_certify
from tests.support.plain_run import run_plainly
from tests.support.s3_servers import S3Server, moto
from tests.support.small_sources import COLLECTION, options_for, prose, searchable, vector, write


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """A version that was made in a folder."""
    for topic in ("bees", "moss", "rain"):
        write(tmp_path / "source" / f"{topic}.txt", prose(topic))
    storage = FolderStorage(tmp_path / "folder")
    run_plainly(options_for(tmp_path / "source"), storage)
    published = resolve_version(CommitLog(storage, COLLECTION).read())
    export_version(storage, published, tmp_path / "archive", with_embeddings=True)
    return tmp_path / "archive"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with moto(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def storage(server: S3Server) -> RemoteStorage:
    return RemoteStorage(server.url(uuid4().hex), server.options())


def test_a_version_goes_to_s3_and_comes_back(archive: Path, storage: RemoteStorage, tmp_path: Path):
    done = import_archive(storage, archive, move_production=True)
    assert done.version == done.origin
    assert searchable(storage) == searchable(FolderStorage(tmp_path / "folder"))
    published = resolve_version(CommitLog(storage, COLLECTION).read())
    export_version(storage, published, tmp_path / "again")
    assert import_archive(storage, tmp_path / "again").already
    one, two = ArchiveReader(archive).header, ArchiveReader(tmp_path / "again").header
    assert (one.version, one.files) == (two.version, two.files)
    assert (len(one.embeddings), len(two.embeddings)) == (1, 0)


def test_a_cache_spares_every_download_but_the_first(
    archive: Path, storage: RemoteStorage, tmp_path: Path
):
    import_archive(storage, archive, move_production=True)
    cache = CacheOptions(folder=tmp_path / "cache")
    for _ in range(2):
        options = SnapshotOptions(cache=LocalCache(cache))
        with Snapshot.open(storage, COLLECTION, options=options) as snapshot:
            assert snapshot.nearest(vector("anything"), 3)
            artifacts = [each for each in snapshot.manifest.artifacts if "/shards/" in each.key]
            copied = {snapshot.version, *(each.sha256 for each in artifacts)}
        for entry in list(storage.list(f"{COLLECTION}/shards/")):
            storage.delete(entry.key)
    assert {path.name for path in cache.folder.iterdir() if path.is_file()} == copied


def test_a_repair_and_a_purge_work_on_s3(archive: Path, storage: RemoteStorage):
    import_archive(storage, archive, move_production=True)
    before = searchable(storage)
    for entry in list(storage.list(f"{COLLECTION}/")):
        if entry.key.endswith((".faiss", ".parquet")):
            storage.delete(entry.key)
    assert repair(storage, COLLECTION).promoted
    assert searchable(storage) == before
    erase(storage, COLLECTION, ["bees.txt"], run="eraser", created_at_ms=1)
    report = purge_and_certify(storage, COLLECTION, ("bees.txt",), run="eraser", created_at_ms=1)
    assert report.certificate.clean
    assert {uri for uri, _, _ in searchable(storage)} == {"moss.txt", "rain.txt"}
    for entry in storage.list(""):
        assert b"of bees says" not in storage.read(entry.key)
