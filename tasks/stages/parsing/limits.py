"""What one document may cost."""

from dataclasses import dataclass

from index_store.errors import UsageError

_MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds on one document and on the child process that parses it.

    Attributes:
        wall_s: Seconds from the moment the document starts until its parser is killed.
        memory_bytes: Address space of the child; 2 GiB holds every real document seen.
        file_bytes: Largest file that is opened.
        output_bytes: Largest result that a child may send back.
        documents_per_child: Documents after which a child is replaced, so that leaks stay small.
    """

    wall_s: float = 120.0
    memory_bytes: int = 2048 * _MEBIBYTE
    file_bytes: int = 512 * _MEBIBYTE
    output_bytes: int = 256 * _MEBIBYTE
    documents_per_child: int = 200

    def __post_init__(self) -> None:
        """Refuse limits under which nothing could be parsed."""
        for name in ("wall_s", "memory_bytes", "file_bytes", "output_bytes", "documents_per_child"):
            if getattr(self, name) <= 0:
                raise UsageError(f"limit {name}: expected more than 0, got {getattr(self, name)}")
