"""The commit log: contiguous under writers, settled after lost replies, refused when damaged."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from index_store.artifacts import Artifact, sha256_hex
from index_store.errors import (
    ConflictError,
    CorruptArtifactError,
    NotFoundError,
    TransientError,
    UnknownOutcomeError,
    UsageError,
)
from index_store.layout import log_key
from index_store.log import CommitLog
from index_store.log_records import (
    CANDIDATE,
    LogChange,
    LogRecord,
    LogState,
    RecordKind,
    encode_record,
    resolve_version,
)
from index_store.storage.base import Storage
from index_store.storage.faulty import FaultMode, FaultyStorage
from index_store.storage.folder import FolderStorage
from index_store.storage.memory import MemoryStorage
from tests.index_store.store_builders import COLLECTION, commit_log


def version(number: int) -> str:
    return f"{number:064x}"


def publication(number: int, state: LogState) -> LogChange:
    return LogChange(
        kind=RecordKind.PUBLISH,
        version=version(number),
        channel=CANDIDATE,
        expected=state.channels.get(CANDIDATE),
        run=f"run-{number}",
        manifest=Artifact(
            key=f"docs/versions/{version(number)}/manifest.json",
            size_bytes=1,
            sha256=version(number),
        ),
        parent=state.channels.get(CANDIDATE),
    )


def promotion(number: int, expected: int | None) -> LogChange:
    return LogChange(
        kind=RecordKind.PROMOTE,
        version=version(number),
        channel="production",
        expected=None if expected is None else version(expected),
    )


@pytest.fixture
def storage() -> MemoryStorage:
    return MemoryStorage("log")


def test_an_empty_log_is_state_zero(storage: Storage):
    assert commit_log(storage).read() == LogState()


def test_state_is_the_fold_of_all_records(storage: Storage):
    log = commit_log(storage)
    state = log.append(log.read(), publication(1, LogState()))
    state = log.append(state, promotion(1, None))
    state = log.append(state, publication(2, state))
    assert state.seq == 3
    assert list(state.versions) == [version(1), version(2)]
    assert state.channels == {"candidate": version(2), "production": version(1)}
    assert state.versions[version(2)].parent == version(1)
    assert state.versions[version(2)].run == "run-2"
    assert commit_log(storage).read() == state


def test_a_reader_sees_later_records_of_others(storage: Storage):
    reader = commit_log(storage)
    reader.read()
    writer = commit_log(storage)
    state = writer.append(writer.read(), publication(1, LogState()))
    assert reader.read() == state


def test_records_read_before_are_not_read_again(storage: Storage):
    writer = commit_log(storage)
    state = writer.read()
    for number in range(1, 6):
        state = writer.append(state, publication(number, state))
    counted = FaultyStorage(storage)
    reader = commit_log(counted)
    reader.read()
    before = counted.operations
    reader.read()
    assert counted.operations - before == 1


def test_the_second_of_two_writers_loses(storage: Storage):
    first, second = commit_log(storage), CommitLog(storage, COLLECTION)
    state = first.read()
    assert second.read() == state
    first.append(state, publication(1, state))
    with pytest.raises(ConflictError, match=r"000000000001\.json was written by another run"):
        second.append(state, publication(2, state))
    assert list(second.read().versions) == [version(1)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (promotion(9, None), f"version {version(9)} is not published"),
        (promotion(1, 2), f"production: expected {version(2)}, found nothing"),
        (publication(1, LogState()), f"candidate: expected nothing, found {version(1)}"),
    ],
)
def test_a_change_that_does_not_follow_is_refused(
    storage: Storage, change: LogChange, message: str
):
    log = commit_log(storage)
    state = log.append(log.read(), publication(1, LogState()))
    with pytest.raises(ConflictError, match=message):
        log.append(state, change)
    assert commit_log(storage).read() == state


def test_a_version_is_published_once_and_on_a_known_parent(storage: Storage):
    log = commit_log(storage)
    state = log.append(log.read(), publication(1, LogState()))
    with pytest.raises(ConflictError, match="is published already"):
        log.append(state, publication(1, state))
    unknown = LogState(channels={CANDIDATE: version(1)})
    stranger = publication(2, unknown)
    with pytest.raises(ConflictError, match=f"parent {version(7)} of {version(2)} is not"):
        log.append(
            state,
            LogChange(
                kind=stranger.kind,
                version=stranger.version,
                channel=CANDIDATE,
                expected=version(1),
                manifest=stranger.manifest,
                parent=version(7),
            ),
        )


def test_a_version_is_the_hash_of_its_manifest(storage: Storage):
    log = commit_log(storage)
    change = publication(1, LogState())
    wrong = LogChange(
        kind=change.kind,
        version=version(2),
        channel=CANDIDATE,
        expected=None,
        manifest=change.manifest,
    )
    with pytest.raises(ConflictError, match="is not the hash of its manifest"):
        log.append(log.read(), wrong)


def test_time_never_runs_backwards(storage: Storage):
    log = commit_log(storage)
    state = log.append(log.read(), publication(1, LogState()))
    behind = CommitLog(storage, COLLECTION, clock_ms=lambda: 5)
    after = behind.append(behind.read(), publication(2, state))
    assert after.at_ms == state.at_ms > 5


@pytest.mark.parametrize("mode", [FaultMode.LOST_REPLY, FaultMode.ERROR])
def test_a_fault_while_appending_leaves_one_record_or_none(mode: FaultMode):
    inner = MemoryStorage("faults")
    log = commit_log(inner)
    state = log.append(log.read(), publication(1, LogState()))
    faulty = FaultyStorage(inner)
    unlucky = CommitLog(faulty, COLLECTION)
    state = unlucky.read()
    again = FaultyStorage(inner, fail_at=faulty.operations + 1, mode=mode)
    unlucky = CommitLog(again, COLLECTION)
    state = unlucky.read()
    if mode is FaultMode.LOST_REPLY:
        after = unlucky.append(state, publication(2, state))
        assert after.seq == 2
    else:
        with pytest.raises(TransientError, match="failed on purpose"):
            unlucky.append(state, publication(2, state))
        after = state
    assert commit_log(inner).read() == after


class RepliesLost(MemoryStorage):
    """Loses the reply of every conditional write, after or before it happened, then reads badly."""

    def __init__(self, *, happens: bool, readable: bool, other: bytes | None = None) -> None:
        super().__init__("lost")
        self.happens = happens
        self.readable = readable
        self.other = other
        self.creations = 0

    def create(self, key: str, data: bytes) -> None:
        self.creations += 1
        if self.happens:
            super().create(key, data if self.other is None else self.other)
        raise UnknownOutcomeError(f"create {key}: reply lost")

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> bytes:
        if not self.readable:
            raise TransientError("no connection")
        return super().read(key, start=start, end=end)


def test_a_lost_reply_that_cannot_be_settled_is_unknown():
    storage = RepliesLost(happens=True, readable=False)
    with pytest.raises(UnknownOutcomeError, match="may or may not have been written.*no conn"):
        CommitLog(storage, COLLECTION).append(LogState(), publication(1, LogState()))


def test_a_write_that_never_arrives_is_tried_again_and_then_unknown():
    storage = RepliesLost(happens=False, readable=True)
    with pytest.raises(UnknownOutcomeError, match="may or may not have been written; run again"):
        CommitLog(storage, COLLECTION).append(LogState(), publication(1, LogState()))
    assert storage.creations == 3


def test_a_lost_reply_that_hides_the_record_of_another_is_a_conflict():
    other = MemoryStorage("other")
    log = commit_log(other)
    log.append(log.read(), publication(5, LogState()))
    storage = RepliesLost(happens=True, readable=True, other=other.read(log_key(COLLECTION, 1)))
    with pytest.raises(ConflictError, match="written by another run first"):
        CommitLog(storage, COLLECTION).append(LogState(), publication(1, LogState()))


@pytest.mark.parametrize("each", [12, pytest.param(125, marks=pytest.mark.slow)])
@pytest.mark.parametrize("backend", ["folder", "memory"])
def test_eight_threads_append_without_loss_or_doubling(tmp_path: Path, backend: str, each: int):
    storage: Storage = (
        FolderStorage(tmp_path / "store") if backend == "folder" else MemoryStorage("threads")
    )

    def append_all(first: int) -> None:
        log = CommitLog(storage, COLLECTION)
        for number in range(first, first + each):
            while True:
                state = log.read()
                try:
                    log.append(state, publication(number, state))
                except ConflictError:
                    continue
                break

    threads = [
        threading.Thread(target=append_all, args=(1 + worker * each,)) for worker in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    state = CommitLog(storage, COLLECTION).read()
    assert state.seq == 8 * each
    assert sorted(state.versions) == [version(number) for number in range(1, 8 * each + 1)]
    seqs = sorted(known.seq for known in state.versions.values())
    assert seqs == list(range(1, 8 * each + 1))


def three_records(storage: Storage) -> LogState:
    log = commit_log(storage)
    state = log.read()
    for number in (1, 2, 3):
        state = log.append(state, publication(number, state))
    return state


@pytest.mark.parametrize("seq", [1, 2])
def test_a_gap_is_named(storage: Storage, seq: int):
    three_records(storage)
    storage.delete(log_key(COLLECTION, seq))
    with pytest.raises(CorruptArtifactError, match=f"00000{seq}\\.json is missing, later ones"):
        commit_log(storage).read()


def test_swapped_records_are_named(storage: Storage):
    three_records(storage)
    one, two = log_key(COLLECTION, 1), log_key(COLLECTION, 2)
    first, second = storage.read(one), storage.read(two)
    storage.put(one, second)
    storage.put(two, first)
    with pytest.raises(CorruptArtifactError, match=r"000001\.json: seq: expected 1"):
        commit_log(storage).read()


def test_every_changed_byte_of_a_record_is_noticed_or_harmless(storage: Storage):
    expected = three_records(storage)
    key = log_key(COLLECTION, 2)
    data = storage.read(key)
    named = harmless = 0
    for place in range(len(data)):
        storage.put(key, data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :])
        try:
            state = commit_log(storage).read()
        except (CorruptArtifactError, UsageError) as error:
            named += key in str(error)
            continue
        harmless += state == expected  # a changed space between fields
    assert named + harmless == len(data)
    assert named > 0.9 * len(data.split())


@pytest.mark.parametrize("cut", [0, 1, 50, -2])
def test_a_torn_record_is_named(storage: Storage, cut: int):
    three_records(storage)
    key = log_key(COLLECTION, 3)
    storage.put(key, storage.read(key)[:cut])
    with pytest.raises(CorruptArtifactError, match=r"log record docs/log/000000000003\.json"):
        commit_log(storage).read()


def test_other_files_in_the_log_folder_are_left_alone(storage: Storage):
    state = three_records(storage)
    storage.put("docs/log/checkpoint-3.json", b"later")
    storage.put("docs/log/0000000000009.json", b"thirteen digits")
    assert commit_log(storage).read() == state


def forged(**changes: object) -> bytes:
    """A record with the right hash that says something wrong."""
    change = publication(2, LogState(channels={CANDIDATE: version(1)}))
    record = LogRecord(seq=2, id="forged", at_ms=1_800_000_000_000, change=change)
    body = orjson.loads(encode_record(record, "key"))["record"] | changes
    digest = sha256_hex(orjson.dumps(body, option=orjson.OPT_SORT_KEYS))
    return orjson.dumps({"record": body, "sha256": digest})


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"format_version": 2}, UsageError, "was written by a newer nightpress; upgrade"),
        ({"kind": "revive"}, UsageError, "unknown kind 'revive'; upgrade this nightpress"),
        ({"kind": "promote"}, CorruptArtifactError, "manifest: belongs to published versions"),
        ({"manifest": None}, CorruptArtifactError, "manifest: belongs to published versions"),
        ({"version": "x", "channel": "Z"}, CorruptArtifactError, "version: expected.*; channel: "),
        ({"at_ms": 5}, CorruptArtifactError, "log of docs: log record 2 does not follow record 1"),
        ({"expected": None}, CorruptArtifactError, "log of docs: channel candidate: expected noth"),
    ],
)
def test_a_record_that_breaks_a_rule_is_never_served(
    storage: Storage, changes: dict[str, object], kind: type[Exception], message: str
):
    log = commit_log(storage)
    log.append(log.read(), publication(1, LogState()))
    storage.put(log_key(COLLECTION, 2), forged())
    assert commit_log(storage).read().seq == 2
    storage.put(log_key(COLLECTION, 2), forged(**changes))
    with pytest.raises(kind, match=message):
        commit_log(storage).read()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"channel": "Production"}, "channel: expected"),
        ({"channel": "../x"}, "channel: expected"),
        ({"reason": "\ud800"}, "surrogates"),
        ({"run": 7}, "run: expected a string, found 7"),
    ],
)
def test_a_record_that_no_reader_would_accept_is_not_written(
    storage: Storage, changes: dict[str, object], message: str
):
    log = commit_log(storage)
    state = log.append(log.read(), publication(1, LogState()))
    with pytest.raises(UsageError, match=message):
        log.append(state, replace(promotion(1, None), **changes))
    assert commit_log(storage).read() == state


def find(state: LogState, **wanted: str) -> Callable[[], str]:
    return lambda: resolve_version(state, **wanted).version


def test_versions_are_found_by_channel_or_beginning(storage: Storage):
    state = three_records(storage)
    assert find(state, channel="candidate")() == version(3)
    assert find(state, version=version(2))() == version(2)
    with pytest.raises(UsageError, match="fits 3 versions"):
        find(state, version="000000")()
    two = replace(state, versions=dict(list(state.versions.items())[:2]))
    with pytest.raises(UsageError, match="fits 2 versions"):
        find(two, version="000000")()
    for wrong in ("00000", "00000g", "../../etc", "0" * 65, ""):
        with pytest.raises(UsageError, match="at least 6 hexadecimal characters"):
            find(state, version=wrong)()


def test_unknown_versions_and_channels_are_named(storage: Storage):
    state = three_records(storage)
    with pytest.raises(NotFoundError, match="version abcdef does not exist"):
        find(state, version="abcdef")()
    with pytest.raises(NotFoundError, match="channel 'production'.*known channels: candidate"):
        find(state)()
