"""What the process writes about itself: lines for a person, or JSON objects for a collector.

Invariant: a line never holds the text of a question or of a document. Of an exception it holds the
kind and the places in the code, not the message, which may repeat what somebody sent.
"""

import logging
import sys
import traceback
from datetime import UTC, datetime
from types import TracebackType
from typing import TextIO

import orjson

ROOTS = ("retriever", "index_store", "uvicorn.error")
REQUESTS = "retriever.requests"  # one line for each request, from the level "info" on
FIELDS = "fields"  # name under which a record carries more than its message

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def set_up_logs(level: str, *, as_json: bool, stream: TextIO | None = None) -> None:
    """Send what this process has to say to standard error, in one form.

    Args:
        level: Least severity: debug, info, warning or error.
        as_json: Whether lines are JSON objects.
        stream: Where to instead, for tests.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines() if as_json else PlainLines())
    for name in ROOTS:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level.upper())
        logger.propagate = False


class PlainLines(logging.Formatter):
    """Lines for a person."""

    def __init__(self) -> None:
        super().__init__("%(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Return a line, with what the record carries behind its message."""
        fields = _fields(record)
        told = super().format(record)
        return " ".join([told, *(f"{name}={value}" for name, value in fields.items())])

    def formatException(self, ei: _ExcInfo) -> str:  # noqa: N802 - the standard library's name
        """Return the kind of an exception and where it came from."""
        return where_from(ei)


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the object."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, object] = {
            "at": at,
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["exception"] = where_from(record.exc_info)
        return orjson.dumps(line, default=str).decode()


def where_from(info: _ExcInfo) -> str:
    """Return the kind of an exception with the places in the code that led to it."""
    kind, _, trace = info
    frames = traceback.extract_tb(trace)
    places = [f"{each.filename}:{each.lineno} {each.name}" for each in frames]
    return " < ".join([kind.__name__ if kind else "none", *reversed(places)])


def _fields(record: logging.LogRecord) -> dict[str, object]:
    fields = getattr(record, FIELDS, None)
    return fields if isinstance(fields, dict) else {}
