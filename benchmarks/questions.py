"""How well a published collection answers real questions, and finds a document by its own sentence.

    python benchmarks/questions.py SET [SET ...]

A SET is a folder with `docs/`, `queries.jsonl` (`_id`, `text`) and `qrels.tsv` (query, path below
`docs`). Each is indexed by the console script into a store of its own; prints one line per set.
"""

import json
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from index_store.embedder import Embedder
from index_store.embedders.registry import open_embedder, spec_string
from index_store.search_options import Question, SearchOptions
from index_store.snapshot import Snapshot
from index_store.storage.opening import open_storage

DEPTH = 10  # documents that count for nDCG
SENTENCES = 5  # asked for per document
SEED = 3
HEAD = (
    "set",
    "questions",
    "nDCG@10",
    "first right",
    "sentences",
    "own document first",
    "the same without quotations",
    "ms a search",
)


def main(folders: Sequence[str]) -> None:
    """Index and question each set."""
    print("| " + " | ".join(HEAD) + " |")
    print("|" + "---|" * len(HEAD))
    for folder in folders:
        with tempfile.TemporaryDirectory() as store:
            print("| " + " | ".join(measure(Path(folder), store)) + " |", flush=True)


def measure(folder: Path, store: str) -> list[str]:
    """Return one row of the table."""
    script = Path(sys.executable).with_name("nightpress")
    command = [str(script), "run", "--source", str(folder / "docs"), "--store", store, "--quiet"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    with Snapshot.open(open_storage(store), "documents") as snapshot:
        embedder = open_embedder(spec_string(snapshot.manifest.embedder))
        gains, firsts, spent = ask_questions(folder, snapshot, embedder)
        quoted, plain, sentences = ask_sentences(snapshot, embedder)
        embedder.close()
    return [
        folder.name,
        str(len(gains)),
        f"{np.mean(gains):.3f}",
        f"{np.mean(firsts):.3f}",
        str(sentences),
        f"{quoted:.3f}",
        f"{plain:.3f}",
        f"{1000 * spent / len(gains):.1f}",
    ]


def ask_questions(
    folder: Path, snapshot: Snapshot, embedder: Embedder
) -> tuple[list[float], list[bool], float]:
    """Return nDCG@10 and whether the first document is right, per question, and the seconds."""
    relevant: dict[str, set[str]] = {}
    for line in (folder / "qrels.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        query, path, *_ = line.split("\t")
        relevant.setdefault(query, set()).add(path)
    gains, firsts, spent = [], [], 0.0
    for line in (folder / "queries.jsonl").read_text(encoding="utf-8").splitlines():
        query = json.loads(line)
        wanted = relevant.get(query["_id"])
        if wanted is None:
            continue
        vector = embedder.embed_question(query["text"])
        began = time.perf_counter()
        hits = snapshot.search(Question(text=query["text"], vector=vector), SearchOptions(k=50))
        spent += time.perf_counter() - began
        found = list(dict.fromkeys(hit.uri for hit in hits))[:DEPTH]
        ideal = sum(1 / np.log2(place + 2) for place in range(min(DEPTH, len(wanted))))
        gain = sum(1 / np.log2(place + 2) for place, uri in enumerate(found) if uri in wanted)
        gains.append(float(gain / ideal))
        firsts.append(bool(found) and found[0] in wanted)
    return gains, firsts, spent


def ask_sentences(snapshot: Snapshot, embedder: Embedder) -> tuple[float, float, int]:
    """Return how often a sentence that stands in one document alone finds it first."""
    texts = {uri: re.sub(r"\s+", " ", text) for uri, text in document_texts(snapshot)}
    chance = random.Random(SEED)  # noqa: S311 - a sample, not a secret
    quoted = plain = asked = 0
    for uri, text in texts.items():
        sentences = [part for part in re.split(r"(?<=[.!?])\s+", text) if 40 < len(part) < 300]
        for sentence in chance.sample(sentences, min(SENTENCES, len(sentences))):
            if sum(sentence in other for other in texts.values()) > 1:
                continue
            vector = embedder.embed_question(sentence)
            asked += 1
            asked = Question(text=sentence, vector=vector)
            quoted += snapshot.search(asked, SearchOptions(k=1))[0].uri == uri
            plain += snapshot.nearest(vector, 1)[0].uri == uri
    return quoted / asked, plain / asked, asked


def document_texts(snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    """Yield the uri and the text of every document of a version."""
    for table in snapshot.chunk_tables():
        for uri, start, end in table.documents():
            yield uri, "\n".join(table.text(row) for row in range(start, end))


if __name__ == "__main__":
    main(sys.argv[1:])
