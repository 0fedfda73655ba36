"""What isolation costs a document, and what hostile documents cost their neighbours.

    python benchmarks/parse_isolation.py HOSTILE_DIR... [--wall 10] [--memory-mib 1024]

First the overhead: small texts through the pool against the same work done in this process. Then
every regular file of the folders, whatever it is, each followed by a healthy text: no run may stop,
no healthy neighbour may be lost, each bomb has to end within the wall-clock limit and two seconds,
and no parser may use more memory than its cap. Ends with an error when one of them fails.
"""

import argparse
import contextlib
import os
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from parse_outcomes import whole_elements

from index_store.errors import UsageError
from tasks.stages.parsing.examination import Examination, examine
from tasks.stages.parsing.isolation import ParsePool, WorkerOptions
from tasks.stages.parsing.limits import Limits
from tasks.stages.parsing.outcome import Outcome
from tasks.stages.parsing.registry import parser_for

_TEXT = "Each lot is inspected before it is released; deviations are recorded.\n\n" * 8
_OVERHEAD_DOCUMENTS = 400
_GRACE_S = 2.0
_LOOK_S = 0.05
_CHUNKER = "parse_outcomes:whole_elements"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One hostile document and what became of it and of its neighbour."""

    path: Path
    outcome: Outcome
    neighbour: Outcome


def main() -> int:
    """Run both parts; return 1 when a bound does not hold."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folders", type=Path, nargs="+")
    arguments.add_argument("--wall", type=float, default=10.0)
    arguments.add_argument("--memory-mib", type=int, default=1024)
    options = arguments.parse_args()
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)  # where children find the chunker
    with tempfile.TemporaryDirectory() as scratch:
        _report_overhead(Path(scratch))
        limits = Limits(wall_s=options.wall, memory_bytes=options.memory_mib << 20)
        return _report_hostile(options.folders, limits, Path(scratch))


def _report_overhead(scratch: Path) -> None:
    path = scratch / "healthy.txt"
    path.write_text(_TEXT)
    alone = Examination(limits=Limits(), chunker=whole_elements({}))
    examine(str(path), "text", alone)
    direct = [_timed(lambda: examine(str(path), "text", alone)) for _ in range(_OVERHEAD_DOCUMENTS)]
    with ParsePool(1, Limits(), WorkerOptions(chunker=_CHUNKER)) as pool:
        pool.submit(path, "text").result()
        through = [
            _timed(lambda: pool.submit(path, "text").result()) for _ in range(_OVERHEAD_DOCUMENTS)
        ]
        print(f"cut off from the network: {pool.offline}")
    children = -(-_OVERHEAD_DOCUMENTS // Limits().documents_per_child)
    print(f"\n{_OVERHEAD_DOCUMENTS} small texts, {children} children, milliseconds a document")
    for name, times in (("in this process", direct), ("through the pool", through)):
        mean, median = statistics.mean(times), statistics.median(times)
        print(f"{name:18} mean {1000 * mean:7.2f}   median {1000 * median:7.2f}")
    overhead = 1000 * (statistics.mean(through) - statistics.mean(direct))
    print(f"overhead           mean {overhead:7.2f}   (goal 30)")


def _report_hostile(folders: Sequence[Path], limits: Limits, scratch: Path) -> int:
    healthy = scratch / "neighbour.txt"
    healthy.write_text(_TEXT)
    files = sorted(path for folder in folders for path in _files(folder))
    with ParsePool(2, limits, WorkerOptions(chunker=_CHUNKER)) as pool, _Watch() as watch:
        futures = [
            (path, pool.submit(path, _parser(path)), pool.submit(healthy, "text")) for path in files
        ]
        cases = [
            Case(path=path, outcome=bad.result(), neighbour=good.result())
            for path, bad, good in futures
        ]
    lost = [case for case in cases if case.neighbour.rejection is not None]
    late = [case for case in cases if case.outcome.seconds > limits.wall_s + _GRACE_S]
    outcomes = Counter(
        "parse" if case.outcome.rejection is None else case.outcome.rejection.reason.value
        for case in cases
    )
    print(f"\n{len(cases)} hostile documents: {dict(outcomes)}")
    print(f"healthy neighbours lost: {len(lost)} (goal 0)")
    print(f"later than {limits.wall_s:g} + {_GRACE_S:g} s: {len(late)} (goal 0)")
    peak_mib, cap_mib = watch.peak_bytes >> 20, limits.memory_bytes >> 20
    print(f"most memory of a parser: {peak_mib} MiB (cap {cap_mib})")
    for case in sorted(cases, key=lambda each: -each.outcome.seconds)[:8]:
        rejection = case.outcome.rejection
        became = "parse" if rejection is None else rejection.reason.value
        print(f"  {case.outcome.seconds:6.2f} s  {became:10} {case.path.name!a}")
    return int(bool(lost or late or peak_mib > cap_mib))


class _Watch:
    """Looks at the memory of every process below this one until it is left."""

    def __init__(self) -> None:
        self.peak_bytes = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> "_Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(_LOOK_S):
            for child in _children(os.getpid()):
                for below in _children(child):
                    self.peak_bytes = max(self.peak_bytes, _peak_bytes(below))


def _children(process: int) -> list[int]:
    listed = Path(f"/proc/{process}/task/{process}/children")
    found: list[int] = []
    for thread in listed.parents[1].glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(number) for number in thread.read_text().split()]
    return found


def _peak_bytes(process: int) -> int:
    with contextlib.suppress(OSError, IndexError, ValueError):
        status = Path(f"/proc/{process}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) << 10
    return 0


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            if path.is_file() and not path.is_symlink():
                yield path


def _parser(path: Path) -> str:
    """Return the parser of a name; a name of no format is tried as text."""
    try:
        return parser_for(path.name).name
    except UsageError:
        return "text"


def _timed(work: Callable[[], Outcome]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
