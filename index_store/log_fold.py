"""The fold that turns the commit log's records into the state of a collection; pure.

Invariants: records are numbered from 1 without gaps and time never runs backwards; every record is
checked against the state before it, so a log that breaks a rule is never served; a version that a
channel points to or a pin holds is never retired; a retired key never comes back.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from index_store.errors import ConflictError
from index_store.log_records import (
    Change,
    KeyChange,
    LogChange,
    LogRecord,
    LogState,
    PinChange,
    PublishedVersion,
    RecordKind,
)

MAX_HISTORY = 32  # versions that a channel can be rolled back through


def fold(state: LogState, records: Iterable[LogRecord]) -> LogState:
    """Apply records in order.

    Raises:
        ConflictError: A record does not follow from the state before it.
    """
    draft = _Draft.of(state)
    for record in records:
        if record.seq != draft.seq + 1 or record.at_ms < draft.at_ms:
            raise ConflictError(f"log record {record.seq} does not follow record {draft.seq}")
        draft.apply(record)
    return draft.finished()


def follows(state: LogState, change: Change) -> bool:
    """Tell whether a change may be appended to a state."""
    try:
        fold(state, [LogRecord(seq=state.seq + 1, id="", at_ms=state.at_ms, change=change)])
    except ConflictError:
        return False
    return True


@dataclass(slots=True, kw_only=True)
class _Draft:
    """A state that is being folded; the mappings are copies of its own."""

    seq: int
    at_ms: int
    versions: dict[str, PublishedVersion]
    channels: dict[str, str]
    history: dict[str, tuple[str, ...]]
    pins: dict[str, str]
    retired_versions: dict[str, int]
    retired: dict[str, int]
    purged: dict[str, int]

    @classmethod
    def of(cls, state: LogState) -> "_Draft":
        return cls(
            seq=state.seq,
            at_ms=state.at_ms,
            versions=dict(state.versions),
            channels=dict(state.channels),
            history=dict(state.history),
            pins=dict(state.pins),
            retired_versions=dict(state.retired_versions),
            retired=dict(state.retired),
            purged=dict(state.purged),
        )

    def finished(self) -> LogState:
        return LogState(
            seq=self.seq,
            at_ms=self.at_ms,
            versions=self.versions,
            channels=self.channels,
            history=self.history,
            pins=self.pins,
            retired_versions=self.retired_versions,
            retired=self.retired,
            purged=self.purged,
        )

    def apply(self, record: LogRecord) -> None:
        match record.change:
            case LogChange() as move:
                self._move(record, move)
            case PinChange() as pin:
                self._pin(pin)
            case KeyChange(kind=RecordKind.RETIRE) as retirement:
                self._retire(record.seq, retirement)
            case purge:
                self._purge(record.seq, purge)
        self.seq, self.at_ms = record.seq, record.at_ms

    def _move(self, record: LogRecord, move: LogChange) -> None:
        before = self.channels.get(move.channel)
        if before != move.expected:
            raise ConflictError(
                f"channel {move.channel}: expected {_named(move.expected)}, found {_named(before)}"
            )
        history = self.history.get(move.channel, ())
        match move.kind:
            case RecordKind.PUBLISH:
                self.versions[move.version] = self._published(record, move)
                self.retired_versions.pop(move.version, None)
            case RecordKind.ROLLBACK:
                if not history or history[-1] != move.version:
                    raise ConflictError(
                        f"channel {move.channel} does not go back to version {move.version}"
                    )
                self.history[move.channel] = history[:-1]
            case _:
                self._check_known(move.version)
                if before is not None:
                    self.history[move.channel] = (*history, before)[-MAX_HISTORY:]
        self.channels[move.channel] = move.version

    def _published(self, record: LogRecord, move: LogChange) -> PublishedVersion:
        known = self.versions.keys() | self.retired_versions.keys()
        if move.version in self.versions:
            raise ConflictError(f"version {move.version} is published already")
        if move.parent is not None and move.parent not in known:
            raise ConflictError(f"parent {move.parent} of {move.version} is not published")
        if move.manifest is None or move.manifest.sha256 != move.version:
            raise ConflictError(f"version {move.version} is not the hash of its manifest")
        self._check_unused(move.manifest.key)
        return PublishedVersion(
            version=move.version,
            manifest=move.manifest,
            parent=move.parent,
            published_at_ms=record.at_ms,
            run=move.run,
            seq=record.seq,
        )

    def _pin(self, pin: PinChange) -> None:
        held = self.pins.get(pin.name)
        if pin.kind is RecordKind.UNPIN:
            if held != pin.version:
                raise ConflictError(f"pin {pin.name}: expected {pin.version}, found {_named(held)}")
            del self.pins[pin.name]
            return
        self._check_known(pin.version)
        if held is not None:
            raise ConflictError(f"pin {pin.name}: expected nothing, found {held}")
        self.pins[pin.name] = pin.version

    def _retire(self, seq: int, retirement: KeyChange) -> None:
        for version in retirement.versions:
            self._check_known(version)
            self._check_free(version)
            del self.versions[version]
            self.retired_versions[version] = seq
        gone = set(retirement.versions)
        for channel, history in self.history.items():
            self.history[channel] = tuple(each for each in history if each not in gone)
        for key in retirement.keys:
            self._check_unused(key)
            self.retired[key] = seq
        for published in self.versions.values():
            if published.manifest.key in self.retired:
                raise ConflictError(f"version {published.version} still needs its manifest")

    def _purge(self, seq: int, purge: KeyChange) -> None:
        for key in purge.keys:
            if key not in self.retired:
                raise ConflictError(f"object {key} is not retired")
            del self.retired[key]
            self.purged[key] = seq

    def _check_known(self, version: str) -> None:
        if version not in self.versions:
            raise ConflictError(f"version {version} is not published")

    def _check_free(self, version: str) -> None:
        for channel, target in self.channels.items():
            if target == version:
                raise ConflictError(f"version {version} is in use by channel {channel}")
        for name, held in self.pins.items():
            if held == version:
                raise ConflictError(f"version {version} is in use by pin {name}")

    def _check_unused(self, key: str) -> None:
        if key in self.retired or key in self.purged:
            raise ConflictError(f"object {key} was retired and is never used again")


def _named(version: str | None) -> str:
    return "nothing" if version is None else version
