"""Checks expectations with Great Expectations; the one door to it.

It takes seconds and hundreds of MiB to load, so it is loaded in a process of its own, which begins
as soon as the engine is opened and ends when its work is done: it loads while documents are read,
and leaves nothing behind in the process of the run.
"""

import json
import subprocess
import sys
import threading
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from index_store.errors import UsageError
from tasks.stages.gating.expectation import Expectation, Severity, Suite, finding
from tasks.stages.reporting import Finding

PACKAGE = "great_expectations"
_CHILD = "tasks.stages.gating.great_child"


def is_installed() -> bool:
    """Tell whether the package is there, without loading it."""
    return find_spec(PACKAGE) is not None


class GreatEngine:
    """Checks suites with Great Expectations; safe for threads.

    Raises:
        UsageError: It is not installed.
    """

    def __init__(self) -> None:
        if not is_installed():
            raise UsageError(
                "setting 'gate_engine': great-expectations is not installed; install "
                "nightpress[gates], or set gate_engine to auto or built-in"
            )
        self._lock = threading.Lock()
        self._child: subprocess.Popen[str] | None = _start()

    def check(self, suites: Sequence[Suite]) -> tuple[Finding, ...]:
        """Return one finding per expectation that is not off, in order.

        Raises:
            UsageError: Great Expectations cannot be loaded, or fails.
        """
        asked = [suite for suite in suites if _watched(suite)]
        with self._lock:
            child, self._child = self._child or _start(), None
        try:
            answer, trouble = child.communicate(json.dumps([_as_json(suite) for suite in asked]))
        finally:
            _end(child)
        if child.returncode:
            last = trouble.strip().splitlines()[-1:] or [f"exit code {child.returncode}"]
            raise UsageError(
                f"Great Expectations failed: {last[0]}; set gate_engine to built-in to check the "
                "same expectations without it"
            )
        passed: dict[str, bool] = json.loads(answer)
        return tuple(
            finding(each, suite.frame, passed=passed[each.name])
            for suite in asked
            for each in _watched(suite)
        )

    def close(self) -> None:
        """End a process that was not needed; calling it twice is harmless."""
        with self._lock:
            child, self._child = self._child, None
        if child is not None:
            _end(child)


def _start() -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-P", "-m", _CHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _end(child: subprocess.Popen[str]) -> None:
    child.kill()
    with child:  # closes its pipes and waits
        pass


def _watched(suite: Suite) -> list[Expectation]:
    return [each for each in suite.expectations if each.severity is not Severity.OFF]


def _as_json(suite: Suite) -> dict[str, Any]:
    return {
        "name": suite.name,
        "columns": {name: list(values) for name, values in suite.frame.columns.items()},
        "expectations": [
            {
                "name": each.name,
                "column": each.column,
                "kind": each.kind.value,
                "least": each.least,
                "most": each.most,
                "mostly": each.mostly,
                "protects": each.protects,
            }
            for each in _watched(suite)
        ],
    }
