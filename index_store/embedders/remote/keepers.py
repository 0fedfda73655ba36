"""Who keeps the pace: one process, all processes of a machine, or all machines.

Invariant: a place in the queue is taken in one step, so two who share a pace never take the same.
"""

import fcntl
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from index_store.embedders.remote.options import PaceOptions
from index_store.embedders.remote.pace import Allowed, decoded, encoded
from index_store.errors import UsageError

Step = Callable[[Allowed], tuple[Allowed, float]]


class PaceKeeper(Protocol):
    """Keeps the pace; one for everybody who shares a limit."""

    def take(self, step: Step) -> float:
        """Replace what is kept by what `step` makes of it, and return the seconds it tells."""
        ...

    def later(self, step: Step) -> None:
        """Take a step now or with the next one; never fails for the sake of who else shares it."""
        ...

    def look(self) -> Allowed:
        """Return what was kept lately; somebody may have taken a step since."""
        ...


class OwnPace:
    """The pace of one process; the caller holds the lock."""

    def __init__(self) -> None:
        self._allowed = Allowed()

    def take(self, step: Step) -> float:
        """Take a step."""
        self._allowed, told_s = step(self._allowed)
        return told_s

    def later(self, step: Step) -> None:
        """Take a step."""
        self.take(step)

    def look(self) -> Allowed:
        """Return what is kept."""
        return self._allowed


class SharedPace:
    """The pace of all processes of one machine, in a file that is locked for a moment.

    A step costs some 100 microseconds. A file that says nonsense is begun anew.

    Args:
        path: The file; its folder must exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = Allowed()

    def take(self, step: Step) -> float:
        """Take a step.

        Raises:
            UsageError: The file cannot be written.
        """
        try:
            with self._path.open("ab+") as stream:
                fcntl.flock(stream, fcntl.LOCK_EX)
                stream.seek(0)
                allowed, told_s = step(decoded(stream.read()))
                stream.seek(0)
                stream.truncate()
                stream.write(encoded(allowed))
                stream.flush()
        except OSError as error:
            raise UsageError(
                f"embed_pace_file {str(self._path)!r} cannot be used: {error.strerror}"
            ) from error
        self._seen = allowed
        return told_s

    def later(self, step: Step) -> None:
        """Take a step."""
        self.take(step)

    def look(self) -> Allowed:
        """Return what this process left there."""
        return self._seen


def keeper(options: PaceOptions, wall: Callable[[], float]) -> PaceKeeper:
    """Return who keeps the pace that `options` ask for.

    Raises:
        UsageError: The address of a shared pace is none.
    """
    if options.shared_store:
        from index_store.embedders.remote.store_pace import (  # noqa: PLC0415  loads a client of S3
            StorePace,
        )
        from index_store.storage.opening import open_storage  # noqa: PLC0415  the same

        return StorePace(open_storage(options.shared_store), wall)
    return SharedPace(Path(options.shared_file)) if options.shared_file else OwnPace()
