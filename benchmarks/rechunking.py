"""Whether the whole corpus is cut into the same chunks, byte by byte, in every run.

    python benchmarks/rechunking.py DIR... [--runs 2] [--workers 2]

Each run is a process of its own with another seed for Python's hashes, and its own parser
processes. It parses and cuts every supported file of the folders with the pipeline's defaults and
writes one SHA-256 for each document, over the texts, token counts and citations of its chunks.
Ends with an error when two runs differ; documents that differ are named.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from index_store.embedders.registry import open_tokenizer
from index_store.errors import UsageError
from tasks.stages.chunking.options import ChunkOptions
from tasks.stages.parsing.isolation import ParsePool
from tasks.stages.parsing.limits import Limits
from tasks.stages.parsing.outcome import Outcome
from tasks.stages.parsing.registry import parser_for
from tasks.stages.plugged_chunker import worker_options

_WALL_S = 120.0
_ONE_RUN = "NIGHTPRESS_RECHUNKING_RUN"


def main() -> int:
    """Compare runs; return 1 when they differ."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folders", type=Path, nargs="+")
    arguments.add_argument("--runs", type=int, default=2)
    arguments.add_argument("--workers", type=int, default=2)
    options = arguments.parse_args()
    if os.environ.get(_ONE_RUN):
        print(json.dumps(dict(hashes(options.folders, options.workers))))
        return 0
    runs = [another_run(seed) for seed in range(options.runs)]
    first = runs[0]
    texts = sum(count for _, count in first.values())
    print(f"{len(first)} files, {texts} chunks, {len(runs)} runs")
    differing = sorted({name for run in runs for name in first if run[name] != first[name]})
    print(f"files whose chunks differ: {len(differing)}")
    for name in differing[:20]:
        print(f"  {name!a}")
    whole = hashlib.sha256(json.dumps(first, sort_keys=True).encode()).hexdigest()
    print(f"over all chunks of the first run: {whole[:16]}")
    return int(bool(differing) or not texts)


def another_run(seed: int) -> dict[str, list[str | int]]:
    """Return the hashes of one run in a process of its own."""
    environment = {**os.environ, _ONE_RUN: "1", "PYTHONHASHSEED": str(seed)}
    command = [sys.executable, *sys.argv]
    found = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
    return dict(json.loads(found.stdout))


def hashes(folders: Sequence[Path], workers: int) -> Iterator[tuple[str, tuple[str, int]]]:
    """Yield each file with the hash over its chunks and their number."""
    paths = sorted(path for folder in folders for path in supported(folder))
    work = worker_options(ChunkOptions(), open_tokenizer("offline").identity)
    with ParsePool(workers, Limits(wall_s=_WALL_S), work) as pool:
        futures = [(path, pool.submit(path, parser_for(path.name).name)) for path in paths]
        for path, future in futures:
            outcome = future.result()
            yield str(path), (hash_of(outcome), len(outcome.chunks or ()))


def supported(folder: Path) -> Iterator[Path]:
    """Yield the regular files of a folder that a parser reads."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            try:
                parser_for(path.name)
            except UsageError:
                continue
            yield path


def hash_of(outcome: Outcome) -> str:
    """Return a hash over all that a document was cut into, or why it was not."""
    refused = outcome.rejection.reason.value if outcome.rejection else None
    chunks = [asdict(chunk) for chunk in outcome.chunks or ()]
    return hashlib.sha256(json.dumps([refused, chunks]).encode()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
