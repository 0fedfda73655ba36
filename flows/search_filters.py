"""From what was typed behind `--filter` to a filter of documents; pure."""

from collections import defaultdict
from collections.abc import Sequence

from index_store.errors import UsageError
from index_store.search_options import DocumentFilter

SINGLE = ("path_prefix", "date_from", "date_until")
SEVERAL = ("source", "document_type", "theme", "language", "media_type", "keyword")


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
