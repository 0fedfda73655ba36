"""Which splitter finds more: structure or fixed windows, with and without a context line.

    python benchmarks/splitters.py E2E_DIR

E2E_DIR/*/ hold docs/, queries.jsonl and qrels.tsv. Printed is nDCG@10 over documents by the
offline embedder alone; a document scores as its best chunk does.
"""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from question_sets import Set, load_all

from index_store.embedders.offline import OfflineEmbedder
from tasks.stages.chunking.chunker import chunk_document
from tasks.stages.chunking.options import WINDOW, ChunkOptions

SPLITTERS = {
    "structure": ChunkOptions(),
    "window": ChunkOptions(splitter=WINDOW),
    "structure, context line": ChunkOptions(context_line=True),
    "window, context line": ChunkOptions(splitter=WINDOW, context_line=True),
}


def main() -> None:
    """Print a table of splitters and sets."""
    parser = argparse.ArgumentParser(description="compare splitters")
    parser.add_argument("sets", type=Path, metavar="E2E_DIR")
    print_retrieval(load_all(parser.parse_args().sets), OfflineEmbedder(threads=2))


def print_retrieval(sets: Sequence[Set], embedder: OfflineEmbedder) -> None:
    """Print nDCG@10 of every splitter on every set."""
    print("\n| splitter | " + " | ".join(given.name for given in sets) + " |")
    print("|---|" + "---|" * len(sets))
    for name, options in SPLITTERS.items():
        cells = [f"{ndcg(given, options, embedder):.3f}" for given in sets]
        print(f"| {name} | " + " | ".join(cells) + " |")


def ndcg(given: Set, options: ChunkOptions, embedder: OfflineEmbedder) -> float:
    """Return the mean nDCG@10 of the questions; a document scores as its best chunk does."""
    owners: list[str] = []
    texts: list[str] = []
    for name, parsed in given.documents.items():
        for chunk in chunk_document(parsed, options, embedder.tokenizer):
            owners.append(name)
            texts.append(chunk.text)
    vectors = embedder.embed(texts)
    questions = embedder.embed(list(given.questions.values()))
    scores = questions @ vectors.T
    gains = []
    for row, question in zip(scores, given.questions, strict=True):
        ranked = list(dict.fromkeys(owners[index] for index in np.argsort(-row)[:500]))[:10]
        wanted = given.relevant[question]
        gain = sum(1 / math.log2(at + 2) for at, name in enumerate(ranked) if name in wanted)
        ideal = sum(1 / math.log2(at + 2) for at in range(min(10, len(wanted))))
        gains.append(gain / ideal if ideal else 0.0)
    return sum(gains) / len(gains)


if __name__ == "__main__":
    main()
