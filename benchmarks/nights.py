"""A year of nights: how many shards there are, what is written, and what recall is left.

    python benchmarks/nights.py [--nights N]

The first table follows every document from shard to shard without vectors, for collections and
changes of several sizes. The second is a small collection with vectors and a poor graph: shards are
built, searched and compacted by the code that a run uses, and every night what a search over all of
them finds is compared with comparing every live row. A change of 1 % removes 1 % and adds as much;
every thirtieth night a whole folder goes besides.
"""

import argparse
import tempfile
import time
from dataclasses import dataclass, field, replace
from math import floor, log
from pathlib import Path

import numpy as np
from pyroaring import BitMap

from index_store.artifacts import Artifact, measure
from index_store.deletions import live_mask
from index_store.embedder import Vectors
from index_store.manifest import HnswSettings, SearchMode, ShardEntry, ShardSearch
from index_store.recall import choose_ef_search, draw_questions
from index_store.shard import ShardBuilder, ShardReader
from index_store.shard_options import RecallOptions, ShardOptions
from tasks.stages.compacting import CompactOptions, plan_compaction

FILE = Artifact(key="docs/x", size_bytes=1, sha256="0" * 64)
FOLDERS = 50
LARGE_FOLDERS = 10  # of the collection with vectors
HNSW = HnswSettings(m=8, ef_construction=32, ef_search=32)  # a poor graph, so that the gate is met
SPREAD = 1.0  # length of the noise around the centre of a folder
FOLDER_EVERY = 30  # nights
ROWS_PER_DOCUMENT = 10
HITS = 10


@dataclass
class Year:
    """What a year of nights came to."""

    most_shards: int = 0
    written: list[int] = field(default_factory=list)
    changed: list[int] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """Rows written for each row that was removed or added."""
        return sum(self.written) / sum(self.changed)


def shard_entry(
    name: int, rows: int, dead: int, search: ShardSearch | None = None, dimension: int = 1
) -> ShardEntry:
    """Return a shard as the policy sees it."""
    return ShardEntry(
        id=str(name),
        rows=rows,
        dead=dead,
        dimension=dimension,
        hnsw=HNSW,
        index=FILE,
        chunks=FILE,
        deletions=FILE if dead else None,
        search=search,
    )


def simulated_year(rows: int, share: float, nights: int, options: CompactOptions) -> Year:
    """Follow the documents of a collection through a year."""
    drawn = np.random.default_rng(1)
    documents = rows // ROWS_PER_DOCUMENT
    shard = np.arange(documents) // (options.max_rows // ROWS_PER_DOCUMENT)
    folder = np.arange(documents) * FOLDERS // documents
    sizes = dict(enumerate(np.bincount(shard).tolist()))  # documents, dead ones included
    year, names = Year(), len(sizes)
    for night in range(1, nights + 1):
        gone = drawn.random(len(shard)) < share
        if night % FOLDER_EVERY == 0:
            gone |= folder == drawn.integers(FOLDERS)
        new = int(gone.sum())
        shard = np.append(shard[~gone], np.full(new, names))
        folder = np.append(folder[~gone], drawn.integers(FOLDERS, size=new))
        sizes[names] = new
        names += 1
        live = np.bincount(shard, minlength=names)
        entries = [
            shard_entry(
                name, size * ROWS_PER_DOCUMENT, (size - int(live[name])) * ROWS_PER_DOCUMENT
            )
            for name, size in sizes.items()
        ]
        written = new
        for merge in plan_compaction(entries, options).merges:
            old = [int(name) for name in merge.shards]
            for part in np.array_split(np.flatnonzero(np.isin(shard, old)), max(1, merge.parts)):
                shard[part] = names
                sizes[names] = len(part)
                names += 1
                written += len(part)
            for name in old:
                del sizes[name]
        year.most_shards = max(year.most_shards, len(sizes))
        year.written.append(written)
        year.changed.append(2 * new)
    return year


def print_simulated(nights: int) -> None:
    """Print the table of sizes."""
    options = CompactOptions()
    print(
        "| rows | change | shards, most | bound | rows written / changed | bound | "
        "night, median | night, most | nights that compact |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for rows in (100_000, 1_000_000, 4_000_000):
        for share in (0.002, 0.01, 0.03):
            year = simulated_year(rows, share, nights, options)
            written, changed = np.array(year.written), np.array(year.changed)
            most = options.max_small + 2 * rows // options.max_rows
            least = floor(log(rows * share, options.fan_in))
            tiers = floor(log(min(options.max_rows, rows), options.fan_in)) - least + 1
            # Half of a change is added: written once and once per tier; half of it dies.
            dead = (1 - options.dead_share) / options.dead_share
            bound = 0.5 * (1 + tiers) + 0.5 * dead
            print(
                f"| {rows:,} | {share:.1%} | {year.most_shards} | {most} | {year.ratio:.2f} | "
                f"{bound:.2f} | {np.median(written) * ROWS_PER_DOCUMENT / rows:.2%} | "
                f"{written.max() * ROWS_PER_DOCUMENT / rows:.0%} | "
                f"{(written > changed // 2).mean():.0%} |"
            )


class LiveShard:
    """A shard with vectors and the rows that died since."""

    def __init__(self, name: int, vectors: Vectors, ids: np.ndarray, folder: Path) -> None:
        self.ids = ids
        self.dead = BitMap()
        self.search: ShardSearch | None = None
        self._path = folder / f"{name}.faiss"
        builder = ShardBuilder(ShardOptions(hnsw=HNSW), vectors.shape[1])
        builder.add(vectors)
        builder.finish(self._path)
        plain = shard_entry(name, len(ids), 0, dimension=vectors.shape[1])
        self._entry = replace(plain, index=measure("docs/x", self._path))

    @property
    def entry(self) -> ShardEntry:
        """The shard as the policy sees it."""
        return replace(
            self._entry,
            dead=len(self.dead),
            deletions=FILE if self.dead else None,
            search=self.search,
        )

    def reader(self, *, measured: bool) -> ShardReader:
        """Open it as a version has it, or as if nobody had measured."""
        entry = self.entry if measured else replace(self.entry, search=None)
        return ShardReader.open(self._path, entry, dead=self.dead, verify=False)

    def live(self) -> np.ndarray:
        """Return which rows are live."""
        return live_mask(self.dead, len(self.ids))

    def kill(self, gone: np.ndarray) -> None:
        """Let rows die."""
        self.dead |= BitMap(np.flatnonzero(np.isin(self.ids, gone)).tolist())

    def measure(self, options: RecallOptions) -> None:
        """Measure how it has to be searched, as a night does."""
        if self.search is not None and self.search.dead == len(self.dead):
            return
        reader = self.reader(measured=False)
        questions = draw_questions(reader, len(self.ids), count=options.questions, seed=1)
        found = choose_ef_search(reader, reader, questions, options)
        built = found.recall if not self.dead else None
        self.search = ShardSearch(
            mode=SearchMode.HNSW if found.recall >= options.least else SearchMode.EXACT,
            ef_search=found.ef_search,
            recall=found.recall,
            built_recall=built if self.search is None else self.search.built_recall,
            dead=len(self.dead),
        )


class Collection:
    """Documents with vectors around the centre of their folder, and the shards that hold them."""

    def __init__(self, rows: int, dimension: int, folder: Path) -> None:
        self.drawn = np.random.default_rng(7)
        self.options = CompactOptions(max_rows=10 * rows, max_small=8)
        self.recall = RecallOptions(max_ef_search=256)
        self.centres = self.drawn.normal(size=(LARGE_FOLDERS, dimension))
        self.folder = np.arange(rows) * LARGE_FOLDERS // rows
        self.alive = np.ones(rows, bool)
        self.vectors = self._draw(self.folder)
        self._scratch = folder
        self._names = 0
        self.shards: list[LiveShard] = []
        self._add(np.arange(rows))
        self.written = 0

    def _draw(self, folder: np.ndarray) -> Vectors:
        rows = self.centres[folder] + SPREAD * self.drawn.normal(size=(len(folder), self.dimension))
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows.astype(np.float16).astype(np.float32)

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return int(self.centres.shape[1])

    def _add(self, ids: np.ndarray) -> None:
        self.shards.append(LiveShard(self._names, self.vectors[ids], ids, self._scratch))
        self._names += 1

    def night(self, number: int) -> int:
        """Change, publish, and return the number of rows that changed."""
        gone = self.alive & (self.drawn.random(len(self.alive)) < 0.01)
        if number % FOLDER_EVERY == 0:
            gone |= self.alive & (self.folder == self.drawn.integers(LARGE_FOLDERS))
        self.alive &= ~gone
        new = int(gone.sum())
        first = len(self.alive)
        folder = self.drawn.integers(LARGE_FOLDERS, size=new)
        self.folder = np.append(self.folder, folder)
        self.alive = np.append(self.alive, np.ones(new, bool))
        self.vectors = np.concatenate([self.vectors, self._draw(folder)])
        for shard in self.shards:
            shard.kill(np.flatnonzero(gone))
        self._add(np.arange(first, first + new))
        self.shards = [shard for shard in self.shards if shard.live().any()]
        for shard in self.shards:
            shard.measure(self.recall)
        return 2 * new

    def compact(self) -> int:
        """Apply the policy and return the number of rows written."""
        held = {shard.entry.id: shard for shard in self.shards}
        written = 0
        for merge in plan_compaction([shard.entry for shard in self.shards], self.options).merges:
            old = [held.pop(name) for name in merge.shards]
            ids = np.concatenate([shard.ids[shard.live()] for shard in old])
            self.shards = [shard for shard in self.shards if shard not in old]
            self._add(ids)
            self.shards[-1].measure(self.recall)
            written += len(ids)
        return written

    def found(self, questions: Vectors, *, measured: bool) -> float:
        """Return the share of the nearest live rows that a search over all shards finds."""
        live = np.flatnonzero(self.alive)
        scores = questions @ self.vectors[live].T
        worst = np.partition(scores, -HITS, axis=1)[:, -HITS]
        best = []
        for shard in self.shards:
            hits, _ = shard.reader(measured=measured).search(questions, HITS, exact=False)
            best.append(hits)
        top = -np.sort(-np.concatenate(best, axis=1), axis=1)[:, :HITS]
        return float((top >= worst[:, None] - 1e-6).mean())


def print_recall(nights: int, rows: int, dimension: int) -> None:
    """Print what searches find in a year of nights, with and without what is measured."""
    served, plain, written, changed, exact, most = [], [], 0, 0, 0, 0
    with tempfile.TemporaryDirectory() as scratch:
        held = Collection(rows, dimension, Path(scratch))
        for number in range(1, nights + 1):
            changed += held.night(number)
            asked = held.centres[held.drawn.integers(LARGE_FOLDERS, size=(2, 100))].sum(axis=0)
            asked += SPREAD * held.drawn.normal(size=asked.shape)
            questions = (asked / np.linalg.norm(asked, axis=1, keepdims=True)).astype(np.float32)
            served.append(held.found(questions, measured=True))
            plain.append(held.found(questions, measured=False))
            exact += any(shard.entry.searched_exactly for shard in held.shards)
            written += held.compact()
            most = max(most, len(held.shards))
        gate = held.recall.least
    print(
        "| nights | rows | gate | recall, least | mean | at efSearch 32 alone, least | mean | ",
        end="",
    )
    print("nights with a shard searched exactly | shards, most | rows compacted / changed |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    print(
        f"| {nights} | {rows:,} | {gate} | {min(served):.3f} | {np.mean(served):.3f} | "
        f"{min(plain):.3f} | {np.mean(plain):.3f} | {exact} | {most} | {written / changed:.2f} |"
    )


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description="simulate a year of nights")
    parser.add_argument("--nights", type=int, default=365)
    nights = parser.parse_args().nights
    began = time.monotonic()
    print_simulated(nights)
    print()
    print_recall(nights, rows=6000, dimension=48)
    print(f"\n{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
