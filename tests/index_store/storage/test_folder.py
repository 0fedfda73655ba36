"""What is special about a store in a folder: processes, crashes, odd file systems, addresses."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from index_store.errors import (
    ConflictError,
    NotFoundError,
    TransientError,
    UnfitStoreError,
    UnknownOutcomeError,
    UsageError,
)
from index_store.storage import folder as folder_module
from index_store.storage.base import MAX_KEY_BYTES, check_key
from index_store.storage.folder import FolderStorage
from index_store.storage.opening import open_storage

ROUNDS = 100
PROCESSES = 4


CONTENDER = """
import sys
from pathlib import Path
from index_store.errors import ConflictError
from index_store.storage.base import MAX_KEY_BYTES, check_key
from index_store.storage.folder import FolderStorage
storage = FolderStorage(Path(sys.argv[1]))
number, rounds = int(sys.argv[2]), int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
for rival_round in range(rounds):
    try:
        storage.create(f"race/{rival_round}", bytes([number]) * 1000)
    except ConflictError:
        continue
    storage.put(f"won/{rival_round}/{number}", b"")
"""


def test_of_four_processes_one_creates_the_object(tmp_path: Path):
    rivals = [
        subprocess.Popen(
            [sys.executable, "-c", CONTENDER, str(tmp_path), str(number), str(ROUNDS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(PROCESSES)
    ]
    for rival in rivals:
        assert rival.stdout is not None
        assert rival.stdout.readline() == "ready\n"
    for rival in rivals:
        assert rival.stdin is not None
        rival.stdin.write("go\n")
        rival.stdin.flush()
    for rival in rivals:
        rival.communicate()
    assert [rival.returncode for rival in rivals] == [0] * PROCESSES
    storage = FolderStorage(tmp_path)
    for rival_round in range(ROUNDS):
        winners = [entry.key for entry in storage.list(f"won/{rival_round}/")]
        assert len(winners) == 1
        number = int(winners[0].rpartition("/")[2])
        assert storage.read(f"race/{rival_round}") == bytes([number]) * 1000


KILLED_WRITER = """
import os, signal, sys
from pathlib import Path
from index_store.storage.base import MAX_KEY_BYTES, check_key
from index_store.storage.folder import FolderStorage
before = {call!r}
original = getattr(os, before)
def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)
setattr(os, before, die)
storage = FolderStorage(Path(sys.argv[1]))
storage.{operation}("a/object", b"new content")
"""


@pytest.mark.parametrize("operation", ["put", "create"])
@pytest.mark.parametrize("call", ["fsync", "link", "replace"])
def test_a_killed_writer_leaves_no_half_object(tmp_path: Path, operation: str, call: str):
    storage = FolderStorage(tmp_path)
    storage.put("a/other", b"x")
    script = KILLED_WRITER.format(call=call, operation=operation)
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    reached = {"put": ("fsync", "replace"), "create": ("fsync", "link")}[operation]
    assert done.returncode == (-signal.SIGKILL if call in reached else 0)
    found = {entry.key for entry in storage.list("")}
    if call in reached:
        assert found == {"a/other"}
        assert (
            len(list((tmp_path / "a").iterdir())) == 2
        )  # the temporary file is left, and not listed
    storage.put("a/object", b"again")
    assert storage.read("a/object") == b"again"


def test_a_temporary_file_is_removed_after_an_error(tmp_path: Path):
    storage = FolderStorage(tmp_path)
    storage.create("a/b", b"first")
    with pytest.raises(ConflictError, match="a/b exists already"):
        storage.create("a/b", b"second")
    with pytest.raises(NotFoundError, match="a/c"):
        storage.put("a/c", tmp_path / "missing")
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]


def fail_with(number: int):
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return fail


def test_a_full_disk_leaves_the_old_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    storage = FolderStorage(tmp_path)
    storage.put("a/b", b"old")
    monkeypatch.setattr(folder_module.os, "fsync", fail_with(errno.ENOSPC))
    with pytest.raises(TransientError, match="write a/b: No space left on device"):
        storage.put("a/b", b"new")
    with pytest.raises(TransientError, match="create a/c: No space left on device"):
        storage.create("a/c", b"new")
    assert [entry.key for entry in storage.list("")] == ["a/b"]
    assert storage.read("a/b") == b"old"


def test_a_folder_that_cannot_be_synchronised_means_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    storage = FolderStorage(tmp_path)
    storage.put("a/b", b"old")
    monkeypatch.setattr(folder_module, "_fsync_folder", fail_with(errno.EIO))
    with pytest.raises(UnknownOutcomeError, match="a/c was written but its folder"):
        storage.create("a/c", b"new")
    with pytest.raises(UnknownOutcomeError, match="a/b was written but its folder"):
        storage.put("a/b", b"new")


def test_a_file_system_without_hard_links_is_unfit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(folder_module.os, "link", fail_with(errno.EPERM))
    with pytest.raises(UnfitStoreError, match="has no hard links, so two writers could both win"):
        FolderStorage(tmp_path).create("a/b", b"x")


@pytest.mark.parametrize(
    ("number", "kind", "message"),
    [
        (errno.EIO, TransientError, "read a/b: Input/output error"),
        (errno.EACCES, UsageError, "read a/b: permission denied"),
    ],
)
def test_foreign_errors_are_translated(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    kind: type[Exception],
    message: str,
):
    storage = FolderStorage(tmp_path)
    storage.put("a/b", b"x")
    monkeypatch.setattr(Path, "open", fail_with(number))
    with pytest.raises(kind, match=message):
        storage.read("a/b")


def test_a_listing_that_fails_is_never_an_empty_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    storage = FolderStorage(tmp_path)
    storage.put("a/b", b"x")
    monkeypatch.setattr(folder_module.os, "scandir", fail_with(errno.EIO))
    with pytest.raises(TransientError, match="listing 'a/' of .*: Input/output error"):
        list(storage.list("a/"))


def test_a_file_that_vanishes_while_listing_is_left_out(tmp_path: Path):
    storage = FolderStorage(tmp_path)
    for name in ("a", "b", "c"):
        storage.put(name, b"x")
    listing = storage.list("")
    assert next(listing).key == "a"
    storage.delete("b")
    assert [entry.key for entry in listing] == ["c"]


def test_a_delete_that_fails_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    storage = FolderStorage(tmp_path)
    storage.put("a", b"x")
    storage.delete("a/b")
    monkeypatch.setattr(Path, "unlink", fail_with(errno.EIO))
    with pytest.raises(TransientError, match="delete a: Input/output error"):
        storage.delete("a")


def test_an_object_below_an_object_is_refused(tmp_path: Path):
    storage = FolderStorage(tmp_path)
    storage.put("a", b"x")
    for write in (storage.put, storage.create):
        for key in ("a/b", "a/b/c"):
            with pytest.raises(UsageError, match=f"{key}: a part of its path is a file"):
                write(key, b"x")
    assert storage.read("a") == b"x"


def test_objects_are_files_to_be_mapped(tmp_path: Path):
    storage = FolderStorage(tmp_path)
    storage.put("a/b", b"content")
    assert storage.local_path("a/b") == tmp_path / "a" / "b"
    assert storage.local_path("a") is None


def test_addresses_open_the_store_they_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for url in ("store", str(tmp_path / "store"), f"file://{tmp_path}/store", "~/store"):
        assert open_storage(url).url == str(tmp_path / "store")
    assert open_storage(f"file://{tmp_path}/with%20space").url == f"{tmp_path}/with space"
    assert not (tmp_path / "store").exists()
    open_storage("memory://one").put("a", b"x")
    assert open_storage("memory://one").read("a") == b"x"
    assert list(open_storage("memory://two").list("")) == []


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "store address is empty"),
        ("  ", "store address is empty"),
        ("s3://", "write s3://bucket or s3://bucket/prefix"),
        ("ftp://host/x", "scheme 'ftp' is not supported"),
        ("memory://", "needs a name"),
        ("file://host/x", "write file:/// and an absolute path"),
        ("file://", "write file:/// and an absolute path"),
    ],
)
def test_addresses_that_name_no_store_are_refused(url: str, message: str):
    with pytest.raises(UsageError, match=message):
        open_storage(url)


def test_a_file_is_no_store(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(UsageError, match="is not a folder"):
        open_storage(str(tmp_path / "file"))


def test_left_overs_of_killed_writers_are_removed_when_they_are_old(tmp_path: Path):
    storage = FolderStorage(tmp_path)
    storage.put("docs/shards/a", b"whole")
    old, young = tmp_path / "docs/shards/.tmp-1-a", tmp_path / "docs/.tmp-2-b"
    elsewhere = tmp_path / "other/.tmp-3-c"
    elsewhere.parent.mkdir()
    folder = tmp_path / "docs/.tmp-folder"
    folder.mkdir()
    for path, at_ms in ((old, 999), (young, 1000), (elsewhere, 1)):
        path.write_bytes(b"half")
        os.utime(path, ns=(0, at_ms * 1_000_000))
    os.utime(folder, ns=(0, 0))
    assert storage.abort_stale_uploads("docs/", before_ms=1000) == 1
    assert not old.exists()
    assert young.exists()
    assert elsewhere.exists()
    assert folder.is_dir()
    assert storage.read("docs/shards/a") == b"whole"
    assert storage.abort_stale_uploads("docs/", before_ms=1001) == 1
    assert storage.abort_stale_uploads("missing/", before_ms=1001) == 0


def test_a_left_over_that_cannot_be_removed_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    storage = FolderStorage(tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/.tmp-1-a").write_bytes(b"half")
    monkeypatch.setattr(Path, "unlink", fail_with(errno.EIO))
    with pytest.raises(TransientError, match="sweep docs/: Input/output error"):
        storage.abort_stale_uploads("docs/", before_ms=1 << 60)


def test_folders_beside_what_is_asked_for_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    storage = FolderStorage(tmp_path)
    for key in ("a/b1", "a/b/x", "a/c/y", "a/d"):
        storage.put(key, b"")
    read = []
    scan = os.scandir

    def noted(folder: Path) -> object:
        read.append(folder)
        return scan(folder)

    monkeypatch.setattr(folder_module.os, "scandir", noted)
    assert [entry.key for entry in storage.list("a/b")] == ["a/b/x", "a/b1"]
    assert read == [tmp_path / "a", tmp_path / "a/b"]


def test_a_key_may_have_as_many_bytes_as_s3_allows():
    longest = "é" * (MAX_KEY_BYTES // 2)
    assert check_key(longest) == longest
    with pytest.raises(UsageError, match="too long"):
        check_key(f"{longest}x")
