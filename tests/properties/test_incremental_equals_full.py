"""After any nights of changes a search finds what a fresh build of the same source would find."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from index_store.collections import collection_status
from index_store.snapshot import Snapshot
from index_store.storage.memory import MemoryStorage
from tasks.stages.reporting import RunReport
from tests.support.plain_run import run_plainly
from tests.support.small_sources import (
    BROKEN_PDF,
    COLLECTION,
    Searchable,
    options_for,
    pdf,
    prose,
    searchable,
    texts_of,
    touch,
    trusted,
    vector,
    write,
)

NAMES = ("a.txt", "b.txt", "c.md", "sub/d.txt", "e.pdf", "f.pdf")
TOPICS = ("tides", "wages", "birds", "steam")
Step = tuple[str, str, str]

names = st.sampled_from(NAMES)
steps = st.one_of(
    st.tuples(st.just("write"), names, st.sampled_from(TOPICS)),
    st.tuples(st.sampled_from(("move", "swap", "copy")), names, names),
    st.tuples(st.sampled_from(("remove", "touch", "break")), names, st.just("")),
)
nights = st.lists(st.lists(steps, min_size=1, max_size=5), min_size=1, max_size=4)


@dataclass
class House:
    """A source that changes, the store that follows it, and all texts it ever held."""

    source: Path
    storage: MemoryStorage = field(default_factory=lambda: trusted("incremental"))
    ever: set[str] = field(default_factory=set)

    def change(self, step: Step) -> None:
        verb, name, other = step
        path, second = self.source / name, self.source / other
        if verb == "write":
            text = prose(other)
            write(path, pdf(text) if name.endswith(".pdf") else text)
        elif not path.exists():
            return
        elif verb == "remove":
            path.unlink()
        elif verb == "touch":
            touch(path)
        elif verb == "break":
            write(path, BROKEN_PDF if name.endswith(".pdf") else b"")
        elif path.suffix == second.suffix and name != other:
            self._between(verb, path, second)

    def _between(self, verb: str, path: Path, second: Path) -> None:
        second.parent.mkdir(exist_ok=True)
        if verb == "move":
            path.rename(second)
        elif verb == "copy":
            shutil.copyfile(path, second)
            touch(second)
        elif second.exists():
            aside = path.with_name("aside")
            path.rename(aside)
            second.rename(path)
            aside.rename(second)

    def night(self) -> tuple[RunReport, Searchable]:
        report = run_plainly(options_for(self.source, keep_last_good=False), self.storage)
        return report, searchable(self.storage)


def full_build(source: Path) -> tuple[MemoryStorage, Searchable]:
    storage = trusted("full")
    run_plainly(options_for(source), storage)
    return storage, searchable(storage)


def never_returns(storage: MemoryStorage, gone: set[str]) -> bool:
    with Snapshot.open(storage, COLLECTION) as snapshot:
        hits = [hit.text for text in gone for hit in snapshot.nearest(vector(text), 3)]
    return gone.isdisjoint(hits)


def counts(storage: MemoryStorage) -> tuple[int, int, int]:
    held = collection_status(storage, COLLECTION, now_ms=0).counts
    assert held is not None
    return held.documents, held.rejected, held.chunks_live


@settings(max_examples=6, suppress_health_check=[HealthCheck.too_slow])
@given(nights)
@example(
    [[("write", "b.txt", "tides")], [("move", "b.txt", "a.txt")], [("copy", "a.txt", "b.txt")]]
)
def test_every_night_finds_what_a_fresh_full_build_finds(changes: list[list[Step]]):
    check_every_night(changes)


@pytest.mark.soak
@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(nights)
def test_many_more_nights_find_what_a_fresh_full_build_finds(changes: list[list[Step]]):
    check_every_night(changes)


def check_every_night(changes: list[list[Step]]) -> None:
    with TemporaryDirectory() as folder:
        house = House(Path(folder))
        write(house.source / "anchor.txt", prose("anchor"))
        for step_list in [[], *changes]:
            for step in step_list:
                house.change(step)
            report, found = house.night()
            fresh, expected = full_build(house.source)
            assert found == expected
            assert counts(house.storage) == counts(fresh)
            new = texts_of(found) - house.ever
            assert report.embedding["texts"] == len(new), "a text was embedded again"
            house.ever |= new
            assert never_returns(house.storage, house.ever - texts_of(found))
