"""How searches fare over shards, deleted rows, filters, words and processes.

    python benchmarks/retrieval.py [--rows 100000] [--dimension 384] [--questions 200]

Synthetic rows around many centres, graphs unless few rows pass, query vectors given. Recall@10 of
the search by vectors is against exact search over the rows that may be found. Lines differ from the
first in what they are named after.
"""

import argparse
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from search_speed import WARM, K, made
from search_store import COLLECTION, Rows, build, opened
from side_by_side.results import Line, Result, keep, machine

from index_store.search_options import DocumentFilter, Question, Retrieval, SearchOptions
from index_store.shard_options import ShardOptions
from index_store.snapshot import Snapshot, SnapshotOptions
from index_store.storage.folder import FolderStorage

SHARDS = (1, 4, 16)
DELETED = (0.1, 0.3)
RARE = DocumentFilter(themes=("rare",))  # 1 % of the documents


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One way to search.

    Attributes:
        snapshot: What is searched.
        options: How.
        live: bool, shape (rows,): rows that may be found; empty when recall is not asked for.
    """

    snapshot: Snapshot
    options: SearchOptions
    live: np.ndarray


def main() -> None:
    """Measure every case and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--questions", type=int, default=200)
    given = parser.parse_args()
    rows, asked, texts = made(given.rows, given.dimension, given.questions)
    figures: dict[str, dict[str, float]] = {}
    with TemporaryDirectory() as folder:
        for name, case in _cases(Path(folder), rows):
            figures[name] = _measured(case, rows, asked, texts)
            print(name, figures[name], flush=True)
        for processes in (1, len(os.sched_getaffinity(0))):
            name = f"{processes} process{'es' if processes > 1 else ''}, both"
            figures[name] = _in_processes(Path(folder) / "shards-1", processes, asked, texts)
    kinds = ("p50, ms", "p99, ms", "searches a second", "recall@10")
    keep(
        "retrieval",
        Result(
            title=f"{given.rows:,} rows of {given.dimension}",
            command="python benchmarks/retrieval.py",
            sides=kinds,
            lines=tuple(
                Line(name=name, values={kind: seen.get(kind) for kind in kinds})
                for name, seen in figures.items()
            ),
            notes=("one thread a process; `both` is vectors and words, fused",),
            seen=machine(["faiss-cpu", "tantivy"]),
        ),
    )


def _cases(folder: Path, rows: Rows) -> Iterator[tuple[str, Case]]:
    every = np.ones(len(rows.uris), bool)
    dense = SearchOptions(k=K, retrieval=Retrieval.DENSE, near_duplicates=True)
    for count in SHARDS:
        with _shards(folder / f"shards-{count}", rows, count) as snapshot:
            name = f"{count} shard{'s' if count > 1 else ''}, by vectors"
            yield name, Case(snapshot=snapshot, options=dense, live=every)
            if count > 1:
                continue
            rare = np.array([rows.attributes[uri].theme == "rare" for uri in rows.uris])
            passing = Case(snapshot=snapshot, options=replace(dense, filter=RARE), live=rare)
            yield "1 % pass the filter", passing
            for kind, way in (("by words", Retrieval.LEXICAL), ("both", Retrieval.HYBRID)):
                options = SearchOptions(k=K, retrieval=way)
                yield kind, Case(snapshot=snapshot, options=options, live=every[:0])
    for share in DELETED:
        generator = np.random.default_rng(2)
        dead = np.flatnonzero(generator.random(len(every)) < share)
        live = every.copy()
        live[dead] = False
        with _shards(folder / f"dead-{share}", rows, 1, dead=dead.tolist()) as snapshot:
            name = f"{share:.0%} deleted at random"
            yield name, Case(snapshot=snapshot, options=dense, live=live)


@contextmanager
def _shards(
    folder: Path, rows: Rows, count: int, *, dead: Sequence[int] = ()
) -> Iterator[Snapshot]:
    folder.mkdir()
    storage = FolderStorage(folder)
    bounds = [len(rows.uris) * place // count // 10 * 10 for place in range(count)]
    entries = [
        build(
            storage,
            replace(
                rows,
                uris=rows.uris[start:end],
                texts=rows.texts[start:end],
                vectors=rows.vectors[start:end],
            ),
            options=ShardOptions(storage="fp16"),
            number=number,
        )
        for number, (start, end) in enumerate(
            zip(bounds, [*bounds[1:], len(rows.uris)], strict=True)
        )
    ]
    with opened(storage, rows, entries[0], dead=dead, graph=True, others=entries[1:]) as snapshot:
        yield snapshot


def _measured(case: Case, rows: Rows, asked: np.ndarray, texts: Sequence[str]) -> dict[str, float]:
    seconds, found = _asked(case.snapshot, case.options, asked, texts)
    figures = _told(seconds)
    if len(case.live):
        places = np.flatnonzero(case.live)
        scores = asked @ rows.vectors[places].T
        best = np.argpartition(-scores, K, axis=1)[:, :K]
        right = [{rows.texts[places[place]] for place in line} for line in best]
        pairs = zip(right, found, strict=True)
        figures["recall@10"] = float(np.mean([len(one & other) / K for one, other in pairs]))
    return figures


def _asked(
    snapshot: Snapshot, options: SearchOptions, asked: np.ndarray, texts: Sequence[str]
) -> tuple[list[float], list[set[str]]]:
    has_words = options.retrieval is not Retrieval.DENSE
    questions = [
        Question(text=text if has_words else "", vector=vector)
        for text, vector in zip(texts, asked, strict=True)
    ]
    for question in questions[:WARM]:
        snapshot.search(question, options)
    seconds, found = [], []
    for question in questions:
        began = time.perf_counter()
        hits = snapshot.search(question, options)
        seconds.append(time.perf_counter() - began)
        found.append({hit.text for hit in hits})
    return seconds, found


def _told(seconds: Sequence[float]) -> dict[str, float]:
    p50, p99 = np.percentile(seconds, [50, 99]) * 1000
    return {
        "p50, ms": float(p50),
        "p99, ms": float(p99),
        "searches a second": len(seconds) / sum(seconds),
    }


def _in_processes(
    store: Path, processes: int, asked: np.ndarray, texts: Sequence[str]
) -> dict[str, float]:
    """Let every process open the same version and ask all questions at the same time."""
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(_alone, store, asked, texts) for _ in range(processes)]
        answers = [future.result() for future in futures]
    seconds = [one for answer in answers for one in answer]
    figures = _told(seconds)
    figures["searches a second"] *= processes
    return figures


def _alone(store: Path, asked: np.ndarray, texts: Sequence[str]) -> list[float]:
    options = SnapshotOptions(exact_rows=len(texts))
    with Snapshot.open(
        FolderStorage(store), COLLECTION, channel="candidate", options=options
    ) as snapshot:
        return _asked(snapshot, SearchOptions(k=K), asked, texts)[0]


if __name__ == "__main__":
    main()
