"""From what was typed behind `nightpress search` to how it searches."""

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from flows.settings import Settings
from index_store.clock import system_day
from index_store.errors import UsageError
from index_store.search_options import (
    AdaptiveK,
    DocumentFilter,
    Recency,
    growing_k,
    preferred_age,
)

SINGLE = ("path_prefix", "date_from", "date_until")
SEVERAL = ("source", "document_type", "theme", "language", "media_type", "keyword")


class AskedHits(NamedTuple):
    """Which and how many hits were asked for; what is None is left to the settings."""

    k: int | None
    most_k: int | None
    good_score: float | None
    recency: float | None
    half_life_days: float | None


def shown_hits(
    settings: Settings, asked: AskedHits
) -> tuple[int, AdaptiveK | None, Recency | None]:
    """Return how many hits are shown, how their number grows, and how age counts.

    A number that was asked for grows only when that was asked for too, as over HTTP.
    """
    k = settings.search_k if asked.k is None else asked.k
    most = max(k, settings.search_most_k) if asked.k is None else k
    good = settings.search_good_score if asked.good_score is None else asked.good_score
    weight = settings.search_recency if asked.recency is None else asked.recency
    half_life = settings.search_half_life_days
    return (
        k,
        growing_k(k, most if asked.most_k is None else asked.most_k, good),
        preferred_age(weight, asked.half_life_days or half_life, system_day()),
    )


def document_filter(assignments: Sequence[str]) -> DocumentFilter:
    """Return the filter that NAME=VALUE pairs describe; other names are fields of the sidecars.

    Raises:
        UsageError: A pair is none, a day is none, or a field that has one value got two.
    """
    single: dict[str, str] = {}
    several: dict[str, list[str]] = defaultdict(list)
    extra: dict[str, list[str]] = defaultdict(list)
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals or not name or not value:
            raise UsageError(f"--filter {assignment!r} is not NAME=VALUE")
        if name in SINGLE:
            if name in single:
                raise UsageError(f"--filter {name} is given twice, it takes one value")
            single[name] = value
        elif name in SEVERAL:
            several[name].append(value)
        else:
            extra[name].append(value)
    return DocumentFilter(
        path_prefix=single.get("path_prefix", ""),
        date_from=single.get("date_from", ""),
        date_until=single.get("date_until", ""),
        sources=tuple(several["source"]),
        document_types=tuple(several["document_type"]),
        themes=tuple(several["theme"]),
        languages=tuple(several["language"]),
        media_types=tuple(several["media_type"]),
        keywords=tuple(several["keyword"]),
        extra={name: tuple(values) for name, values in extra.items()},
    )
