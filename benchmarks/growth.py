"""How cost grows with the collection: full run, unchanged night, 1 % night, expiry and opening.

    python benchmarks/growth.py [--documents 1000 10000 100000]

Small documents, hashing embedder, console script; each size lives in folders of its own. Seconds
are of processor time of the process tree, the start of Prefect included, so that other work on the
machine weighs little; memory is the largest of the process tree. The exponent is the slope of a
line through logarithms: 1 is proportional, 0 is independent of the size. For nights it is in the
*change*. For 1 and 10 million documents see `catalog_growth.py`, which has no documents.
"""

import argparse
import math
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from side_by_side.collection import next_night, write_collection
from side_by_side.measuring import MEBIBYTE, Measured, folder_bytes, run_measured
from side_by_side.results import Line, Result, keep, machine

SHARE = 0.01
CHARACTERS = 300
SCRIPT = Path(sys.executable).with_name("nightpress")

Figures = dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """Folders of one collection."""

    root: Path

    @property
    def source(self) -> Path:
        """Its documents."""
        return self.root / "source"

    @property
    def store(self) -> Path:
        """Its store."""
        return self.root / "store"

    def call(self, *words: object) -> Measured:
        """Run the console script on it."""
        command = [SCRIPT, *map(str, words), "--store", self.store, "--json"]
        return run_measured(command, {"PREFECT_HOME": str(self.root / "prefect")})

    def night(self) -> Measured:
        """Index what changed."""
        return self.call("run", "--source", self.source, "--embedder", "hashing:64", "--quiet")


def main() -> None:
    """Measure every size and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, nargs="+", default=[1000, 10_000, 100_000])
    sizes: list[int] = parser.parse_args().documents
    figures: Figures = {}
    for size in sizes:
        with tempfile.TemporaryDirectory(prefix="nightpress-bench-") as folder:
            for name, value in _life(Home(root=Path(folder)), size).items():
                figures.setdefault(name, {})[f"{size:,}"] = value
                print(f"{size:9,} {name:32} {value:12.3f}", file=sys.stderr, flush=True)
    result = Result(
        title=f"growth, documents of {CHARACTERS} characters",
        command="python benchmarks/growth.py",
        sides=tuple(f"{size:,}" for size in sizes),
        lines=tuple(_lines(figures, sizes)),
        notes=(
            "the exponent is that between the two largest sizes; that of nights is in the "
            "change, which is 1 % of each collection",
            "seconds of processor time, of which the start of Prefect and of Python is the same "
            "at every size",
        ),
        seen=machine(["faiss-cpu", "prefect"]),
    )
    keep("growth", result)


def _life(home: Home, size: int) -> dict[str, float]:
    write_collection(home.source, size, CHARACTERS)
    full = home.night()
    full_bytes = folder_bytes(home.store)
    idle = home.night()
    plan = home.call("plan", "--source", home.source, "--embedder", "hashing:64")
    next_night(home.source, size, CHARACTERS, SHARE)
    night = home.night()
    night_bytes = folder_bytes(home.store) - full_bytes
    opened = home.call("search", "case", "-k", "1", "--mode", "dense")
    expired = home.call("expire", "--yes", "--keep-last", "1", "--grace-hours", "0")
    shutil.rmtree(home.store)
    return {
        "full run, s": full.cpu_s,
        "full run, wall s": full.wall_s,
        "full run, MiB written": full_bytes / MEBIBYTE,
        "full run, peak MiB": full.peak_mib,
        "unchanged night, s": idle.cpu_s,
        "unchanged night, wall s": idle.wall_s,
        "plan, s": plan.cpu_s,
        "night of 1 %, s": night.cpu_s,
        "night of 1 %, MiB written": night_bytes / MEBIBYTE,
        "night of 1 %, peak MiB": night.peak_mib,
        "publish, wall s": float(full.output["seconds"]["publish"]),
        "search of a new process, s": opened.cpu_s,
        "expire, s": expired.cpu_s,
    }


def _lines(figures: Figures, sizes: Sequence[int]) -> list[Line]:
    goals = {
        "full run, s": "exponent at most 1.05",
        "full run, MiB written": "exponent at most 1.05",
        "full run, peak MiB": "flat: at most +15 % from 10,000 to 100,000",
        "night of 1 %, s": "exponent at most 1.05; at most 3 % of the full run at 100,000",
        "night of 1 %, MiB written": "exponent at most 1.05; at most 3 % of the full run",
    }
    small, large = sizes[-2:]
    return [
        Line(
            name=name,
            values=values,
            goal=goals.get(name, ""),
            ratio=math.log(max(values[f"{large:,}"], 1e-9) / max(values[f"{small:,}"], 1e-9))
            / math.log(large / small),
        )
        for name, values in figures.items()
    ]


if __name__ == "__main__":
    if not SCRIPT.exists():
        sys.exit(f"{SCRIPT} is missing: install nightpress beside this interpreter")
    os.environ.setdefault("DO_NOT_TRACK", "1")
    main()
