"""The pace of all machines that share a limit, as a numbered log in a store.

Record N+1 holds the pace after one more step. It is created on the condition that nobody has
created it, which is the one conditional operation that stores of objects keep: of several machines
one wins, the others read what it wrote and take their step after that. A step costs one small
object written, and one read for each step that others took meanwhile.

Invariants: a step is taken after everything that was taken before, by whomever; a record whose
reply was lost is known again by its nonce; records are removed long after anybody could count from
them. Machines must agree on the time to some tenths of a second, as NTP makes them.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from secrets import token_hex

import orjson

from index_store.embedders.remote.keepers import Step
from index_store.embedders.remote.pace import Allowed, encoded, parsed
from index_store.errors import (
    ConflictError,
    NotFoundError,
    TransientError,
    UnfitStoreError,
    UnknownOutcomeError,
)
from index_store.storage.base import Storage

logger = logging.getLogger("nightpress.embed")  # shown on the terminal and in the UI

KEPT = 2_000  # records: many more than are written while somebody may count from one
STALE_S = 30.0  # after which the newest record is looked for anew
RACES = 200  # lost in a row, after which the store is at fault
SKEW_S = 5.0  # that the clock of another machine may be ahead before it is told


class StorePace:
    """The pace of all machines; the caller holds the lock of its process.

    Args:
        storage: Where the log is; nothing else may lie there.
        wall: Seconds that all machines agree on.
        kept: Records that are not removed yet.
    """

    def __init__(self, storage: Storage, wall: Callable[[], float], kept: int = KEPT) -> None:
        self._storage = storage
        self._kept = kept
        self._wall = wall
        self._seq: int | None = None
        self._seen = Allowed()
        self._seen_at = 0.0
        self._waiting: list[Step] = []
        self._has_warned = False

    def take(self, step: Step) -> float:
        """Take a step, and those that waited.

        Raises:
            TransientError: The store is out of reach.
            UnfitStoreError: It lets several machines create the same record.
        """
        if self._seq is None or self._wall() - self._seen_at > STALE_S:
            self._find_newest()
        for _ in range(RACES):
            before = self._seen
            for waiting in self._waiting:
                before, _ = waiting(before)
            after, told_s = step(before)
            if after == self._seen:
                if not self._read_on():  # nobody was faster, so this is how things stand
                    return told_s
            elif self._append(after):
                self._waiting.clear()
                return told_s
        raise TransientError(f"embed_pace_store {self._storage.url}: {RACES} steps were lost")

    def later(self, step: Step) -> None:
        """Take a step with the next one."""
        self._waiting.append(step)

    def look(self) -> Allowed:
        """Return what this process knows."""
        return self._seen

    def _append(self, after: Allowed) -> bool:
        """Write the next record, or read the one that was faster; tell whether it was written."""
        seq = (self._seq or 0) + 1
        nonce = token_hex(8)
        pace = orjson.Fragment(encoded(after))
        record = orjson.dumps({"by": nonce, "at": self._wall(), "pace": pace})
        try:
            self._storage.create(_key(seq), record)
        except ConflictError:
            self._read_on()
            return False
        except UnknownOutcomeError:
            if self._nonce(seq) != nonce:
                self._read_on()
                return False
        self._know(seq, after)
        if seq > self._kept:
            with suppress(TransientError):  # it is in nobody's way
                self._storage.delete(_key(seq - self._kept))
        return True

    def _read_on(self) -> bool:
        """Read the records that others wrote meanwhile, and tell whether there were any."""
        found = False
        while True:
            seq = (self._seq or 0) + 1
            try:
                data = self._storage.read(_key(seq))
            except NotFoundError:
                self._seen_at = self._wall()
                return found
            self._know(seq, self._pace(data))
            found = True

    def _find_newest(self) -> None:
        newest = 0
        for entry in self._storage.list(""):
            name = entry.key.partition(".")[0]
            newest = max(newest, int(name) if name.isdigit() else 0)
        if newest:
            try:
                self._know(newest, self._pace(self._storage.read(_key(newest))))
            except NotFoundError as error:
                raise TransientError(
                    f"embed_pace_store {self._storage.url}: record {newest} is listed and not there"
                ) from error
        elif self._seq is None:
            self._try_out()
        else:
            self._know(0, Allowed())  # somebody has emptied it
        self._read_on()

    def _try_out(self) -> None:
        """Begin the log, and see that a record cannot be created twice."""
        data = orjson.dumps({"by": token_hex(8), "at": self._wall(), "pace": {}})
        for is_second in (False, True):
            try:
                self._storage.create(_key(1), data)
            except (ConflictError, UnknownOutcomeError):
                continue
            if is_second:
                raise UnfitStoreError(
                    f"embed_pace_store {self._storage.url}: the store creates an object twice, so "
                    "machines cannot share a limit there; use another store, or give each machine "
                    "a part of the limit"
                )
        self._know(0, Allowed())

    def _know(self, seq: int, allowed: Allowed) -> None:
        self._seq, self._seen, self._seen_at = seq, allowed, self._wall()

    def _pace(self, data: bytes) -> Allowed:
        """Return what a record tells; a damaged one begins anew."""
        try:
            record = orjson.loads(data)
            ahead_s = float(record["at"]) - self._wall()
            allowed = parsed(record["pace"])
        except (ValueError, TypeError, KeyError, AttributeError):
            return Allowed()
        if ahead_s > SKEW_S and not self._has_warned:
            self._has_warned = True
            logger.warning(
                "embed_pace_store: the clock of another machine is %.0f s ahead of this one's, "
                "limits are not used well",
                ahead_s,
            )
        return allowed

    def _nonce(self, seq: int) -> str:
        try:
            return str(orjson.loads(self._storage.read(_key(seq)))["by"])
        except (NotFoundError, ValueError, TypeError, KeyError):
            return ""


def _key(seq: int) -> str:
    return f"{seq:012d}.json"
