"""The commit log's records, and the fold that turns them into the state of a collection; pure.

Invariants: records are numbered from 1 without gaps; a record bears the hash of its own content;
every record is checked against the state before it, so a log that breaks a rule is never served.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum

import orjson

from index_store.artifacts import Artifact, sha256_hex
from index_store.errors import ConflictError, CorruptArtifactError, NotFoundError, UsageError
from index_store.fields import HEX_64, Fields, parse_object, raise_problems

LOG_FORMAT_VERSION = 1
CANDIDATE = "candidate"  # moved by every publish
PRODUCTION = "production"  # moved by promote; what readers open
MIN_PREFIX_CHARS = 6  # shortest beginning of a version that people may type
VERSION_PREFIX = re.compile(rf"[0-9a-f]{{{MIN_PREFIX_CHARS},64}}")
CHANNEL_NAME = re.compile(r"[a-z][a-z0-9-]{0,63}")


class RecordKind(Enum):
    """What a record does."""

    PUBLISH = "publish"  # makes a version known and moves `candidate` to it
    PROMOTE = "promote"  # moves a channel to a known version


@dataclass(frozen=True, slots=True, kw_only=True)
class LogChange:
    """What somebody wants to append.

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
    change: LogChange


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
        versions: Known versions in the order they were published.
        channels: Version that each channel points to.
    """

    seq: int = 0
    at_ms: int = 0
    versions: Mapping[str, PublishedVersion] = field(default_factory=dict)
    channels: Mapping[str, str] = field(default_factory=dict)


def fold(state: LogState, records: Iterable[LogRecord]) -> LogState:
    """Apply records in order.

    Raises:
        ConflictError: A record does not follow from the state before it.
    """
    seq, at_ms = state.seq, state.at_ms
    versions, channels = dict(state.versions), dict(state.channels)
    for record in records:
        change = record.change
        if record.seq != seq + 1 or record.at_ms < at_ms:
            raise ConflictError(f"log record {record.seq} does not follow record {seq}")
        if channels.get(change.channel) != change.expected:
            found = _named(channels.get(change.channel))
            raise ConflictError(
                f"channel {change.channel}: expected {_named(change.expected)}, found {found}"
            )
        match change.kind:
            case RecordKind.PUBLISH:
                versions[change.version] = _published(record, versions)
            case RecordKind.PROMOTE:
                if change.version not in versions:
                    raise ConflictError(f"version {change.version} is not published")
        channels[change.channel] = change.version
        seq, at_ms = record.seq, record.at_ms
    return LogState(seq=seq, at_ms=at_ms, versions=versions, channels=channels)


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
        data = _dump(_record_object(record))
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
    outer = parse_object(data, what)
    body = outer.get("record")
    problems: list[str] = []
    fields = Fields(body, "", problems)
    if isinstance(body, dict) and outer.get("sha256") != _body_hash(body):
        raise CorruptArtifactError(f"{what}: its content does not agree with its sha256")
    if fields.whole("format_version", minimum=1) > LOG_FORMAT_VERSION:
        raise UsageError(f"{what} was written by a newer nightpress; upgrade this one")
    kind = _parse_kind(fields, what)
    if fields.whole("seq", minimum=1) != seq:
        fields.problem("seq", f"expected {seq}")
    manifest = fields.child_or_none("manifest")
    if (manifest is not None) != (kind is RecordKind.PUBLISH):
        fields.problem("manifest", "belongs to published versions and to them alone")
    change = LogChange(
        kind=kind,
        version=fields.text("version", pattern=HEX_64),
        channel=fields.text("channel", pattern=CHANNEL_NAME),
        expected=fields.text_or_none("expected", pattern=HEX_64),
        run=fields.text("run"),
        reason=fields.text("reason"),
        manifest=None if manifest is None else parse_artifact(manifest),
        parent=fields.text_or_none("parent", pattern=HEX_64),
    )
    record = LogRecord(seq=seq, id=fields.text("id"), at_ms=fields.whole("at_ms"), change=change)
    raise_problems(what, problems)
    return record


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


def _record_object(record: LogRecord) -> dict[str, object]:
    change = record.change
    body: dict[str, object] = {
        "format_version": LOG_FORMAT_VERSION,
        "seq": record.seq,
        "id": record.id,
        "at_ms": record.at_ms,
        "kind": change.kind.value,
        "version": change.version,
        "channel": change.channel,
        "expected": change.expected,
        "run": change.run,
        "reason": change.reason,
        "manifest": None if change.manifest is None else artifact_object(change.manifest),
        "parent": change.parent,
    }
    return {"record": body, "sha256": _body_hash(body)}


def _published(record: LogRecord, versions: Mapping[str, PublishedVersion]) -> PublishedVersion:
    change = record.change
    if change.version in versions:
        raise ConflictError(f"version {change.version} is published already")
    if change.parent is not None and change.parent not in versions:
        raise ConflictError(f"parent {change.parent} of {change.version} is not published")
    if change.manifest is None or change.manifest.sha256 != change.version:
        raise ConflictError(f"version {change.version} is not the hash of its manifest")
    return PublishedVersion(
        version=change.version,
        manifest=change.manifest,
        parent=change.parent,
        published_at_ms=record.at_ms,
        run=change.run,
        seq=record.seq,
    )


def _parse_kind(fields: Fields, what: str) -> RecordKind:
    name = fields.text("kind")
    try:
        return RecordKind(name)
    except ValueError as error:
        raise UsageError(
            f"{what} has the unknown kind {name!r}; upgrade this nightpress"
        ) from error


def _named(version: str | None) -> str:
    return "nothing" if version is None else version


def _body_hash(body: dict[str, object]) -> str:
    return sha256_hex(orjson.dumps(body, option=orjson.OPT_SORT_KEYS))


def _dump(value: dict[str, object]) -> bytes:
    return orjson.dumps(
        value, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    )
