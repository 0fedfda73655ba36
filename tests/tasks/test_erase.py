"""The tasks of an erasure hand over keys and counts; the names stay in the store until the end."""

from pathlib import Path

from index_store.log import CommitLog
from index_store.storage.folder import FolderStorage
from tasks.erase import erase_documents, forget_request, purge_documents
from tasks.stages.erasing import EraseOptions, write_request
from tests.support.plain_run import run_plainly
from tests.support.small_sources import COLLECTION, options_for, prose, searchable, write


def test_a_request_is_carried_out_and_forgotten(tmp_path: Path):
    storage = FolderStorage(tmp_path / "store")
    for topic in ("bees", "moss"):
        write(tmp_path / "source" / f"{topic}.txt", prose(topic))
    run_plainly(options_for(tmp_path / "source"), storage)
    options = EraseOptions(
        run="eraser",
        store=storage.url,
        collection=COLLECTION,
        request=write_request(storage, COLLECTION, "eraser", ["bees.txt", "bees.txt"]),
        purge=True,
    )
    assert "bees" not in repr(options)
    erased = erase_documents.fn(options)
    assert (erased.documents, erased.promoted) == (1, True)
    report = purge_documents.fn(options)
    assert report.certificate.clean
    assert forget_request.fn(options) == ("bees.txt",)
    assert {uri for uri, _, _ in searchable(storage)} == {"moss.txt"}
    assert CommitLog(storage, COLLECTION).read().channels["production"] == report.purged.version
    for entry in storage.list(""):
        assert b"bees" not in storage.read(entry.key)
