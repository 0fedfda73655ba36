"""No file of a version that went bad is ever served: it is refused, and the error names it."""

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from index_store.artifacts import Artifact
from index_store.cache import NOTES, CacheOptions, LocalCache
from index_store.catalog_files import load_catalog
from index_store.collections import load_manifest
from index_store.errors import CorruptArtifactError
from index_store.log import CommitLog
from index_store.log_records import PRODUCTION, LogState, PublishedVersion
from index_store.snapshot import Snapshot, SnapshotOptions
from index_store.storage.base import Storage
from index_store.storage.folder import FolderStorage
from index_store.storage.memory import MemoryStorage
from index_store.verification import verify_collection
from tests.support.mutations import MUTATIONS
from tests.support.plain_run import run_plainly
from tests.support.small_sources import COLLECTION, again, options_for, prose, trusted, write

QUICK, ALL = 120, 10_000


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> MemoryStorage:
    """A version with every kind of file: shards, dead rows, moved documents, a catalog in parts."""
    source = tmp_path_factory.mktemp("source")
    storage = trusted("mutated")
    for number in range(8):
        write(source / f"{number}.txt", prose(f"topic {number}", 12))
    first = options_for(source)
    run_plainly(first, storage)
    write(source / "0.txt", prose("another topic", 12))
    (source / "1.txt").unlink()
    (source / "2.txt").rename(source / "moved.txt")
    run_plainly(again(first), storage)
    return storage


def production(storage: Storage) -> PublishedVersion:
    state = CommitLog(storage, COLLECTION).read()
    return state.versions[state.channels[PRODUCTION]]


def artifacts(storage: Storage) -> list[Artifact]:
    version = production(storage)
    return [version.manifest, *load_manifest(storage, version).artifacts]


def contents(storage: Storage) -> Mapping[str, bytes]:
    return {artifact.key: storage.read(artifact.key) for artifact in artifacts(storage)}


def kind(artifact: Artifact) -> str:
    _, folder, *_, name = artifact.key.split("/")
    return name if folder in {"shards", "versions"} else folder


def refusals(storage: Storage, options: SnapshotOptions | None = None) -> Iterator[str]:
    """What those say who read a version: searches, and the plan of the next night."""
    try:
        version = production(storage)
        Snapshot.open_published(storage, version, options=options).close()
    except CorruptArtifactError as error:
        yield str(error)
        return
    try:
        load_catalog(storage, load_manifest(storage, version))
    except CorruptArtifactError as error:
        yield str(error)


def seeded(number: int) -> random.Random:
    return random.Random(number)  # noqa: S311


def spoil(
    storage: Storage, victims: list[Artifact], files: Mapping[str, bytes], chance: random.Random
) -> str:
    """Mutate files of the same bytes in the same way, and return how."""
    mutation = chance.choice(MUTATIONS)
    data = changed = files[victims[0].key]
    while changed == data:  # zeros that were zeros before
        changed = mutation(data, files, chance)
    for victim in victims:
        if changed is None:
            storage.delete(victim.key)
        else:
            storage.put(victim.key, changed)
    return mutation.__name__


def of_same_bytes(storage: Storage) -> Mapping[str, list[list[Artifact]]]:
    """Return by kind the files of a version, those together that a reader needs only one of."""
    grouped: dict[str, dict[str, list[Artifact]]] = {}
    for artifact in artifacts(storage):
        grouped.setdefault(kind(artifact), {}).setdefault(artifact.sha256, []).append(artifact)
    return {name: list(groups.values()) for name, groups in grouped.items()}


def test_there_is_a_file_of_every_kind(published: MemoryStorage):
    assert {kind.split(".")[0] for kind in of_same_bytes(published)} == {
        "manifest",
        "index",
        "chunks",
        "documents",
        "lexical",
        "deletions",
        "relocations",
        "catalog",
    }


@pytest.mark.parametrize(
    "mutants", [QUICK, pytest.param(ALL, marks=pytest.mark.soak)], ids=["quick", "all"]
)
@pytest.mark.parametrize("where", ["memory", "folder"])
def test_no_mutated_artifact_is_served(
    published: MemoryStorage, tmp_path: Path, where: str, mutants: int
):
    storage: Storage = published
    if where == "folder":
        storage = FolderStorage(tmp_path / "store")
        for entry in published.list(""):
            storage.put(entry.key, published.read(entry.key))
    assert list(refusals(storage)) == []
    by_kind, chance, tried = of_same_bytes(storage), seeded(20_261), Counter[str]()
    files = contents(storage)
    for number in range(mutants // 2):
        victims = chance.choice(by_kind[sorted(by_kind)[number % len(by_kind)]])
        how = spoil(storage, victims, files, chance)
        told = list(refusals(storage))
        assert told, f"{victims[0].key} was served, {how}"
        assert any(victim.key in told[0] for victim in victims), f"{how}: {told[0]}"
        for victim in victims:
            storage.put(victim.key, files[victim.key])
        tried[how] += 1
    assert list(refusals(storage)) == []
    assert len(tried) == len(MUTATIONS)
    print(f"{tried.total()} mutated files in a {where}: 0 served, each named; {dict(tried)}")


def test_a_mutated_file_is_named_by_verify_too(published: MemoryStorage):
    chance, files = seeded(7), contents(published)
    for victim in artifacts(published):
        how = spoil(published, [victim], files, chance)
        found = verify_collection(published, COLLECTION, deep=True).problems
        assert any(victim.key in problem.message for problem in found), (victim.key, how)
        published.put(victim.key, files[victim.key])
    assert verify_collection(published, COLLECTION, deep=True).problems == ()


def test_a_mutated_copy_in_a_cache_is_never_served(published: MemoryStorage, tmp_path: Path):
    folder, chance = tmp_path / "cache", seeded(11)

    def reader() -> SnapshotOptions:
        return SnapshotOptions(cache=LocalCache(CacheOptions(folder=folder)))

    assert list(refusals(published, reader())) == []
    copies = [path for path in folder.iterdir() if path.is_file() and path.stat().st_size]
    wanted = {artifact.sha256 for artifact in artifacts(published)}
    for path in copies:
        if path.name not in wanted:
            continue
        data = path.read_bytes()
        mutation = chance.choice(MUTATIONS[:4])
        path.chmod(0o644)
        path.write_bytes(mutation(data, {}, chance) or b"")
        assert list(refusals(published, reader())) == []
        assert path.read_bytes() == data, "the copy was not made anew"
        note = folder / NOTES / path.name
        for told in (mutation(note.read_bytes(), {}, chance) or b"", b"{}", b"[]", b"7"):
            note.write_bytes(told)
            assert list(refusals(published, reader())) == [], told


def state_or_error(storage: Storage) -> LogState | str:
    """What a reader sees of the log, or the key of the record that it refuses."""
    try:
        return CommitLog(storage, COLLECTION).read()
    except CorruptArtifactError as error:
        return str(error).split(":")[0].removeprefix("log record ")


def test_a_mutated_record_never_changes_what_the_log_says(published: MemoryStorage):
    """A reader falls back on what is whole, or refuses; it never sees another state."""
    chance = seeded(13)
    true = CommitLog(published, COLLECTION).read()
    keys = [entry.key for entry in published.list(f"{COLLECTION}/log/")]
    others = {key: published.read(key) for key in keys}
    for number in range(QUICK):
        key = keys[number % len(keys)]
        data = others[key]
        mutation = chance.choice(MUTATIONS[:4])
        changed = mutation(data, others, chance)
        if changed in {data, None}:
            continue
        published.put(key, changed)
        assert state_or_error(published) in (true, key), (key, mutation.__name__)
        published.put(key, data)
    assert CommitLog(published, COLLECTION).read() == true
