"""A store is tried once; one that failed is not written to, or bears a mark."""

import pytest

from index_store.errors import CorruptArtifactError, UnfitStoreError
from index_store.storage.base import Storage
from index_store.storage.fitness import Check, FitnessReport
from index_store.storage.memory import MemoryStorage
from index_store.storage.verdicts import (
    VERDICT_FOLDER,
    Fitness,
    ensure_fit,
    read_fitness,
    remember,
)

GOOD = FitnessReport(checks=(Check(name="creates", passed=True, detail=""),), seconds=1.0)
BAD = FitnessReport(
    checks=(
        Check(name="reads", passed=True, detail=""),
        Check(name="creates", passed=False, detail="accepted both"),
    ),
    seconds=1.0,
)


class Trials:
    """Gives a prepared report, and counts how often it was asked."""

    def __init__(self, report: FitnessReport) -> None:
        self.report = report
        self.held = 0

    def __call__(self, _: Storage) -> FitnessReport:
        self.held += 1
        return self.report


def ensured(storage: Storage, trials: Trials, *, single_writer: bool = False) -> Fitness:
    return ensure_fit(storage, single_writer=single_writer, clock_ms=lambda: 7, check=trials)


def keys(storage: Storage) -> list[str]:
    return [entry.key for entry in storage.list("")]


def test_a_fit_store_is_tried_once():
    storage, trials = MemoryStorage("one"), Trials(GOOD)
    expected = Fitness(fit=True, single_writer=False, checked_at_ms=7, broken=())
    assert read_fitness(storage) is None
    assert ensured(storage, trials) == expected
    assert ensured(storage, trials, single_writer=True) == expected
    assert trials.held == 1
    assert read_fitness(storage) == expected


def test_the_same_files_at_another_address_are_tried_again():
    storage, moved = MemoryStorage("one"), MemoryStorage("other")
    ensured(storage, Trials(GOOD))
    for key in keys(storage):
        moved.put(key, storage.read(key))
    assert read_fitness(moved) is None


def test_another_endpoint_is_another_store():
    class At(MemoryStorage):
        endpoint = "http://one"

    storage = At("one")
    ensured(storage, Trials(GOOD))
    assert read_fitness(storage) is not None
    storage.endpoint = "http://other"
    assert read_fitness(storage) is None


def test_an_unfit_store_is_refused_and_not_written_to():
    storage, trials = MemoryStorage("one"), Trials(BAD)
    for _ in range(2):
        with pytest.raises(UnfitStoreError, match="creates: accepted both; use another store"):
            ensured(storage, trials)
    assert trials.held == 2
    assert keys(storage) == []


def test_a_single_writer_uses_an_unfit_store_and_every_look_shows_it():
    storage, trials = MemoryStorage("one"), Trials(BAD)
    expected = Fitness(
        fit=False, single_writer=True, checked_at_ms=7, broken=("creates: accepted both",)
    )
    for _ in range(2):
        assert ensured(storage, trials, single_writer=True) == expected
        assert read_fitness(storage) == expected
    assert trials.held == 1
    with pytest.raises(UnfitStoreError, match="creates"):
        ensured(storage, trials)


def test_a_store_that_was_mended_loses_its_mark():
    storage = MemoryStorage("one")
    ensured(storage, Trials(BAD), single_writer=True)
    assert ensured(storage, Trials(GOOD)).fit
    found = read_fitness(storage)
    assert found is not None
    assert found.fit
    assert len(keys(storage)) == 1


def test_a_store_that_fails_a_later_trial_is_trusted_no_more():
    storage = MemoryStorage("one")
    ensured(storage, Trials(GOOD))
    with pytest.raises(UnfitStoreError, match="creates"):
        remember(storage, BAD, single_writer=False, checked_at_ms=8)
    assert read_fitness(storage) is None


def test_a_damaged_verdict_is_named():
    storage = MemoryStorage("one")
    ensured(storage, Trials(GOOD))
    (key,) = keys(storage)
    assert key.startswith(VERDICT_FOLDER)
    storage.put(key, b'{"format_version": 1}')
    with pytest.raises(CorruptArtifactError, match="checked_at_ms"):
        read_fitness(storage)


def test_a_verdict_of_a_newer_nightpress_is_not_believed():
    storage = MemoryStorage("one")
    ensured(storage, Trials(GOOD))
    (key,) = keys(storage)
    storage.put(key, b'{"format_version": 2}')
    assert read_fitness(storage) is None


def test_of_two_runs_that_try_a_store_at_once_both_go_on():
    storage = MemoryStorage("one")

    def meanwhile(_: Storage) -> FitnessReport:
        ensured(storage, Trials(GOOD))
        return GOOD

    assert ensure_fit(storage, single_writer=False, clock_ms=lambda: 9, check=meanwhile).fit
    assert len(keys(storage)) == 1
