"""How well the embedders find things, on folders of documents, questions and judgements.

    python benchmarks/embedders.py RELEVANCE_DIR [--sizes] [--recall]

Each folder holds corpus.jsonl (_id, title, text), queries.jsonl (_id, text) and qrels.tsv
(question, document, grade). Documents are cut as the pipeline cuts them; a document scores as its
best chunk does. Two figures per set: nDCG@10 of the questions, and own-sentence@1, the share of
sentences drawn from documents that find their own document first.
"""

import argparse
import json
import random
import re
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np
import numpy.typing as npt

from index_store.embedder import Tokenizer
from index_store.embedders.hashing import HashingEmbedder
from index_store.embedders.offline import LEXICAL_WEIGHT, OfflineEmbedder, joined
from tasks.stages.chunking.chunker import chunk_document
from tasks.stages.chunking.options import ChunkOptions
from tasks.stages.parsing.elements import Element, ElementKind, ParsedDocument

MOST_QUESTIONS = 800  # per set, drawn with a fixed seed
OWN_SENTENCES = 300
WEIGHTS = (0.3, 0.4, 0.5, 0.6, 0.7)
CHUNK_SIZES = (64, 128, 256, 512, 1024, 2048)
RECALL_CHUNK = 128  # small chunks make many rows

Matrix = npt.NDArray[np.float32]
Embed = Callable[[Sequence[str]], Matrix]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionSet:
    """Documents cut into chunks, with questions and their judgements."""

    name: str
    chunks: list[str]
    owners: list[str]
    questions: list[str]
    grades: list[dict[str, float]]
    sentences: list[str]
    sentence_owners: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetVectors:
    """The vectors of one set by one embedder."""

    chunks: Matrix
    questions: Matrix
    sentences: Matrix


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description="compare the embedders on question sets")
    parser.add_argument("relevance", type=Path, metavar="RELEVANCE_DIR")
    parser.add_argument("--sizes", action="store_true", help="compare sizes of chunks too")
    parser.add_argument("--recall", action="store_true", help="measure HNSW against exact search")
    options = parser.parse_args()
    folders = sorted(path.parent for path in options.relevance.glob("*/qrels.tsv"))
    if not folders:
        sys.exit(f"no question sets in {options.relevance}")
    offline = OfflineEmbedder(threads=2)
    compare_embedders([load(folder, offline.tokenizer) for folder in folders], offline)
    if options.sizes:
        compare_sizes(folders, offline)
    if options.recall:
        cut = ChunkOptions(max_tokens=RECALL_CHUNK, overlap_tokens=16)
        measure_recall([load(folder, offline.tokenizer, cut) for folder in folders], offline)


def compare_embedders(sets: Sequence[QuestionSet], offline: OfflineEmbedder) -> None:
    """Print one row per candidate."""
    print_header("embedder", sets)
    print_row("hashing, 256", sets, [embed_set(one, HashingEmbedder().embed) for one in sets])
    dense = [embed_set(one, one_by_one(offline.dense)) for one in sets]
    lexical = [embed_set(one, one_by_one(offline.lexical)) for one in sets]
    print_row("meaning alone, 512", sets, dense)
    print_row("words alone, 512", sets, lexical)
    for weight in WEIGHTS:
        both = [mixed(*halves, weight) for halves in zip(dense, lexical, strict=True)]
        chosen = " = offline" if weight == LEXICAL_WEIGHT else ""
        print_row(f"both, words weigh {weight}, 1024{chosen}", sets, both)


def compare_sizes(folders: Sequence[Path], offline: OfflineEmbedder) -> None:
    """Print one row per size of chunks, for the offline embedder."""
    print_header("tokens of a chunk", [load(folder, offline.tokenizer) for folder in folders])
    for size in CHUNK_SIZES:
        cut = ChunkOptions(max_tokens=size, overlap_tokens=size // 8)
        sets = [load(folder, offline.tokenizer, cut) for folder in folders]
        print_row(str(size), sets, [embed_set(one, batched(offline)) for one in sets])


def measure_recall(sets: Sequence[QuestionSet], offline: OfflineEmbedder) -> None:
    """Print recall@10 of HNSW (M 32, efConstruction 100) against exact search."""
    vectors = [embed_set(one, batched(offline)) for one in sets]
    rows = np.vstack([one.chunks for one in vectors])
    questions = np.vstack([one.questions for one in vectors])
    exact = faiss.IndexFlatIP(rows.shape[1])
    graph = faiss.IndexHNSWFlat(rows.shape[1], 32, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efConstruction = 100
    for index in (exact, graph):
        index.add(rows)
    _, truth = exact.search(questions, 10)
    print(
        f"\n{len(rows)} chunks, {len(questions)} questions\n\n| efSearch | recall@10 |\n|---|---|"
    )
    for ef_search in (32, 64, 128, 256, 512):
        graph.hnsw.efSearch = ef_search
        _, found = graph.search(questions, 10)
        hits = [len(set(a) & set(b)) for a, b in zip(truth.tolist(), found.tolist(), strict=True)]
        print(f"| {ef_search} | {np.mean(hits) / 10:.3f} |", flush=True)


def load(folder: Path, tokenizer: Tokenizer, cut: ChunkOptions | None = None) -> QuestionSet:
    """Read a question set and cut its documents."""
    documents = read_lines(folder / "corpus.jsonl")
    chunks = [
        (chunk.text, document["_id"])
        for document in documents
        for chunk in chunk_document(parsed(document), cut or ChunkOptions(), tokenizer)
    ]
    generator = random.Random(1)  # noqa: S311  a fixed draw, no secret
    grades = read_grades(folder / "qrels.tsv")
    asked = [line for line in read_lines(folder / "queries.jsonl") if line["_id"] in grades]
    asked = generator.sample(asked, min(len(asked), MOST_QUESTIONS))
    own = []
    for document in generator.sample(documents, min(len(documents), OWN_SENTENCES)):
        parts = re.split(r"(?<=[.!?])\s+", document["text"])
        if fit := [part for part in parts if 40 < len(part) < 300]:
            own.append((generator.choice(fit), document["_id"]))
    return QuestionSet(
        name=folder.name,
        chunks=[text for text, _ in chunks],
        owners=[owner for _, owner in chunks],
        questions=[line["text"] for line in asked],
        grades=[grades[line["_id"]] for line in asked],
        sentences=[text for text, _ in own],
        sentence_owners=[owner for _, owner in own],
    )


def parsed(document: dict[str, str]) -> ParsedDocument:
    """Return a document as a parser would: its title, then a paragraph per line."""
    elements = []
    if title := (document.get("title") or "").strip():
        elements.append(Element(kind=ElementKind.HEADING, text=title, level=1))
    lines = (line.strip() for line in document["text"].split("\n"))
    elements += [Element(kind=ElementKind.PARAGRAPH, text=line) for line in lines if line]
    return ParsedDocument(elements=tuple(elements))


def read_lines(path: Path) -> list[dict[str, str]]:
    """Return the objects of a JSON lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def read_grades(path: Path) -> dict[str, dict[str, float]]:
    """Return question -> document -> grade, judged useful only."""
    grades: dict[str, dict[str, float]] = {}
    for line in path.read_text(encoding="utf-8").splitlines()[1:]:
        question, document, grade = line.split("\t")[:3]
        if float(grade) > 0:
            grades.setdefault(question, {})[document] = float(grade)
    return grades


def embed_set(questions: QuestionSet, embed: Embed) -> SetVectors:
    """Embed a set's chunks, questions and sentences."""
    return SetVectors(
        chunks=embed(questions.chunks),
        questions=embed(questions.questions),
        sentences=embed(questions.sentences),
    )


def one_by_one(embed: Callable[[str], npt.NDArray[np.float64]]) -> Embed:
    """Turn a function of one text into one of many."""

    def embed_all(texts: Sequence[str]) -> Matrix:
        with ThreadPoolExecutor(2) as pool:
            return np.array(list(pool.map(embed, texts)), np.float32)

    return embed_all


def batched(offline: OfflineEmbedder) -> Embed:
    """Return the embedder's own function without its limit of texts."""

    def embed_all(texts: Sequence[str]) -> Matrix:
        size = offline.limits.texts
        starts = range(0, len(texts), size)
        return np.vstack([offline.embed(texts[start : start + size]) for start in starts])

    return embed_all


def mixed(dense: SetVectors, lexical: SetVectors, weight: float) -> SetVectors:
    """Join two halves of a set."""

    def both(one: Matrix, other: Matrix) -> Matrix:
        rows = zip(one.astype(np.float64), other.astype(np.float64), strict=True)
        return np.array([joined(*row, weight) for row in rows], np.float32)

    return SetVectors(
        chunks=both(dense.chunks, lexical.chunks),
        questions=both(dense.questions, lexical.questions),
        sentences=both(dense.sentences, lexical.sentences),
    )


def print_header(first: str, sets: Sequence[QuestionSet]) -> None:
    """Print the head of a table; cells are nDCG@10 / own-sentence@1."""
    names = [f"{one.name} ({len(one.questions)})" for one in sets]
    print(f"\n| {first} | {' | '.join(names)} | mean |\n|{'---|' * (len(sets) + 2)}", flush=True)


def print_row(name: str, sets: Sequence[QuestionSet], vectors: Sequence[SetVectors]) -> None:
    """Print the figures of one candidate."""
    figures = [score(*pair) for pair in zip(sets, vectors, strict=True)]
    mean = tuple(np.mean(figures, axis=0).tolist())
    cells = " | ".join(f"{ndcg:.3f} / {own:.3f}" for ndcg, own in (*figures, mean))
    print(f"| {name} | {cells} |", flush=True)


def score(questions: QuestionSet, vectors: SetVectors) -> tuple[float, float]:
    """Return nDCG@10 and own-sentence@1."""
    gains = [
        ndcg(ranked(row, questions.owners), grades)
        for row, grades in zip(vectors.questions @ vectors.chunks.T, questions.grades, strict=True)
    ]
    first = np.argmax(vectors.sentences @ vectors.chunks.T, axis=1)
    own = [
        questions.owners[row] == owner
        for row, owner in zip(first, questions.sentence_owners, strict=True)
    ]
    return float(np.mean(gains)), float(np.mean(own))


def ranked(scores: npt.NDArray[np.float32], owners: Sequence[str]) -> list[str]:
    """Return the ten best documents, each at the place of its best chunk."""
    found: dict[str, None] = {}
    for row in np.argsort(-scores, kind="stable"):
        found.setdefault(owners[row])
        if len(found) == 10:
            break
    return list(found)


def ndcg(found: Sequence[str], grades: dict[str, float]) -> float:
    """Return the discounted gain of a ranking over that of the best possible one."""

    def gain(values: Sequence[float]) -> float:
        return float(sum((2**value - 1) / np.log2(place + 2) for place, value in enumerate(values)))

    return gain([grades.get(one, 0.0) for one in found]) / gain(
        sorted(grades.values(), reverse=True)[:10]
    )


if __name__ == "__main__":
    main()
