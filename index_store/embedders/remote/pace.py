"""When the next request may go: requests and tokens a minute, shared by everybody who sends.

Two rules together. A record of the last minute keeps every minute, measured anywhere, within the
limit although requests are whole. The generic cell rate algorithm (ITU-T I.371) bounds how much of
a minute may go at once: all of it, until the provider refuses that, then half as much each time.

Invariants: a place in the queue is taken in one step, so two processes that share a file never take
the same one; what the provider counted takes the place of what was expected.
"""

import fcntl
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil, inf
from pathlib import Path
from typing import Protocol

import orjson

from index_store.embedders.remote.options import PaceOptions
from index_store.errors import UsageError

MINUTE_S = 60.0
MARGIN_S = 0.5  # requests travel unevenly: two that leave a minute apart may arrive closer
WINDOW_S = MINUTE_S + MARGIN_S
LEAST_BURST_S = 1.0  # what may always go at once, in seconds of the rate
GRAIN_S = 0.25  # requests this close are remembered as one, so a record stays short
SURPRISE = 1.05  # the provider may count this many times what is expected of one request
FILL = 0.985  # of a minute that whole requests are cut for: counts are known only afterwards


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """Requests that went close together.

    Attributes:
        first_at: When the first went, seconds of the wall clock.
        last_at: When the last went.
        requests: How many.
        tokens: Tokens in them.
    """

    first_at: float
    last_at: float
    requests: int
    tokens: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """What was taken so far; times are seconds of the wall clock.

    Attributes:
        requests_at: When the requests so far will have been allowed.
        tokens_at: When their tokens will have been.
        not_before: Nothing goes before this.
        burst_s: What may go at once, in seconds of the rate.
        sent: The last minute, oldest first; places that were taken ahead included.
    """

    requests_at: float = 0.0
    tokens_at: float = 0.0
    not_before: float = 0.0
    burst_s: float = WINDOW_S
    sent: tuple[Sent, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A place in the queue.

    Attributes:
        at: When the request may go.
        tokens: Tokens it is expected to have.
    """

    at: float
    tokens: float


Step = Callable[[Allowed], tuple[Allowed, float]]


class PaceKeeper(Protocol):
    """Keeps the pace; one for everybody who shares a limit."""

    def take(self, step: Step) -> float:
        """Replace what is kept by what `step` makes of it, and return the seconds it tells."""
        ...


class OwnPace:
    """The pace of one process; the caller holds the lock."""

    def __init__(self) -> None:
        self._allowed = Allowed()

    def take(self, step: Step) -> float:
        """Take a step."""
        self._allowed, told_s = step(self._allowed)
        return told_s


class SharedPace:
    """The pace of all processes of one machine, in a file that is locked for a moment.

    A step costs some 100 microseconds. A file that says nonsense is begun anew.

    Args:
        path: The file; its folder must exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def take(self, step: Step) -> float:
        """Take a step.

        Raises:
            UsageError: The file cannot be written.
        """
        try:
            with self._path.open("ab+") as stream:
                fcntl.flock(stream, fcntl.LOCK_EX)
                stream.seek(0)
                allowed, told_s = step(_decoded(stream.read()))
                stream.seek(0)
                stream.truncate()
                stream.write(_encoded(allowed))
                stream.flush()
        except OSError as error:
            raise UsageError(
                f"embed_pace_file {str(self._path)!r} cannot be used: {error.strerror}"
            ) from error
        return told_s


def keeper(options: PaceOptions) -> PaceKeeper:
    """Return who keeps the pace that `options` ask for."""
    return SharedPace(Path(options.shared_file)) if options.shared_file else OwnPace()


def place(
    allowed: Allowed, options: PaceOptions, tokens: float, now: float
) -> tuple[Allowed, Place]:
    """Take the next place in the queue; pure.

    Args:
        allowed: What was taken so far.
        options: The limits.
        tokens: Tokens of the request, as the provider is expected to count them.
        now: Seconds of the wall clock, the same for all who share the pace.

    Returns:
        What is taken then, and the place.
    """
    spaced_at = max(allowed.requests_at, allowed.tokens_at) - allowed.burst_s
    sent = tuple(each for each in allowed.sent if each.last_at > now - WINDOW_S)
    at = _first_room(sent, options, tokens, max(now, spaced_at, allowed.not_before))
    taken = replace(
        allowed,
        requests_at=_after(allowed.requests_at, at, 1, options.requests_per_minute),
        tokens_at=_after(allowed.tokens_at, at, tokens, options.tokens_per_minute),
        sent=_with(sent, at, tokens),
    )
    return taken, Place(at=at, tokens=tokens)


def corrected(
    allowed: Allowed, options: PaceOptions, taken: Place, counted: float | None
) -> Allowed:
    """Return the pace with what a request really had; pure.

    Args:
        allowed: What was taken so far.
        options: The limits.
        taken: The place of the request.
        counted: Tokens that the provider counted; None when the request did not go.
    """
    requests = -1 if counted is None else 0
    tokens = (counted or 0.0) - taken.tokens
    return replace(
        allowed,
        requests_at=allowed.requests_at + _spacing_s(requests, options.requests_per_minute),
        tokens_at=allowed.tokens_at + _spacing_s(tokens, options.tokens_per_minute),
        sent=_changed(allowed.sent, taken.at, requests, tokens),
    )


def held_back(allowed: Allowed, until: float) -> Allowed:
    """Return the pace when nothing may go before `until`."""
    return replace(allowed, not_before=max(allowed.not_before, until))


def calmed(allowed: Allowed) -> Allowed:
    """Return the pace after the provider has refused the rate: half as much at once."""
    return replace(allowed, burst_s=max(LEAST_BURST_S, allowed.burst_s / 2))


def whole_share(most_tokens: int, options: PaceOptions) -> int:
    """Return how many tokens a request should have so that whole requests fill a minute.

    Twelve requests of 16,000 tokens leave 4 % of 200,000 unused and a thirteenth passes them, so
    requests are cut to a thirteenth.

    Args:
        most_tokens: Tokens that one request may have.
        options: The limits.
    """
    per_minute = options.tokens_per_minute
    if per_minute is None:
        return most_tokens
    requests = ceil(per_minute / most_tokens)
    if requests >= (options.requests_per_minute or inf):
        return most_tokens  # requests run out before tokens do, so each should be full
    return max(1, min(most_tokens, int(FILL * per_minute / requests)))


def _first_room(
    sent: tuple[Sent, ...], options: PaceOptions, tokens: float, earliest: float
) -> float:
    """Return when a request fits into the minute before it, at the earliest at `earliest`."""
    requests = sum(each.requests for each in sent)
    held = sum(each.tokens for each in sent)
    most_requests = options.requests_per_minute or inf
    most_tokens = options.tokens_per_minute or inf
    at = earliest
    for each in sent:
        fits = requests + 1 <= max(1.0, most_requests) and (
            held + SURPRISE * tokens <= most_tokens or not held
        )
        if fits and each.last_at + WINDOW_S > at:
            break
        at = at if fits else max(at, each.last_at + WINDOW_S)
        requests, held = requests - each.requests, held - each.tokens
    return at


def _with(sent: tuple[Sent, ...], at: float, tokens: float) -> tuple[Sent, ...]:
    last = sent[-1] if sent else None
    if last is not None and 0 <= at - last.first_at < GRAIN_S:
        grown = Sent(
            first_at=last.first_at,
            last_at=max(at, last.last_at),
            requests=last.requests + 1,
            tokens=last.tokens + tokens,
        )
        return (*sent[:-1], grown)
    new = Sent(first_at=at, last_at=at, requests=1, tokens=tokens)
    return tuple(sorted((*sent, new), key=lambda each: each.last_at))


def _changed(sent: tuple[Sent, ...], at: float, requests: int, tokens: float) -> tuple[Sent, ...]:
    return tuple(
        replace(
            each,
            requests=max(0, each.requests + requests),
            tokens=max(0.0, each.tokens + tokens),
        )
        if each.first_at <= at <= each.last_at
        else each
        for each in sent
    )


def _after(at: float, sent_at: float, amount: float, per_minute: float | None) -> float:
    return max(at, sent_at) + _spacing_s(amount, per_minute)


def _spacing_s(amount: float, per_minute: float | None) -> float:
    return 0.0 if per_minute is None else amount * WINDOW_S / per_minute


def _encoded(allowed: Allowed) -> bytes:
    return orjson.dumps(allowed)


def _decoded(data: bytes) -> Allowed:
    try:
        kept = orjson.loads(data)
        sent = tuple(
            Sent(
                first_at=float(each["first_at"]),
                last_at=float(each["last_at"]),
                requests=int(each["requests"]),
                tokens=float(each["tokens"]),
            )
            for each in kept["sent"]
        )
        return Allowed(
            requests_at=float(kept["requests_at"]),
            tokens_at=float(kept["tokens_at"]),
            not_before=float(kept["not_before"]),
            burst_s=float(kept["burst_s"]),
            sent=sent,
        )
    except (ValueError, TypeError, KeyError):
        return Allowed()
