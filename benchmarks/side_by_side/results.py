"""Figures of a comparison: kept as JSON, shown as a table and as a picture.

Invariants: a result says on which machine, when and with which versions it was seen; tables and
pictures are made from the JSON alone, so the README can be written anew without measuring.
"""

import json
import math
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from xml.sax.saxutils import escape

RESULTS = Path(__file__).resolve().parents[1] / "results"
BAR_HEIGHT, LABEL_WIDTH, BAR_WIDTH, FIGURE_WIDTH = 22, 230, 420, 110
COLOURS = ("#3b6ea5", "#c9772f", "#6a8f3c", "#8a5a9e", "#b04a4a", "#5f7f86")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One figure, side by side.

    Attributes:
        name: What was measured, with its unit.
        values: One figure per side, None where a side cannot do it.
        goal: What was aimed at, in words; empty when nothing was.
        ratio: The ratio that the goal speaks of, None when there is none.
    """

    name: str
    values: Mapping[str, float | None]
    goal: str = ""
    ratio: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One comparison.

    Attributes:
        title: What was compared.
        command: How to repeat it.
        sides: Names of the sides, in order.
        lines: What was measured.
        notes: What a reader must know: what a side cannot do, what was left out.
        seen: Machine, day and versions.
    """

    title: str
    command: str
    sides: tuple[str, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()
    seen: Mapping[str, str] = field(default_factory=dict)


def machine(distributions: Sequence[str] = ()) -> dict[str, str]:
    """Return what a figure depends on: processor, cores, load, day and versions."""
    seen = {
        "day": f"{datetime.now(UTC):%Y-%m-%d}",
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "load": f"{os.getloadavg()[0]:.1f}",
        "python": platform.python_version(),
    }
    return seen | {name: _version(name) for name in distributions}


def median(values: Sequence[float]) -> float:
    """Return the median of a side's runs."""
    return statistics.median(values)


def keep(name: str, result: Result) -> None:
    """Write the JSON and the picture of a result, and print its table.

    Args:
        name: Of both files, without a suffix.
        result: What was measured.
    """
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps(asdict(result), indent=1, ensure_ascii=False) + "\n"
    (RESULTS / f"{name}.json").write_text(text, encoding="utf-8")
    (RESULTS / f"{name}.svg").write_text(picture(result), encoding="utf-8")
    print(table(result))


def load(path: Path) -> Result:
    """Read what `keep` wrote."""
    found = json.loads(path.read_text(encoding="utf-8"))
    lines = tuple(Line(**line) for line in found.pop("lines"))
    sides, notes = tuple(found.pop("sides")), tuple(found.pop("notes"))
    return Result(**found, lines=lines, sides=sides, notes=notes)


def table(result: Result) -> str:
    """Return the Markdown table of a result."""
    rows = [
        f"| {result.title} | {' | '.join(result.sides)} | {_last_column(result)} | goal |",
        "|---" * (len(result.sides) + 3) + "|",
    ]
    for line in result.lines:
        figures = " | ".join(_shown(line.values.get(side)) for side in result.sides)
        unit = "" if _is_growth(result) else " x"
        ratio = "" if line.ratio is None else f"{_shown(line.ratio)}{unit}"
        rows.append(f"| {line.name} | {figures} | {ratio} | {line.goal} |")
    return "\n".join(rows) + "\n"


def picture(result: Result) -> str:
    """Return an SVG of a result: curves over sides that are numbers, else bars."""
    return curves(result) if _is_growth(result) else bars(result)


def _is_growth(result: Result) -> bool:
    return all(side.replace(",", "").isdigit() for side in result.sides)


def _last_column(result: Result) -> str:
    return "exponent" if _is_growth(result) else "ratio"


def bars(result: Result) -> str:
    """Return an SVG with one group of bars per line; each group has a scale of its own."""
    parts: list[str] = []
    top = 34.0
    for line in result.lines:
        shown = {s: v for s in result.sides if (v := line.values.get(s)) is not None}
        most = max(shown.values(), default=0.0) or 1.0
        parts.append(f'<text x="8" y="{top + 12}" font-weight="600">{escape(line.name)}</text>')
        top += BAR_HEIGHT
        for side, value in shown.items():
            colour = COLOURS[result.sides.index(side) % len(COLOURS)]
            width = max(1.0, BAR_WIDTH * value / most)
            parts.append(
                f'<text x="{LABEL_WIDTH - 8}" y="{top + 12}" text-anchor="end">'
                f"{escape(side)}</text>"
                f'<rect x="{LABEL_WIDTH}" y="{top}" width="{width:.1f}" height="15" rx="2" '
                f'fill="{colour}"/><text x="{LABEL_WIDTH + width + 6:.1f}" y="{top + 12}">'
                f"{_shown(value)}</text>"
            )
            top += BAR_HEIGHT
        top += 8
    width = LABEL_WIDTH + BAR_WIDTH + FIGURE_WIDTH
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {top:.0f}" width="{width}" '
        f'font-family="sans-serif" font-size="13" role="img" aria-label="{escape(result.title)}">'
        f'<rect width="100%" height="100%" fill="#ffffff"/><g fill="#222222">'
        f'<text x="8" y="20" font-size="15" font-weight="700">{escape(result.title)}</text>'
        f"{''.join(parts)}</g></svg>\n"
    )


def curves(result: Result) -> str:
    """Return an SVG with one curve per line over sides that are numbers, both axes logarithmic."""
    places = [math.log10(float(side.replace(",", ""))) for side in result.sides]
    shown = [line for line in result.lines if all(line.values.values())]
    levels = [math.log10(v) for line in shown for v in line.values.values() if v]
    low, high = min(levels, default=0.0), max(levels, default=1.0)
    width, height, left, top = 460.0, 300.0, 60.0, 40.0
    span = max(places) - min(places) or 1.0

    def at(place: float, value: float) -> tuple[float, float]:
        x = left + width * (place - min(places)) / span
        return x, top + height * (high - math.log10(value)) / ((high - low) or 1.0)

    parts: list[str] = []
    for number, line in enumerate(shown):
        colour = COLOURS[number % len(COLOURS)]
        dashes = ("", "6 3", "2 3")[number // len(COLOURS) % 3]
        values = [value for side in result.sides if (value := line.values[side])]
        points = [at(place, value) for place, value in zip(places, values, strict=True)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2" '
            f'stroke-dasharray="{dashes}"/>'
        )
        ratio = "" if line.ratio is None else f"  (exponent {line.ratio:.2f})"
        y = top + 16 + 20 * number
        parts.append(
            f'<line x1="{left + width + 20}" x2="{left + width + 44}" y1="{y - 4}" y2="{y - 4}" '
            f'stroke="{colour}" stroke-width="2" stroke-dasharray="{dashes}"/>'
            f'<text x="{left + width + 50}" y="{y}">{escape(line.name)}{ratio}</text>'
        )
    for place, side in zip(places, result.sides, strict=True):
        x, _ = at(place, 1.0)
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{top + height}" stroke="#dddddd"/>'
            f'<text x="{x:.1f}" y="{top + height + 18}" text-anchor="middle">{side}</text>'
        )
    for power in range(math.ceil(low), math.floor(high) + 1):
        _, y = at(places[0], 10.0**power)
        parts.append(
            f'<line x1="{left}" x2="{left + width}" y1="{y:.1f}" y2="{y:.1f}" stroke="#dddddd"/>'
            f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{10.0**power:g}</text>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 900 370" width="900" '
        f'font-family="sans-serif" font-size="13" role="img" aria-label="{escape(result.title)}">'
        f'<rect width="100%" height="100%" fill="#ffffff"/><g fill="#222222">'
        f'<text x="8" y="20" font-size="15" font-weight="700">{escape(result.title)}</text>'
        f"{''.join(parts)}</g></svg>\n"
    )


def _shown(value: float | None) -> str:
    if value is None:
        return "–"
    if value == 0 or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "absent"
