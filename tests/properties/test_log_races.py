"""Publish, promote, rollback, pin, retire and purge in any order never break an open version.

Here the real code runs: pairs of actors in every order there is, all of them in random orders and
with faults. The protocol itself is explored to the end in `test_log_model.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import combinations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from index_store.artifacts import sha256_hex, store_artifact, verify_artifact
from index_store.collections import load_manifest
from index_store.collector import purge_pass, retire_pass
from index_store.embedder import EmbedderSpec
from index_store.errors import (
    ConflictError,
    CorruptArtifactError,
    NotFoundError,
    TransientError,
    UnknownOutcomeError,
)
from index_store.layout import catalog_key
from index_store.log import CommitLog
from index_store.log_records import PRODUCTION, LogState
from index_store.manifest import CatalogPart, Counts, Manifest
from index_store.publisher import pin, promote, publish, rollback
from index_store.retention import RetentionPolicy
from index_store.storage.base import Storage
from index_store.storage.faulty import FaultMode, FaultyStorage
from index_store.storage.memory import MemoryStorage
from tests.support.schedules import Actor, every_schedule, play

COLLECTION = "races"
HASTY = RetentionPolicy(keep_last=1, grace_ms=0)  # no grace: only the log keeps this safe
NOTHING = Counts(documents=0, rejected=0, chunks_live=0, chunks_dead=0, tokens=0)
SPEC = EmbedderSpec(
    provider="none", model="none", revision="1", dimension=1, tokenizer="none", max_input_tokens=1
)


def publish_files(storage: Storage, files: str, run: str, *, careful: bool = True) -> str:
    """Publish a version of files that are named by letters, each with the same bytes always."""
    log = CommitLog(storage, COLLECTION)
    state = log.read()
    avoid = state.forbidden_keys if careful else frozenset[str]()
    parts = []
    for letter in files:
        data = letter.encode()
        key = catalog_key(COLLECTION, sha256_hex(data))
        try:
            artifact = store_artifact(storage, key, data, avoid=avoid)
        except CorruptArtifactError as error:  # deleted since it was written, without any grace
            raise ConflictError(str(error)) from error
        parts.append(CatalogPart(artifact=artifact, rows=0))
    manifest = Manifest(
        collection=COLLECTION,
        parent=state.channels.get("candidate"),
        run=run,
        created_at_ms=1,
        embedder=SPEC,
        chunker="none",
        shards=(),
        catalog=tuple(parts),
        counts=NOTHING,
    )
    return publish(storage, log, manifest, state).version


@cache
def prepared_objects() -> tuple[tuple[str, bytes], ...]:
    """Versions that share files; production was promoted to each; the first one is retired."""
    storage = new_storage()
    for run, files in (("0", "d"), ("1", "ab"), ("2", "bc"), ("3", "c")):
        version = publish_files(storage, files, run)
        promote(CommitLog(storage, COLLECTION), version)
        if run == "2":
            retire_pass(storage, CommitLog(storage, COLLECTION), HASTY)
    return tuple((entry.key, storage.read(entry.key)) for entry in storage.list(""))


def new_storage() -> MemoryStorage:
    return MemoryStorage("races", clock_ns=lambda: 10**18)


def prepared() -> MemoryStorage:
    storage = new_storage()
    for key, data in prepared_objects():
        storage.put(key, data)
    return storage


def log_of(storage: Storage) -> CommitLog:
    return CommitLog(storage, COLLECTION)


def oldest(storage: Storage) -> str:
    return next(iter(log_of(storage).read().versions))


ACTORS: dict[str, Actor] = {
    "publish": lambda storage: publish_files(storage, "ad", "4"),
    "careless": lambda storage: publish_files(storage, "ac", "5", careful=False),
    "promote": lambda storage: promote(log_of(storage), oldest(storage)),
    "rollback": lambda storage: rollback(log_of(storage)),
    "pin": lambda storage: pin(log_of(storage), oldest(storage), "held"),
    "retire": lambda storage: retire_pass(storage, log_of(storage), HASTY),
    "purge": lambda storage: purge_pass(storage, log_of(storage), HASTY),
}
EXPECTED_ERRORS = (
    ConflictError,
    NotFoundError,
    TransientError,
    UnknownOutcomeError,
    SystemExit,
)


def check_open_versions(storage: MemoryStorage) -> LogState:
    """Whatever can be opened is whole, and nothing it refers to is given up."""
    state = log_of(storage).audit().state
    assert state.channels[PRODUCTION] in state.versions
    for published in state.versions.values():
        for artifact in (published.manifest, *load_manifest(storage, published).artifacts):
            assert artifact.key not in state.forbidden_keys
            verify_artifact(storage, artifact)
    return state


def checker(storage: MemoryStorage) -> Callable[[], None]:
    """A check that looks only when something was written or deleted since it looked last."""
    seen: list[str] = []

    def check() -> None:
        keys = [entry.key for entry in storage.list("")]
        if keys != seen:
            check_open_versions(storage)
            seen[:] = keys

    return check


def check_errors(errors: list[BaseException | None]) -> None:
    for error in errors:
        if error is not None and not isinstance(error, EXPECTED_ERRORS):
            raise error


def check_end(storage: MemoryStorage) -> None:
    """Two quiet passes leave what is kept, and nothing else."""
    for act in (retire_pass, purge_pass):
        act(storage, log_of(storage), HASTY)
    state = check_open_versions(storage)
    assert not state.retired
    left = {entry.key for entry in storage.list(f"{COLLECTION}/") if "/log/" not in entry.key}
    assert not left & state.forbidden_keys


PAIRS = [
    pytest.param(*pair, marks=[pytest.mark.soak] if "purge" in pair else [])  # thousands of orders
    for pair in combinations(ACTORS, 2)
]


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_two_actors_in_every_order_there_is(first: str, second: str):
    def run(choose: Callable[[int], int]) -> None:
        storage = prepared()
        actors = [ACTORS[first], ACTORS[second]]
        check_errors(play(storage, actors, choose, checker(storage)))
        check_end(storage)

    assert every_schedule(run) > 1


@dataclass(frozen=True)
class Attempt:
    """An actor, and the storage operation at which it fails; 0 means that it does not."""

    name: str
    fail_at: int = 0
    mode: FaultMode = FaultMode.CRASH

    def __call__(self, storage: Storage) -> None:
        ACTORS[self.name](FaultyStorage(storage, fail_at=self.fail_at, mode=self.mode))


attempts = st.builds(
    Attempt,
    name=st.sampled_from(sorted(ACTORS)),
    fail_at=st.one_of(st.just(0), st.integers(1, 60)),
    mode=st.sampled_from(FaultMode),
)
casts = st.lists(attempts, min_size=3, max_size=7)
orders = st.lists(st.integers(0, 6), max_size=80)


def check_random_order(cast: list[Attempt], order: list[int]) -> None:
    storage = prepared()
    remaining = iter(order)

    def choose(options: int) -> int:
        return next(remaining, 0) % options

    check_errors(play(storage, cast, choose, checker(storage)))
    check_end(storage)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(cast=casts, order=orders)
def test_many_actors_in_random_orders_of_whom_some_fail(cast: list[Attempt], order: list[int]):
    check_random_order(cast, order)


@pytest.mark.soak
@settings(max_examples=2000, suppress_health_check=[HealthCheck.too_slow])
@given(cast=casts, order=orders)
def test_two_thousand_random_orders(cast: list[Attempt], order: list[int]):
    check_random_order(cast, order)
