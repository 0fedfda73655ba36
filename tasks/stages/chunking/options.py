"""What shapes chunks, and the identity of that choice."""

from dataclasses import dataclass

from index_store.errors import UsageError

CHUNKER_REVISION = "structure-4"
WINDOW_REVISION = "window-2"
STRUCTURE, WINDOW = "structure", "window"
MIN_MAX_TOKENS = 32  # below this, headers and overlap leave no room for text


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkOptions:
    """How documents are cut.

    Attributes:
        max_tokens: Longest chunk by the tokenizer that counts, never exceeded.
        overlap_tokens: At most this much of a chunk's end is repeated at the start of the next.
        min_chars: Chunks with fewer characters are dropped from a document that has longer ones;
            wide characters, such as ideographs, count as two.
        splitter: Where texts are cut: at their structure, or in windows of a fixed size.
        context_line: Whether a chunk begins with the title and the section that it stands in.

    Raises:
        UsageError: A value is out of range.
    """

    max_tokens: int = 512
    overlap_tokens: int = 64
    min_chars: int = 50
    splitter: str = STRUCTURE
    context_line: bool = False

    def __post_init__(self) -> None:
        if self.max_tokens < MIN_MAX_TOKENS:
            raise UsageError(f"chunk size: {self.max_tokens} tokens is below {MIN_MAX_TOKENS}")
        if self.context_line and self.max_tokens < 2 * MIN_MAX_TOKENS:
            raise UsageError(
                f"chunk size: {self.max_tokens} tokens leave no room for a context line, "
                f"which needs {2 * MIN_MAX_TOKENS}"
            )
        if not 0 <= self.overlap_tokens <= self.max_tokens // 2:
            raise UsageError(
                f"chunk overlap: {self.overlap_tokens} tokens is not in [0, {self.max_tokens // 2}]"
            )
        if self.splitter not in (STRUCTURE, WINDOW):
            raise UsageError(f"splitter {self.splitter!r}: expected {STRUCTURE!r} or {WINDOW!r}")
        if self.min_chars < 0:
            raise UsageError(f"shortest chunk: {self.min_chars} characters is below 0")


def chunker_identity(options: ChunkOptions, tokenizer_identity: str) -> str:
    """Return the name of everything that decides where a document is cut.

    Args:
        options: How documents are cut.
        tokenizer_identity: The tokenizer that counts; it holds no semicolon.
    """
    revision = CHUNKER_REVISION if options.splitter == STRUCTURE else WINDOW_REVISION
    context = ";context_line" if options.context_line else ""
    return (
        f"{revision};max_tokens={options.max_tokens};overlap_tokens={options.overlap_tokens};"
        f"min_chars={options.min_chars};tokenizer={tokenizer_identity}{context}"
    )


def tokenizer_in(chunker: str) -> str:
    """Return the tokenizer in what `chunker_identity` made; empty for other text."""
    for part in chunker.split(";"):
        name, _, value = part.partition("=")
        if name == "tokenizer":
            return value
    return ""
