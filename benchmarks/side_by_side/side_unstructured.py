"""`unstructured` for parsing and chunking, raw FAISS, and a JSON file of texts: the usual script.

Offline it lacks the spaCy model that it downloads at run time; an empty one with a rule for
sentences stands in, so its seconds are a lower bound. A script of this kind builds all anew.
"""

import json
import os
from pathlib import Path

os.environ["UNSTRUCTURED_DISABLE_NOTICE"] = "1"

import faiss
import numpy as np
import spacy
from side_by_side.side import CHUNK_CHARS, DIMENSION, Answers, main
from side_by_side.words import embed
from unstructured.chunking.title import chunk_by_title
from unstructured.nlp import tokenize
from unstructured.partition.md import partition_md

EMBEDDED_AT_ONCE = 1000


def build(source: Path, store: Path) -> None:
    """Index everything anew, also on the next night."""
    tokenize._load_spacy_model = _sentences_only
    texts: list[str] = []
    for path in sorted(source.rglob("*.md")):
        chunks = chunk_by_title(partition_md(str(path)), max_characters=CHUNK_CHARS)
        texts += [chunk.text for chunk in chunks]
    raw = faiss.IndexHNSWFlat(DIMENSION, 32, faiss.METRIC_INNER_PRODUCT)
    raw.hnsw.efConstruction, raw.hnsw.efSearch = 100, 64
    for start in range(0, len(texts), EMBEDDED_AT_ONCE):
        raw.add(np.asarray(embed(texts[start : start + EMBEDDED_AT_ONCE])))
    faiss.write_index(raw, str(store / "faiss.index"))
    (store / "texts.json").write_text(json.dumps(texts))


def open_store(store: Path) -> Answers:
    """Load the index and return how it answers."""
    raw = faiss.read_index(str(store / "faiss.index"))
    texts = json.loads((store / "texts.json").read_text())

    def ask(question: str) -> list[str]:
        _, rows = raw.search(embed([question]), 10)
        return [texts[row] for row in rows[0] if row >= 0]

    return ask


def _sentences_only() -> spacy.language.Language:
    language = spacy.blank("en")
    language.add_pipe("sentencizer")
    return language


if __name__ == "__main__":
    main(build, build, open_store)
