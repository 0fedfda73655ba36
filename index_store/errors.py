"""Errors of nightpress, grouped by what the caller should do.

    IndexStoreError
    ├── UsageError              the person can fix it: settings, names, arguments
    ├── TransientError          try again: network, server busy, interrupted call
    │   └── NoRoomError         this machine's memory or disk is too small for it now: make room
    ├── RefusedInputError       an embedder refuses these texts: send fewer, or leave one out
    ├── ConflictError           somebody else wrote first: read again, plan again
    ├── UnknownOutcomeError     a write may or may not have happened: settle it, delete nothing
    ├── NotFoundError           the named object, version, channel or collection is absent
    ├── CorruptArtifactError    stored bytes are not what their manifest says: stop
    ├── UnfitStoreError         the store does not keep the promises that publishing needs
    └── StoppedError            a gate, tripwire or budget stopped the run on purpose

Invariant: no other exception type of ours exists, and foreign exceptions are translated where they
enter. Messages are lower case, have no full stop, and name the thing, the value and, where there is
one, the remedy.
"""


class IndexStoreError(Exception):
    """Root of every error that nightpress raises on purpose."""


class UsageError(IndexStoreError):
    """A setting, name or argument that the person who typed it can correct."""


class TransientError(IndexStoreError):
    """A failure that may pass; the only kind that may be retried."""


class NoRoomError(TransientError):
    """Memory or disk of this machine does not suffice now; it may when something was freed."""


class RefusedInputError(IndexStoreError):
    """An embedder refuses texts, or so many at a time.

    Args:
        message: One line for a person.
        too_long: Whether a text is longer than the model takes.
        position: Place of the offending text in the request, None when it is not told.
    """

    def __init__(
        self, message: str, *, too_long: bool = False, position: int | None = None
    ) -> None:
        super().__init__(message)
        self.too_long = too_long
        self.position = position


class ConflictError(IndexStoreError):
    """Another writer came first; read the state again and plan again."""


class UnknownOutcomeError(IndexStoreError):
    """The reply to a conditional write was lost and could not be settled."""


class NotFoundError(IndexStoreError):
    """The named object, version, channel or collection does not exist."""


class CorruptArtifactError(IndexStoreError):
    """Stored bytes differ from what their manifest entry promises."""


class UnfitStoreError(IndexStoreError):
    """The store was tried and does not keep a promise that publishing relies on."""


class StoppedError(IndexStoreError):
    """A gate, tripwire or budget stopped the run; production is as it was."""
