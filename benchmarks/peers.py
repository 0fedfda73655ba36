"""nightpress beside other ways to do the same job, as far as each can do it.

    python benchmarks/peers.py --peers PYTHON [--documents N] [--characters N] [--repeats N]

PYTHON is the interpreter of an environment with `requirements/peers.txt`. Every side indexes the
same documents with the same embedder, is asked, lives through a night on which 1 % of the documents
are rewritten or removed, and is asked again, also for what is gone. Figures are medians.
"""

import argparse
import sys
from pathlib import Path

from side_by_side.lives import Side, Size, compare, lines
from side_by_side.results import Result, keep, machine

OURS = "nightpress"
PEERS = {
    "LlamaIndex": "side_llama_pipeline.py",
    "LangChain": "side_langchain.py",
    "txtai": "side_txtai.py",
    "unstructured": "side_unstructured.py",
    "CocoIndex": "side_cocoindex.py",
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", type=Path, required=True)
    parser.add_argument("--documents", type=int, default=1000)
    parser.add_argument("--characters", type=int, default=14_000)
    parser.add_argument("--repeats", type=int, default=1)
    given = parser.parse_args()
    size = Size(documents=given.documents, characters=given.characters)
    ours = Side(name=OURS, python=Path(sys.executable), script="side_nightpress.py")
    theirs = [Side(name=name, python=given.peers, script=file) for name, file in PEERS.items()]
    figures = compare((ours, *theirs), size, given.repeats)
    result = Result(
        title=f"{size.documents:,} documents of {size.characters:,} characters",
        command="python benchmarks/peers.py --peers PYTHON",
        sides=(OURS, *PEERS),
        lines=lines(figures, OURS, tuple(PEERS), {"deleted text returned": "0"}),
        notes=(
            "the ratio is that of the best peer to nightpress; seconds of whole processes, start "
            "and imports included",
            "LlamaIndex (`IngestionPipeline`, docstore, cache, FAISS store): cannot delete from "
            "FAISS, so what changed or vanished is still returned; the store keeps no texts",
            "LangChain (indexing API, SQL record manager, FAISS store): an exact index, as HNSW "
            "cannot delete; reads and splits every document each night; saved with pickle",
            "txtai (external vectors, content in SQLite, FAISS): the script tells what changed",
            "unstructured and raw FAISS: builds all anew each night; without its spaCy model",
            "CocoIndex (memoised function per file, SQLite target): has no FAISS target, so the "
            "script builds the index anew from SQLite after each update",
            "none of the others publishes a version, verifies it, goes back to one, or searches by "
            "words as well in this job; nightpress does all of that in the seconds shown",
        ),
        seen=machine(["faiss-cpu", "prefect"]),
    )
    keep("peers", result)


if __name__ == "__main__":
    main()
