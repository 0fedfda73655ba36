"""What stays of a document's last good text when the document fails now; pure."""

from dataclasses import replace

from index_store.attributes import NO_ATTRIBUTES, DocumentAttributes
from index_store.records import Reason, Rejection


def is_emptied(rejection: Rejection) -> bool:
    """Tell whether a document failed because there is no text in it any more: then none stays."""
    return rejection.reason in (Reason.EMPTY, Reason.NO_TEXT)


def kept_attributes(before: DocumentAttributes, now: DocumentAttributes) -> DocumentAttributes:
    """Return what is known of a text that goes on serving, and who may read it by what is said now.

    A document that failed before anything was known of it says nothing of who may read it.

    Args:
        before: What was known of the text.
        now: What is known of the document that failed.
    """
    return before if now == NO_ATTRIBUTES else replace(before, groups=now.groups)
