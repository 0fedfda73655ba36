"""Run a command as a process of its own and measure it with all its children.

Invariants: both sides of a comparison are measured by the same code; memory is the proportional
share (PSS) of the whole process tree, sampled, so what children share counts once.
"""

import json
import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SAMPLE_S = 0.1
MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one process came to.

    Attributes:
        wall_s: Seconds from start to end.
        cpu_s: Seconds of processor time, children included.
        peak_mib: Largest sum of proportional memory over the process tree, MiB.
        output: The JSON object that it printed last.
    """

    wall_s: float
    cpu_s: float
    peak_mib: float
    output: Mapping[str, Any]


def run_measured(
    command: Sequence[str | Path], environment: Mapping[str, str] | None = None
) -> Measured:
    """Run a command whose standard output is, or ends in a line that is, a JSON object.

    Args:
        command: Program and arguments.
        environment: Variables beside those of this process.

    Raises:
        RuntimeError: It failed; the message holds the end of what it said.
    """
    before = os.times()
    began = time.perf_counter()
    process = subprocess.Popen(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **(environment or {})},
        text=True,
    )
    sampler = _Sampler(process.pid)
    sampler.start()
    out, err = process.communicate()
    wall_s = time.perf_counter() - began
    sampler.stop()
    after = os.times()
    if process.returncode:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}: {err[-2000:]}")
    return Measured(
        wall_s=wall_s,
        cpu_s=after.children_user
        + after.children_system
        - before.children_user
        - before.children_system,
        peak_mib=sampler.peak_bytes / MEBIBYTE,
        output=_last_object(out.strip()),
    )


def _last_object(out: str) -> dict[str, Any]:
    if not out:
        return {}
    found: dict[str, Any] = json.loads(out if out.startswith("{") else out.splitlines()[-1])
    return found


def folder_bytes(folder: Path) -> int:
    """Return the size of all files below a folder, in bytes."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


class _Sampler(threading.Thread):
    """Watches a process tree until it is told to stop."""

    def __init__(self, root: int) -> None:
        super().__init__(daemon=True)
        self._root = root
        self._ended = threading.Event()
        self.peak_bytes = 0

    def run(self) -> None:
        while not self._ended.wait(SAMPLE_S):
            total = sum(_pss_bytes(pid) for pid in _tree(self._root))
            self.peak_bytes = max(self.peak_bytes, total)

    def stop(self) -> None:
        self._ended.set()
        self.join()


def _tree(root: int) -> list[int]:
    """Return a process and everything below it."""
    found = [root]
    for pid in found:
        for task in _names(Path(f"/proc/{pid}/task")):
            try:
                children = Path(f"/proc/{pid}/task/{task}/children").read_text()
            except OSError:  # it has ended meanwhile
                continue
            found += [int(child) for child in children.split()]
    return found


def _names(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in folder.iterdir()]
    except OSError:  # it has ended meanwhile
        return []


def _pss_bytes(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:  # it has ended meanwhile
        return 0
    for line in text.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0
