"""A night beside the nights before it, in rows of words; pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from tasks.stages.morning.words import amount, clock
from tasks.stages.run_records import RunEnd, RunRecord

WORKED = (RunEnd.PUBLISHED, RunEnd.BLOCKED)  # runs that did what a night does


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One figure of a night.

    Attributes:
        name: What it is.
        now: In this night.
        last: In the night before that did any work; empty when there was none.
        usual: The median of the nights before; empty when there was none.
    """

    name: str
    now: str
    last: str = ""
    usual: str = ""


def compare_nights(now: RunRecord, before: Sequence[RunRecord]) -> tuple[Compared, ...]:
    """Return the figures of a run beside those of runs of the same flow before it.

    Args:
        now: The run.
        before: Runs before it, newest first; those that did no work are passed over.
    """
    nights = [run for run in before if run.end in WORKED and run.flow == now.flow]
    rows = [
        _row("documents", now, nights, lambda run: run.held, amount),
        *(
            _row(name, now, nights, _of_documents(name), amount)
            for name in ("added", "changed", "moved", "reembedded", "removed", "rejected")
        ),
        _row("chunks", now, nights, lambda run: run.chunks.get("total"), amount),
        _row("tokens billed", now, nights, lambda run: run.cost.get("billed_tokens"), amount),
        _row("spent", now, nights, lambda run: run.cost.get("spent"), amount),
        _row("took", now, nights, lambda run: run.took_s, clock),
    ]
    return tuple(rows)


def compare_stages(now: RunRecord, before: Sequence[RunRecord]) -> tuple[Compared, ...]:
    """Return how long each stage took beside the nights before, as `compare_nights` does."""
    nights = [run for run in before if run.end in WORKED and run.flow == now.flow]
    return tuple(_row(stage, now, nights, _of_stage(stage), clock) for stage in now.seconds)


def stages_line(now: RunRecord, before: Sequence[RunRecord]) -> str:
    """Return one line of how long each stage took, with what is usual where that is known."""
    told = (
        f"{row.name} {row.now}" + (f" (usually {row.usual})" if row.usual else "")
        for row in compare_stages(now, before)
    )
    return ", ".join(told)


def _of_documents(name: str) -> Callable[[RunRecord], float | None]:
    return lambda run: run.documents.get(name)


def _of_stage(name: str) -> Callable[[RunRecord], float | None]:
    return lambda run: run.seconds.get(name)


def _row(
    name: str,
    now: RunRecord,
    nights: Sequence[RunRecord],
    value_of: Callable[[RunRecord], float | None],
    shown: Callable[[float], str],
) -> Compared:
    values = [value for run in nights if (value := value_of(run)) is not None]
    current = value_of(now)
    return Compared(
        name=name,
        now="unknown" if current is None else shown(current),
        last=shown(values[0]) if values else "",
        usual=shown(median(values)) if values else "",
    )
