"""A night on which nothing changed, through the console script.

    python benchmarks/unchanged_night.py [--documents N]

Makes N small documents, indexes them once, then runs again: seconds in all, Prefect included, and
proof that nothing was parsed, embedded or published.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

GOAL_S = 15.0
PER_FOLDER = 500


def main() -> None:
    """Make the documents, run twice and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=20_000)
    count = parser.parse_args().documents
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        _write(root / "source", count)
        first, first_s = _run(root)
        stored = _keys(root / "store")
        again, again_s = _run(root)
        idle = again["unchanged"] and "parse" not in again["seconds"]
        if not idle or again["embedding"]["requests"] or _keys(root / "store") != stored:
            sys.exit(f"something was done on an unchanged night: {again}")
    print(f"first night     {first_s:6.1f} s, {count} documents, {first['chunks']['total']} chunks")
    print(f"                {first['seconds']}")
    print(f"unchanged night {again_s:6.1f} s (goal {GOAL_S:g} s)")
    print(f"                {again['seconds']}")


def _write(source: Path, count: int) -> None:
    for number in range(count):
        path = source / f"{number // PER_FOLDER:04d}" / f"{number:06d}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            f"Note {number} of the collection.\n\nIt says that case {number * 7} was closed on day "
            f"{number % 365} by office {number % 41}, and why it took {number % 17} weeks."
        )


def _run(root: Path) -> tuple[dict[str, Any], float]:
    """Return the report and the seconds in all."""
    script = Path(sys.executable).with_name("nightpress")
    words = ["run", "--source", root / "source", "--store", root / "store"]
    began = time.perf_counter()
    done = subprocess.run(
        [script, *words, "--embedder", "hashing", "--json", "--quiet"],
        stdout=subprocess.PIPE,
        cwd=root,
        env={**os.environ, "PREFECT_HOME": str(root / "prefect")},
        check=True,
    )
    return json.loads(done.stdout), time.perf_counter() - began


def _keys(store: Path) -> set[str]:
    return {str(path.relative_to(store)) for path in store.rglob("*") if path.is_file()}


if __name__ == "__main__":
    main()
