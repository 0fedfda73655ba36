"""Requests to S3 that are tried again, and errors of ours instead of the library's.

Invariants: a request is repeated only when that is harmless; whether a write may have happened is
never guessed: any attempt whose reply was lost makes the outcome of a failed write unknown.
"""

import logging
import secrets
from collections.abc import Callable
from enum import Enum
from typing import TypeVar

from index_store.errors import (
    ConflictError,
    IndexStoreError,
    NotFoundError,
    TransientError,
    UnfitStoreError,
    UnknownOutcomeError,
    UsageError,
)
from index_store.storage.remote_failures import Failure, Outcome, understood
from index_store.storage.remote_options import RemoteOptions

logger = logging.getLogger(__name__)
Answer = TypeVar("Answer")


class Kind(Enum):
    """What may be done when the reply to a request is lost."""

    LOOK = "look"  # ask again; nothing changes by it
    WRITE = "write"  # write again; the same bytes come to the same
    CREATE = "create"  # nothing: a second attempt could lose against the first


class Attempts:
    """Tries requests to one store; safe for threads."""

    def __init__(self, url: str, options: RemoteOptions, sleep: Callable[[float], None]) -> None:
        """Choose how often and how long.

        Args:
            url: The store, for messages.
            options: How often a request is tried.
            sleep: Waits for a number of seconds.
        """
        self._url = url
        self._options = options
        self._sleep = sleep

    def run(self, kind: Kind, action: str, key: str, request: Callable[[], Answer]) -> Answer:
        """Return the answer to a request, trying it as often as its kind and the options allow.

        Args:
            kind: What may be done when a reply is lost.
            action: The request in a word, for messages.
            key: Name of the object in the store, for messages.
            request: Makes the request once.

        Raises:
            NotFoundError: No object has this key.
            ConflictError: An object with this key exists.
            UsageError: A person has to change something: name, permission, credentials.
            UnfitStoreError: The server does not know such requests.
            TransientError: It did not work within all attempts, and nothing was written.
            UnknownOutcomeError: The reply to a write was lost.
        """
        what = f"{action} {key} in {self._url}"
        lost: Failure | None = None
        cause: Exception | None = None
        last = ""
        for attempt in range(self._options.attempts):
            if attempt:
                self._sleep(self._wait_s(attempt))
            try:
                return request()
            except Exception as error:
                failure = _failure(error)
                if failure is None:
                    raise
                final = _final(failure, what, key)
                if final is not None:
                    raise final from error
                cause, last = error, failure.detail
                lost = failure if failure.outcome is Outcome.LOST else lost
                logger.debug("%s, attempt %d: %s", what, attempt + 1, last)
                if lost is not None and kind is Kind.CREATE:
                    break
        if lost is not None and kind is not Kind.LOOK:
            raise UnknownOutcomeError(f"{what}: the reply was lost: {lost.detail}") from cause
        tried = self._options.attempts
        raise TransientError(f"{what}: failed {tried} times, at last: {last}") from cause

    def _wait_s(self, attempt: int) -> float:
        """Return the seconds before an attempt; uneven, so that those who met do not meet again."""
        unevenness = 0.5 + secrets.randbelow(1024) / 1024
        return float(self._options.backoff_s * 2.0 ** (attempt - 1) * unevenness)


def _failure(error: Exception) -> Failure | None:
    if isinstance(error, TransientError):  # an answer of which we found that it is not whole
        return Failure(outcome=Outcome.LOST, detail=str(error), code="TransientError")
    if isinstance(error, IndexStoreError):
        return None
    return understood(error)


def _final(failure: Failure, what: str, key: str) -> IndexStoreError | None:
    """Return the error of a failure that no further attempt can mend, or None."""
    match failure.outcome:
        case Outcome.MISSING:
            return NotFoundError(f"object {key} does not exist")
        case Outcome.EXISTS:
            return ConflictError(f"object {key} exists already")
        case Outcome.BEYOND | Outcome.MISTAKE:
            return UsageError(f"{what}: {failure.detail}")
        case Outcome.UNABLE:
            return UnfitStoreError(f"{what}: the store cannot do this: {failure.detail}")
        case Outcome.REFUSED_NOW | Outcome.LOST:  # pragma: no branch - there are no others
            return None
