"""One document from its bytes to its outcome, in the process that may be killed for it.

Invariant: whatever the document does short of ending the process, an outcome comes back.
"""

import hashlib
import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from index_store.attributes import NO_ATTRIBUTES
from index_store.records import Chunk, Reason
from tasks.stages.parsing.description import describe_document
from tasks.stages.parsing.dispatch import parse_as
from tasks.stages.parsing.elements import ParsedDocument
from tasks.stages.parsing.limits import Limits
from tasks.stages.parsing.outcome import Outcome, rejected
from tasks.stages.parsing.parse_options import DEFAULT_OPTIONS, ParseOptions
from tasks.stages.parsing.quality import judge, measure
from tasks.stages.parsing.refusal import ParseRefused, describe
from tasks.stages.parsing.registry import ParserSpec, find_parser, parser_identity
from tasks.stages.sidecars.reading import NOBODY, read_sidecars

_PIECE_BYTES = 1 << 20

Chunker = Callable[[ParsedDocument], Sequence[Chunk]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What every document of a child is put through.

    Attributes:
        limits: Bounds on size.
        chunker: Turns what the parser found into chunks.
        parsing: What parsers are told besides the document.
    """

    limits: Limits
    chunker: Chunker
    parsing: ParseOptions = DEFAULT_OPTIONS


def examine(
    name: str, parser: str, examination: Examination, sidecars: Sequence[str] = ()
) -> Outcome:
    """Read, parse and chunk one document.

    Args:
        name: Path of the file.
        parser: Name of a registered parser, or "module:function".
        examination: Limits and chunker.
        sidecars: Paths of the files that describe it, the outermost folder's first.
    """
    path = Path(name)
    identity = parser_identity(parser, examination.limits, examination.parsing)
    content_hash = ""
    warnings: tuple[str, ...] = ()
    attributes = NO_ATTRIBUTES
    try:
        spec = find_parser(parser)
        attributes = NOBODY  # until it is known who may read it
        described = read_sidecars(sidecars, path.name)
        attributes, warnings = described.attributes, described.warnings
        content_hash, before = _fingerprint(path, examination.limits)
        parsed = describe_document(_parse(path, spec), described)
        attributes, warnings = parsed.attributes, parsed.warnings
        verdict = judge(measure(parsed))
        warnings += tuple(f"poor text: {reason}" for reason in verdict.reasons)
        chunks = _chunk(parsed, examination.chunker)
        _hold_to_state(path, before)
    except ParseRefused as refusal:
        reason, detail = refusal.reason, refusal.detail
    except FileNotFoundError:
        reason, detail, content_hash = Reason.CHANGED, "the file vanished", ""
    except OSError as error:
        reason, detail = Reason.UNREADABLE, error.strerror or type(error).__name__
    except MemoryError:
        reason, detail = Reason.MEMORY, "memory limit reached"
    else:
        return Outcome(
            chunks=chunks,
            attributes=attributes,
            quality=verdict.quality,
            warnings=warnings,
            parser=identity,
            content_hash=content_hash,
        )
    return rejected(
        reason,
        detail,
        parser=identity,
        content_hash=content_hash,
        warnings=warnings,
        attributes=attributes,
    )


def _parse(path: Path, spec: ParserSpec) -> ParsedDocument:
    try:
        return parse_as(path, spec)
    except (ParseRefused, MemoryError):
        raise
    except RecursionError:
        raise ParseRefused(Reason.TOO_LARGE, "nested too deeply") from None
    except (SystemExit, KeyboardInterrupt) as error:
        raise ParseRefused(Reason.CRASHED, f"its parser ended with {describe(error)}") from error
    except BaseException as error:
        raise ParseRefused(Reason.CORRUPT, describe(error)) from error


def _chunk(parsed: ParsedDocument, chunker: Chunker) -> tuple[Chunk, ...]:
    try:
        return tuple(chunker(parsed))
    except MemoryError:
        raise
    except Exception as error:
        raise ParseRefused(Reason.CRASHED, f"its chunker failed: {describe(error)}") from error


def _fingerprint(path: Path, limits: Limits) -> tuple[str, tuple[int, ...]]:
    """Return the SHA-256 of a file and the state it was in."""
    # Without O_NONBLOCK the opening of a pipe waits for a writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb", buffering=0) as stream:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise ParseRefused(Reason.UNREADABLE, "not a regular file")
        if before.st_size > limits.file_bytes:
            detail = f"{before.st_size} bytes, the limit is {limits.file_bytes}"
            raise ParseRefused(Reason.TOO_LARGE, detail)
        hasher = hashlib.sha256()
        while piece := stream.read(_PIECE_BYTES):
            hasher.update(piece)
    return hasher.hexdigest(), _state(before)


def _hold_to_state(path: Path, before: tuple[int, ...]) -> None:
    if _state(path.stat()) != before:
        raise ParseRefused(Reason.CHANGED, "the file changed while it was parsed")


def _state(status: os.stat_result) -> tuple[int, ...]:
    return (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
