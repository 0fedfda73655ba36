"""Hybrid search beside BM25 alone and vectors alone, and what filters and deletions leave of it.

    python benchmarks/relevance.py RELEVANCE_DIR

Sets of questions as in benchmarks/embedders.py, cut and embedded as the pipeline does by default,
and searched through a published version as the retriever does. First nDCG@10 of documents; then
recall@10 of vectors against comparing every row, by default and with the graph forced on, with 30 %
of the rows deleted at random and by whole documents, and with a filter that 1 % of them pass.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from embedders import QuestionSet, batched, load, ndcg
from search_store import Rows, build, opened

from index_store.attributes import DocumentAttributes
from index_store.embedder import Vectors
from index_store.embedders.offline import OfflineEmbedder
from index_store.manifest import ShardEntry
from index_store.search_options import (
    ANY_DOCUMENT,
    DocumentFilter,
    Question,
    Retrieval,
    SearchOptions,
)
from index_store.snapshot import Snapshot
from index_store.storage.folder import FolderStorage
from tasks.stages.parsing.language import identify_language

MODES = (Retrieval.LEXICAL, Retrieval.DENSE, Retrieval.HYBRID)
DELETED = 0.3
FILTERED = 0.01
SEED = 5
RARE = "rare"  # what every hundredth document is about
RARE_ONES = DocumentFilter(themes=(RARE,))


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description="compare the ways to search on question sets")
    parser.add_argument("relevance", type=Path, metavar="RELEVANCE_DIR")
    folders = sorted(path.parent for path in parser.parse_args().relevance.glob("*/qrels.tsv"))
    if not folders:
        sys.exit("no question sets there")
    offline = OfflineEmbedder(threads=2)
    gains, recalls = [], []
    print("| set | questions | BM25 alone | vectors alone | hybrid | hybrid - better one |")
    print("|---|---|---|---|---|---|")
    for folder in folders:
        questions = load(folder, offline.tokenizer)
        rows, asked = embedded(questions, offline)
        with TemporaryDirectory() as store:
            storage = FolderStorage(Path(store))
            entry = build(storage, rows)
            with opened(storage, rows, entry) as snapshot:
                found = [measure(snapshot, questions, asked, mode) for mode in MODES]
            print_line(f"{folder.name} | {len(asked)}", found)
            gains.append(found)
            recalls.append((folder.name, recall_lines(storage, rows, entry, asked)))
    print_line("mean |", np.mean(gains, axis=0).tolist())
    print("\n| set | rows | searched | whole | 30 % at random | 30 % by document | 1 % filter |")
    print("|---|---|---|---|---|---|---|")
    for name, lines in recalls:
        for line in lines:
            print(f"| {name} | {line} |", flush=True)


def embedded(questions: QuestionSet, offline: OfflineEmbedder) -> tuple[Rows, Vectors]:
    """Return the rows of a set and the vectors of its questions."""
    texts: dict[str, list[str]] = {}
    for uri, text in zip(questions.owners, questions.chunks, strict=True):
        texts.setdefault(uri, []).append(text)
    rare = set(list(texts)[:: int(1 / FILTERED)])
    rows = Rows(
        uris=questions.owners,
        texts=questions.chunks,
        vectors=batched(offline)(questions.chunks),
        attributes={
            uri: DocumentAttributes(
                language=identify_language(parts), theme=RARE if uri in rare else ""
            )
            for uri, parts in texts.items()
        },
    )
    return rows, batched(offline)(questions.questions)


def measure(snapshot: Snapshot, questions: QuestionSet, asked: Vectors, mode: Retrieval) -> float:
    """Return nDCG@10 of documents, each at the place of its best chunk."""
    options = SearchOptions(
        k=10, retrieval=mode, per_document=1, near_duplicates=True, all_groups=True
    )
    gains = [
        ndcg([hit.uri for hit in snapshot.search(Question(text=text, vector=row), options)], grades)
        for text, row, grades in zip(questions.questions, asked, questions.grades, strict=True)
    ]
    return float(np.mean(gains))


def recall_lines(
    storage: FolderStorage, rows: Rows, entry: ShardEntry, asked: Vectors
) -> list[str]:
    """Return a line for the default and one for the graph."""
    generator = np.random.default_rng(SEED)
    count = len(rows.uris)
    everything = np.ones(count, np.bool_)
    at_random = generator.choice(count, int(DELETED * count), replace=False).tolist()
    by_document = whole_documents(rows, int(DELETED * count), generator)
    rare = np.array([rows.attributes[uri].theme == RARE for uri in rows.uris])
    lines = []
    for graph in (False, True):
        cells = []
        for dead in (at_random, by_document):
            with opened(storage, rows, entry, dead=sorted(dead), graph=graph) as snapshot:
                live = everything.copy()
                live[dead] = False
                cells.append(f"{recall(snapshot, rows, live, asked, ANY_DOCUMENT):.3f}")
        with opened(storage, rows, entry, graph=graph) as snapshot:
            search = snapshot.manifest.shards[0].search
            told = "every row" if search is None else f"{search.mode.value} {search.ef_search}"
            whole = f"{recall(snapshot, rows, everything, asked, ANY_DOCUMENT):.3f}"
            cells.append(
                f"{recall(snapshot, rows, rare, asked, RARE_ONES):.3f} ({rare.sum()} rows)"
            )
        lines.append(" | ".join([str(count), told, whole, *cells]))
    return lines


def whole_documents(rows: Rows, wanted: int, generator: np.random.Generator) -> list[int]:
    """Return the rows of neighbouring documents, as a folder has them, until there are enough."""
    start = int(generator.integers(len(rows.uris) - wanted))
    doomed = set(rows.uris[start : start + wanted])
    return [row for row, uri in enumerate(rows.uris) if uri in doomed]


def recall(
    snapshot: Snapshot, rows: Rows, live: np.ndarray, asked: Vectors, only: DocumentFilter
) -> float:
    """Return the share of the ten nearest live rows that a search finds; ties count."""
    options = SearchOptions(
        k=10, retrieval=Retrieval.DENSE, near_duplicates=True, all_groups=True, filter=only
    )
    stored = rows.vectors[live].astype(np.float16).astype(np.float32)
    shares = []
    for row in asked:
        best = np.sort(stored @ row)[::-1][:10]
        hits = snapshot.search(Question(vector=row), options)
        scores = [hit.parts.dense or 0.0 for hit in hits]
        worst = best[min(len(best), 10) - 1] - 1e-3
        shares.append(sum(score >= worst for score in scores) / min(len(best), 10))
    return float(np.mean(shares))


def print_line(name: str, found: Sequence[float]) -> None:
    """Print a line of the first table."""
    cells = " | ".join(f"{figure:.3f}" for figure in found)
    print(f"| {name} | {cells} | {found[2] - max(found[:2]):+.3f} |", flush=True)


if __name__ == "__main__":
    main()
