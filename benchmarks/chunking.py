"""How fast documents are cut, beside LlamaIndex's TokenTextSplitter in the same run.

    python benchmarks/chunking.py RELEVANCE_DIR

Each RELEVANCE_DIR/*/corpus.jsonl is one text of at most a megabyte. Rates are megabytes of UTF-8
per second of processor time, the median of three rounds that take turns. `cold` begins with a new
tokenizer that has seen no word.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from llama_index.core.node_parser import TokenTextSplitter

from index_store.embedders.registry import open_tokenizer
from tasks.stages.chunking.chunker import chunk_document
from tasks.stages.chunking.options import ChunkOptions
from tasks.stages.parsing.elements import Element, ElementKind, ParsedDocument

ROUNDS = 3
MOST_BYTES = 1_000_000
OPTIONS = ChunkOptions()


def main() -> None:
    """Print a table of rates and one of chunks."""
    parser = argparse.ArgumentParser(description="compare the chunker with TokenTextSplitter")
    parser.add_argument("relevance", type=Path, metavar="RELEVANCE_DIR")
    sources = sorted(parser.parse_args().relevance.glob("*/corpus.jsonl"))
    if not sources:
        sys.exit("no corpus.jsonl found")
    print(
        "| text | MB | chunks | fill | cold MB/s | warm MB/s | TokenTextSplitter MB/s | warm is |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for source in sources:
        print_row(source.parent.name, texts_of(source))


def texts_of(source: Path) -> list[str]:
    """Return the documents of a set, up to the limit of bytes."""
    texts: list[str] = []
    size = 0
    with source.open(encoding="utf-8") as lines:
        for line in lines:
            text = json.loads(line)["text"]
            size += len(text.encode())
            if size > MOST_BYTES:
                break
            texts.append(text)
    return texts


def print_row(name: str, texts: Sequence[str]) -> None:
    """Measure one text."""
    document = ParsedDocument(
        elements=tuple(
            Element(kind=ElementKind.PARAGRAPH, text=line.strip())
            for text in texts
            for line in text.split("\n")
            if line.strip()
        )
    )
    whole = "\n".join(texts)
    size = len(whole.encode()) / 1e6
    splitter = TokenTextSplitter(chunk_size=512, chunk_overlap=64)
    cold, warm, peer = [], [], []
    for _ in range(ROUNDS):
        tokenizer = open_tokenizer("offline")
        cold.append(seconds(lambda: chunk_document(document, OPTIONS, tokenizer)))  # noqa: B023
        warm.append(seconds(lambda: chunk_document(document, OPTIONS, tokenizer)))  # noqa: B023
        peer.append(seconds(lambda: splitter.split_text(whole)))
    chunks = chunk_document(document, OPTIONS, open_tokenizer("offline"))
    fill = statistics.mean(chunk.tokens for chunk in chunks) / OPTIONS.max_tokens
    rates = [size / statistics.median(times) for times in (cold, warm, peer)]
    cells = " | ".join(f"{rate:.1f}" for rate in rates)
    print(
        f"| {name} | {size:.2f} | {len(chunks)} | {fill:.2f} | {cells} "
        f"| {rates[1] / rates[2]:.0f} x |",
        flush=True,
    )


def seconds(work: Callable[[], object]) -> float:
    """Return the processor time of one call."""
    start = time.process_time()
    work()
    return time.process_time() - start


if __name__ == "__main__":
    main()
