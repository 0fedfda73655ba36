"""One life of an index, told the same way to every side, and the table that comes of it."""

import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from side_by_side.collection import Night, next_night, own_sentence, write_collection
from side_by_side.measuring import MEBIBYTE, folder_bytes, run_measured
from side_by_side.results import Line, median

BENCHMARKS = Path(__file__).resolve().parents[1]
SHARE = 0.01
QUESTIONS = 50

Figures = dict[str, dict[str, float | None]]


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
        script = BENCHMARKS / "side_by_side" / self.script
        path = {"PYTHONPATH": f"{BENCHMARKS.parent}:{BENCHMARKS}", "DO_NOT_TRACK": "1"}
        done = run_measured([self.python, script, action, *arguments], path)
        return done.wall_s, done.peak_mib, dict(done.output)


def compare(sides: Sequence[Side], size: Size, repeats: int) -> Figures:
    """Let the sides take turns; return the median of every figure of every side."""
    seen: dict[tuple[str, str], list[float]] = defaultdict(list)
    for repeat in range(repeats):
        for side in sides if repeat % 2 == 0 else tuple(reversed(sides)):
            for name, value in one_life(side, size).items():
                seen[name, side.name].append(value)
                print(f"{side.name:12} {name:28} {value:12.3f}", file=sys.stderr, flush=True)
    figures: Figures = defaultdict(dict)
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
        step = max(1, size.documents // QUESTIONS)
        asked = [own_sentence(number, 0) for number in range(0, size.documents, step)][:QUESTIONS]
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


def lines(
    figures: Figures, ours: str, theirs: Sequence[str], goals: Mapping[str, str]
) -> tuple[Line, ...]:
    """Put figures, ratios and goals together.

    Args:
        figures: What `compare` returned.
        ours: Name of our side.
        theirs: Names of the others; the ratio is that of the best of them to ours.
        goals: Goal of a figure, in words.
    """
    made = []
    for name, values in figures.items():
        mine = values[ours]
        others = [value for side in theirs if (value := values.get(side)) is not None]
        is_share = "found" in name or "returned" in name
        ratio = min(others) / mine if mine and others and not is_share else None
        made.append(Line(name=name, values=values, goal=goals.get(name, ""), ratio=ratio))
    return tuple(made)


def _questions(night: Night) -> dict[str, list[str]]:
    gone = (*night.removed, *night.rewritten)
    return {"current": list(night.added[:QUESTIONS]), "gone": list(gone[:QUESTIONS])}
