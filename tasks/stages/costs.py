"""What the nights cost: read from the reports of versions, shown as a table and as a picture.

Invariants: `costs_svg` and `costs_markdown` are pure; the picture is one self-contained SVG without
scripts, fonts or addresses, so it shows wherever an image does.
"""

import base64
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from typing import Any

import orjson

from index_store.errors import NotFoundError
from index_store.layout import report_key
from index_store.log_records import LogState
from index_store.storage.base import Storage
from tasks.stages.reporting import escape_markdown

SHOWN_NIGHTS = 30
WIDTH, HEIGHT = 720, 220  # of the picture, in its own units
LEFT, BOTTOM, TOP = 70, 30, 30
GAP_SHARE = 0.25  # of a bar's place that stays empty
SHOWN_SOURCES = 50
NAME_CHARS = 7  # of a source's name in the legend
COLOURS = ("#4e79a7", "#f28e2b", "#59a14f", "#b07aa1", "#e15759", "#9c9c9c")  # the last for others


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceCost:
    """What one source cost in one night.

    Attributes:
        tokens: Tokens that were billed.
        spent: In the provider's currency; None when the price was not known.
    """

    tokens: int
    spent: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NightCost:
    """What embedding cost in the run that published one version.

    Attributes:
        at_ms: When it began, milliseconds since the epoch.
        version: The version.
        tokens: Tokens that were billed.
        night_tokens: How many of them at the night rate.
        told_tokens: How many of them the provider counted; we counted the others.
        spent: In the provider's currency; None when the price was not known.
        sources: The same by source; empty for nights that did not tell.
    """

    at_ms: int
    version: str
    tokens: int
    night_tokens: int
    spent: float | None
    told_tokens: int = 0
    sources: Mapping[str, SourceCost] = field(default_factory=dict)

    @property
    def day(self) -> str:
        """The day in UTC, as in 2026-03-01."""
        return datetime.fromtimestamp(self.at_ms / 1000, UTC).strftime("%Y-%m-%d")


def cost_history(
    storage: Storage, collection: str, state: LogState, nights: int = SHOWN_NIGHTS
) -> tuple[NightCost, ...]:
    """Return what the last nights cost, oldest first.

    Args:
        storage: The store.
        collection: Name of the collection.
        state: Its log; versions that were forgotten are not in it. A night on which nothing
            changed published no version and cost nothing.
        nights: Versions at most.

    Raises:
        TransientError: The store is out of reach.
    """
    found: list[NightCost] = []
    for published in list(state.versions.values())[-nights:]:
        with suppress(NotFoundError, orjson.JSONDecodeError, KeyError, TypeError, ValueError):
            report = orjson.loads(storage.read(report_key(collection, published.version)))
            found.append(_night(published.published_at_ms, published.version, report))
    return tuple(found)


def _night(at_ms: int, version: str, report: dict[str, Any]) -> NightCost:
    """Read the report of a version; those of before name neither sources nor who counted."""
    cost = report["cost"]
    return NightCost(
        at_ms=at_ms,
        version=version,
        tokens=int(cost.get("billed_tokens", report["embedding"]["tokens"])),
        night_tokens=int(cost.get("night_tokens", 0)),
        told_tokens=int(cost.get("told_tokens", 0)),
        spent=_amount_or_none(cost["spent"]),
        sources={
            str(name): SourceCost(
                tokens=int(each["billed_tokens"]), spent=_amount_or_none(each["spent"])
            )
            for name, each in cost.get("sources", {}).items()
        },
    )


def _amount_or_none(value: object) -> float | None:
    return None if value is None else float(str(value))


def costs_svg(nights: Sequence[NightCost]) -> str:
    """Draw a bar per night: its height is what was spent, or tokens when no money is known.

    A bar has a part for each of the sources that cost most, and one for the others.

    Args:
        nights: Oldest first.

    Returns:
        An SVG document; colours are seen on light and on dark.
    """
    priced = any(night.spent for night in nights)
    values = [_value(night, priced=priced) for night in nights]
    most = max(values, default=0.0) or 1.0
    unit = "spent on embedding" if priced else "tokens embedded"
    highest = _amount(most, priced=priced)
    place = (WIDTH - LEFT) / max(1, len(nights))
    named = _dearest(nights, priced=priced)
    bars = "".join(
        _bar(night, named, (LEFT + number * place, place), most, priced=priced)
        for number, night in enumerate(nights)
    )
    first, last = (nights[0].day, nights[-1].day) if nights else ("", "")
    floor = HEIGHT - BOTTOM
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'font-family="sans-serif" font-size="12" fill="#777">'
        f"<title>{len(nights)} nights, {unit}</title>"
        f'<text x="{LEFT}" y="18">{unit}, the highest {highest}</text>'
        f'<text x="{LEFT - 6}" y="{TOP + 4}" text-anchor="end">{highest}</text>'
        f'<text x="{LEFT - 6}" y="{floor}" text-anchor="end">0</text>'
        f'<path d="M{LEFT} {floor}H{WIDTH}" stroke="#777"/>{bars}'
        f'<text x="{LEFT}" y="{HEIGHT - 8}">{first}</text>'
        f'<text x="{WIDTH}" y="{HEIGHT - 8}" text-anchor="end">{last}</text>'
        f"{_legend(named)}</svg>"
    )


def costs_markdown(nights: Sequence[NightCost]) -> str:
    """Return the picture, a table of the nights, newest first, and one of the sources."""
    picture = base64.b64encode(costs_svg(nights).encode()).decode()
    rows = [
        f"| {night.day} | {night.version[:12]} | {night.tokens:,} | {night.told_tokens:,} "
        f"| {night.night_tokens:,} | {_money(night.spent)} |"
        for night in reversed(nights)
    ]
    head = (
        "| night | version | billed tokens | counted by the provider | at the night rate | spent |"
        "\n|---|---|---|---|---|---|"
    )
    known = [night.spent for night in nights if night.spent is not None]
    told = f"{len(nights)} nights cost {sum(known):,.4f} together"
    if len(known) < len(nights):
        told += f", not counting {len(nights) - len(known)} whose price was not known"
    return "\n".join(
        (
            f"![what the nights cost](data:image/svg+xml;base64,{picture})",
            "",
            f"{told}.",
            "",
            head,
            *rows,
            "",
            *_by_source(nights),
        )
    )


def source_totals(nights: Sequence[NightCost]) -> dict[str, SourceCost]:
    """Add up the nights by source, the dearest first; an unknown price makes a sum unknown."""
    sums: dict[str, SourceCost] = {}
    for night in nights:
        for name, each in night.sources.items():
            so_far = sums.get(name, SourceCost(tokens=0, spent=0.0))
            known = so_far.spent is not None and each.spent is not None
            spent = (so_far.spent or 0.0) + (each.spent or 0.0) if known else None
            sums[name] = SourceCost(tokens=so_far.tokens + each.tokens, spent=spent)
    order = sorted(sums, key=lambda name: (-(sums[name].spent or 0.0), -sums[name].tokens, name))
    return {name: sums[name] for name in order}


def _by_source(nights: Sequence[NightCost]) -> list[str]:
    sums = source_totals(nights)
    if len(sums) < 2:
        return []
    shown = list(sums.items())[:SHOWN_SOURCES]
    rows = [
        f"| {escape_markdown(name)} | {each.tokens:,} | {_money(each.spent)} |"
        for name, each in shown
    ]
    more = [f"… and {len(sums) - len(shown)} more."] if len(sums) > len(shown) else []
    return ["| source or folder | billed tokens | spent |\n|---|---|---|", *rows, "", *more]


def _dearest(nights: Sequence[NightCost], *, priced: bool) -> list[str]:
    """Return the sources that get a colour of their own, when there are several."""
    sums = source_totals(nights)
    if len(sums) < 2:
        return []
    order = sorted(
        sums, key=lambda name: -((sums[name].spent or 0.0) if priced else sums[name].tokens)
    )
    return order[: len(COLOURS) - 1]


def _bar(
    night: NightCost, named: Sequence[str], at: tuple[float, float], most: float, *, priced: bool
) -> str:
    """Draw one night; `at` is the left end of its place and the width of that."""
    parts = {
        name: (cost.spent or 0.0) if priced else float(cost.tokens)
        for name, cost in night.sources.items()
        if name in named
    }
    others = _value(night, priced=priced) - sum(parts.values())
    left, place = at
    drawn, floor = "", float(HEIGHT - BOTTOM)
    order = [(name, parts[name]) for name in named if parts.get(name)]
    if others > 0 or not order:
        order.append(("", others))
    for name, value in order:
        height = max(1.0, value / most * (HEIGHT - BOTTOM - TOP))
        floor -= height
        colour = COLOURS[named.index(name)] if name else COLOURS[-1] if named else COLOURS[0]
        whose = f"{name}: {_amount(value, priced=priced)} of " if name else ""
        told = escape(f"{night.day}: {whose}{night.tokens:,} tokens, {_money(night.spent)}")
        drawn += (
            f'<rect x="{left + place * GAP_SHARE / 2:.1f}" y="{floor:.1f}" '
            f'width="{place * (1 - GAP_SHARE):.1f}" height="{height:.1f}" fill="{colour}">'
            f"<title>{told}</title></rect>"
        )
    return drawn


def _legend(named: Sequence[str]) -> str:
    if not named:
        return ""
    width = (WIDTH - LEFT) / 2 / len(COLOURS)
    names = [*named, "others"]
    return "".join(
        f'<circle cx="{LEFT + 270 + number * width:.0f}" cy="14" r="4" '
        f'fill="{COLOURS[number] if name != "others" else COLOURS[-1]}"/>'
        f'<text x="{LEFT + 277 + number * width:.0f}" y="18">{escape(_short(name))}</text>'
        for number, name in enumerate(names)
    )


def _short(name: str) -> str:
    return name if len(name) <= NAME_CHARS else f"{name[: NAME_CHARS - 1]}…"


def _value(night: NightCost, *, priced: bool) -> float:
    return (night.spent or 0.0) if priced else float(night.tokens)


def _money(amount: float | None) -> str:
    return "unknown" if amount is None else f"{amount:,.4f}"


def _amount(value: float, *, priced: bool) -> str:
    return f"{value:,.4g}" if priced else f"{value:,.0f}"
