"""The commit log of a collection: one numbered record per change, created by put-if-absent.

Invariants: the current state is the fold of records 1..N and nothing else; a record is appended
only as number N+1 by somebody who read 1..N; a lost reply is settled by reading the record back
and comparing its id.
"""

from collections.abc import Callable

from index_store.clock import random_nonce, system_clock_ms
from index_store.errors import (
    ConflictError,
    CorruptArtifactError,
    NotFoundError,
    TransientError,
    UnknownOutcomeError,
)
from index_store.layout import LOG_NAME, check_collection, log_key, log_prefix
from index_store.log_records import (
    LogChange,
    LogRecord,
    LogState,
    encode_record,
    fold,
    parse_record,
)
from index_store.storage.base import Storage

SETTLE_ATTEMPTS = 3  # creations of one record, the first and two after lost replies


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
        self._state = LogState()

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
        last = self._last_seq()
        records = [self._read_record(seq) for seq in range(self._state.seq + 1, last + 1)]
        try:
            self._state = fold(self._state, records)
        except ConflictError as error:
            raise CorruptArtifactError(f"log of {self._collection}: {error}") from error
        return self._state

    def append(self, state: LogState, change: LogChange) -> LogState:
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
        self._create(record)
        self._state = after
        return after

    def _last_seq(self) -> int:
        """Return the highest number listed; a listing may miss neighbours of a record just made."""
        prefix = log_prefix(self._collection)
        last = self._state.seq
        known = log_key(self._collection, last) if last else ""
        for entry in self._storage.list(prefix, after=known):
            name = LOG_NAME.fullmatch(entry.key.removeprefix(prefix))
            if name:
                last = max(last, int(name[1]))
        return last

    def _read_record(self, seq: int) -> LogRecord:
        key = log_key(self._collection, seq)
        try:
            return parse_record(self._storage.read(key), key, seq)
        except NotFoundError as error:
            raise CorruptArtifactError(f"log record {key} is missing, later ones exist") from error

    def _create(self, record: LogRecord) -> None:
        """Create the record's file, and after a lost reply find out who did."""
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
            return
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
