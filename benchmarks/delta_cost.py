"""What a night that changes 1 % writes, and what a reader that has the version before downloads.

    python benchmarks/delta_cost.py

A source of text files is indexed by the command, 1 % of its documents get new content, and the same
command is run again. Written is by how much the store grew; downloaded are the files of the new
version that the one before does not have, with its manifest and the new records of the log.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from index_store.collections import load_manifest
from index_store.layout import LOG_NAME
from index_store.log import CommitLog
from index_store.log_records import PRODUCTION
from index_store.storage.folder import FolderStorage

DOCUMENTS = 1000
CHANGED = 10
PARAGRAPHS = 60
WORDS = 110  # of a paragraph
COLLECTION = "documents"


def write_document(path: Path, seed: int) -> None:
    """Write a text of its own, of words that are as long as words are."""
    drawn = np.random.default_rng(seed)
    letters = np.array(list("etaoinshrdlucmfwypvbgkjqxz"))
    vocabulary = ["".join(drawn.choice(letters, size)) for size in drawn.integers(2, 11, 400)]
    paragraphs = [" ".join(drawn.choice(vocabulary, WORDS)) + "." for _ in range(PARAGRAPHS)]
    path.write_text("\n\n".join(paragraphs))


def run(source: Path, store: Path) -> None:
    """Run a night."""
    command = [sys.executable, "-m", "flows.cli", "run", "--quiet", "--embedder", "hashing:384"]
    arguments = ["--source", str(source), "--store", str(store)]
    subprocess.run([*command, *arguments], check=True, env=os.environ, stdout=subprocess.DEVNULL)


def store_bytes(storage: FolderStorage) -> int:
    """Return the size of everything in the store."""
    return sum(entry.size_bytes for entry in storage.list(""))


def main() -> None:
    """Print both shares."""
    with tempfile.TemporaryDirectory() as folder:
        source, store = Path(folder) / "source", Path(folder) / "store"
        source.mkdir()
        for number in range(DOCUMENTS):
            write_document(source / f"{number:05d}.txt", number)
        run(source, store)
        storage = FolderStorage(store)
        log = CommitLog(storage, COLLECTION)
        state = log.read()
        parent = load_manifest(storage, state.versions[state.channels[PRODUCTION]])
        size, first = store_bytes(storage), state.seq
        for number in range(0, DOCUMENTS, DOCUMENTS // CHANGED):
            write_document(source / f"{number:05d}.txt", DOCUMENTS + number)
        run(source, store)
        state = log.read()
        published = state.versions[state.channels[PRODUCTION]]
        manifest = load_manifest(storage, published)
        has = {artifact.key for artifact in parent.artifacts}
        lacks = [each.size_bytes for each in manifest.artifacts if each.key not in has]
        records = [
            entry.size_bytes
            for entry in storage.list(f"{COLLECTION}/log/")
            if (name := LOG_NAME.fullmatch(Path(entry.key).name)) and int(name[1]) > first
        ]
        version_bytes = sum(artifact.size_bytes for artifact in manifest.artifacts)
        written = store_bytes(storage) - size
        downloaded = sum(lacks) + sum(records) + published.manifest.size_bytes
    print("| documents changed | collection MiB | written MiB | of the collection | ", end="")
    print("version MiB | downloaded MiB | of the version |")
    print("|---|---|---|---|---|---|---|")
    mebibyte = 1 << 20
    print(
        f"| {CHANGED} of {DOCUMENTS:,} | {size / mebibyte:.1f} | {written / mebibyte:.2f} | "
        f"{written / size:.2%} | {version_bytes / mebibyte:.1f} | {downloaded / mebibyte:.2f} | "
        f"{downloaded / version_bytes:.2%} |"
    )


if __name__ == "__main__":
    main()
