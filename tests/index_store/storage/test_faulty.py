"""The fault wrapper: the chosen operation fails in the chosen way, and no other."""

from collections.abc import Callable
from pathlib import Path

import pytest

from index_store.errors import TransientError, UnknownOutcomeError
from index_store.storage.base import Storage
from index_store.storage.faulty import FaultMode, FaultyStorage
from index_store.storage.folder import FolderStorage
from index_store.storage.memory import MemoryStorage

OPERATIONS: dict[str, Callable[[Storage], object]] = {
    "read": lambda storage: storage.read("there"),
    "put": lambda storage: storage.put("new", b"x"),
    "create": lambda storage: storage.create("new", b"x"),
    "list": lambda storage: list(storage.list("")),
    "delete": lambda storage: storage.delete("there"),
}


@pytest.fixture
def inner() -> MemoryStorage:
    storage = MemoryStorage("inner")
    storage.put("there", b"y")
    storage.put("there too", b"z")
    return storage


def test_it_lends_the_file_of_a_store_that_has_files(tmp_path: Path):
    folder = FolderStorage(tmp_path)
    folder.put("there", b"y")
    faulty = FaultyStorage(folder, fail_at=1, mode=FaultMode.ERROR)
    path = faulty.local_path("there")
    assert path is not None
    assert path.read_bytes() == b"y"


def names(storage: Storage) -> list[str]:
    return [entry.key for entry in storage.list("")]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_error_prevents_the_operation(inner: MemoryStorage, operation: str):
    faulty = FaultyStorage(inner, fail_at=2, mode=FaultMode.ERROR)
    faulty.read("there")
    with pytest.raises(TransientError, match="operation 2 failed on purpose"):
        OPERATIONS[operation](faulty)
    assert names(inner) == ["there", "there too"]
    OPERATIONS[operation](faulty)
    assert faulty.operations == 3


@pytest.mark.parametrize(
    ("operation", "kind", "after"),
    [
        ("read", TransientError, ["there", "there too"]),
        ("put", UnknownOutcomeError, ["new", "there", "there too"]),
        ("create", UnknownOutcomeError, ["new", "there", "there too"]),
        ("list", TransientError, ["there", "there too"]),
        ("delete", TransientError, ["there too"]),
    ],
)
def test_a_lost_reply_hides_what_happened(
    inner: MemoryStorage, operation: str, kind: type[Exception], after: list[str]
):
    faulty = FaultyStorage(inner, fail_at=1, mode=FaultMode.LOST_REPLY)
    with pytest.raises(kind, match="reply lost on purpose"):
        OPERATIONS[operation](faulty)
    assert names(inner) == after


def test_a_crash_ends_everything(inner: MemoryStorage):
    faulty = FaultyStorage(inner, fail_at=2, mode=FaultMode.CRASH)
    faulty.put("new", b"x")
    for number, operation in enumerate(OPERATIONS.values(), start=2):
        with pytest.raises(SystemExit, match=f"crash before operation {number}"):
            operation(faulty)
    assert names(inner) == ["new", "there", "there too"]
