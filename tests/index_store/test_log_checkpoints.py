"""Checkpoints of the log: five requests for any length, and never more than a saving."""

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import pytest

from index_store.artifacts import Artifact, sha256_hex
from index_store.errors import ConflictError, CorruptArtifactError, TransientError, UsageError
from index_store.layout import checkpoint_key, log_key, log_prefix, tail_key
from index_store.log import CommitLog
from index_store.log_checkpoints import (
    CHECKPOINT_RECORDS,
    KEPT_CHECKPOINTS,
    KEPT_TAILS,
    encode_checkpoint,
    parse_checkpoint,
    parse_tail,
)
from index_store.log_records import (
    CANDIDATE,
    PRODUCTION,
    KeyChange,
    LogChange,
    LogState,
    PinChange,
    RecordKind,
)
from index_store.storage.base import StoredObject
from index_store.storage.memory import MemoryStorage
from tests.index_store.store_builders import COLLECTION, commit_log

PAGE = 1000  # keys that S3 lists in one request


@dataclass
class CountingStorage(MemoryStorage):
    """Counts requests as S3 would: a listing costs one for each thousand keys."""

    inner: MemoryStorage
    requests: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__("counting")

    def read(self, key: str, *, start: int = 0, end: int | None = None) -> bytes:
        self.requests.append(f"read {key}")
        return self.inner.read(key, start=start, end=end)

    def list(self, prefix: str, *, after: str = "") -> Iterator[StoredObject]:
        entries = list(self.inner.list(prefix, after=after))
        self.requests += [f"list {prefix} after {after}"] * (1 + len(entries) // PAGE)
        yield from entries


def version(number: int) -> str:
    return f"{number:064x}"


def publication(number: int, state: LogState) -> LogChange:
    key = f"{COLLECTION}/versions/{version(number)}/manifest.json"
    return LogChange(
        kind=RecordKind.PUBLISH,
        version=version(number),
        channel=CANDIDATE,
        expected=state.channels.get(CANDIDATE),
        run=f"run-{number}",
        manifest=Artifact(key=key, size_bytes=1, sha256=version(number)),
        parent=state.channels.get(CANDIDATE),
    )


def promotion(number: int, state: LogState) -> LogChange:
    return LogChange(
        kind=RecordKind.PROMOTE,
        version=version(number),
        channel=PRODUCTION,
        expected=state.channels.get(PRODUCTION),
    )


def long_log(storage: MemoryStorage, records: int) -> LogState:
    """Two versions that production is promoted to in turn, some keys retired, one name pinned."""
    log = commit_log(storage)
    state = log.read()
    for number in (1, 2, 3):
        state = log.append(state, publication(number, state))
    state = log.append(
        state, KeyChange(kind=RecordKind.RETIRE, keys=("docs/a/b", "docs/a/c"), versions=())
    )
    state = log.append(state, KeyChange(kind=RecordKind.PURGE, keys=("docs/a/c",)))
    state = log.append(state, KeyChange(kind=RecordKind.RETIRE, keys=(), versions=(version(2),)))
    state = log.append(state, PinChange(kind=RecordKind.PIN, name="x", version=version(1)))
    while state.seq < records:
        state = log.append(state, promotion(1 + 2 * (state.seq % 2), state))
    return state


def names(storage: MemoryStorage, kind: str) -> list[int]:
    prefix = f"{log_prefix(COLLECTION)}{kind}-"
    return [int(entry.key.removeprefix(prefix)[:12]) for entry in storage.list(prefix)]


@pytest.mark.parametrize("records", [7, 63, 64, 65, 500, 10_000])
def test_a_log_of_any_length_is_read_in_five_requests(records: int):
    storage = MemoryStorage("long")
    state = long_log(storage, records)
    counting = CountingStorage(storage)
    assert CommitLog(counting, COLLECTION).read() == state
    assert len(counting.requests) <= 5, counting.requests
    # Also when the last writer died between its record and the tail.
    storage.delete(tail_key(COLLECTION, records))
    storage.delete(checkpoint_key(COLLECTION, records))
    counting.requests.clear()
    assert CommitLog(counting, COLLECTION).read() == state
    assert len(counting.requests) <= 5, counting.requests


def test_short_logs_need_no_more_requests():
    for records in (0, 1, 2, 3):
        storage = MemoryStorage("short")
        log = commit_log(storage)
        state = log.read()
        for number in range(1, records + 1):
            state = log.append(state, publication(number, state))
        counting = CountingStorage(storage)
        assert CommitLog(counting, COLLECTION).read() == state
        assert len(counting.requests) <= 5
        assert names(storage, "tail") == []


def test_a_poll_costs_one_request_and_sees_what_is_new():
    storage = MemoryStorage("poll")
    state = long_log(storage, 100)
    counting = CountingStorage(storage)
    reader = CommitLog(counting, COLLECTION)
    reader.read()
    counting.requests.clear()
    assert reader.read() == state
    assert len(counting.requests) == 1
    log = commit_log(storage)
    state = log.append(log.read(), promotion(2 - 1, state))
    counting.requests.clear()
    assert reader.read() == state
    assert len(counting.requests) == 2


def test_a_reader_that_fell_far_behind_takes_a_checkpoint():
    storage = MemoryStorage("behind")
    counting = CountingStorage(storage)
    reader = CommitLog(counting, COLLECTION)
    log = commit_log(storage)
    state = log.append(log.read(), publication(1, LogState()))
    reader.read()
    for number in range(2, 301):
        state = log.append(state, publication(number, state))
    counting.requests.clear()
    assert reader.read() == state
    assert len(counting.requests) <= 3


def test_outdated_checkpoints_and_tails_are_deleted():
    storage = MemoryStorage("outdated")
    long_log(storage, 10 * CHECKPOINT_RECORDS + 5)
    assert names(storage, "checkpoint") == [
        CHECKPOINT_RECORDS * number for number in range(11 - KEPT_CHECKPOINTS, 11)
    ]
    last = 10 * CHECKPOINT_RECORDS + 5
    assert names(storage, "tail") == list(range(last + 1 - KEPT_TAILS, last + 1))


def test_a_state_survives_being_a_checkpoint():
    state = long_log(MemoryStorage("survive"), 80)
    assert parse_checkpoint(encode_checkpoint(state), "key", state.seq) == state
    assert list(parse_checkpoint(encode_checkpoint(state), "key", 80).versions) == [
        version(1),
        version(3),
    ]
    assert state.history[PRODUCTION]
    assert state.retired_versions == {version(2): 6}


@pytest.mark.parametrize("records", [80, 128])
@pytest.mark.parametrize("damage", ["missing", "torn", "flipped", "newer", "swapped", "all"])
def test_a_damaged_checkpoint_only_costs_time(
    records: int, damage: str, caplog: pytest.LogCaptureFixture
):
    storage = MemoryStorage("damage")
    state = long_log(storage, records)
    newest = (checkpoint_key if records == 128 else tail_key)(COLLECTION, records)
    good = storage.read(newest)
    kind = "checkpoint" if records == 128 else "tail"
    match damage:
        case "missing":
            storage.delete(newest)
        case "torn":
            storage.put(newest, good[:100])
        case "flipped":
            storage.put(newest, good.replace(b'"seq": 80', b'"seq": 81').replace(b"run-", b"ruf-"))
        case "newer":
            body = orjson.loads(good)[kind] | {"format_version": 2}
            digest = sha256_hex(orjson.dumps(body, option=orjson.OPT_SORT_KEYS))
            storage.put(newest, orjson.dumps({kind: body, "sha256": digest}))
        case "swapped":
            storage.put(newest, storage.read((tail_key)(COLLECTION, names(storage, "tail")[0])))
        case _:
            for entry in list(storage.list(f"{log_prefix(COLLECTION)}")):
                if "checkpoint" in entry.key or "tail" in entry.key:
                    storage.put(entry.key, b"{}")
    with caplog.at_level(logging.WARNING):
        assert CommitLog(storage, COLLECTION).read() == state
    assert damage == "missing" or "checkpoint not used" in caplog.text
    log = CommitLog(storage, COLLECTION)
    after = log.append(log.read(), promotion(3 - 2 * (records % 2), state))
    assert CommitLog(storage, COLLECTION).audit().state == after


def test_a_checkpoint_does_not_vouch_for_a_record_that_is_gone():
    storage = MemoryStorage("gone")
    long_log(storage, 80)
    storage.delete(log_key(COLLECTION, 80))
    with pytest.raises(CorruptArtifactError, match=r"000000000080\.json is missing"):
        CommitLog(storage, COLLECTION).read()


def test_a_checkpoint_that_says_something_else_is_found_by_an_audit():
    storage = MemoryStorage("lies")
    state = long_log(storage, 80)
    lie = LogState(seq=80, at_ms=state.at_ms, versions=state.versions, channels=state.channels)
    storage.put(checkpoint_key(COLLECTION, 80), encode_checkpoint(lie))
    storage.delete(tail_key(COLLECTION, 80))
    with pytest.raises(CorruptArtifactError, match="a checkpoint differs from the records; delete"):
        CommitLog(storage, COLLECTION).audit()


def test_a_checkpoint_that_cannot_be_written_does_not_fail_the_append(
    caplog: pytest.LogCaptureFixture,
):
    class Full(MemoryStorage):
        def put(self, key: str, source: bytes | Path) -> None:  # noqa: ARG002
            raise TransientError(f"put {key}: no space left")

    storage = Full("full")
    with caplog.at_level(logging.WARNING):
        state = long_log(storage, 70)
    assert CommitLog(storage, COLLECTION).read() == state
    assert "has no checkpoint 70: put docs/log/checkpoint-000000000070.json: no sp" in caplog.text


def test_writers_who_take_turns_leave_usable_checkpoints():
    storage = MemoryStorage("turns")
    writers = [CommitLog(storage, COLLECTION) for _ in range(3)]
    state = writers[0].append(LogState(), publication(1, LogState()))
    for turn in range(400):
        writer = writers[0 if turn % 90 < 80 else 1 + turn % 2]
        state = writer.append(writer.read(), publication(turn + 2, state))
        counting = CountingStorage(storage)
        assert CommitLog(counting, COLLECTION).read() == state
        assert len(counting.requests) <= 5, counting.requests
    assert CommitLog(storage, COLLECTION).audit().state == state


def test_an_append_to_a_state_that_was_not_read_here_is_fine():
    storage = MemoryStorage("elsewhere")
    state = long_log(storage, 20)
    log = CommitLog(storage, COLLECTION)
    after = log.append(state, promotion(1, state))
    assert log.read() == after == CommitLog(storage, COLLECTION).read()


def test_racing_writers_never_spoil_checkpoints():
    storage = MemoryStorage("racing")

    def append_all(first: int) -> None:
        log = CommitLog(storage, COLLECTION)
        for number in range(first, first + 25):
            while True:
                state = log.read()
                try:
                    log.append(state, publication(number, state))
                except ConflictError:
                    continue
                break

    threads = [threading.Thread(target=append_all, args=(1 + 25 * n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    audit = CommitLog(storage, COLLECTION).audit()
    assert audit.state.seq == 200
    assert sorted(audit.modified_ms) == list(range(1, 201))


def sealed(kind: str, body: dict[str, object]) -> bytes:
    digest = sha256_hex(orjson.dumps(body, option=orjson.OPT_SORT_KEYS))
    return orjson.dumps({kind: body, "sha256": digest})


def test_a_checkpoint_with_wrong_fields_lists_them():
    body = orjson.loads(encode_checkpoint(long_log(MemoryStorage("fields"), 10)))["checkpoint"]
    wrong = body | {"seq": 9, "pins": [{"name": "No", "version": "x"}], "purged": [{"seq": 0}]}
    with pytest.raises(CorruptArtifactError) as caught:
        parse_checkpoint(sealed("checkpoint", wrong), "key", 10)
    for part in ("seq: expected 10", "pins[0].name", "pins[0].version", "purged[0].names"):
        assert part in str(caught.value)


def test_a_tail_with_wrong_fields_lists_them():
    body = {"format_version": 1, "base": 3, "seq": 9, "records": ["x", 7]}
    with pytest.raises(CorruptArtifactError, match="expected only strings.*expected 6 records"):
        parse_tail(sealed("tail", body), "key", 9)
    with pytest.raises(UsageError, match="written by a newer nightpress"):
        parse_tail(sealed("tail", body | {"format_version": 2}), "key", 9)
