"""When the next request may go: requests and tokens a minute, shared by everybody who sends.

The generic cell rate algorithm (ITU-T I.371): one number per limit, the time at which what was
sent so far will have been allowed. Requests are spaced evenly, with room for a short burst, so a
minute measured anywhere stays within the limit.

Invariant: a place in the queue is taken in one step, so two processes that share a file never take
the same one.
"""

import fcntl
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from index_store.embedders.remote.options import PaceOptions
from index_store.errors import UsageError

MINUTE_S = 60.0
BURST_S = 1.0  # what may go at once, in seconds of the rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """Times at which what was sent so far will have been allowed, seconds of the wall clock."""

    requests_at: float = 0.0
    tokens_at: float = 0.0


Step = Callable[[Allowed], tuple[Allowed, float]]


class PaceKeeper(Protocol):
    """Keeps the pace; one for everybody who shares a limit."""

    def take(self, step: Step) -> float:
        """Replace what is kept by what `step` makes of it, and return the seconds to wait."""
        ...


class OwnPace:
    """The pace of one process; the caller holds the lock."""

    def __init__(self) -> None:
        self._allowed = Allowed()

    def take(self, step: Step) -> float:
        """Take a place."""
        self._allowed, wait_s = step(self._allowed)
        return wait_s


class SharedPace:
    """The pace of all processes of one machine, in a file that is locked for a moment.

    A place costs some 30 microseconds. A file that says nonsense is begun anew.

    Args:
        path: The file; its folder must exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def take(self, step: Step) -> float:
        """Take a place.

        Raises:
            UsageError: The file cannot be written.
        """
        try:
            with self._path.open("a+") as stream:
                fcntl.flock(stream, fcntl.LOCK_EX)
                stream.seek(0)
                allowed, wait_s = step(_decoded(stream.read()))
                stream.seek(0)
                stream.truncate()
                stream.write(json.dumps([allowed.requests_at, allowed.tokens_at]))
                stream.flush()
        except OSError as error:
            raise UsageError(
                f"embed_pace_file {str(self._path)!r} cannot be used: {error.strerror}"
            ) from error
        return wait_s


def keeper(options: PaceOptions) -> PaceKeeper:
    """Return who keeps the pace that `options` ask for."""
    return SharedPace(Path(options.shared_file)) if options.shared_file else OwnPace()


def place(allowed: Allowed, options: PaceOptions, tokens: int, now: float) -> tuple[Allowed, float]:
    """Take the next place in the queue; pure.

    Args:
        allowed: What was taken so far.
        options: The limits.
        tokens: Tokens of the request.
        now: Seconds of the wall clock, the same for all who share the pace.

    Returns:
        What is taken then, and the seconds to wait, at least 0.
    """
    wait_s = max(0.0, max(allowed.requests_at, allowed.tokens_at) - BURST_S - now)
    sent_at = now + wait_s
    taken = Allowed(
        requests_at=_after(allowed.requests_at, sent_at, 1, options.requests_per_minute),
        tokens_at=_after(allowed.tokens_at, sent_at, tokens, options.tokens_per_minute),
    )
    return taken, wait_s


def held_back(allowed: Allowed, until: float) -> Allowed:
    """Return the pace when nothing may go before `until`."""
    at = until + BURST_S
    return Allowed(requests_at=max(allowed.requests_at, at), tokens_at=max(allowed.tokens_at, at))


def _after(at: float, sent_at: float, amount: int, per_minute: float | None) -> float:
    spacing_s = 0.0 if per_minute is None else amount * MINUTE_S / per_minute
    return max(at, sent_at) + spacing_s


def _decoded(text: str) -> Allowed:
    with suppress(ValueError, TypeError):
        requests_at, tokens_at = json.loads(text)
        return Allowed(requests_at=float(requests_at), tokens_at=float(tokens_at))
    return Allowed()
