"""Portable archives: the same bytes out, the same answers in, nothing half, nothing foreign."""

import io
import random
import tarfile
from pathlib import Path

import orjson
import pytest

from index_store.archive_format import HEADER_NAME, encode_header, parse_header
from index_store.archive_reading import ArchiveReader
from index_store.artifacts import sha256_hex
from index_store.embeddings import EmbeddingStore
from index_store.errors import (
    CorruptArtifactError,
    IndexStoreError,
    NotFoundError,
    TransientError,
    UsageError,
)
from index_store.exporting import export_version
from index_store.ids import text_hash
from index_store.importing import import_archive
from index_store.log import CommitLog
from index_store.log_records import KeyChange, RecordKind, resolve_version
from index_store.records import Hit
from index_store.snapshot import Snapshot
from index_store.storage.base import Storage
from index_store.storage.faulty import FaultMode, FaultyStorage
from index_store.storage.folder import FolderStorage
from index_store.storage.memory import MemoryStorage
from tests.index_store.store_builders import (
    COLLECTION,
    DIMENSION,
    SPEC,
    commit_log,
    publish_documents,
    vector,
    vectors,
)
from tests.support.sweeps import places, sampled

DOCUMENTS = {f"doc{number}.txt": [f"text {number} part {part}" for part in range(3)]
             for number in range(20)}  # fmt: skip
TEXTS = [text for texts in DOCUMENTS.values() for text in texts]


@pytest.fixture
def source(tmp_path: Path) -> MemoryStorage:
    """A store whose second version has a parent and dead rows, and stored vectors."""
    storage = MemoryStorage("source")
    publish_documents(storage, {"old.txt": ["older text"]}, tmp_path, run="run-1")
    publish_documents(storage, DOCUMENTS, tmp_path, run="run-2", dead=[4, 5])
    store = EmbeddingStore(storage, SPEC.id, DIMENSION)
    store.add([text_hash(text) for text in [*TEXTS, "not of this version"]],
              vectors([*TEXTS, "not of this version"]))  # fmt: skip
    return storage


def exported(storage: Storage, target: Path, *, with_embeddings: bool = False) -> Path:
    published = resolve_version(CommitLog(storage, COLLECTION).read(), channel="candidate")
    export_version(storage, published, target, with_embeddings=with_embeddings)
    return target


def answers(storage: Storage, collection: str, version: str) -> tuple[Hit, ...]:
    with Snapshot.open(storage, collection, version=version) as snapshot:
        return snapshot.nearest(vector("text 3 part 1"), 100)


def members(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {m.name: tar.extractfile(m).read() for m in tar.getmembers()}  # type: ignore[union-attr]


def rewritten(path: Path, content: dict[str, bytes]) -> None:
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in content.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


@pytest.mark.parametrize("with_embeddings", [False, True])
def test_the_same_version_gives_the_same_bytes(
    source: MemoryStorage, tmp_path: Path, *, with_embeddings: bool
):
    one = exported(source, tmp_path / "one.tar", with_embeddings=with_embeddings)
    two = exported(source, tmp_path / "two.tar", with_embeddings=with_embeddings)
    assert one.read_bytes() == two.read_bytes()
    assert not list(tmp_path.glob(".tmp-*"))


def test_a_version_keeps_its_id_and_its_answers_in_another_store(
    source: MemoryStorage, tmp_path: Path
):
    version = CommitLog(source, COLLECTION).read().channels["candidate"]
    target = FolderStorage(tmp_path / "target")
    done = import_archive(target, exported(source, tmp_path / "a.tar"))
    assert (done.version, done.origin, done.already, done.promoted) == (
        version, version, False, False,
    )  # fmt: skip
    state = CommitLog(target, COLLECTION).read()
    assert state.channels == {"candidate": version}
    assert state.versions[version].parent is None
    assert answers(target, COLLECTION, version) == answers(source, COLLECTION, version)
    assert len(answers(target, COLLECTION, version)) == 58


def test_importing_again_changes_nothing_and_promotes_when_asked(
    source: MemoryStorage, tmp_path: Path
):
    target = MemoryStorage("target")
    path = exported(source, tmp_path / "a.tar")
    version = import_archive(target, path).version
    before = [entry.key for entry in target.list("")]
    assert import_archive(target, path).already
    assert [entry.key for entry in target.list("")] == before
    assert import_archive(target, path, move_production=True).promoted
    assert CommitLog(target, COLLECTION).read().channels["production"] == version


def test_another_collection_takes_the_version_under_an_id_of_its_own(
    source: MemoryStorage, tmp_path: Path
):
    path = exported(source, tmp_path / "a.tar")
    done = import_archive(source, path, collection="copy")
    assert done.version != done.origin
    assert answers(source, "copy", done.version) == answers(source, COLLECTION, done.origin)
    assert import_archive(source, path, collection="copy").already


def test_stored_vectors_of_the_version_go_along_and_no_others(
    source: MemoryStorage, tmp_path: Path
):
    target = MemoryStorage("target")
    done = import_archive(target, exported(source, tmp_path / "a.tar", with_embeddings=True))
    assert done.embeddings == 1
    store = EmbeddingStore(target, SPEC.id, DIMENSION)
    store.refresh()
    found, known = store.find([text_hash(text) for text in TEXTS])
    assert found.all()
    assert (known == vectors(TEXTS)).all()
    assert not store.contains([text_hash("not of this version")]).any()


def test_an_occupied_key_is_left_alone(source: MemoryStorage, tmp_path: Path):
    target = MemoryStorage("target")
    path = exported(source, tmp_path / "a.tar")
    taken = next(a.key for a in ArchiveReader(path).header.files if a.key.endswith(".faiss"))
    target.put(taken, b"of somebody else")
    done = import_archive(target, path)
    assert target.read(taken) == b"of somebody else"
    assert done.version != done.origin
    assert answers(target, COLLECTION, done.version) == answers(source, COLLECTION, done.origin)


def test_a_retired_version_comes_back_under_other_keys(source: MemoryStorage, tmp_path: Path):
    path = exported(source, tmp_path / "a.tar")
    target = MemoryStorage("target")
    first = import_archive(target, path).version
    publish_documents(target, {"new.txt": ["newer text"]}, tmp_path, run="run-3")
    log = commit_log(target)
    state = log.read()
    keys = [entry.key for entry in target.list(f"{COLLECTION}/") if "/deletions/" in entry.key]
    keys.append(state.versions[first].manifest.key)
    log.append(state, KeyChange(kind=RecordKind.RETIRE, keys=tuple(keys), versions=(first,)))
    again = import_archive(target, path)
    assert not again.already
    assert again.version != first
    assert answers(target, COLLECTION, again.version) == answers(source, COLLECTION, first)


def test_a_file_that_exists_is_never_overwritten(source: MemoryStorage, tmp_path: Path):
    (tmp_path / "a.tar").write_bytes(b"mine")
    with pytest.raises(UsageError, match=r"a\.tar exists already"):
        exported(source, tmp_path / "a.tar")
    with pytest.raises(UsageError, match="its folder does not exist"):
        exported(source, tmp_path / "nowhere" / "a.tar")
    assert (tmp_path / "a.tar").read_bytes() == b"mine"


def test_a_damaged_file_of_the_version_is_not_exported(source: MemoryStorage, tmp_path: Path):
    whole = exported(source, tmp_path / "whole.tar")
    key = next(a.key for a in ArchiveReader(whole).header.files if a.key.endswith(".parquet"))
    for damaged in (source.read(key)[:-1] + b"x", source.read(key)[:-1], source.read(key) + b"x"):
        source.put(key, damaged)
        with pytest.raises(CorruptArtifactError, match=rf"{key}: expected"):
            exported(source, tmp_path / "b.tar")
    assert not (tmp_path / "b.tar").exists()
    assert not list(tmp_path.glob(".tmp-*"))


def test_what_is_no_archive_is_told(tmp_path: Path):
    with pytest.raises(NotFoundError, match=r"archive .*missing\.tar does not exist"):
        ArchiveReader(tmp_path / "missing.tar")
    for data in (b"", b"no tar at all", b"\0" * 10_240):
        (tmp_path / "a.tar").write_bytes(data)
        with pytest.raises(CorruptArtifactError, match=r"archive .*a\.tar: "):
            ArchiveReader(tmp_path / "a.tar")
    rewritten(tmp_path / "other.tar", {"README": b"something else"})
    with pytest.raises(CorruptArtifactError, match=r"expected archive\.json, found 'README'"):
        ArchiveReader(tmp_path / "other.tar")


def test_a_changed_member_is_named_and_nothing_is_written(source: MemoryStorage, tmp_path: Path):
    path = exported(source, tmp_path / "a.tar", with_embeddings=True)
    whole = members(path)
    target = MemoryStorage("target")
    for name, data in whole.items():
        changed = data[:-2] + bytes([data[-2] ^ 1]) + data[-1:]
        rewritten(path, whole | {name: changed})
        with pytest.raises(CorruptArtifactError, match=name.split("/")[-1]):
            import_archive(target, path)
        rewritten(path, {other: content for other, content in whole.items() if other != name})
        with pytest.raises(CorruptArtifactError, match=r"expected .*" + name.split("/")[-1]):
            import_archive(target, path)
    rewritten(path, whole | {"../escape": b"x"})
    with pytest.raises(CorruptArtifactError, match=r"'\.\./escape' is not listed in it"):
        import_archive(target, path)
    assert list(target.list("")) == []


def test_a_member_must_be_a_plain_file(source: MemoryStorage, tmp_path: Path):
    path = exported(source, tmp_path / "a.tar")
    header = members(path)[HEADER_NAME]
    with tarfile.open(path, "w") as tar:
        first = tarfile.TarInfo(HEADER_NAME)
        first.size = len(header)
        tar.addfile(first, io.BytesIO(header))
        link = tarfile.TarInfo("manifest.json")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(CorruptArtifactError, match=r"expected manifest\.json"):
        import_archive(MemoryStorage("target"), path)


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("files", [], "is not listed as the manifest names it"),
        ("collection", "other", "collection expected docs, found other"),
        ("embeddings", [{"key": "embeddings/x.arrow", "size_bytes": 1, "sha256": "0" * 64}],
         "is not named by its sha256"),
        ("version", "0" * 64, "expected the sha256 of the manifest"),
        ("format", "zip", "expected nightpress-archive"),
    ],
)  # fmt: skip
def test_a_header_that_vouches_for_itself_is_still_held_against_the_manifest(
    source: MemoryStorage, tmp_path: Path, field: str, value: object, told: str
):
    path = exported(source, tmp_path / "a.tar")
    content = members(path)
    body = orjson.loads(content[HEADER_NAME])["archive"] | {field: value}
    kept = content
    if field == "files":
        kept = {name: content[name] for name in (HEADER_NAME, "manifest.json")}
    rewritten(path, kept | {HEADER_NAME: resigned(body)})
    with pytest.raises(CorruptArtifactError, match=told):
        import_archive(MemoryStorage("target"), path)


def resigned(body: dict[str, object]) -> bytes:
    sha256 = sha256_hex(orjson.dumps(body, option=orjson.OPT_SORT_KEYS))
    return orjson.dumps({"archive": body, "sha256": sha256})


def test_an_archive_of_a_newer_nightpress_is_refused(source: MemoryStorage, tmp_path: Path):
    path = exported(source, tmp_path / "a.tar")
    content = members(path)
    body = orjson.loads(content[HEADER_NAME])["archive"] | {"format_version": 2}
    rewritten(path, content | {HEADER_NAME: resigned(body)})
    with pytest.raises(UsageError, match="newer nightpress"):
        import_archive(MemoryStorage("target"), path)


def test_the_header_survives_being_written(source: MemoryStorage, tmp_path: Path):
    header = ArchiveReader(exported(source, tmp_path / "a.tar", with_embeddings=True)).header
    assert parse_header(encode_header(header)) == header
    assert header.run == "run-2"


def test_random_damage_is_refused_or_harmless(source: MemoryStorage, tmp_path: Path):
    path = exported(source, tmp_path / "a.tar", with_embeddings=True)
    whole = path.read_bytes()
    version = CommitLog(source, COLLECTION).read().channels["candidate"]
    draw = random.Random(20_240_301)  # noqa: S311
    refused = 0
    for number in range(300):
        place = draw.randrange(len(whole))
        damaged = whole[:place]
        if number % 3:
            damaged += bytes([whole[place] ^ 1 << draw.randrange(8)]) + whole[place + 1 :]
        path.write_bytes(damaged)
        target = MemoryStorage("target")
        try:
            done = import_archive(target, path)
        except (CorruptArtifactError, UsageError):
            refused += 1
            assert list(target.list("")) == []
        else:  # a byte between members
            assert done.version == version
            assert answers(target, COLLECTION, version)
    assert refused > 200


@sampled(5)
@pytest.mark.parametrize("mode", list(FaultMode))
def test_an_import_that_breaks_off_anywhere_shows_nothing_and_goes_on(
    source: MemoryStorage, tmp_path: Path, mode: FaultMode, every: int
):
    path = exported(source, tmp_path / "a.tar", with_embeddings=True)
    counted = FaultyStorage(MemoryStorage("counted"))
    version = import_archive(counted, path, move_production=True).version
    for number in places(counted.operations, every, mode):
        inner = MemoryStorage(f"target-{number}")
        try:
            import_archive(
                FaultyStorage(inner, fail_at=number, mode=mode), path, move_production=True
            )
        except (IndexStoreError, SystemExit):
            state = CommitLog(inner, COLLECTION).read()
            assert set(state.channels.values()) <= {version}
            if state.channels:
                assert answers(inner, COLLECTION, version)
        assert import_archive(inner, path, move_production=True).version == version
        assert answers(inner, COLLECTION, version)


def test_a_copy_that_cannot_be_made_is_a_transient_error(
    source: MemoryStorage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = exported(source, tmp_path / "a.tar")
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    real = Path.open
    monkeypatch.setattr(
        Path, "open", lambda self, *a: real(full if self.name == "member" else self, *a)
    )
    with pytest.raises(TransientError, match=r"copy of manifest\.json: No space left"):
        import_archive(MemoryStorage("target"), path)
