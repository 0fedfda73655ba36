"""nightpress beside the system that it takes over, on the same documents with the same embedder.

    python benchmarks/taken_over.py --peers PYTHON [--documents N] [--characters N] [--repeats N]

PYTHON is the interpreter of an environment with `requirements/peers.txt`. Both sides index the
same documents, are asked, live through a night on which 1 % of the documents are rewritten or
removed, and are asked again, also for what is gone. They take turns; figures are medians.
"""

import argparse
import sys
from pathlib import Path

from side_by_side.lives import Side, Size, compare, lines
from side_by_side.results import Result, keep, machine

OURS, THEIRS = "nightpress", "taken over"
GOALS = {
    "full build, s": "at least 5 x faster",
    "full build, peak MiB": "at most 1/3",
    "on disk, MiB": "at most 1/3",
    "ready to answer, s": "at least 50 x shorter",
    "night of 1 %, s": "at least 20 x faster",
    "deleted text returned": "0",
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", type=Path, required=True)
    parser.add_argument("--documents", type=int, default=4000)
    parser.add_argument("--characters", type=int, default=14_000)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    size = Size(documents=given.documents, characters=given.characters)
    sides = (
        Side(name=OURS, python=Path(sys.executable), script="side_nightpress.py"),
        Side(name=THEIRS, python=given.peers, script="side_taken_over.py"),
    )
    result = Result(
        title=f"{size.documents:,} documents of {size.characters:,} characters",
        command="python benchmarks/taken_over.py --peers PYTHON",
        sides=(OURS, THEIRS),
        lines=lines(compare(sides, size, given.repeats), OURS, (THEIRS,), GOALS),
        notes=(
            f"medians of {given.repeats} turns; seconds of whole processes, start and imports "
            "included; memory of the process tree",
            "ready: from the call that opens the index to its first answer, imports excluded",
            "nightpress also builds an index of words, which the other has not",
        ),
        seen=machine(["faiss-cpu", "prefect"]),
    )
    keep("taken_over", result)


if __name__ == "__main__":
    main()
