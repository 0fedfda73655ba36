"""What to do about documents that were refused, by reason: a sentence and a command; pure."""

from dataclasses import dataclass
from shlex import quote

# What stands in the way, and what is added to the command that tries them again.
_REMEDIES = {
    "unreadable": ("let the run read these files", ""),
    "empty": ("there is nothing in them; put the right files in their place", ""),
    "no-text": ("they hold pictures of text; have them read by OCR", "--set ocr=auto"),
    "encrypted": ("put copies without a password in their place", ""),
    "corrupt": ("put whole copies in their place", ""),
    "unsupported": ("name a Tika server that reads them", "--set tika_url=http://HOST:9998"),
    "too-large": ("allow larger ones, or split them", "--set max_document_mib=2048"),
    "timeout": ("give parsers more time", "--set parse_timeout_s=600"),
    "memory": ("give parsers more memory", "--set parse_memory_mib=4096"),
    "crashed": ("a parser died on them; put copies saved anew in their place", ""),
    "changed": ("they changed while they were read; nothing else is needed", ""),
    "embedding": ("the embedder refused their text; try another embedder or shorter chunks", ""),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """What helps against one reason.

    Attributes:
        advice: What to do, one line.
        command: What tries the documents again.
    """

    advice: str
    command: str


def remedy(collection: str, reason: str) -> Remedy:
    """Return what to do about documents that were refused for a reason."""
    advice, more = _REMEDIES.get(reason, ("", ""))
    command = f"nightpress run --collection {quote(collection)} --retry-rejected {more}"
    return Remedy(advice=advice, command=command.strip())
