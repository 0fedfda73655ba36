"""How close nightpress comes to what each part of a night costs by itself.

    python benchmarks/limits.py [--documents N] [--characters N] [--rows N]

First the parts, in turns with the bare thing: FAISS's own `add` against a shard under construction,
parsers called directly against the pool of killable processes. Then a whole run through the console
script against the sum of what it cannot do without: reading and hashing every file, parsing and
cutting it, embedding every chunk (each spread over all cores), FAISS's `add`, and writing as many
bytes as the store holds.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import faiss
import numpy as np
from side_by_side.collection import write_collection
from side_by_side.measuring import folder_bytes
from side_by_side.results import Line, Result, keep, machine, median

from index_store.embedder import Vectors
from index_store.embedders.hashing import HashingEmbedder
from index_store.embedders.registry import open_tokenizer
from index_store.shard import ShardBuilder
from index_store.shard_options import ShardOptions
from tasks.stages.chunking.options import ChunkOptions
from tasks.stages.parsing.examination import Examination, examine
from tasks.stages.parsing.isolation import ParsePool
from tasks.stages.parsing.limits import Limits
from tasks.stages.plugged_chunker import make_chunker, worker_options

OURS, LIMIT = "nightpress", "limit"
DIMENSION = 384
RUN_DIMENSION = 256
EMBEDDER = f"hashing:{RUN_DIMENSION}"
PORTION_ROWS = 1000
EMBEDDED_AT_ONCE = 1000
ROUNDS = 3
CORES = len(os.sched_getaffinity(0))
WORK = worker_options(ChunkOptions(), open_tokenizer(EMBEDDER).identity)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=2000)
    parser.add_argument("--characters", type=int, default=14_000)
    parser.add_argument("--rows", type=int, default=40_000)
    given = parser.parse_args()
    lines = [_graph(given.rows)]
    with tempfile.TemporaryDirectory(prefix="nightpress-bench-") as folder:
        source = Path(folder) / "source"
        write_collection(source, given.documents, given.characters)
        paths = sorted(source.rglob("*.md"))
        lines.append(_parsing(paths))
        lines += _whole(paths, source, Path(folder))
    keep(
        "limits",
        Result(
            title="nightpress beside what its parts cost alone",
            command="python benchmarks/limits.py",
            sides=(OURS, LIMIT),
            lines=tuple(lines),
            notes=(
                f"{given.documents:,} documents of {given.characters:,} characters, embedder "
                f"{EMBEDDER}; ratios are limit by nightpress, 1 would be no cost beyond the limit",
                "the index of words, the catalog, checks, gates and Prefect itself have no limit "
                "to set against them: their cost is what is missing to 1",
            ),
            seen=machine(["faiss-cpu", "prefect"]),
        ),
    )


def _graph(rows: int) -> Line:
    """Build the same graph by FAISS alone and by a shard under construction."""
    drawn = np.random.default_rng(1)
    centres = drawn.standard_normal((max(1, rows // 100), DIMENSION), dtype=np.float32)
    vectors = centres[drawn.integers(len(centres), size=rows)]
    vectors += 0.7 * drawn.standard_normal(vectors.shape, dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    seconds: dict[str, list[float]] = {OURS: [], LIMIT: []}
    for turn in range(ROUNDS):
        kinds = {OURS: _built, LIMIT: _added}
        for name in kinds if turn % 2 == 0 else reversed(kinds):
            seconds[name].append(_seconds(lambda work=kinds[name]: work(vectors)))
    return _line(f"graph of {rows:,} x {DIMENSION}, s", seconds, "at least 0.95")


def _built(vectors: Vectors) -> None:
    builder = ShardBuilder(ShardOptions(storage="flat", threads=CORES), DIMENSION)
    for start in range(0, len(vectors), PORTION_ROWS):
        builder.add(vectors[start : start + PORTION_ROWS])


def _added(vectors: Vectors) -> None:
    _new_graph(DIMENSION).add(vectors)


def _new_graph(dimension: int) -> faiss.IndexHNSWFlat:
    options = ShardOptions()
    index = faiss.IndexHNSWFlat(dimension, options.hnsw.m, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = options.hnsw.ef_construction
    faiss.omp_set_num_threads(CORES)
    return index


def _parsing(paths: Sequence[Path]) -> Line:
    """Parse and cut directly and through the pool; the direct way spread over all cores."""
    chosen = paths[: max(200, len(paths) // 4)]
    alone = Examination(limits=Limits(), chunker=make_chunker(WORK.options))
    seconds: dict[str, list[float]] = {OURS: [], LIMIT: []}
    with ParsePool(CORES, Limits(), WORK) as pool:
        for path in chosen[: 4 * CORES]:
            pool.submit(path, "markdown").result()
        for _ in range(ROUNDS):
            seconds[LIMIT].append(
                _seconds(lambda: [examine(str(path), "markdown", alone) for path in chosen]) / CORES
            )
            seconds[OURS].append(
                _seconds(lambda: [f.result() for f in [pool.submit(p, "markdown") for p in chosen]])
            )
    return _line(f"parse and cut {len(chosen):,} documents, s", seconds, "")


def _whole(paths: Sequence[Path], source: Path, folder: Path) -> list[Line]:
    """Run once, then add up what it could not have done without."""
    store = folder / "store"
    script = Path(sys.executable).with_name("nightpress")
    words = [script, "run", "--source", source, "--store", store, "--embedder", EMBEDDER]
    began = time.perf_counter()
    done = subprocess.run(
        [*words, "--quiet", "--json"],
        env={**os.environ, "PREFECT_HOME": str(folder / "prefect")},
        stdout=subprocess.PIPE,
        check=True,
    )
    wall_s = time.perf_counter() - began
    report = json.loads(done.stdout)
    start_s = float(report["seconds"]["start"])
    parts = _parts(paths, folder_bytes(store), folder / "written")
    limit_s = sum(parts.values())
    made = [
        Line(name=f"limit of a run: {name}, s", values={OURS: None, LIMIT: seconds})
        for name, seconds in parts.items()
    ]
    for name, ours in (
        ("whole run, s", wall_s),
        ("without the start of Prefect, s", wall_s - start_s),
    ):
        goal = "at least 0.8" if "without" in name else ""
        values = {OURS: ours, LIMIT: limit_s}
        made.append(Line(name=name, values=values, goal=goal, ratio=limit_s / ours))
    return made


def _parts(paths: Sequence[Path], stored_bytes: int, scratch: Path) -> dict[str, float]:
    alone = Examination(limits=Limits(), chunker=make_chunker(WORK.options))
    embedder = HashingEmbedder(RUN_DIMENSION)
    texts: list[str] = []

    def parse() -> None:
        for path in paths:
            outcome = examine(str(path), "markdown", alone)
            texts.extend(chunk.text for chunk in outcome.chunks or ())

    def embed() -> None:
        starts = range(0, len(texts), EMBEDDED_AT_ONCE)
        vectors.extend(embedder.embed(texts[at : at + EMBEDDED_AT_ONCE]) for at in starts)

    def write() -> None:
        with scratch.open("wb") as file:
            file.write(os.urandom(1 << 20) * (stored_bytes >> 20))
            file.flush()
            os.fsync(file.fileno())

    vectors: list[Vectors] = []
    return {
        "hash": _seconds(lambda: [hashlib.sha256(p.read_bytes()).digest() for p in paths]) / CORES,
        "parse and cut": _seconds(parse) / CORES,
        "embed": _seconds(embed) / CORES,
        "graph": _seconds(lambda: _new_graph(RUN_DIMENSION).add(np.concatenate(vectors))),
        "write": _seconds(write),
    }


def _line(name: str, seconds: dict[str, list[float]], goal: str) -> Line:
    values = {side: median(taken) for side, taken in seconds.items()}
    return Line(name=name, values=values, goal=goal, ratio=values[LIMIT] / values[OURS])


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
