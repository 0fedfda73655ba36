"""How a parser refuses a document.

Invariant: the detail is one line for a person and never holds text of the document.
"""

import re

from index_store.errors import IndexStoreError
from index_store.records import Reason

_DETAIL_LENGTH = 120


class ParseRefused(IndexStoreError):  # noqa: N818 - a refusal is an outcome, not a fault of ours
    """A document that cannot be indexed, with the reason.

    Attributes:
        reason: The machine-readable reason.
        detail: One line for a person.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def describe(error: BaseException) -> str:
    """Return the type and a short message of a foreign exception.

    What stands in quotes is left out, because libraries quote the document there.
    """
    lines = str(error).strip().splitlines()
    message = re.sub(r"(['\"`]).*?(\1|$)", "…", lines[0]) if lines else ""
    printable = "".join(character for character in message if character.isprintable())
    name = type(error).__name__
    return f"{name}: {printable[:_DETAIL_LENGTH]}" if printable else name
