"""Checkpoints of the commit log as bytes and back; pure.

A checkpoint is the state after a record; a tail is a bundle of all records since a checkpoint. Both
only save requests: what they say is what the records say, and any of them may be missing.

Invariants: both bear the hash of their content; a tail holds whole records, each with its own hash,
contiguous from its base.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from index_store.errors import UsageError
from index_store.fields import HEX_64, Fields, raise_problems
from index_store.layout import CHECKPOINT_NAME, TAIL_NAME
from index_store.log_records import (
    CHANNEL_NAME,
    PIN_NAME,
    LogRecord,
    LogState,
    PublishedVersion,
    artifact_object,
    parse_artifact,
    parse_record,
    parse_sealed,
    seal,
)

CHECKPOINT_FORMAT_VERSION = 1
CHECKPOINT_RECORDS = 64  # records in a tail before the next checkpoint; bounds what an append costs
SMALL_LOG_RECORDS = 3  # up to here reading the records themselves is as cheap
KEPT_CHECKPOINTS = 4  # a reader may be about to read one, a tail may follow an older one
KEPT_TAILS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """A bundle of records.

    Attributes:
        base: The checkpoint it follows, 0 for the beginning of the log.
        texts: Records base+1 and on as they were written, at least one.
        records: The same, parsed.
    """

    base: int
    texts: tuple[str, ...]
    records: tuple[LogRecord, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckpointNames:
    """The checkpoints and tails that a listing shows, by the record they reach to, ascending."""

    checkpoints: tuple[int, ...] = ()
    tails: tuple[int, ...] = ()

    @classmethod
    def of(cls, names: Iterable[str]) -> "CheckpointNames":
        """Find them among the names in the log's folder."""
        listed = list(names)
        checkpoints = (CHECKPOINT_NAME.fullmatch(name) for name in listed)
        tails = (TAIL_NAME.fullmatch(name) for name in listed)
        return cls(
            checkpoints=tuple(sorted(int(found[1]) for found in checkpoints if found)),
            tails=tuple(sorted(int(found[1]) for found in tails if found)),
        )

    @property
    def reach(self) -> int:
        """The last record that any of them reaches to, 0 when there are none."""
        return max((0, *self.checkpoints[-1:], *self.tails[-1:]))

    def including(
        self, *, checkpoint: int | None = None, tail: int | None = None
    ) -> "CheckpointNames":
        """Return these names and new ones."""
        checkpoints = {*self.checkpoints} | ({checkpoint} if checkpoint else set())
        tails = {*self.tails} | ({tail} if tail else set())
        return CheckpointNames(checkpoints=tuple(sorted(checkpoints)), tails=tuple(sorted(tails)))

    def needed(self) -> "CheckpointNames":
        """Return those that a reader may want."""
        return CheckpointNames(
            checkpoints=self.checkpoints[-KEPT_CHECKPOINTS:], tails=self.tails[-KEPT_TAILS:]
        )

    def outdated(self) -> "CheckpointNames":
        """Return those that nobody needs any more."""
        return CheckpointNames(
            checkpoints=self.checkpoints[:-KEPT_CHECKPOINTS], tails=self.tails[:-KEPT_TAILS]
        )


def encode_checkpoint(state: LogState) -> bytes:
    """Return the bytes of a checkpoint."""
    return seal(
        "checkpoint",
        {
            "format_version": CHECKPOINT_FORMAT_VERSION,
            "seq": state.seq,
            "at_ms": state.at_ms,
            "versions": [_version_object(known) for known in state.versions.values()],
            "channels": [
                {
                    "name": name,
                    "version": version,
                    "history": list(state.history.get(name, ())),
                }
                for name, version in state.channels.items()
            ],
            "pins": [{"name": name, "version": version} for name, version in state.pins.items()],
            "retired_versions": _grouped(state.retired_versions),
            "retired": _grouped(state.retired),
            "purged": _grouped(state.purged),
        },
    )


def parse_checkpoint(data: bytes, key: str, seq: int) -> LogState:
    """Parse a checkpoint and check it against its own hash and its place.

    Raises:
        CorruptArtifactError: It is damaged; the message lists every problem.
        UsageError: It was written by a newer nightpress.
    """
    what = f"log checkpoint {key}"
    problems: list[str] = []
    fields = _opened(data, what, seq, problems)
    versions = [_parse_version(item) for item in fields.children("versions")]
    channels = [
        (
            item.text("name", pattern=CHANNEL_NAME),
            item.text("version", pattern=HEX_64),
            item.texts("history", pattern=HEX_64),
        )
        for item in fields.children("channels")
    ]
    state = LogState(
        seq=seq,
        at_ms=fields.whole("at_ms"),
        versions={known.version: known for known in versions},
        channels={name: version for name, version, _ in channels},
        history={name: history for name, _, history in channels if history},
        pins={
            item.text("name", pattern=PIN_NAME): item.text("version", pattern=HEX_64)
            for item in fields.children("pins")
        },
        retired_versions=_parse_grouped(fields, "retired_versions"),
        retired=_parse_grouped(fields, "retired"),
        purged=_parse_grouped(fields, "purged"),
    )
    raise_problems(what, problems)
    return state


def encode_tail(base: int, texts: Sequence[str]) -> bytes:
    """Return the bytes of a tail from records base+1 and on, as they were written."""
    return seal(
        "tail",
        {
            "format_version": CHECKPOINT_FORMAT_VERSION,
            "base": base,
            "seq": base + len(texts),
            "records": list(texts),
        },
    )


def parse_tail(data: bytes, key: str, seq: int) -> Tail:
    """Parse a tail and check it against its own hash and its place.

    Raises:
        CorruptArtifactError: It, or a record in it, is damaged.
        UsageError: It was written by a newer nightpress.
    """
    what = f"log tail {key}"
    problems: list[str] = []
    fields = _opened(data, what, seq, problems)
    base = fields.whole("base")
    texts = fields.texts("records")
    if base + len(texts) != seq:
        fields.problem("records", f"expected {seq - base} records")
    raise_problems(what, problems)
    records = (
        parse_record(text.encode(), key, base + place) for place, text in enumerate(texts, start=1)
    )
    return Tail(base=base, texts=texts, records=tuple(records))


def _opened(data: bytes, what: str, seq: int, problems: list[str]) -> Fields:
    """Return the fields of a checkpoint or tail after checking hash, version and place."""
    name = what.split()[1]
    fields = Fields(parse_sealed(data, name, what), "", problems)
    if fields.whole("format_version", minimum=1) > CHECKPOINT_FORMAT_VERSION:
        raise UsageError(f"{what} was written by a newer nightpress")
    if fields.whole("seq", minimum=1) != seq:
        fields.problem("seq", f"expected {seq}")
    return fields


def _version_object(known: PublishedVersion) -> dict[str, object]:
    return {
        "version": known.version,
        "manifest": artifact_object(known.manifest),
        "parent": known.parent,
        "published_at_ms": known.published_at_ms,
        "run": known.run,
        "seq": known.seq,
    }


def _parse_version(fields: Fields) -> PublishedVersion:
    return PublishedVersion(
        version=fields.text("version", pattern=HEX_64),
        manifest=parse_artifact(fields.child("manifest")),
        parent=fields.text_or_none("parent", pattern=HEX_64),
        published_at_ms=fields.whole("published_at_ms"),
        run=fields.text("run"),
        seq=fields.whole("seq", minimum=1),
    )


def _grouped(seq_of: Mapping[str, int]) -> list[dict[str, object]]:
    """Return what each record named, in the order it was named."""
    groups: dict[int, list[str]] = {}
    for name, seq in seq_of.items():
        groups.setdefault(seq, []).append(name)
    return [{"seq": seq, "names": names} for seq, names in groups.items()]


def _parse_grouped(fields: Fields, name: str) -> dict[str, int]:
    return {
        each: seq
        for group in fields.children(name)
        for seq in (group.whole("seq", minimum=1),)
        for each in group.texts("names")
    }
