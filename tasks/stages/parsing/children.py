"""Documents inside documents: attachments of messages, what a compressed file holds.

Invariant: a child that fails, whatever its parser raises, fails as a refusal, which its parent may
survive.
"""

import contextvars
from pathlib import Path

from index_store.records import Reason
from tasks.stages.parsing.dispatch import parse_as, parse_by_content
from tasks.stages.parsing.elements import ParsedDocument
from tasks.stages.parsing.refusal import ParseRefused, describe
from tasks.stages.parsing.registry import SUPPORTED_EXTENSIONS, parser_for

_DEEPEST = 4  # a mail in a mail's attachment that is compressed, and one more
_DEPTH = contextvars.ContextVar("depth", default=0)


def parse_child(path: Path) -> ParsedDocument:
    """Parse a file that was taken out of a document, by its name or else by its content.

    Raises:
        ParseRefused: It cannot be indexed, or stands too deep.
    """
    depth = _DEPTH.get()
    if depth >= _DEEPEST:
        raise ParseRefused(Reason.TOO_LARGE, "documents inside documents too deep")
    token = _DEPTH.set(depth + 1)
    try:
        if path.suffix.lower() in SUPPORTED_EXTENSIONS:
            return parse_as(path, parser_for(path.name))
        return parse_by_content(path)
    except (ParseRefused, MemoryError):
        raise
    except Exception as error:
        raise ParseRefused(Reason.CORRUPT, describe(error)) from error
    finally:
        _DEPTH.reset(token)
