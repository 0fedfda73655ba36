"""The commit log's records as values and as bytes, and the state they add up to; pure.

Invariants: a record bears its number and the hash of its own content; a kind that this nightpress
does not know is refused, never skipped; a key that was ever retired stays in the state for ever.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from itertools import chain

import orjson

from index_store.artifacts import Artifact, sha256_hex
from index_store.errors import CorruptArtifactError, NotFoundError, UsageError
from index_store.fields import HEX_64, Fields, parse_object, raise_problems
from index_store.layout import shard_of

LOG_FORMAT_VERSION = 1
CANDIDATE = "candidate"  # moved by every publish
PRODUCTION = "production"  # moved by promote; what readers open
MIN_PREFIX_CHARS = 6  # shortest beginning of a version that people may type
VERSION_PREFIX = re.compile(rf"[0-9a-f]{{{MIN_PREFIX_CHARS},64}}")
CHANNEL_NAME = re.compile(r"[a-z][a-z0-9-]{0,63}")
PIN_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
OBJECT_KEY = re.compile(r"[^/]+(/[^/]+)+")


class RecordKind(Enum):
    """What a record does."""

    PUBLISH = "publish"  # makes a version known and moves `candidate` to it
    PROMOTE = "promote"  # moves a channel to a known version
    ROLLBACK = "rollback"  # moves a channel back to the version it was promoted from
    PIN = "pin"  # keeps a version under a name, whatever expiry would do
    UNPIN = "unpin"  # lets go of it
    RETIRE = "retire"  # forgets versions, and says which objects no version may refer to again
    PURGE = "purge"  # says that retired objects are about to be deleted


_PIN_KINDS = frozenset({RecordKind.PIN, RecordKind.UNPIN})
_KEY_KINDS = frozenset({RecordKind.RETIRE, RecordKind.PURGE})


@dataclass(frozen=True, slots=True, kw_only=True)
class LogChange:
    """A move of a channel: publish, promote or rollback.

    Attributes:
        kind: What it does.
        version: The version published or moved to, 64 hexadecimal characters.
        channel: The channel that moves.
        expected: Version the channel must point to before, None when it must not exist yet.
        run: Run that asks for it, empty when a person does.
        reason: One line for people.
        manifest: Manifest of a published version, None for other kinds.
        parent: Version that a published one was built on, None for the first.
    """

    kind: RecordKind
    version: str
    channel: str
    expected: str | None
    run: str = ""
    reason: str = ""
    manifest: Artifact | None = None
    parent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PinChange:
    """A name given to a version, or taken from it.

    Attributes:
        kind: PIN or UNPIN.
        name: The name.
        version: The version it is given to or taken from, 64 hexadecimal characters.
        run: Run that asks for it, empty when a person does.
        reason: One line for people.
    """

    kind: RecordKind
    name: str
    version: str
    run: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyChange:
    """Versions and objects that are given up, in two steps with a grace period between them.

    Attributes:
        kind: RETIRE or PURGE.
        keys: Objects that no version may refer to any more; for PURGE retired ones.
        versions: Versions that cannot be opened any more; none for PURGE.
        run: Run that asks for it, empty when a person does.
        reason: One line for people.
    """

    kind: RecordKind
    keys: tuple[str, ...]
    versions: tuple[str, ...] = ()
    run: str = ""
    reason: str = ""


Change = LogChange | PinChange | KeyChange


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRecord:
    """A change with its place in the log.

    Attributes:
        seq: Number of the record, from 1.
        id: Nonce that tells the writer its own record from another's.
        at_ms: When it was written, milliseconds since the epoch; never less than the record before.
        change: What it does.
    """

    seq: int
    id: str
    at_ms: int
    change: Change


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedVersion:
    """A version that the log knows.

    Attributes:
        version: Its id.
        manifest: Where its manifest is, and what its bytes must be.
        parent: The version it was built on, or None.
        published_at_ms: When, milliseconds since the epoch.
        run: The run that published it.
        seq: The record that did.
    """

    version: str
    manifest: Artifact
    parent: str | None
    published_at_ms: int
    run: str
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LogState:
    """What records 1..seq add up to.

    Attributes:
        seq: Number of the last record, 0 for an empty log.
        at_ms: Time of the last record, 0 for an empty log.
        versions: Versions that can be opened, in the order they were published.
        channels: Version that each channel points to.
        history: Versions that each promoted channel can be rolled back to, the next one last.
        pins: Version that each name holds.
        retired_versions: Record that retired each forgotten version.
        retired: Record that retired each object that is not purged yet, by key.
        purged: Record that purged each object, by key.
    """

    seq: int = 0
    at_ms: int = 0
    versions: Mapping[str, PublishedVersion] = field(default_factory=dict)
    channels: Mapping[str, str] = field(default_factory=dict)
    history: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    pins: Mapping[str, str] = field(default_factory=dict)
    retired_versions: Mapping[str, int] = field(default_factory=dict)
    retired: Mapping[str, int] = field(default_factory=dict)
    purged: Mapping[str, int] = field(default_factory=dict)

    @property
    def forbidden_keys(self) -> frozenset[str]:
        """Keys that no new version may refer to: whoever retired them may delete them any time."""
        return frozenset(chain(self.retired, self.purged))

    @property
    def forbidden_shards(self) -> frozenset[str]:
        """Ids of shards with a forbidden key; a new shard of the same chunks takes another id."""
        shards = map(shard_of, chain(self.retired, self.purged))
        return frozenset(shard for shard in shards if shard is not None)


def resolve_version(
    state: LogState, *, version: str | None = None, channel: str = PRODUCTION
) -> PublishedVersion:
    """Find a version by the beginning of its id, or by the channel that points to it.

    Raises:
        UsageError: The beginning is too short, is no id, or fits several versions.
        NotFoundError: There is no such version or channel.
    """
    if version is None:
        if channel not in state.channels:
            known = ", ".join(sorted(state.channels)) or "none"
            raise NotFoundError(f"channel {channel!r} does not exist; known channels: {known}")
        return state.versions[state.channels[channel]]
    if not VERSION_PREFIX.fullmatch(version):
        raise UsageError(
            f"version {version!r} must be at least {MIN_PREFIX_CHARS} hexadecimal characters"
        )
    found = [known for name, known in state.versions.items() if name.startswith(version)]
    if not found:
        if any(name.startswith(version) for name in state.retired_versions):
            raise NotFoundError(f"version {version} was retired and cannot be opened any more")
        raise NotFoundError(f"version {version} does not exist")
    if len(found) > 1:
        raise UsageError(f"version {version} fits {len(found)} versions; type more of it")
    return found[0]


def encode_record(record: LogRecord, key: str) -> bytes:
    """Return the bytes of a log record, which bear their own hash.

    Args:
        record: The record.
        key: Its key, for messages.

    Raises:
        UsageError: No reader would accept it; a bad record would spoil the log for ever.
    """
    try:
        data = seal("record", _record_body(record))
        parse_record(data, key, record.seq)
    except (orjson.JSONEncodeError, CorruptArtifactError) as error:
        raise UsageError(str(error)) from error
    return data


def parse_record(data: bytes, key: str, seq: int) -> LogRecord:
    """Parse a log record and check it against its own hash and its place.

    Args:
        data: Bytes of the record.
        key: Its key, for messages.
        seq: The number it must bear.

    Raises:
        CorruptArtifactError: It is damaged; the message lists every problem.
        UsageError: It was written by a newer nightpress.
    """
    what = f"log record {key}"
    body = parse_sealed(data, "record", what)
    problems: list[str] = []
    fields = Fields(body, "", problems)
    if fields.whole("format_version", minimum=1) > LOG_FORMAT_VERSION:
        raise UsageError(f"{what} was written by a newer nightpress; upgrade this one")
    kind = _parse_kind(fields, what)
    if fields.whole("seq", minimum=1) != seq:
        fields.problem("seq", f"expected {seq}")
    change = _parse_change(fields, kind)
    record = LogRecord(seq=seq, id=fields.text("id"), at_ms=fields.whole("at_ms"), change=change)
    raise_problems(what, problems)
    return record


def seal(name: str, body: dict[str, object]) -> bytes:
    """Return the bytes of a file of the log: a body under `name`, and its hash."""
    return orjson.dumps(
        {name: body, "sha256": _body_hash(body)},
        option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE,
    )


def parse_sealed(data: bytes, name: str, what: str) -> object:
    """Return the body that `seal` wrote under `name`, after checking its hash.

    Raises:
        CorruptArtifactError: It is damaged.
    """
    outer = parse_object(data, what)
    body = outer.get(name)
    if isinstance(body, dict) and outer.get("sha256") != _body_hash(body):
        raise CorruptArtifactError(f"{what}: its content does not agree with its sha256")
    return body


def artifact_object(artifact: Artifact) -> dict[str, object]:
    """Return an artifact as JSON fields."""
    return {"key": artifact.key, "size_bytes": artifact.size_bytes, "sha256": artifact.sha256}


def parse_artifact(fields: Fields) -> Artifact:
    """Read an artifact from JSON fields, noting problems there."""
    return Artifact(
        key=fields.text("key"),
        size_bytes=fields.whole("size_bytes"),
        sha256=fields.text("sha256", pattern=HEX_64),
    )


def _record_body(record: LogRecord) -> dict[str, object]:
    change = record.change
    return {
        "format_version": LOG_FORMAT_VERSION,
        "seq": record.seq,
        "id": record.id,
        "at_ms": record.at_ms,
        "kind": change.kind.value,
        "run": change.run,
        "reason": change.reason,
        **_change_fields(change),
    }


def _change_fields(change: Change) -> dict[str, object]:
    if isinstance(change, PinChange):
        return {"name": change.name, "version": change.version}
    if isinstance(change, KeyChange):
        return {"keys": list(change.keys), "versions": list(change.versions)}
    return {
        "version": change.version,
        "channel": change.channel,
        "expected": change.expected,
        "manifest": None if change.manifest is None else artifact_object(change.manifest),
        "parent": change.parent,
    }


def _parse_change(fields: Fields, kind: RecordKind) -> Change:
    run, reason = fields.text("run"), fields.text("reason")
    if kind in _PIN_KINDS:
        return PinChange(
            kind=kind,
            name=fields.text("name", pattern=PIN_NAME),
            version=fields.text("version", pattern=HEX_64),
            run=run,
            reason=reason,
        )
    if kind in _KEY_KINDS:
        return KeyChange(
            kind=kind,
            keys=fields.texts("keys", pattern=OBJECT_KEY),
            versions=fields.texts("versions", pattern=HEX_64),
            run=run,
            reason=reason,
        )
    manifest = fields.child_or_none("manifest")
    if (manifest is not None) != (kind is RecordKind.PUBLISH):
        fields.problem("manifest", "belongs to published versions and to them alone")
    return LogChange(
        kind=kind,
        version=fields.text("version", pattern=HEX_64),
        channel=fields.text("channel", pattern=CHANNEL_NAME),
        expected=fields.text_or_none("expected", pattern=HEX_64),
        run=run,
        reason=reason,
        manifest=None if manifest is None else parse_artifact(manifest),
        parent=fields.text_or_none("parent", pattern=HEX_64),
    )


def _parse_kind(fields: Fields, what: str) -> RecordKind:
    name = fields.text("kind")
    try:
        return RecordKind(name)
    except ValueError as error:
        raise UsageError(
            f"{what} has the unknown kind {name!r}; upgrade this nightpress"
        ) from error


def _body_hash(body: dict[str, object]) -> str:
    return sha256_hex(orjson.dumps(body, option=orjson.OPT_SORT_KEYS))
