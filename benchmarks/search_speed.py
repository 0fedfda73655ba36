"""How fast a published version answers beside FAISS alone, on the same rows and the same cores.

    python benchmarks/search_speed.py [--rows 200000] [--dimension 384] [--questions 500]

Query vectors are given and nothing is filtered. FAISS alone is the shard's own index with the same
efSearch, asked in the same loop for as many rows as are shown; the two take turns. Each turn is
about another question, so that neither finds the rows of its question in the processor's cache. On
a busy machine the longer of the two is interrupted more often; its share of processor time is not.
"""

import argparse
import random
import time
from collections.abc import Callable
from pathlib import Path
from string import ascii_lowercase
from tempfile import TemporaryDirectory

import faiss
import numpy as np
from search_store import Rows, build, opened

from index_store.attributes import DocumentAttributes
from index_store.search_options import DocumentFilter, Question, Retrieval, SearchOptions
from index_store.shard_options import ShardOptions
from index_store.storage.folder import FolderStorage

K = 10
CENTRES = 2000
ROWS_PER_DOCUMENT = 10
WORDS = 30_000
WORDS_PER_ROW = 60
ROUNDS = 4
WARM = 50  # questions before the clock runs

Ask = Callable[[int], object]


def main() -> None:
    """Build the rows, then print a line per way to search."""
    parser = argparse.ArgumentParser(description="compare searches with FAISS alone")
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--dimension", type=int, default=384)
    parser.add_argument("--questions", type=int, default=500)
    options = parser.parse_args()
    rows, asked, texts = made(options.rows, options.dimension, options.questions)
    with TemporaryDirectory() as folder:
        storage = FolderStorage(Path(folder))
        entry = build(storage, rows, options=ShardOptions(storage="fp16"))
        with opened(storage, rows, entry, graph=True) as snapshot:
            path = storage.local_path(entry.index.key)
            index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
            width = snapshot.manifest.shards[0].ef_search
            faiss.omp_set_num_threads(1)

            def alone(number: int) -> object:
                parameters = faiss.SearchParametersHNSW(efSearch=width)
                return index.search(asked[number : number + 1], K, params=parameters)

            def searched(search: SearchOptions) -> Ask:
                return lambda number: snapshot.search(
                    Question(text=texts[number], vector=asked[number]), search
                )

            theme = DocumentFilter(themes=("rare",))
            ways = {
                "vectors": lambda number: snapshot.search(
                    Question(vector=asked[number]), SearchOptions(k=K)
                ),
                "vectors, and quotations": searched(SearchOptions(k=K, retrieval=Retrieval.DENSE)),
                "words": searched(SearchOptions(k=K, retrieval=Retrieval.LEXICAL)),
                "both": searched(SearchOptions(k=K)),
                "both, 1 % pass": searched(SearchOptions(k=K, filter=theme)),
            }
            print(f"{options.rows} rows of {options.dimension}, efSearch {width}\n")
            print("| search | of FAISS alone | by CPU | p50 ms | p99 ms | FAISS p50 | p99 |")
            print("|---|---|---|---|---|---|---|")
            for name, way in ways.items():
                report(name, way, alone, options.questions)


def made(count: int, dimension: int, questions: int) -> tuple[Rows, np.ndarray, list[str]]:
    """Return rows around many centres with texts of rare and common words, and questions."""
    generator = np.random.default_rng(1)
    centres = generator.normal(size=(CENTRES, dimension)).astype(np.float32)
    vectors = centres[generator.integers(CENTRES, size=count)]
    vectors += 0.7 * generator.normal(size=vectors.shape).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    asked = vectors[generator.integers(count, size=questions)]
    asked = asked + 0.03 * generator.normal(size=asked.shape).astype(np.float32)
    asked /= np.linalg.norm(asked, axis=1, keepdims=True)
    chosen = random.Random(1)  # noqa: S311 - a fixed draw, no secret
    names = ["".join(chosen.choices(ascii_lowercase, k=7)) for _ in range(WORDS)]
    weights = np.cumsum(1.0 / np.arange(1, WORDS + 1)).tolist()
    texts = [
        " ".join(chosen.choices(names, cum_weights=weights, k=WORDS_PER_ROW)) for _ in range(count)
    ]
    said = [" ".join(chosen.choices(names, cum_weights=weights, k=8)) for _ in range(questions)]
    uris = [f"d{row // ROWS_PER_DOCUMENT}.txt" for row in range(count)]
    attributes = {
        uri: DocumentAttributes(language="en", theme="" if number % 100 else "rare")
        for number, uri in enumerate(dict.fromkeys(uris))
    }
    rows = Rows(uris=uris, texts=texts, vectors=vectors, attributes=attributes)
    return rows, asked.astype(np.float32), said


def report(name: str, ask: Ask, alone: Ask, questions: int) -> None:
    """Ask every question several times, taking turns with FAISS alone, and print a line."""
    spent: dict[Ask, list[float]] = {ask: [], alone: []}
    busy = dict.fromkeys(spent, 0.0)
    for number in range(-WARM, ROUNDS * questions):
        for turn, (each, times) in enumerate(spent.items()):
            asked = (number + turn * questions // 2) % questions
            begun, worked = time.perf_counter(), time.thread_time()
            each(asked)
            if number >= 0:
                times.append(time.perf_counter() - begun)
                busy[each] += time.thread_time() - worked
    median, last = np.percentile(spent[ask], [50, 99]) * 1000
    base = np.percentile(spent[alone], [50, 99]) * 1000
    print(
        f"| {name} | {sum(spent[alone]) / sum(spent[ask]):.2f} | {busy[alone] / busy[ask]:.2f} "
        f"| {median:.2f} | {last:.2f} | {base[0]:.2f} | {base[1]:.2f} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
