"""What the nights cost: read from the reports of versions, shown as a table and as a picture.

Invariants: `costs_svg` and `costs_markdown` are pure; the picture is one self-contained SVG without
scripts, fonts or addresses, so it shows wherever an image does.
"""

import base64
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

import orjson

from index_store.errors import NotFoundError
from index_store.layout import report_key
from index_store.log_records import LogState
from index_store.storage.base import Storage

SHOWN_NIGHTS = 30
WIDTH, HEIGHT = 720, 220  # of the picture, in its own units
LEFT, BOTTOM, TOP = 70, 30, 30
GAP_SHARE = 0.25  # of a bar's place that stays empty


@dataclass(frozen=True, slots=True, kw_only=True)
class NightCost:
    """What embedding cost in the run that published one version.

    Attributes:
        at_ms: When it began, milliseconds since the epoch.
        version: The version.
        tokens: Tokens that were embedded.
        night_tokens: How many of them at the night rate.
        spent: In the provider's currency.
    """

    at_ms: int
    version: str
    tokens: int
    night_tokens: int
    spent: float

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
            found.append(
                NightCost(
                    at_ms=published.published_at_ms,
                    version=published.version,
                    tokens=int(report["embedding"]["tokens"]),
                    night_tokens=int(report["cost"].get("night_tokens", 0)),
                    spent=float(report["cost"]["spent"]),
                )
            )
    return tuple(found)


def costs_svg(nights: Sequence[NightCost]) -> str:
    """Draw a bar per night: its height is what was spent, or tokens when nothing costs anything.

    Args:
        nights: Oldest first.

    Returns:
        An SVG document; colours follow the reader's choice of light or dark.
    """
    priced = any(night.spent > 0 for night in nights)
    values = [night.spent if priced else float(night.tokens) for night in nights]
    most = max(values, default=0.0) or 1.0
    unit = "spent on embedding" if priced else "tokens embedded"
    highest = _amount(most, priced=priced)
    place = (WIDTH - LEFT) / max(1, len(nights))
    bars = "".join(
        _bar(night, value / most, LEFT + number * place, place)
        for number, (night, value) in enumerate(zip(nights, values, strict=True))
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
        f'<text x="{WIDTH}" y="{HEIGHT - 8}" text-anchor="end">{last}</text></svg>'
    )


def costs_markdown(nights: Sequence[NightCost]) -> str:
    """Return the picture and a table of the nights, newest first."""
    picture = base64.b64encode(costs_svg(nights).encode()).decode()
    rows = [
        f"| {night.day} | {night.version[:12]} | {night.tokens:,} | {night.night_tokens:,} "
        f"| {night.spent:,.4f} |"
        for night in reversed(nights)
    ]
    head = "| night | version | tokens | of them at the night rate | spent |\n|---|---|---|---|---|"
    total = sum(night.spent for night in nights)
    return "\n".join(
        (
            f"![what the nights cost](data:image/svg+xml;base64,{picture})",
            "",
            f"{len(nights)} nights cost {total:,.4f} together.",
            "",
            head,
            *rows,
            "",
        )
    )


def _bar(night: NightCost, share: float, left: float, place: float) -> str:
    height = max(1.0, share * (HEIGHT - BOTTOM - TOP))
    told = escape(f"{night.day}: {night.tokens:,} tokens, {night.spent:,.4f}")
    return (
        f'<rect x="{left + place * GAP_SHARE / 2:.1f}" y="{HEIGHT - BOTTOM - height:.1f}" '
        f'width="{place * (1 - GAP_SHARE):.1f}" height="{height:.1f}" fill="#4e79a7">'
        f"<title>{told}</title></rect>"
    )


def _amount(value: float, *, priced: bool) -> str:
    return f"{value:,.4g}" if priced else f"{value:,.0f}"
