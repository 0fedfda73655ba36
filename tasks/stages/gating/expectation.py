"""What is expected of a version, as plain values that any engine can check; pure.

Invariants: an expectation says in one sentence what it protects; a value that is not known (None)
is never held against a version.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from tasks.stages.reporting import Finding

Column = Sequence[float | None]


class Severity(Enum):
    """What becomes of a version that does not meet an expectation."""

    OFF = "off"  # the expectation is not looked at
    WARN = "warn"  # it is told, and the version goes into production
    BLOCK = "block"  # the version stays a candidate


class Kind(Enum):
    """What of a column is looked at."""

    VALUES = "values"  # each value, or the share `mostly` of them
    MEAN = "mean"  # the mean of the values


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """One expectation of one column.

    Attributes:
        name: Its name, `SUITE/SUBJECT`; what settings, reports and logs call it.
        column: The column of the suite's frame.
        protects: One sentence that says what it protects.
        least: Least value, None for no bound.
        most: Largest value, None for no bound.
        kind: What of the column is looked at.
        mostly: Share of the values that must lie within the bounds, in (0, 1].
        severity: What becomes of a version that does not meet it.
    """

    name: str
    column: str
    protects: str
    least: float | None = None
    most: float | None = None
    kind: Kind = Kind.VALUES
    mostly: float = 1.0
    severity: Severity = Severity.BLOCK


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What was measured of one subject: named columns of equal length.

    Attributes:
        columns: Numbers by name; None where nothing is known.
        labels: What each row is about, for messages; empty when there is one row only.
    """

    columns: Mapping[str, Column]
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """Expectations of one frame.

    Attributes:
        name: Its name.
        frame: What was measured.
        expectations: What is expected of it.
    """

    name: str
    frame: Frame
    expectations: tuple[Expectation, ...]


class Engine(Protocol):
    """Checks suites."""

    def check(self, suites: Sequence[Suite]) -> tuple[Finding, ...]:
        """Return one finding per expectation, in order."""
        ...

    def close(self) -> None:
        """End what it started; calling it twice is harmless."""
        ...


def one_row(**values: float | None) -> Frame:
    """Return a frame of a single row."""
    return Frame(columns={name: (value,) for name, value in values.items()})


def finding(expectation: Expectation, frame: Frame, *, passed: bool) -> Finding:
    """Return the finding of a checked expectation, with what was expected and found in words."""
    known = [value for value in frame.columns[expectation.column] if value is not None]
    return Finding(
        check=expectation.name,
        passed=passed,
        message=f"expected {wanted(expectation)}, found {_found(expectation, frame, known)}",
        severity=expectation.severity.value,
        protects=expectation.protects,
    )


def wanted(expectation: Expectation) -> str:
    """Return the bounds in words."""
    least, most = expectation.least, expectation.most
    bounds = []
    if least is not None and least == most:
        bounds.append(f"{least:g}")
    else:
        bounds += [] if least is None else [f"at least {least:g}"]
        bounds += [] if most is None else [f"at most {most:g}"]
    told = f"{expectation.column.replace('_', ' ')} {' and '.join(bounds)}"
    if expectation.kind is Kind.MEAN:
        return f"mean {told}"
    return told if expectation.mostly >= 1 else f"{told} in {expectation.mostly:.0%} of the rows"


def is_inside(expectation: Expectation, value: float) -> bool:
    """Tell whether a value lies within the bounds, both included."""
    above = expectation.least is None or value >= expectation.least
    return above and (expectation.most is None or value <= expectation.most)


def _found(expectation: Expectation, frame: Frame, known: list[float]) -> str:
    if not known:
        return "nothing to judge"
    if expectation.kind is Kind.MEAN:
        return f"{sum(known) / len(known):.4g} over {len(known)}"
    if len(known) == 1 and not frame.labels:
        return f"{known[0]:.4g}"
    outside = [
        place
        for place, value in enumerate(frame.columns[expectation.column])
        if value is not None and not is_inside(expectation, value)
    ]
    if not outside:
        return f"{min(known):.4g} to {max(known):.4g} over {len(known)}"
    shown = [frame.labels[place] for place in outside[:3] if place < len(frame.labels)]
    first = frame.columns[expectation.column][outside[0]]
    return (
        f"{len(outside)} of {len(known)} outside, first {first:.4g}"
        f"{': ' if shown else ''}{', '.join(shown)}"
    )
