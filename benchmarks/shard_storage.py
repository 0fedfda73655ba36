"""Ways to store vectors beside each other: bytes, speed, recall, and what opening costs.

    python benchmarks/shard_storage.py [RELEVANCE_DIR]

With a directory of relevance sets (`*/corpus.jsonl`, `*/queries.jsonl`), their passages are
embedded offline and recall is that of real questions, with what a night would measure without them
beside it. Without one, and for the table of opening, vectors are drawn. Ratios are to `flat` in the
same run.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from index_store.artifacts import measure
from index_store.embedder import Vectors
from index_store.embedders.registry import open_embedder
from index_store.manifest import STORAGES, HnswSettings, ShardEntry
from index_store.recall import choose_ef_search, draw_questions
from index_store.shard import ShardBuilder, ShardReader
from index_store.shard_options import RecallOptions, ShardOptions

PASSAGE_CHARS = 600
MOST_PASSAGES = 12_000
MOST_QUESTIONS = 400
OPENED_ROWS, OPENED_DIMENSION = 200_000, 384
CANDIDATES = (64, 128, 256)
HITS = 10
ROUNDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A shard in one way of storing, and what making it took."""

    path: Path
    entry: ShardEntry
    seconds: float


class Rows:
    """Vectors as they were before anything was rounded off."""

    def __init__(self, vectors: Vectors) -> None:
        self._vectors = vectors

    def vectors(self, start: int, end: int) -> Vectors:
        """Return some of them."""
        return self._vectors[start:end]


def build(vectors: Vectors, storage: str, folder: Path, hnsw: HnswSettings) -> Built:
    """Make a shard as a run does."""
    began = time.process_time()
    path = folder / f"{storage}.faiss"
    builder = ShardBuilder(ShardOptions(storage=storage, hnsw=hnsw), vectors.shape[1])
    builder.add(vectors)
    file = builder.finish(path)
    artifact = measure("docs/index", path)
    entry = ShardEntry(
        id="0" * 64,
        rows=file.rows,
        dead=0,
        dimension=vectors.shape[1],
        hnsw=hnsw,
        index=artifact,
        chunks=artifact,
        storage=storage,
    )
    return Built(path=path, entry=entry, seconds=time.process_time() - began)


def embedded(sets: Path) -> tuple[Vectors, Vectors]:
    """Embed passages and questions of all sets offline."""
    passages: list[str] = []
    questions: list[str] = []
    for folder in sorted(each.parent for each in sets.glob("*/corpus.jsonl")):
        for line in (folder / "corpus.jsonl").read_text().splitlines():
            text = json.loads(line)["text"]
            passages += [text[at : at + PASSAGE_CHARS] for at in range(0, len(text), PASSAGE_CHARS)]
        lines = (folder / "queries.jsonl").read_text().splitlines()
        questions += [json.loads(line)["text"] for line in lines]
    drawn = np.random.default_rng(1)
    # In the order of the sets, as a source is read: what sq8 learns its bounds from is not all.
    kept = np.sort(drawn.permutation(len(passages))[:MOST_PASSAGES])
    asked = drawn.permutation(len(questions))[:MOST_QUESTIONS]
    embedder = open_embedder("offline", threads=2)
    vectors = embed(embedder.embed, [passages[number] for number in kept])
    found = embed(embedder.embed, [questions[number] for number in asked])
    embedder.close()
    return vectors.astype(np.float16).astype(np.float32), found


def embed(call: Callable[[list[str]], Vectors], texts: list[str]) -> Vectors:
    """Return normalised vectors."""
    portions = [call(texts[at : at + 256]) for at in range(0, len(texts), 256)]
    vectors = np.concatenate(portions)
    normalised: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return normalised.astype(np.float32)


def drawn_vectors(rows: int, dimension: int) -> Vectors:
    """Draw vectors around a few hundred centres."""
    drawn = np.random.default_rng(1)
    centres = drawn.normal(size=(300, dimension)).astype(np.float32)
    vectors = centres[drawn.integers(300, size=rows)]
    vectors += drawn.standard_normal(size=vectors.shape, dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float16).astype(np.float32)


def recall(vectors: Vectors, questions: Vectors, rows: np.ndarray) -> float:
    """Return the share of the nearest vectors that was found, ties included."""
    scores = questions @ vectors.T
    worst = np.partition(scores, -HITS, axis=1)[:, -HITS]
    found = np.take_along_axis(scores, rows, axis=1)
    return float((found >= worst[:, None] - 1e-6).mean())


def milliseconds(reader: ShardReader, questions: Vectors, *, exact: bool) -> float:
    """Return the median time of one question asked by itself."""
    times = []
    for question in np.tile(questions[:50], (ROUNDS, 1)):
        began = time.perf_counter()
        reader.search(question[None, :], HITS, exact=exact, ef_search=CANDIDATES[1])
        times.append(time.perf_counter() - began)
    return 1000 * float(np.median(times))


def print_recall(vectors: Vectors, questions: Vectors) -> None:
    """Print recall and speed of every way to store."""
    print(f"{len(vectors):,} x {vectors.shape[1]}, {len(questions)} questions\n")
    wide = " | ".join(f"efSearch {each}" for each in CANDIDATES)
    print(
        f"| storage | bytes | build s | exact ms | graph ms | recall exact | {wide} | "
        "a night would choose | and promise |"
    )
    print("|---|" + "---|" * (7 + len(CANDIDATES)))
    flat = None
    for storage in STORAGES:
        with tempfile.TemporaryDirectory() as folder:
            made = build(vectors, storage, Path(folder), HnswSettings())
            reader = ShardReader.open(made.path, made.entry)
            source = Rows(vectors)
            asked = draw_questions(source, len(vectors), count=RecallOptions().questions, seed=0)
            chosen = choose_ef_search(reader, source, asked, RecallOptions())
            exact = milliseconds(reader, questions, exact=True)
            graph = milliseconds(reader, questions, exact=False)
            found = [
                recall(vectors, questions, rows)
                for rows in (
                    reader.search(questions, HITS, exact=True)[1],
                    *(
                        reader.search(questions, HITS, exact=False, ef_search=each)[1]
                        for each in CANDIDATES
                    ),
                )
            ]
        size = made.entry.index.size_bytes
        now = (size, made.seconds, exact, graph)
        flat = flat or now
        cells = [f"{each / first:.2f} x" for each, first in zip(now, flat, strict=True)]
        cells[0] += f" ({size / len(vectors):,.0f} a row)"
        cells[1:] = [f"{cell} ({each:.2f})" for cell, each in zip(cells[1:], now[1:], strict=True)]
        told = [f"{each:.3f}" for each in found]
        print(
            "| "
            + " | ".join([storage, *cells, *told, str(chosen.ef_search), f"{chosen.recall:.3f}"])
            + " |"
        )


def print_opening() -> None:
    """Print what opening a large shard from local disk costs, each in a process of its own."""
    print(f"\nopening {OPENED_ROWS:,} x {OPENED_DIMENSION}, mapped; its hash was compared before\n")
    print("| storage | MiB | ms | with the hash compared, ms | anonymous MiB | of the size |")
    print("|---|---|---|---|---|---|")
    vectors = drawn_vectors(OPENED_ROWS, OPENED_DIMENSION)
    # A small graph: opening does not depend on how much thought went into it.
    hnsw = HnswSettings(m=32, ef_construction=16)
    for storage in STORAGES:
        with tempfile.TemporaryDirectory() as folder:
            made = build(vectors, storage, Path(folder), hnsw)
            command = [sys.executable, __file__, "--open", str(made.path), storage]
            told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        opened_ms, hashed_ms, anonymous_mib = map(float, told.split())
        size_mib = made.entry.index.size_bytes / (1 << 20)
        print(
            f"| {storage} | {size_mib:,.0f} | {opened_ms:.1f} | {hashed_ms:.0f} | "
            f"{anonymous_mib:.1f} | {anonymous_mib / size_mib:.1%} |"
        )


def print_opened(path: Path, storage: str) -> None:
    """Open a shard and print milliseconds, the same with its hash, and anonymous MiB."""
    artifact = measure("docs/index", path)
    entry = ShardEntry(
        id="0" * 64,
        rows=OPENED_ROWS,
        dead=0,
        dimension=OPENED_DIMENSION,
        hnsw=HnswSettings(m=32, ef_construction=16),
        index=artifact,
        chunks=artifact,
        storage=storage,
    )
    before, began = _anonymous_mib(), time.perf_counter()
    reader = ShardReader.open(path, entry, verify=False)
    spent = time.perf_counter() - began
    reader.search(drawn_vectors(1, OPENED_DIMENSION), HITS, exact=False)
    grown, began = _anonymous_mib() - before, time.perf_counter()
    ShardReader.open(path, entry, verify=True)
    print(1000 * spent, 1000 * (time.perf_counter() - began), grown)


def _anonymous_mib() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("the kernel does not tell RssAnon")


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description="compare ways to store vectors")
    parser.add_argument("sets", type=Path, nargs="?", metavar="RELEVANCE_DIR")
    parser.add_argument("--open", nargs=2, metavar=("FILE", "STORAGE"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.open:
        print_opened(Path(given.open[0]), given.open[1])
        return
    if given.sets is None:
        vectors = drawn_vectors(MOST_PASSAGES, OPENED_DIMENSION)
        print_recall(vectors, draw_questions(Rows(vectors), len(vectors), count=400, seed=9))
    else:
        print_recall(*embedded(given.sets))
    print_opening()


if __name__ == "__main__":
    main()
