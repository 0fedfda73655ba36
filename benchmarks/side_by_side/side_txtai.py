"""txtai with content in SQLite and its default FAISS index; the script tells what changed."""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from side_by_side.side import CHUNK_CHARS, OVERLAP_CHARS, Answers, main

os.environ["ALLOW_RESOLVE_TRANSFORM"] = "True"  # takes a function by its name

from txtai import Embeddings

Ledger = dict[str, tuple[str, int]]  # path: hash of the content, chunks


def build(source: Path, store: Path) -> None:
    """Index everything."""
    embeddings = _new()
    ledger: Ledger = {}
    embeddings.index(_chunks(sorted(source.rglob("*.md")), ledger))
    _save(embeddings, store, ledger)


def night(source: Path, store: Path) -> None:
    """Delete the chunks of what changed or is gone, then add what is new."""
    embeddings = open_index(store)
    ledger: Ledger = json.loads((store / "ledger.json").read_text())
    present = {str(path): path for path in sorted(source.rglob("*.md"))}
    stale = [
        name
        for name, (digest, _) in ledger.items()
        if name not in present or _digest(present[name]) != digest
    ]
    for name in stale:
        _, count = ledger.pop(name)
        embeddings.delete([f"{name}#{number}" for number in range(count)])
    added = [path for name, path in present.items() if name not in ledger]
    if added:
        embeddings.upsert(_chunks(added, ledger))
    _save(embeddings, store, ledger)


def open_store(store: Path) -> Answers:
    """Load the index and return how it answers."""
    embeddings = open_index(store)

    def ask(question: str) -> list[str]:
        return [hit["text"] for hit in embeddings.search(question, 10)]

    return ask


def open_index(store: Path) -> Embeddings:
    """Load what was saved."""
    embeddings = _new()
    embeddings.load(str(store / "index"))
    return embeddings


def _new() -> Embeddings:
    return Embeddings(
        method="external", transform="side_by_side.words.embed", content=True, backend="faiss"
    )


def _chunks(paths: list[Path], ledger: Ledger) -> Iterator[tuple[str, str, None]]:
    for path in paths:
        text = path.read_text(encoding="utf-8")
        step = CHUNK_CHARS - OVERLAP_CHARS
        parts = [text[start : start + CHUNK_CHARS] for start in range(0, len(text), step)]
        ledger[str(path)] = (_digest(path), len(parts))
        for number, part in enumerate(parts):
            yield f"{path}#{number}", part, None


def _save(embeddings: Embeddings, store: Path, ledger: Ledger) -> None:
    embeddings.save(str(store / "index"))
    (store / "ledger.json").write_text(json.dumps(ledger))


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    main(build, night, open_store)
