"""The picture of the last nights: documents, cost, duration and quality, a bar per run; pure.

Invariant: one self-contained SVG, as the picture of a night is. A run that published nothing has
its place too, in the colour of how it ended.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from tasks.stages.morning.night_picture import GREY
from tasks.stages.morning.words import amount, clock, day, moment
from tasks.stages.run_records import RunEnd, RunRecord

SHOWN_NIGHTS = 30
WIDTH = 760
LEFT, RIGHT = 70, 10
PANEL = 104  # height of one, its title included
TITLE = 24
FLOOR = 8  # below the bars
GAP_SHARE = 0.25  # of a bar's place that stays empty
LEAST_BAR = 2.0
COLOURS = {
    RunEnd.PUBLISHED: "#4e79a7",
    RunEnd.UNCHANGED: "#9c9c9c",
    RunEnd.BLOCKED: "#f28e2b",
    RunEnd.STOPPED: "#e15759",
    RunEnd.FAILED: "#e15759",
    RunEnd.INTERRUPTED: "#e15759",
}
# Measured quality, the first that is known: what a reader would notice comes first.
QUALITIES = (
    ("golden_ndcg", "nDCG of golden questions"),
    ("golden_recall", "recall of golden questions"),
    ("readable_share", "share of documents whose text came out well"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One of the small pictures.

    Attributes:
        title: What it shows.
        values: A number for each run, None where nothing is known.
        shown: Says a value in words.
        top: The value at the top; None for the greatest one.
    """

    title: str
    values: tuple[float | None, ...]
    shown: Callable[[float], str]
    top: float | None = None


def nights_svg(runs: Sequence[RunRecord], *, ink: str = GREY) -> str:
    """Draw the last runs.

    Args:
        runs: Oldest first.
        ink: Colour of words and lines; `currentColor` where the picture stands in a page.

    Returns:
        An SVG element.
    """
    shown = list(runs)[-SHOWN_NIGHTS:]
    panels = panels_of(shown)
    height = PANEL * len(panels) + 40
    drawn = "".join(
        _panel(panel, shown, PANEL * number, ink) for number, panel in enumerate(panels)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'font-family="sans-serif" font-size="12" fill="{ink}">'
        f"<title>The last {len(shown)} runs</title>{drawn}"
        f"{_days(shown, PANEL * len(panels) + 14)}{_legend(shown, height - 8)}</svg>"
    )


def panels_of(runs: Sequence[RunRecord]) -> tuple[Panel, ...]:
    """Return what is shown of runs."""
    priced = any(run.cost.get("spent", 0) > 0 for run in runs)
    cost = "spent" if priced else "billed_tokens"
    quality, told = next(
        (each for each in QUALITIES if any(each[0] in run.figures for run in runs)), QUALITIES[-1]
    )
    return (
        Panel(
            title="documents that can be found",
            values=tuple(float(run.held) if run.documents else None for run in runs),
            shown=amount,
        ),
        Panel(
            title="spent on embedding" if priced else "tokens embedded",
            values=tuple(run.cost.get(cost) for run in runs),
            shown=amount,
        ),
        Panel(title="duration", values=tuple(run.took_s for run in runs), shown=clock),
        Panel(
            title=told,
            values=tuple(run.figures.get(quality) for run in runs),
            shown=lambda value: f"{value:.2f}",
            top=1.0,
        ),
    )


def _panel(panel: Panel, runs: Sequence[RunRecord], top: float, ink: str) -> str:
    known = [value for value in panel.values if value is not None]
    most = panel.top or max(known, default=0.0) or 1.0
    floor, tall = top + PANEL - FLOOR, PANEL - TITLE - FLOOR
    last = f", last {panel.shown(known[-1])}" if known else ", nothing is known"
    highest = panel.shown(most)
    parts = [
        f'<text x="{LEFT}" y="{top + 16}" font-weight="bold">{escape(panel.title + last)}</text>',
        f'<text x="{LEFT - 6}" y="{top + TITLE + 10}" text-anchor="end">{escape(highest)}</text>',
        f'<text x="{LEFT - 6}" y="{floor}" text-anchor="end">0</text>',
        f'<path d="M{LEFT} {floor}H{WIDTH - RIGHT}" stroke="{ink}" stroke-opacity=".5"/>',
    ]
    place = (WIDTH - LEFT - RIGHT) / max(1, len(runs))
    for number, (run, value) in enumerate(zip(runs, panel.values, strict=True)):
        high = 0.0 if value is None else tall * min(1.0, value / most)
        high = max(LEAST_BAR, high)
        left = LEFT + place * (number + GAP_SHARE / 2)
        said = "not known" if value is None else panel.shown(value)
        told = f"{moment(run.began_at_ms)}, {run.end.value}: {said}"
        parts.append(
            f'<rect x="{left:.1f}" y="{floor - high:.1f}" width="{place * (1 - GAP_SHARE):.1f}" '
            f'height="{high:.1f}" fill="{COLOURS[run.end]}"><title>{escape(told)}</title></rect>'
        )
    return "".join(parts)


def _days(runs: Sequence[RunRecord], y: float) -> str:
    if not runs:
        return ""
    first, last = day(runs[0].began_at_ms), day(runs[-1].began_at_ms)
    return (
        f'<text x="{LEFT}" y="{y}">{first}</text>'
        f'<text x="{WIDTH - RIGHT}" y="{y}" text-anchor="end">{last}</text>'
    )


def _legend(runs: Sequence[RunRecord], y: float) -> str:
    parts, left = [], float(LEFT)
    for end in dict.fromkeys(run.end for run in runs):
        parts.append(
            f'<rect x="{left}" y="{y - 9}" width="10" height="10" fill="{COLOURS[end]}"/>'
            f'<text x="{left + 14}" y="{y}">{end.value}</text>'
        )
        left += 100
    return "".join(parts)
