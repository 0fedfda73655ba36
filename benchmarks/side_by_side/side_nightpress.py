"""nightpress itself, through its console script and its reader."""

import os
import subprocess
import sys
from pathlib import Path

from side_by_side.side import DIMENSION, Answers, main

from index_store.embedders.hashing import HashingEmbedder
from index_store.embedders.registry import open_embedder, spec_string
from index_store.search_options import Question, SearchOptions
from index_store.snapshot import Snapshot, SnapshotOptions
from index_store.storage.opening import open_storage

COLLECTION = "documents"


def run(source: Path, store: Path) -> None:
    """Index what is new, whichever night it is."""
    script = Path(sys.executable).with_name("nightpress")
    words = ["run", "--source", source, "--store", store / "store", "--quiet", "--json"]
    subprocess.run(
        [script, *words, "--embedder", f"hashing:{DIMENSION}"],
        cwd=store,
        env={**os.environ, "PREFECT_HOME": str(store.parent / "prefect")},
        stdout=subprocess.DEVNULL,
        check=True,
    )


def open_store(store: Path) -> Answers:
    """Open the published version and return how it answers."""
    storage = open_storage(str(store / "store"))
    snapshot = Snapshot.open(storage, COLLECTION, options=SnapshotOptions(verify=False))
    embedder = open_embedder(spec_string(snapshot.manifest.embedder))
    assert isinstance(embedder, HashingEmbedder)  # noqa: S101 - the only kind written here

    def ask(question: str) -> list[str]:
        asked = Question(text=question, vector=embedder.embed_question(question))
        return [hit.text for hit in snapshot.search(asked, SearchOptions(k=10, all_groups=True))]

    return ask


if __name__ == "__main__":
    main(run, run, open_store)
