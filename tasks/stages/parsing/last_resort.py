"""What is done about documents that came out poor or not at all: a server is asked.

Invariants: the better of two results is kept, the first one when they are alike; a document whose
content changed in between keeps its first result; every attempt is told.
"""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from index_store.records import Quality, Reason
from tasks.stages.parsing.outcome import Outcome
from tasks.stages.parsing.tika import TikaError, TikaOptions, extract

_HOPELESS = frozenset(
    (Reason.UNREADABLE, Reason.EMPTY, Reason.ENCRYPTED, Reason.TOO_LARGE, Reason.CHANGED)
)
_RANK = {Quality.NONE: 0, Quality.POOR: 1, Quality.GOOD: 2}

ParsePage = Callable[[Path], Outcome]


def wants_more(outcome: Outcome) -> bool:
    """Tell whether another parser might do better."""
    refused = outcome.rejection
    if refused is not None:
        return refused.reason not in _HOPELESS
    return outcome.quality is Quality.POOR


def ask_server(path: Path, first: Outcome, options: TikaOptions, parse: ParsePage) -> Outcome:
    """Return the better of what was found first and what a server makes of the document.

    Args:
        path: The document.
        first: What came of it.
        options: Where the server is.
        parse: Parses a page of XHTML in a child.
    """
    try:
        extracted = extract(path, options)
    except OSError:
        return first
    except TikaError as error:
        return _with_note(first, f"tika: {error}")
    if first.content_hash not in ("", extracted.content_hash):
        return first
    with tempfile.TemporaryDirectory(prefix="nightpress-tika-") as folder:
        page = Path(folder) / path.name
        page.write_bytes(extracted.page)
        second = parse(page)
    if _RANK[second.quality] <= _RANK[first.quality]:
        return _with_note(first, "tika: found nothing better")
    known = first.attributes
    attributes = replace(
        second.attributes, media_type=known.media_type or first.parser.split("/")[0]
    )
    return replace(
        second,
        attributes=attributes,
        content_hash=extracted.content_hash,
        warnings=("read by tika", *second.warnings),
        seconds=first.seconds + second.seconds,
    )


def _with_note(outcome: Outcome, note: str) -> Outcome:
    return replace(outcome, warnings=(*outcome.warnings, note))
