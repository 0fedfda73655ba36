"""Whether a store keeps the promises that publishing relies on: it is tried, not believed.

Some servers take a condition and ignore it, show half an object, or mix two. Nothing but trying
finds out. Invariants: everything the trial writes lies under one prefix that nobody else uses, and
is removed; a store that cannot be reached is neither fit nor unfit.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from index_store.clock import random_nonce
from index_store.errors import (
    ConflictError,
    CorruptArtifactError,
    IndexStoreError,
    NotFoundError,
    TransientError,
    UnfitStoreError,
    UnknownOutcomeError,
)
from index_store.storage.base import Storage
from index_store.storage.fitness_trials import Trial, trials
from index_store.storage.folder import FolderStorage

CHECK_FOLDER = ".nightpress-check-"  # no collection's name begins like this
CLEANING_THREADS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One promise, tried.

    Attributes:
        name: The promise.
        passed: Whether the store kept it.
        detail: What was seen instead; empty when it was kept.
    """

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FitnessReport:
    """What became of all promises.

    Attributes:
        checks: The promises, in the order they were tried.
        seconds: How long that took.
    """

    checks: tuple[Check, ...]
    seconds: float

    @property
    def fit(self) -> bool:
        """Whether every promise was kept."""
        return all(check.passed for check in self.checks)

    @property
    def broken(self) -> tuple[str, ...]:
        """The promises that were not kept, each with what was seen."""
        return tuple(f"{check.name}: {check.detail}" for check in self.checks if not check.passed)


def check_store(
    storage: Storage,
    *,
    nonce: Callable[[], str] = random_nonce,
    clock_s: Callable[[], float] = time.monotonic,
) -> FitnessReport:
    """Try every promise of a store; under 30 s unless the store is very slow.

    Args:
        storage: The store.
        nonce: Draws the name of the folder that the trial uses.
        clock_s: Seconds that only ever grow.

    Raises:
        UsageError: The store cannot be used at all: no such bucket, no permission.
        TransientError: The store could not be reached, so nothing is known.
    """
    began_s = clock_s()
    checks = []
    with _folder(storage, f"{CHECK_FOLDER}{nonce()}/") as prefix:
        for number, (name, function) in enumerate(trials(storage)):
            trial = Trial(storage=storage, prefix=f"{prefix}{number}/", clock_s=clock_s)
            detail = _tried(name, function, trial)
            checks.append(Check(name=name, passed=not detail, detail=detail))
    return FitnessReport(checks=tuple(checks), seconds=clock_s() - began_s)


def _tried(name: str, function: Callable[[Trial], str], trial: Trial) -> str:
    """Return what broke a promise, or nothing when it was kept."""
    try:
        return function(trial)
    except (ConflictError, NotFoundError, CorruptArtifactError, UnfitStoreError) as error:
        return str(error)
    except UnknownOutcomeError as error:
        raise TransientError(f"trying whether {name} broke off: {error}") from error


@contextmanager
def _folder(storage: Storage, prefix: str) -> Iterator[str]:
    """Give a prefix for a trial; whatever was written there is removed."""
    try:
        yield prefix
    finally:
        with suppress(IndexStoreError), ThreadPoolExecutor(CLEANING_THREADS) as threads:
            keys = [entry.key for entry in storage.list(prefix)]
            list(threads.map(storage.delete, keys))
        if isinstance(storage, FolderStorage):  # its objects are gone, their folders are not
            shutil.rmtree(Path(storage.url) / prefix, ignore_errors=True)
