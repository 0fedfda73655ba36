"""The command `nightpress evaluate`: ask a version questions, gather marks, compare versions.

Invariant: with `as_json` standard output holds one JSON object and nothing else.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from flows.answering import judge_of
from flows.console import print_json, print_table
from flows.prefect_session import call_flow
from flows.run_settings import new_run_id
from flows.settings import Settings
from index_store.clock import system_clock_ms
from index_store.collections import check_format
from index_store.errors import StoppedError, UsageError
from index_store.log import CommitLog
from index_store.log_records import CANDIDATE, PRODUCTION, resolve_version
from index_store.storage.base import Storage
from index_store.storage.opening import open_storage
from tasks.stages.evaluation.grid import Comparison, Evaluation, compare, summarise, with_marks
from tasks.stages.evaluation.keeping import keep_evaluation, last_evaluation
from tasks.stages.evaluation.sheets import read_marks, write_sheet
from tasks.stages.evaluation.telling import worst_first
from tasks.stages.gating.golden import read_golden

SHORT = 12
SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationOrder:
    """What the person typed.

    Attributes:
        version: Version, or the beginning of one; None for production.
        questions: File of questions; None for the one that is set.
        marks: File of marks that people gave to the answers that are kept; nothing is asked then.
        out: Files to write, each .csv or .xlsx.
        against: Version to compare with, or None; without questions and marks nothing is asked.
        least: Least final mark, or None.
    """

    version: str | None = None
    questions: Path | None = None
    marks: Path | None = None
    out: tuple[Path, ...] = ()
    against: str | None = None
    least: float | None = None


def run_evaluation(settings: Settings, order: EvaluationOrder, *, as_json: bool) -> None:
    """Evaluate a version and print what came of it.

    Raises:
        UsageError: A file cannot be read, or there is nothing to mark or to compare with.
        StoppedError: The final mark is lower than what was asked for.
    """
    storage = open_storage(settings.store)
    check_format(storage, settings.collection)
    version = _version(storage, settings, order.version)
    if order.marks is not None:
        made = _marked(storage, settings, order.marks, version)
    elif order.against is not None and order.questions is None:
        made = _kept(storage, settings, version)
    else:
        made = _asked(settings, order, version)
    for path in order.out:
        write_sheet(made, path)
    compared = None if order.against is None else _compared(storage, settings, made, order.against)
    if as_json:
        print_json(_object(made, compared, order.out))
    else:
        _print(made, compared, order.out)
    final = summarise(made).means.get("final")
    if order.least is not None and (final is None or final < order.least):
        told = "no answer is marked" if final is None else f"the final mark is {final:.2f}"
        raise StoppedError(f"version {version[:SHORT]}: {told}, at least {order.least:g} is asked")


def _asked(settings: Settings, order: EvaluationOrder, version: str) -> Evaluation:
    if order.questions is not None:
        settings = settings.model_copy(update={"evaluation_questions": str(order.questions)})
    questions = settings.evaluation_questions or settings.golden_questions
    if not questions:
        raise UsageError("there are no questions: --questions FILE, or evaluation_questions")
    # A person's mistake is told before Prefect starts.
    read_golden(questions, needs_targets=False)
    judge_of(settings)
    return call_flow(lambda: _load(version), settings, tags=(f"version:{version[:SHORT]}",))


def _load(version: str) -> Callable[[Settings], Evaluation]:
    from flows.evaluate import evaluate  # noqa: PLC0415 - reads the environment of Prefect

    return lambda settings: evaluate(settings, version)


def _marked(storage: Storage, settings: Settings, path: Path, version: str) -> Evaluation:
    """Add the marks of people to the answers that are kept; nothing is asked again."""
    kept = _kept(storage, settings, version)
    marks = read_marks(path, {row.id: row.question for row in kept.rows})
    if not marks:
        raise UsageError(f"marks {path.name!r}: there is no mark in it")
    made = Evaluation(
        version=kept.version,
        run=new_run_id(),
        at_ms=system_clock_ms(),
        answered_by=kept.answered_by,
        rows=with_marks(kept.rows, marks),
    )
    keep_evaluation(storage, settings.collection, made)
    return made


def _compared(storage: Storage, settings: Settings, made: Evaluation, against: str) -> Comparison:
    before = _kept(storage, settings, _version(storage, settings, against))
    return compare(made, before)


def _kept(storage: Storage, settings: Settings, version: str) -> Evaluation:
    kept = last_evaluation(storage, settings.collection, version)
    if kept is None:
        raise UsageError(
            f"version {version[:SHORT]} was never evaluated; ask it first: "
            f"nightpress evaluate {version[:SHORT]} --questions FILE"
        )
    return kept


def _version(storage: Storage, settings: Settings, typed: str | None) -> str:
    state = CommitLog(storage, settings.collection).read()
    channel = PRODUCTION if PRODUCTION in state.channels else CANDIDATE
    return resolve_version(state, version=typed, channel=channel).version


def _object(
    made: Evaluation, compared: Comparison | None, out: Sequence[Path]
) -> Mapping[str, object]:
    rows = [
        {**asdict(row), "final": None if row.mark is None else round(row.mark.final, 4)}
        for row in made.rows
    ]
    return {
        "version": made.version,
        "run": made.run,
        "answered_by": made.answered_by,
        **asdict(summarise(made)),
        "rows": rows,
        "against": None if compared is None else asdict(compared),
        "files": [str(path) for path in out],
    }


def _print(made: Evaluation, compared: Comparison | None, out: Sequence[Path]) -> None:
    summary = summarise(made)
    click.echo(
        f"version {made.version[:SHORT]}: {summary.questions} questions, answered by "
        f"{made.answered_by}; {summary.marked} marked"
    )
    if summary.found is not None:
        click.echo(f"the right documents are behind {summary.found:.0%} of the answers")
    if summary.means:
        print_table(
            ("criterion", "of 10"), [(name, f"{mean:.2f}") for name, mean in summary.means.items()]
        )
        click.echo("lowest marks:")
        worst = [row for row in worst_first(made) if row.mark is not None][:SHOWN]
        print_table(
            ("  question", "final", "note"),
            [
                (f"  {row.question}", f"{row.mark.final:.2f}", row.mark.note)
                for row in worst
                if row.mark
            ],
        )
    else:
        click.echo("nobody marked them yet: fill in a sheet (--out FILE.xlsx), then --marks FILE")
    if compared is not None:
        _print_comparison(compared)
    for path in out:
        click.echo(f"written: {path}")


def _print_comparison(compared: Comparison) -> None:
    click.echo(f"beside {compared.version[:SHORT]}, over {compared.common} questions marked twice:")
    print_table(
        ("  criterion", "before", "now", "change"),
        [
            (
                f"  {name}",
                f"{was:.2f}",
                f"{compared.now[name]:.2f}",
                f"{compared.now[name] - was:+.2f}",
            )
            for name, was in compared.before.items()
        ],
    )
    for change in compared.changes[:SHOWN]:
        click.echo(f"  {change.id}: {change.before:.2f} → {change.now:.2f}")
