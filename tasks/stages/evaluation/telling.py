"""An evaluation as a page that is read in a minute; pure."""

from tasks.stages.evaluation.grid import CRITERIA, Evaluation, Row, summarise
from tasks.stages.reporting import markdown_table

SHOWN = 100


def evaluation_markdown(evaluation: Evaluation) -> str:
    """Return means and the questions, the worst first."""
    summary = summarise(evaluation)
    means = {name: f"{value:.2f}" for name, value in summary.means.items()}
    parts = [
        f"# {evaluation.version[:12]}: {summary.marked} of {summary.questions} answers are marked",
        f"Answered by {evaluation.answered_by}.",
        markdown_table(("criterion", "mean of 10"), means.items()) if means else "",
        ""
        if summary.found is None
        else f"The right documents are behind {summary.found:.0%} of the answers.",
        markdown_table(
            ("question", *CRITERIA, "final", "by", "note"),
            [_cells(row) for row in worst_first(evaluation)[:SHOWN]],
        ),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def worst_first(evaluation: Evaluation) -> list[Row]:
    """Return the questions, those with the lowest mark first, unmarked ones last."""
    return sorted(
        evaluation.rows,
        key=lambda row: (row.mark is None, row.mark.final if row.mark is not None else 0.0),
    )


def _cells(row: Row) -> tuple[str, ...]:
    mark = row.mark
    if mark is None:
        return (row.question, *("" for _ in CRITERIA), "", "", "")
    values = (f"{mark.of(name):.1f}" for name in CRITERIA)
    return (row.question, *values, f"{mark.final:.2f}", mark.by, mark.note)
