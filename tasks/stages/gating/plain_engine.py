"""Checks expectations without any library, for small images and for quick tests; pure."""

from collections.abc import Sequence

from tasks.stages.gating.expectation import (
    Expectation,
    Frame,
    Kind,
    Severity,
    Suite,
    finding,
    is_inside,
)
from tasks.stages.reporting import Finding


class PlainEngine:
    """Checks suites by comparing numbers."""

    def check(self, suites: Sequence[Suite]) -> tuple[Finding, ...]:
        """Return one finding per expectation that is not off, in order."""
        return tuple(
            finding(expectation, suite.frame, passed=_holds(expectation, suite.frame))
            for suite in suites
            for expectation in suite.expectations
            if expectation.severity is not Severity.OFF
        )

    def close(self) -> None:
        """Nothing was started."""


def _holds(expectation: Expectation, frame: Frame) -> bool:
    known = [value for value in frame.columns[expectation.column] if value is not None]
    if not known:
        return True
    if expectation.kind is Kind.MEAN:
        return is_inside(expectation, sum(known) / len(known))
    return sum(is_inside(expectation, value) for value in known) >= expectation.mostly * len(known)
