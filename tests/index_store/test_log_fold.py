"""The fold: rollbacks, pins, retirements and purges follow from the state before or are refused."""

from dataclasses import replace

import pytest

from index_store.artifacts import Artifact
from index_store.errors import ConflictError, CorruptArtifactError, NotFoundError
from index_store.log_fold import MAX_HISTORY, fold, follows
from index_store.log_records import (
    CANDIDATE,
    PRODUCTION,
    Change,
    KeyChange,
    LogChange,
    LogRecord,
    LogState,
    PinChange,
    RecordKind,
    encode_record,
    parse_record,
    resolve_version,
    seal,
)


def version(number: int) -> str:
    return f"{number:064x}"


def key(number: int) -> str:
    return f"docs/versions/{version(number)}/manifest.json"


def publish(state: LogState, number: int, *, parent: int | None = None) -> LogChange:
    return LogChange(
        kind=RecordKind.PUBLISH,
        version=version(number),
        channel=CANDIDATE,
        expected=state.channels.get(CANDIDATE),
        manifest=Artifact(key=key(number), size_bytes=1, sha256=version(number)),
        parent=None if parent is None else version(parent),
    )


def move(state: LogState, kind: RecordKind, number: int) -> LogChange:
    return LogChange(
        kind=kind,
        version=version(number),
        channel=PRODUCTION,
        expected=state.channels.get(PRODUCTION),
    )


def promote(state: LogState, number: int) -> LogChange:
    return move(state, RecordKind.PROMOTE, number)


def rollback(state: LogState, number: int) -> LogChange:
    return move(state, RecordKind.ROLLBACK, number)


def pin(name: str, number: int) -> PinChange:
    return PinChange(kind=RecordKind.PIN, name=name, version=version(number))


def unpin(name: str, number: int) -> PinChange:
    return PinChange(kind=RecordKind.UNPIN, name=name, version=version(number))


def retire(*versions: int, keys: tuple[str, ...] = ()) -> KeyChange:
    return KeyChange(
        kind=RecordKind.RETIRE, keys=keys, versions=tuple(version(each) for each in versions)
    )


def purge(*keys: str) -> KeyChange:
    return KeyChange(kind=RecordKind.PURGE, keys=keys)


def after(state: LogState, change: Change) -> LogState:
    """The state after a change that was written, read back and applied."""
    record = LogRecord(seq=state.seq + 1, id="nonce", at_ms=state.at_ms + 1, change=change)
    assert parse_record(encode_record(record, "key"), "key", record.seq) == record
    return fold(state, [record])


@pytest.fixture
def published() -> LogState:
    """Versions 1 to 4, the last of them the candidate."""
    state = LogState()
    for number in (1, 2, 3, 4):
        state = after(state, publish(state, number))
    return state


def promoted(state: LogState, *numbers: int) -> LogState:
    for number in numbers:
        state = after(state, promote(state, number))
    return state


def test_rollback_goes_back_the_way_production_came(published: LogState):
    state = promoted(published, 1, 2, 3)
    assert state.history == {PRODUCTION: (version(1), version(2))}
    state = after(state, rollback(state, 2))
    assert state.channels[PRODUCTION] == version(2)
    state = promoted(state, 4)
    assert state.history[PRODUCTION] == (version(1), version(2))
    for number in (2, 1):
        state = after(state, rollback(state, number))
    assert (state.channels[PRODUCTION], state.history[PRODUCTION]) == (version(1), ())
    with pytest.raises(ConflictError, match="production does not go back to version"):
        after(state, rollback(state, 2))


def test_rollback_goes_to_the_version_before_and_to_no_other(published: LogState):
    state = promoted(published, 1, 2, 3)
    for number in (1, 3, 4, 9):
        with pytest.raises(ConflictError, match="production does not go back to version"):
            after(state, rollback(state, number))
    with pytest.raises(ConflictError, match="channel production: expected nothing, found"):
        after(state, replace(rollback(state, 2), expected=None))


def test_publishing_makes_no_history(published: LogState):
    assert published.history == {}


def test_history_is_bounded(published: LogState):
    state = published
    for turn in range(2 * MAX_HISTORY):
        state = promoted(state, 1 + turn % 2)
    assert len(state.history[PRODUCTION]) == MAX_HISTORY


def test_pins_hold_a_version_until_they_are_taken_away(published: LogState):
    state = after(published, pin("audit", 2))
    assert state.pins == {"audit": version(2)}
    with pytest.raises(ConflictError, match=f"{version(2)} is in use by pin audit"):
        after(state, retire(2))
    with pytest.raises(ConflictError, match=f"pin audit: expected nothing, found {version(2)}"):
        after(state, pin("audit", 1))
    with pytest.raises(ConflictError, match=f"pin audit: expected {version(1)}, found"):
        after(state, unpin("audit", 1))
    with pytest.raises(ConflictError, match="pin other: expected .*, found nothing"):
        after(state, unpin("other", 1))
    with pytest.raises(ConflictError, match=f"version {version(9)} is not published"):
        after(state, pin("other", 9))
    state = after(state, unpin("audit", 2))
    assert after(state, retire(2)).retired_versions == {version(2): state.seq + 1}


def test_a_retired_version_cannot_be_opened_moved_to_or_pinned(published: LogState):
    state = after(promoted(published, 1, 2, 3), retire(2, keys=(key(2), "docs/catalog/x")))
    assert version(2) not in state.versions
    assert state.history == {PRODUCTION: (version(1),)}
    assert state.retired == {key(2): state.seq, "docs/catalog/x": state.seq}
    for change in (promote(state, 2), pin("x", 2), retire(2)):
        with pytest.raises(ConflictError, match=f"version {version(2)} is not published"):
            after(state, change)
    state = after(state, rollback(state, 1))
    assert state.channels[PRODUCTION] == version(1)
    with pytest.raises(NotFoundError, match="was retired and cannot be opened any more"):
        resolve_version(state, version=version(2))


@pytest.mark.parametrize(("number", "channel"), [(3, "production"), (4, "candidate")])
def test_the_target_of_a_channel_is_never_retired(published: LogState, number: int, channel: str):
    state = promoted(published, 1, 3)
    with pytest.raises(ConflictError, match=f"is in use by channel {channel}"):
        after(state, retire(number))


def test_the_manifest_of_an_open_version_is_never_retired(published: LogState):
    with pytest.raises(ConflictError, match=f"version {version(3)} still needs its manifest"):
        after(published, retire(2, keys=(key(2), key(3))))


def test_retired_keys_never_come_back(published: LogState):
    state = after(published, retire(1, keys=(key(1), "docs/shards/abc/index.faiss")))
    assert state.forbidden_keys == {key(1), "docs/shards/abc/index.faiss"}
    assert state.forbidden_shards == {"abc"}
    with pytest.raises(ConflictError, match="was retired and is never used again"):
        after(state, publish(state, 1))
    with pytest.raises(ConflictError, match="was retired and is never used again"):
        after(state, retire(keys=(key(1),)))
    with pytest.raises(ConflictError, match="object docs/catalog/y is not retired"):
        after(state, purge("docs/catalog/y"))
    state = after(state, purge(key(1)))
    assert state.retired == {"docs/shards/abc/index.faiss": state.seq - 1}
    assert state.purged == {key(1): state.seq}
    assert state.forbidden_keys == {key(1), "docs/shards/abc/index.faiss"}
    for change in (purge(key(1)), retire(keys=(key(1),)), publish(state, 1)):
        with pytest.raises(ConflictError, match=f"object {key(1)}"):
            after(state, change)


def test_a_retired_version_may_be_published_again_under_another_key(published: LogState):
    state = after(published, retire(1, keys=(key(1),)))
    again = publish(state, 1)
    assert again.manifest is not None
    beside = replace(again, manifest=replace(again.manifest, key=f"{key(1)[:-5]}-1.json"))
    state = after(state, beside)
    assert version(1) in state.versions
    assert state.retired_versions == {}


def test_a_version_may_be_built_on_a_retired_one(published: LogState):
    state = after(published, retire(1, keys=(key(1),)))
    state = after(state, publish(state, 5, parent=1))
    assert state.versions[version(5)].parent == version(1)


def test_whether_a_change_follows_is_told_without_an_error(published: LogState):
    assert follows(published, promote(published, 1))
    assert not follows(published, promote(published, 9))


@pytest.mark.parametrize(
    ("kind", "body", "message"),
    [
        ("pin", {"name": "Bad", "version": "x"}, "name: expected .*; version: expected"),
        ("retire", {"keys": "x", "versions": [1]}, "keys: expected a list.*versions: .* strings"),
        ("purge", {"keys": ["/a", "a"], "versions": []}, "keys: expected only"),
        ("retire", {"keys": [], "versions": ["x"]}, "versions: expected only"),
    ],
)
def test_records_with_wrong_fields_are_refused(kind: str, body: dict[str, object], message: str):
    common = {"format_version": 1, "seq": 1, "id": "n", "at_ms": 1, "run": "", "reason": ""}
    data = seal("record", {**common, "kind": kind, **body})
    with pytest.raises(CorruptArtifactError, match=message):
        parse_record(data, "key", 1)
