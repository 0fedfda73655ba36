"""What became of one document, and the frames in which a child process says so.

Invariants: an outcome has chunks or a rejection, never both, never neither; frames are JSON.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import orjson

from index_store.attributes import (
    NO_ATTRIBUTES,
    DocumentAttributes,
    decode_attributes,
    encode_attributes,
)
from index_store.records import Chunk, Citation, Quality, Reason, Rejection


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Result of parsing one document.

    Attributes:
        chunks: What the plugged chunker made of the document, or None when it was refused.
        rejection: Why it was refused, or None.
        attributes: What is known of the document besides its text.
        quality: How well its text came out; `NONE` when it was refused.
        warnings: Short notes for the report; never document text.
        parser: Identity of the parser that ran, see `registry.parser_identity`.
        content_hash: SHA-256 of the bytes that were parsed, 64 hexadecimal characters; empty when
            they were not read to the end.
        seconds: Wall-clock time from the start of the document.
    """

    chunks: tuple[Chunk, ...] | None = None
    rejection: Rejection | None = None
    attributes: DocumentAttributes = NO_ATTRIBUTES
    quality: Quality = Quality.NONE
    warnings: tuple[str, ...] = ()
    parser: str = ""
    content_hash: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer of a child.

    Attributes:
        outcome: What became of the document.
        spent: Whether the child asks to be replaced, for it may hold much memory.
    """

    outcome: Outcome
    spent: bool = False


def rejected(
    reason: Reason,
    detail: str,
    *,
    parser: str = "",
    content_hash: str = "",
    warnings: Sequence[str] = (),
    attributes: DocumentAttributes = NO_ATTRIBUTES,
) -> Outcome:
    """Return the outcome of a refused document."""
    rejection = Rejection(reason=reason, detail=detail, parser=parser)
    return Outcome(
        rejection=rejection,
        parser=parser,
        content_hash=content_hash,
        warnings=tuple(warnings),
        attributes=attributes,
    )


def encode_reply(reply: Reply) -> bytes:
    """Return a reply as JSON.

    Raises:
        TypeError: A text is not valid Unicode.
    """
    outcome = reply.outcome
    rejection = outcome.rejection
    return orjson.dumps(
        {
            "chunks": None if outcome.chunks is None else [_chunk_row(c) for c in outcome.chunks],
            "rejection": None if rejection is None else [rejection.reason.value, rejection.detail],
            "attributes": encode_attributes(outcome.attributes),
            "quality": outcome.quality.value,
            "warnings": outcome.warnings,
            "parser": outcome.parser,
            "content_hash": outcome.content_hash,
            "spent": reply.spent,
        }
    )


def decode_reply(payload: bytes, *, seconds: float) -> Reply:
    """Read a reply back.

    Raises:
        ValueError, KeyError, TypeError: The frame is not what `encode_reply` writes.
    """
    row = orjson.loads(payload)
    parser = str(row["parser"])
    rejection = None
    if row["rejection"] is not None:
        value, detail = row["rejection"]
        rejection = Rejection(reason=Reason(value), detail=str(detail), parser=parser)
    outcome = Outcome(
        chunks=None if row["chunks"] is None else tuple(_chunk(item) for item in row["chunks"]),
        rejection=rejection,
        attributes=decode_attributes(str(row["attributes"]), "reply"),
        quality=Quality(row["quality"]),
        warnings=tuple(str(warning) for warning in row["warnings"]),
        parser=parser,
        content_hash=str(row["content_hash"]),
        seconds=seconds,
    )
    return Reply(outcome=outcome, spent=bool(row["spent"]))


def _chunk_row(chunk: Chunk) -> dict[str, object]:
    return {
        "text": chunk.text,
        "tokens": chunk.tokens,
        "citation": asdict(chunk.citation),
        "keywords": chunk.keywords,
    }


def _chunk(row: Mapping[str, object]) -> Chunk:
    citation, keywords = row["citation"], row["keywords"]
    if not isinstance(citation, dict) or not isinstance(keywords, list):
        raise TypeError("citation or keywords of a chunk have the wrong type")
    section = tuple(citation.pop("section"))
    text, tokens = row["text"], row["tokens"]
    if not isinstance(text, str) or not isinstance(tokens, int):
        raise TypeError("text or tokens of a chunk have the wrong type")
    return Chunk(
        text=text,
        tokens=tokens,
        citation=Citation(**citation, section=section),
        keywords=tuple(map(str, keywords)),
    )
