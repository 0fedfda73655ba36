"""The promises of a store, each with the trial that shows whether it is kept.

A trial returns what it saw of a broken promise, in words, or nothing. Loops end after a few seconds
whatever their number, so that a slow store is tried less and not longer.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from index_store.errors import (
    ConflictError,
    NotFoundError,
    TransientError,
    UnknownOutcomeError,
)
from index_store.storage.base import Storage
from index_store.storage.remote_uploads import Uploads

RACE_WRITERS = 4
RACE_ROUNDS = 20
KEYS = 12
OVERWRITES = 30
READERS = 3
BLOCK_BYTES = 128 << 10
LARGE_BYTES = (8 << 20) + 1  # written in parts where a store does so
LARGE_ROUNDS = 2
ROUNDS_S = 4.0
NAMES = ("a+b", "a b", "a=b&c", "a%20b", "é", "a.b/c_d-e~f", "z'(1)!*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Where a trial is held.

    Attributes:
        storage: The store.
        prefix: What all keys of this trial begin with.
        clock_s: Seconds that only ever grow.
    """

    storage: Storage
    prefix: str
    clock_s: Callable[[], float]

    def key(self, name: str) -> str:
        """Return a key of this trial."""
        return self.prefix + name

    def listed(self) -> list[str]:
        """Return the names that the store lists for this trial."""
        return [entry.key.removeprefix(self.prefix) for entry in self.storage.list(self.prefix)]

    def exists(self, name: str) -> bool:
        """Return whether an object can be read."""
        try:
            self.storage.read(self.key(name))
        except NotFoundError:
            return False
        return True

    def rounds(self, count: int) -> Iterator[int]:
        """Yield 0 to `count`, or fewer when they take too long; at least one."""
        end_s = self.clock_s() + ROUNDS_S
        for number in range(count):
            yield number
            if self.clock_s() > end_s:
                return


def trials(storage: Storage) -> list[tuple[str, Callable[[Trial], str]]]:
    """Return the promises that a store of this kind has to keep."""
    chosen: list[tuple[str, Callable[[Trial], str]]] = [
        ("an object that exists is not created again", _creates_once),
        ("of writers that create one object together one wins", _has_one_winner),
        ("empty objects exist", _keeps_empty_objects),
        ("reads show what was written last", _reads_follow_writes),
        ("listings show what was written last", _listings_follow_writes),
        ("objects that are overwritten are never mixed", _never_mixes),
        ("large objects appear whole", _appears_whole),
        ("ranges are what was asked for", _answers_ranges),
        ("names are kept as they are", _keeps_names),
    ]
    if isinstance(storage, Uploads):
        uploads = storage
        chosen.append(
            (
                "uploads that are given up stay invisible",
                lambda trial: _hides_uploads(trial, uploads),
            )
        )
    return chosen


def _creates_once(trial: Trial) -> str:
    key = trial.key("object")
    trial.storage.create(key, b"first")
    try:
        trial.storage.create(key, b"second")
    except ConflictError:
        pass
    else:
        return "a conditional write to an existing object was accepted"
    if trial.storage.read(key) != b"first":
        return "a conditional write that was refused replaced the object"
    return ""


def _has_one_winner(trial: Trial) -> str:
    with ThreadPoolExecutor(RACE_WRITERS) as threads:
        for number in trial.rounds(RACE_ROUNDS):
            key = trial.key(str(number))
            gate = threading.Barrier(RACE_WRITERS)
            claims = [f"writer {writer}".encode() for writer in range(RACE_WRITERS)]
            won = list(threads.map(lambda claim: _wins(trial.storage, key, claim, gate), claims))  # noqa: B023 - run now
            winners = [claim for claim, wins in zip(claims, won, strict=True) if wins]
            if len(winners) > 1:
                return f"{len(winners)} of {RACE_WRITERS} writers were told that they had won"
            found = trial.storage.read(key)
            if found not in (winners or claims):
                return "the object is not that of the writer who was told that it had won"
    return ""


def _wins(storage: Storage, key: str, claim: bytes, gate: threading.Barrier) -> bool:
    gate.wait()
    try:
        storage.create(key, claim)
    except (ConflictError, UnknownOutcomeError):
        return False
    return True


def _keeps_empty_objects(trial: Trial) -> str:
    key = trial.key("empty")
    trial.storage.create(key, b"")
    if trial.storage.read(key) != b"" or trial.listed() != ["empty"]:
        return "an empty object cannot be read or is not listed"
    try:
        trial.storage.create(key, b"no longer empty")
    except ConflictError:
        return ""
    return "a conditional write to an existing empty object was accepted"


def _reads_follow_writes(trial: Trial) -> str:
    for number in trial.rounds(KEYS):
        name = str(number)
        key = trial.key(name)
        if trial.exists(name):
            return "an object exists that nobody wrote"
        for body in (b"first", b"and second"):
            trial.storage.put(key, body)
            if trial.storage.read(key) != body:
                return "a read right after a write brought something else"
        trial.storage.delete(key)
        if trial.exists(name):
            return "an object could be read after it was deleted"
    return ""


def _listings_follow_writes(trial: Trial) -> str:
    names = []
    for number in trial.rounds(KEYS):
        names.append(f"{number:03d}")
        trial.storage.put(trial.key(names[-1]), b"x")
        if trial.listed() != names:
            return "a listing right after a write lacks objects or has others"
    after = [entry.key for entry in trial.storage.list(trial.prefix, after=trial.key(names[0]))]
    if after != [trial.key(name) for name in names[1:]]:
        return "a listing from a name on lacks objects or has others"
    while names:
        trial.storage.delete(trial.key(names.pop()))
        if trial.listed() != names:
            return "a listing right after a deletion shows the object or lacks others"
    return ""


def _never_mixes(trial: Trial) -> str:
    """Overwrite an object again and again while others read it."""
    key = trial.key("object")
    bodies = [bytes([65 + number]) * BLOCK_BYTES for number in range(OVERWRITES)]
    trial.storage.put(key, bodies[0])
    stop = threading.Event()
    with ThreadPoolExecutor(READERS) as threads:
        readers = [
            threads.submit(_sees_a_mixture, trial, key, bodies, stop) for _ in range(READERS)
        ]
        try:
            for number in trial.rounds(OVERWRITES):
                trial.storage.put(key, bodies[number])
        finally:
            stop.set()
        return next((seen for seen in (reader.result() for reader in readers) if seen), "")


def _sees_a_mixture(trial: Trial, key: str, bodies: list[bytes], stop: threading.Event) -> str:
    whole = set(bodies)
    last_look = False
    while not last_look:
        last_look = stop.is_set()
        try:
            body = trial.storage.read(key)
        except NotFoundError:
            return "an object vanished while it was overwritten"
        except TransientError as error:
            return f"an object could not be read while it was overwritten: {error}"
        if body not in whole:
            return f"a read brought {len(body)} bytes of {len(set(body))} different writes"
    return ""


def _appears_whole(trial: Trial) -> str:
    body = bytes(range(256)) * (LARGE_BYTES // 256) + b"!"
    with ThreadPoolExecutor(1) as threads:
        for number in trial.rounds(LARGE_ROUNDS):
            name = str(number)
            writing = threads.submit(trial.storage.put, trial.key(name), body)
            while not writing.done():
                problem = _sees_a_piece(trial, name, body)
                if problem:
                    return problem
            writing.result()
            if trial.storage.read(trial.key(name)) != body:
                return "a large object was read that differs from what was written"
    return ""


def _sees_a_piece(trial: Trial, name: str, body: bytes) -> str:
    key = trial.key(name)
    for entry in trial.storage.list(key):
        if entry.size_bytes != len(body):
            return f"a large object of {len(body)} bytes was listed with {entry.size_bytes}"
    try:
        end = trial.storage.read(key, start=len(body) - 1, end=len(body))
    except NotFoundError:
        return ""
    return "" if end == body[-1:] else "a large object could be read before it was whole"


def _answers_ranges(trial: Trial) -> str:
    key = trial.key("object")
    body = b"".join(number.to_bytes(4, "big") for number in range(5000))
    trial.storage.put(key, body)
    size = len(body)
    for start, end in ((0, 10), (1, 2), (4321, 9876), (size - 3, size + 50), (0, size)):
        if trial.storage.read(key, start=start, end=end) != body[start:end]:
            return f"bytes {start} to {end} of {size} brought something else"
    if trial.storage.read(key, start=size - 7) != body[-7:]:
        return "the last bytes of an object brought something else"
    if trial.storage.read(key, start=size, end=size + 1) != b"":
        return "a range beyond the end brought bytes"
    return ""


def _keeps_names(trial: Trial) -> str:
    for name in NAMES:
        trial.storage.put(trial.key(name), name.encode())
    if trial.listed() != sorted(NAMES):
        return f"wrote {sorted(NAMES)}, and listed {trial.listed()}"
    for name in NAMES:
        if trial.storage.read(trial.key(name)) != name.encode():
            return f"the object {name!r} is another one's"
    return ""


def _hides_uploads(trial: Trial, uploads: Uploads) -> str:
    upload = uploads.begin_upload(trial.key("object"), b"x" * BLOCK_BYTES)
    for moment in ("before", "after"):
        if trial.exists("object") or trial.listed():
            return f"an unfinished upload was visible {moment} it was given up"
        uploads.abort_upload(upload)
    return ""
