"""What a person can do about a document that was refused, by the reason of the refusal."""

from collections.abc import Mapping
from types import MappingProxyType

from index_store.records import Reason

REMEDIES: Mapping[Reason, str] = MappingProxyType(
    {
        Reason.UNREADABLE: "let the user of the run read the file (permissions, mounts)",
        Reason.EMPTY: "fill the file, remove it from the source, or exclude it",
        Reason.NO_TEXT: "pages that are images need --ocr auto; else exclude the document",
        Reason.ENCRYPTED: "put a copy without password into the source",
        Reason.CORRUPT: "open it in its own program and save it again, or restore it",
        Reason.UNSUPPORTED: "save it as a type of docs/formats.md, or exclude it",
        Reason.TOO_LARGE: "split the document; a limit of bytes is max_document_mib",
        Reason.TIMEOUT: "raise parse_timeout_s, or split the document",
        Reason.MEMORY: "raise parse_memory_mib, or split the document",
        Reason.CRASHED: "open it in its own program and save it again",
        Reason.CHANGED: "nothing: the next run reads it again; write files whole (rename)",
        Reason.EMBEDDING: "see why in its detail: the provider refused its text",
    }
)


def remedy(reason: str) -> str:
    """Return what helps against a reason, given as machines read it.

    Raises:
        ValueError: There is no such reason.
    """
    return REMEDIES[Reason(reason)]
