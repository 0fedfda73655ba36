"""The commit log of a collection: one numbered record per change, created by put-if-absent.

Invariants: the current state is the fold of records 1..N and nothing else; a record is appended
only as number N+1 by somebody who read 1..N; a lost reply is settled by reading the record back
and comparing its id. Checkpoints only save requests: a missing or damaged one costs time, and
failing to write one is no failure of the append.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from index_store.clock import random_nonce, system_clock_ms
from index_store.errors import (
    ConflictError,
    CorruptArtifactError,
    IndexStoreError,
    NotFoundError,
    TransientError,
    UnknownOutcomeError,
    UsageError,
)
from index_store.layout import (
    LOG_NAME,
    check_collection,
    checkpoint_key,
    log_key,
    log_prefix,
    tail_key,
)
from index_store.log_checkpoints import (
    CHECKPOINT_RECORDS,
    SMALL_LOG_RECORDS,
    CheckpointNames,
    encode_checkpoint,
    encode_tail,
    parse_checkpoint,
    parse_tail,
)
from index_store.log_fold import fold
from index_store.log_records import Change, LogRecord, LogState, encode_record, parse_record
from index_store.storage.base import Storage

SETTLE_ATTEMPTS = 3  # creations of one record, the first and two after lost replies
FAR_BEHIND_RECORDS = 8  # records to read one by one; beyond, a checkpoint is worth a look

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogAudit:
    """What every single record of a log adds up to, checkpoints ignored.

    Attributes:
        state: The state.
        modified_ms: When each record was written by the store's own clock, by number.
    """

    state: LogState
    modified_ms: Mapping[int, int]


@dataclass(slots=True, kw_only=True)
class _Known:
    """What was read of a log so far.

    Attributes:
        state: The state.
        base: The checkpoint that `recent` follows.
        recent: The records after it, as they were written.
        names: Checkpoints and tails that were seen.
    """

    state: LogState = field(default_factory=LogState)
    base: int = 0
    recent: list[str] = field(default_factory=list)
    names: CheckpointNames = field(default_factory=CheckpointNames)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listed:
    """What a listing of the log's folder shows: records by number, checkpoints and tails."""

    modified_ms: Mapping[int, int]
    names: CheckpointNames


class CommitLog:
    """Reads and appends the log of one collection; not shared between threads."""

    def __init__(
        self,
        storage: Storage,
        collection: str,
        *,
        clock_ms: Callable[[], int] = system_clock_ms,
        nonce: Callable[[], str] = random_nonce,
    ) -> None:
        self._storage = storage
        self._collection = check_collection(collection)
        self._clock_ms = clock_ms
        self._nonce = nonce
        self._known = _Known()

    @property
    def collection(self) -> str:
        """Name of the collection."""
        return self._collection

    def read(self) -> LogState:
        """Return the current state; records read before are not read again.

        Raises:
            CorruptArtifactError: A record is missing, damaged, or breaks a rule.
            UsageError: A record was written by a newer nightpress.
            TransientError: The store could not be read.
        """
        if not self._known.state.seq:
            self._start_from_checkpoint()
        # The last known record is listed again: nothing may vouch for one that is not there.
        listed = self._list(after=self._known.state.seq - 1)
        last = max(listed.modified_ms, default=0)
        if last < self._known.state.seq:
            self._read(self._known.state.seq)  # a listing may lack a record just made
        if last - self._known.state.seq > FAR_BEHIND_RECORDS:
            self._adopt(listed.names)
        self._extend([self._read(seq) for seq in range(self._known.state.seq + 1, last + 1)])
        self._rebase(listed.names)
        return self._known.state

    def record(self, seq: int) -> LogRecord:
        """Return one record as it was written.

        Args:
            seq: Its number, at most that of the state that `read` returned.

        Raises:
            CorruptArtifactError: It is missing or damaged.
            UsageError: It was written by a newer nightpress.
            TransientError: The store could not be read.
        """
        return self._parsed(seq, self._read(seq))

    def audit(self) -> LogAudit:
        """Read every record from the first one on, whatever checkpoints say.

        Raises:
            CorruptArtifactError: A record is missing, damaged, or breaks a rule; or what the
                checkpoints led to is not what the records say.
            UsageError: A record was written by a newer nightpress.
            TransientError: The store could not be read.
        """
        believed = self.read()
        listed = self._list(after=-1)
        records = [self.record(seq) for seq in range(1, believed.seq + 1)]
        state = self._folded(LogState(), records)
        if state != believed:
            raise CorruptArtifactError(
                f"log of {self._collection}: a checkpoint differs from the records; "
                "delete the checkpoints and tails beside the records"
            )
        missing = [seq for seq in range(1, believed.seq + 1) if seq not in listed.modified_ms]
        if missing:
            raise CorruptArtifactError(
                f"log of {self._collection}: the listing lacks record {missing[0]}"
            )
        return LogAudit(state=state, modified_ms=listed.modified_ms)

    def append(self, state: LogState, change: Change) -> LogState:
        """Append a change as the record after `state`.

        Args:
            state: What `read` returned when the change was planned.
            change: What to append.

        Returns:
            The state after it.

        Raises:
            ConflictError: Another record came first, or the change does not follow from `state`.
            UsageError: The change holds a value that no reader would accept.
            TransientError: Nothing was written.
            UnknownOutcomeError: The record may have been written; run again to find out.
        """
        record = LogRecord(
            seq=state.seq + 1,
            id=self._nonce(),
            at_ms=max(self._clock_ms(), state.at_ms),
            change=change,
        )
        after = fold(state, [record])
        data = self._create(record)
        if self._known.state.seq == state.seq:
            self._known.recent.append(data.decode())
            self._known.state = after
            self._save_checkpoint()
        return after

    def _list(self, *, after: int) -> _Listed:
        """List the records beyond number `after`, and all checkpoints and tails."""
        prefix = log_prefix(self._collection)
        entries = self._storage.list(
            prefix, after=log_key(self._collection, after) if after > 0 else ""
        )
        modified_ms: dict[int, int] = {}
        others = []
        for entry in entries:
            name = entry.key.removeprefix(prefix)
            record = LOG_NAME.fullmatch(name)
            if record:
                modified_ms[int(record[1])] = entry.modified_ms
            else:
                others.append(name)
        return _Listed(modified_ms=modified_ms, names=CheckpointNames.of(others))

    def _start_from_checkpoint(self) -> None:
        """Look for checkpoints before the first listing, which would show every record."""
        prefix = log_prefix(self._collection)
        entries = self._storage.list(prefix, after=f"{prefix}checkpoint")
        self._adopt(CheckpointNames.of(entry.key.removeprefix(prefix) for entry in entries))

    def _adopt(self, names: CheckpointNames) -> None:
        """Start from what reaches farthest; stay as it is when that is missing or damaged."""
        for offered in (names, replace(names, tails=())):
            if offered.reach <= self._known.state.seq:
                return
            try:
                self._known = self._read_checkpoint(offered)
            except (NotFoundError, CorruptArtifactError, ConflictError, UsageError) as error:
                _logger.warning("log of %s: checkpoint not used: %s", self._collection, error)
            else:
                return

    def _read_checkpoint(self, names: CheckpointNames) -> _Known:
        base, tail = names.reach, None
        if names.reach in names.tails:
            key = tail_key(self._collection, names.reach)
            tail = parse_tail(self._storage.read(key), key, names.reach)
            base = tail.base
        state = LogState()
        if base:
            key = checkpoint_key(self._collection, base)
            state = parse_checkpoint(self._storage.read(key), key, base)
        if tail is None:
            return _Known(state=state, base=base, names=names)
        state = fold(state, tail.records)
        return _Known(state=state, base=base, recent=list(tail.texts), names=names)

    def _extend(self, written: list[bytes]) -> None:
        first = self._known.state.seq + 1
        records = [self._parsed(seq, data) for seq, data in enumerate(written, first)]
        self._known.state = self._folded(self._known.state, records)
        self._known.recent += [data.decode() for data in written]

    def _rebase(self, names: CheckpointNames) -> None:
        """Let the next tail follow the newest checkpoint there is, whoever wrote it."""
        known = self._known
        known.names = names
        is_whole = known.base + len(known.recent) == known.state.seq
        base = max((seq for seq in names.checkpoints if seq <= known.state.seq), default=0)
        if base > known.base and is_whole:
            del known.recent[: base - known.base]
            known.base = base
        if known.state.seq - known.base >= CHECKPOINT_RECORDS:
            known.recent = []  # the next append makes a checkpoint, which needs none of them

    def _folded(self, state: LogState, records: list[LogRecord]) -> LogState:
        try:
            return fold(state, records)
        except ConflictError as error:
            raise CorruptArtifactError(f"log of {self._collection}: {error}") from error

    def _save_checkpoint(self) -> None:
        """Write what saves the next reader requests, and delete what is outdated."""
        known = self._known
        seq = known.state.seq
        if seq <= SMALL_LOG_RECORDS:
            return
        try:
            if seq - known.base >= CHECKPOINT_RECORDS:
                data = encode_checkpoint(known.state)
                self._storage.put(checkpoint_key(self._collection, seq), data)
                known.base, known.recent = seq, []
                known.names = known.names.including(checkpoint=seq)
            else:
                data = encode_tail(known.base, known.recent)
                self._storage.put(tail_key(self._collection, seq), data)
                known.names = known.names.including(tail=seq)
            self._delete_outdated(known.names.outdated())
            known.names = known.names.needed()
        except IndexStoreError as error:
            _logger.warning("log of %s has no checkpoint %d: %s", self._collection, seq, error)

    def _delete_outdated(self, outdated: CheckpointNames) -> None:
        for seq in outdated.tails:
            self._storage.delete(tail_key(self._collection, seq))
        for seq in outdated.checkpoints:
            self._storage.delete(checkpoint_key(self._collection, seq))

    def _read(self, seq: int) -> bytes:
        key = log_key(self._collection, seq)
        try:
            return self._storage.read(key)
        except NotFoundError as error:
            raise CorruptArtifactError(f"log record {key} is missing, later ones exist") from error

    def _parsed(self, seq: int, data: bytes) -> LogRecord:
        return parse_record(data, log_key(self._collection, seq), seq)

    def _create(self, record: LogRecord) -> bytes:
        """Create the record's file and return its bytes; after a lost reply find out who did."""
        key = log_key(self._collection, record.seq)
        data = encode_record(record, key)
        for _ in range(SETTLE_ATTEMPTS):
            try:
                self._storage.create(key, data)
            except (ConflictError, UnknownOutcomeError) as error:
                winner = self._winner(key, record.seq, error)
                if winner is None:
                    continue
                if winner != record:
                    raise ConflictError(
                        f"log record {key} was written by another run first"
                    ) from error
            return data
        raise UnknownOutcomeError(f"log record {key} may or may not have been written; run again")

    def _winner(self, key: str, seq: int, cause: Exception) -> LogRecord | None:
        """Return the record that is there, or None when there is none yet."""
        try:
            return parse_record(self._storage.read(key), key, seq)
        except NotFoundError:
            return None
        except TransientError as error:
            raise UnknownOutcomeError(
                f"log record {key} may or may not have been written ({cause}); "
                f"reading it back failed: {error}"
            ) from error
