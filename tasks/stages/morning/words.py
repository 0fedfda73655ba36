"""Numbers and times as people read them; pure."""

from collections.abc import Mapping
from datetime import UTC, datetime

QUALITIES = {
    "good": "documents whose text came out well",
    "poor": "documents whose text came out poor",
    "none": "documents without text",
}


def clock(seconds: float) -> str:
    """Return a time in words: `0.4 s`, `12 min 5 s`, `3 h 2 min`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def moment(at_ms: int) -> str:
    """Return a time of day in UTC."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def day(at_ms: int) -> str:
    """Return a day in UTC, without its year."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%d %b")


def amount(value: float) -> str:
    """Return a number with as many digits as tell something."""
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:,.4g}"


def measured(quality: Mapping[str, int], figures: Mapping[str, float]) -> dict[str, str]:
    """Return what was measured of a version by names that people read.

    Args:
        quality: Documents by what their text is worth.
        figures: Measured by gates.
    """
    told = {words: f"{quality[name]:,}" for name, words in QUALITIES.items() if name in quality}
    return told | {name.replace("_", " "): f"{value:.3f}" for name, value in figures.items()}
