"""Writers that append to one commit log at the same time, and the proof that nothing was lost."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from index_store.artifacts import Artifact
from index_store.errors import ConflictError, TransientError, UnknownOutcomeError
from index_store.log import CommitLog
from index_store.log_records import LogChange, RecordKind
from index_store.storage.base import Storage

COLLECTION = "race"


@dataclass(frozen=True, slots=True, kw_only=True)
class Race:
    """How a race ended.

    Attributes:
        acknowledged: Appends that their writer was told of.
        records: Records in the log.
        lost: Acknowledged appends that are not in the log.
        doubled: Appends that are there more than once.
        conflicts: How often a writer came second and planned again.
        unknown: How often a writer was told that nobody knows.
        seconds: How long it took.
    """

    acknowledged: int
    records: int
    lost: int
    doubled: int
    conflicts: int
    unknown: int
    seconds: float


def race(
    open_store: Callable[[], Storage], appends: int, writers: int, clock_s: Callable[[], float]
) -> Race:
    """Append from several threads, each with a connection of its own, then read the log anew.

    Raises:
        CorruptArtifactError: The log has a gap or breaks a rule.
    """
    gate = threading.Barrier(writers)
    shares = [appends // writers + (number < appends % writers) for number in range(writers)]

    def work(number: int) -> _Writer:
        writer = _Writer(CommitLog(open_store(), COLLECTION), f"w{number}")
        gate.wait()
        for _ in range(shares[number]):
            writer.append()
        return writer

    began_s = clock_s()
    with ThreadPoolExecutor(writers) as threads:
        done = list(threads.map(work, range(writers)))
    seconds = clock_s() - began_s
    state = CommitLog(open_store(), COLLECTION).read()
    found = Counter(published.run for published in state.versions.values())
    told = [run for writer in done for run in writer.acknowledged]
    return Race(
        acknowledged=len(told),
        records=state.seq,
        lost=sum(run not in found for run in told),
        doubled=sum(count > 1 for count in found.values()),
        conflicts=sum(writer.conflicts for writer in done),
        unknown=sum(writer.unknown for writer in done),
        seconds=seconds,
    )


class _Writer:
    def __init__(self, log: CommitLog, name: str) -> None:
        self.log = log
        self.name = name
        self.acknowledged: list[str] = []
        self.conflicts = 0
        self.unknown = 0

    def append(self) -> None:
        """Append one record, planning again after every conflict."""
        run = f"{self.name}-{len(self.acknowledged)}"
        version = f"{int.from_bytes(run.encode(), 'big'):064x}"
        while True:
            try:
                state = self.log.read()
                if version in state.versions:  # what was unknown turned out to be done
                    break
                self.log.append(state, _change(version, run, state.channels.get("candidate")))
                break
            except ConflictError:
                self.conflicts += 1
            except UnknownOutcomeError:
                self.unknown += 1
            except TransientError:
                continue
        self.acknowledged.append(run)


def _change(version: str, run: str, expected: str | None) -> LogChange:
    key = f"{COLLECTION}/versions/{version}/manifest.json"
    return LogChange(
        kind=RecordKind.PUBLISH,
        version=version,
        channel="candidate",
        expected=expected,
        run=run,
        reason="",
        manifest=Artifact(key=key, size_bytes=1, sha256=version),
        parent=expected,
    )
