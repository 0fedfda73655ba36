"""nightpress beside the system that it takes over, on the same documents with the same embedder.

    python benchmarks/taken_over.py --peers PYTHON [--documents N] [--characters N] [--repeats N]

PYTHON is the interpreter of an environment with `requirements/in/peers.in`. Both sides index the
same documents, are asked, live through a night on which 1 % of the documents are rewritten or
removed, and are asked again, also for what is gone. They take turns; figures are medians.
"""

import argparse
import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from side_by_side.collection import Night, next_night, own_sentence, write_collection
from side_by_side.measuring import MEBIBYTE, folder_bytes, run_measured
from side_by_side.results import Line, Result, keep, machine, median

HERE = Path(__file__).resolve().parent
OURS, THEIRS = "nightpress", "taken over"
SHARE = 0.01
QUESTIONS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is indexed."""

    documents: int
    characters: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A side: the script that speaks for it, and the Python that runs it."""

    name: str
    python: Path
    script: str

    def run(self, action: str, *arguments: Path) -> tuple[float, float, dict[str, float]]:
        """Do one thing in a process of its own; return seconds, MiB and what it printed."""
        script = HERE / "side_by_side" / self.script
        path = {"PYTHONPATH": f"{HERE.parent}:{HERE}", "DO_NOT_TRACK": "1"}
        done = run_measured([self.python, script, action, *arguments], path)
        return done.wall_s, done.peak_mib, dict(done.output)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peers", type=Path, required=True)
    parser.add_argument("--documents", type=int, default=4000)
    parser.add_argument("--characters", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    size = Size(documents=given.documents, characters=given.characters)
    sides = (
        Side(name=OURS, python=Path(sys.executable), script="side_nightpress.py"),
        Side(name=THEIRS, python=given.peers, script="side_taken_over.py"),
    )
    figures = compare(sides, size, given.repeats)
    result = Result(
        title=f"{size.documents:,} documents of {size.characters:,} characters",
        command="python benchmarks/taken_over.py",
        sides=(OURS, THEIRS),
        lines=lines(figures),
        notes=(
            "seconds of whole processes, start and imports included; memory of the process tree",
            "ready: from the call that opens the index to its first answer, imports excluded",
        ),
        seen=machine(["faiss-cpu", "prefect"]),
    )
    keep("taken_over", result)


def compare(sides: Sequence[Side], size: Size, repeats: int) -> dict[str, dict[str, float]]:
    """Return the median of every figure of every side: figure, side, value."""
    seen: dict[tuple[str, str], list[float]] = defaultdict(list)
    for repeat in range(repeats):
        for side in sides if repeat % 2 == 0 else tuple(reversed(sides)):
            for name, value in one_life(side, size).items():
                seen[name, side.name].append(value)
                print(f"{side.name:12} {name:28} {value:12.3f}", file=sys.stderr, flush=True)
    figures: dict[str, dict[str, float]] = defaultdict(dict)
    for (name, side_name), values in seen.items():
        figures[name][side_name] = median(values)
    return figures


def one_life(side: Side, size: Size) -> dict[str, float]:
    """Build, ask, live through a night and ask again."""
    with tempfile.TemporaryDirectory(prefix="nightpress-bench-") as folder:
        source, store = Path(folder) / "source", Path(folder) / "side"
        write_collection(source, size.documents, size.characters)
        build_s, build_mib, _ = side.run("build", source, store)
        disk_mib = folder_bytes(store) / MEBIBYTE
        first = Path(folder) / "first.json"
        asked = [own_sentence(number, 0) for number in range(0, size.documents, 100)][:QUESTIONS]
        first.write_text(json.dumps({"current": asked, "gone": ["Nobody ever wrote this."]}))
        _, ask_mib, before = side.run("ask", store, first)
        night = next_night(source, size.documents, size.characters, SHARE)
        night_s, night_mib, _ = side.run("night", source, store)
        second = Path(folder) / "second.json"
        second.write_text(json.dumps(_questions(night)))
        _, _, after = side.run("ask", store, second)
    return {
        "full build, s": build_s,
        "full build, peak MiB": build_mib,
        "on disk, MiB": disk_mib,
        "ready to answer, s": before["ready_s"],
        "serving, peak MiB": ask_mib,
        "one question, ms": before["query_ms"],
        "own sentence found": before["current"],
        "night of 1 %, s": night_s,
        "night of 1 %, peak MiB": night_mib,
        "new text found": after["current"],
        "deleted text returned": after["gone"],
    }


def _questions(night: Night) -> dict[str, list[str]]:
    gone = (*night.removed, *night.rewritten)
    return {"current": list(night.added[:QUESTIONS]), "gone": list(gone[:QUESTIONS])}


def lines(figures: dict[str, dict[str, float]]) -> tuple[Line, ...]:
    """Put figures, ratios and goals together."""
    goals = {
        "full build, s": "at least 5 x faster",
        "full build, peak MiB": "at most 1/3",
        "on disk, MiB": "at most 1/3",
        "ready to answer, s": "at least 50 x shorter",
        "night of 1 %, s": "at least 20 x faster",
        "deleted text returned": "0",
    }
    made = []
    for name, values in figures.items():
        ours, theirs = values[OURS], values[THEIRS]
        ratio = theirs / ours if ours and "found" not in name and "returned" not in name else None
        made.append(Line(name=name, values=values, goal=goals.get(name, ""), ratio=ratio))
    return tuple(made)


if __name__ == "__main__":
    main()
