"""The records that cross rooms: what a chunk, a document and a hit are.

Invariants: every record is frozen; pages and slides are 1-based as a person counts them; row ranges
are half-open [start, end) over 1-based sheet rows; texts are valid Unicode without lone surrogates.
"""

from dataclasses import dataclass, field
from enum import Enum

from index_store.attributes import NO_ATTRIBUTES, DocumentAttributes


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """Where in its document a chunk stands, precise enough for a person to check it.

    Attributes:
        page: 1-based page of a paged document, else None.
        slide: 1-based slide of a presentation, else None.
        sheet: Name of the sheet of a workbook, else None.
        row_start: First sheet row of the chunk, 1-based, else None.
        row_end: One past the last sheet row of the chunk, else None.
        section: Heading path from the outermost to the innermost, possibly empty.
    """

    page: int | None = None
    slide: int | None = None
    sheet: str | None = None
    row_start: int | None = None
    row_end: int | None = None
    section: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """The unit that is embedded and retrieved.

    Attributes:
        text: What is embedded and shown.
        tokens: Exact length of `text` by the tokenizer that it was cut by.
        citation: Where the chunk stands in its document.
        keywords: Words that describe what it stands in, such as its chapter; searches by words
            find it by them too, and they are no part of its text.
    """

    text: str
    tokens: int
    citation: Citation = field(default_factory=Citation)
    keywords: tuple[str, ...] = ()


class Reason(Enum):
    """Why a document was refused; the value is what machines read."""

    UNREADABLE = "unreadable"  # the operating system would not give us its bytes
    EMPTY = "empty"  # zero bytes, or nothing but blanks
    NO_TEXT = "no-text"  # it opens, and holds no text that a parser can reach
    ENCRYPTED = "encrypted"  # a password is needed
    CORRUPT = "corrupt"  # the bytes are not a valid file of their type
    UNSUPPORTED = "unsupported"  # a type or variant that no parser here reads
    TOO_LARGE = "too-large"  # over a declared limit of bytes, cells, entries or expansion
    TIMEOUT = "timeout"  # its parser was killed at the wall-clock limit
    MEMORY = "memory"  # its parser was stopped at the memory limit
    CRASHED = "crashed"  # its parser died
    CHANGED = "changed"  # the file changed or vanished while it was read
    EMBEDDING = "embedding"  # its text was refused by the embedder


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """A document refused, with a reason that machines and people can read.

    Attributes:
        reason: The machine-readable reason.
        detail: One line for a person; never document text.
        parser: Identity of the parser that refused it, empty when none ran.
        attempts: How many runs have tried this content, at least 1.
    """

    reason: Reason
    detail: str
    parser: str = ""
    attempts: int = 1


class Quality(Enum):
    """How well a document's text came out; the value is what machines read."""

    GOOD = "good"  # a person reading the chunks would find what the document says
    POOR = "poor"  # text came out, and some of it is missing or garbled
    NONE = "none"  # no text that can be searched


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentRecord:
    """One line of the catalog: what the source held and what became of it.

    The observed file and the chunks that serve are told apart, because a changed file that fails to
    parse may keep its last good chunks.

    Attributes:
        uri: Name of the document, unique in the catalog; ends in its path relative to the source.
        size_bytes: Observed size.
        mtime_ns: Observed modification time, nanoseconds since the epoch.
        content_hash: SHA-256 of the observed bytes, 64 hexadecimal characters; empty when
            unreadable; for a file above the size limit, a hash of its size and time instead.
        work_key: Identity of parser, limits and chunker that were applied to `content_hash`.
        rejection: Why the observed content is not indexed, or None when it is.
        indexed_hash: Content hash whose chunks serve, or None when no chunks do.
        shard: Shard that holds the chunks, or None when `chunks` is 0.
        row_start: First row of the chunks in the shard.
        row_end: One past the last row; rows of a document are contiguous in one shard.
        shard_uri: The uri written in the shard's chunk table; differs from `uri` after a move.
        tokens: Tokens of the serving chunks.
        attributes: What is known of the document besides its text.
        quality: How well the serving text came out, `NONE` for a document without any; None when
            nobody judged it.
    """

    uri: str
    size_bytes: int
    mtime_ns: int
    content_hash: str
    work_key: str
    rejection: Rejection | None = None
    indexed_hash: str | None = None
    shard: str | None = None
    row_start: int = 0
    row_end: int = 0
    shard_uri: str = ""
    tokens: int = 0
    attributes: DocumentAttributes = NO_ATTRIBUTES
    quality: Quality | None = None

    @property
    def chunks(self) -> int:
        """Number of serving chunks."""
        return self.row_end - self.row_start


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreParts:
    """What a score is made of; what was not computed is None.

    Attributes:
        dense: Cosine similarity of question and chunk, in [-1, 1].
        lexical: BM25 of the question's words in the chunk, at least 0; comparable within one
            version and one question only.
        fused: Both together, in [0, 1]; None unless the search went by both.
        rerank: What a reranker gave, on its own scale.
    """

    dense: float | None = None
    lexical: float | None = None
    fused: float | None = None
    rerank: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One search result.

    Attributes:
        score: What hits are ordered by, quotations apart: the fused score, or the cosine
            similarity or BM25 when the search went by one of them.
        uri: Name of the document.
        text: Text of the chunk.
        citation: Where in the document.
        chunk: Id of the chunk, 64 hexadecimal characters.
        verbatim: Whether the chunk contains the question word for word.
        parts: What the score is made of.
        attributes: What is known of the document: title, url, date, language and so on.
        context: The chunk with its neighbours joined, when they were asked for; else empty.
        also_in: Other documents that hold a chunk of the same text, best first.
    """

    score: float
    uri: str
    text: str
    citation: Citation
    chunk: str
    verbatim: bool = False
    parts: ScoreParts = ScoreParts()
    attributes: DocumentAttributes = NO_ATTRIBUTES
    context: str = ""
    also_in: tuple[str, ...] = ()
