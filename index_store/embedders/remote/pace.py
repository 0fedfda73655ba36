"""When the next request may go: requests and tokens a minute, shared by everybody who sends.

Two rules together. A record of the last minute keeps every minute, measured anywhere, within the
limit although requests are whole. The generic cell rate algorithm (ITU-T I.371) bounds how much of
a minute may go at once: all of it, until the provider refuses that, then half as much each time.

Invariants: pure; what the provider counted takes the place of what was expected.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil, inf, sqrt
from typing import Any

import orjson

from index_store.embedders.remote.options import PaceOptions

MINUTE_S = 60.0
MARGIN_S = 0.5  # requests travel unevenly: two that leave a minute apart may arrive closer
WINDOW_S = MINUTE_S + MARGIN_S
LEAST_BURST_S = 1.0  # what may always go at once, in seconds of the rate
GRAIN_S = 0.25  # requests this close are remembered as one, so a record stays short
SURPRISE = 0.05  # of what is expected of a request: so much more the provider may count at first
LEAST_SURPRISE = 0.002
LEAST_ROOM = 0.3  # of a full request: less room at the end of a minute is left unused
WORTH_WAITING_S = 5.0  # for a whole request, rather than to cut it


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """Requests that went close together.

    Attributes:
        first_at: When the first went, seconds of the wall clock.
        last_at: When the last went.
        requests: How many.
        tokens: Tokens in them.
        doubt: Sum of the squares of what the provider may count besides, of those whose count is
            not known yet.
    """

    first_at: float
    last_at: float
    requests: int
    tokens: float
    doubt: float = 0.0


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
        surprise: Share of them that the provider may count besides.
    """

    at: float
    tokens: float
    surprise: float = SURPRISE


def place(
    allowed: Allowed, options: PaceOptions, tokens: float, now: float, surprise: float = SURPRISE
) -> tuple[Allowed, Place]:
    """Take the next place in the queue; pure.

    Args:
        allowed: What was taken so far.
        options: The limits.
        tokens: Tokens of the request, as the provider is expected to count them.
        now: Seconds of the wall clock, the same for all who share the pace.
        surprise: Share of the tokens that the provider may count besides.

    Returns:
        What is taken then, and the place.
    """
    spaced_at = max(allowed.requests_at, allowed.tokens_at) - allowed.burst_s
    sent = tuple(each for each in allowed.sent if each.last_at > now - WINDOW_S)
    doubt = (surprise * tokens) ** 2
    at, _, _ = _first_room(sent, options, tokens, doubt, max(now, spaced_at, allowed.not_before))
    taken = replace(
        allowed,
        requests_at=_after(allowed.requests_at, at, 1, options.requests_per_minute),
        tokens_at=_after(allowed.tokens_at, at, tokens, options.tokens_per_minute),
        sent=_with(sent, at, tokens, doubt),
    )
    return taken, Place(at=at, tokens=tokens, surprise=surprise)


def room(
    allowed: Allowed, options: PaceOptions, most: float, now: float, surprise: float = SURPRISE
) -> float:
    """Return how many tokens the next request should have so that every minute is filled; pure.

    A full request, unless so much has no room left in a minute whose rest would stay unused: then
    what is left of it. Twelve requests of 16,000 tokens leave 4 % of 200,000 unused.

    Args:
        allowed: What was taken so far.
        options: The limits.
        most: Tokens of a full request, as the provider is expected to count them.
        now: Seconds of the wall clock.
        surprise: Share of the tokens that the provider may count besides.
    """
    per_minute = options.tokens_per_minute
    if (
        per_minute is None
        or most <= 0
        or ceil(per_minute / most) >= (options.requests_per_minute or inf)
    ):
        return most  # requests run out before tokens do, so each should be full
    spaced_at = max(allowed.requests_at, allowed.tokens_at) - allowed.burst_s
    sent = tuple(each for each in allowed.sent if each.last_at > now - WINDOW_S)
    least = LEAST_ROOM * most
    doubt = (surprise * least) ** 2
    earliest = max(now, spaced_at, allowed.not_before)
    soon, left, doubts = _first_room(sent, options, least, doubt, earliest)
    whole_at, _, _ = _first_room(sent, options, most, (surprise * most) ** 2, earliest)
    if left == inf or whole_at - soon < WORTH_WAITING_S:
        return most
    # What is expected of the provider may change by the time that the request takes its place.
    left = (1.0 - surprise) * left - sqrt(doubts + (surprise * left) ** 2)
    return max(least, min(most, left))


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
        sent=_changed(allowed.sent, taken, requests, tokens),
    )


def held_back(allowed: Allowed, until: float) -> Allowed:
    """Return the pace when nothing may go before `until`."""
    return replace(allowed, not_before=max(allowed.not_before, until))


def calmed(allowed: Allowed) -> Allowed:
    """Return the pace after the provider has refused the rate: half as much at once."""
    return replace(allowed, burst_s=max(LEAST_BURST_S, allowed.burst_s / 2))


def _first_room(
    sent: tuple[Sent, ...], options: PaceOptions, tokens: float, doubt: float, earliest: float
) -> tuple[float, float, float]:
    """Return when a request fits into the minute before it, and what is left of that minute.

    Args:
        sent: The last minute.
        options: The limits.
        tokens: Tokens of the request.
        doubt: Square of what the provider may count besides.
        earliest: It goes no earlier.

    Returns:
        When; the tokens left then, and the doubt about them, both without this request.
    """
    requests = sum(each.requests for each in sent)
    held = sum(each.tokens for each in sent)
    doubts = sum(each.doubt for each in sent)
    most_requests = options.requests_per_minute or inf
    most_tokens = options.tokens_per_minute or inf
    at = earliest
    for each in sent:
        fits = requests + 1 <= max(1.0, most_requests) and (
            held + tokens + sqrt(doubts + doubt) <= most_tokens or not held
        )
        if fits and each.last_at + WINDOW_S > at:
            break
        at = at if fits else max(at, each.last_at + WINDOW_S)
        requests, held = requests - each.requests, held - each.tokens
        doubts = max(0.0, doubts - each.doubt)
    return at, most_tokens - held, max(0.0, doubts)


def _with(sent: tuple[Sent, ...], at: float, tokens: float, doubt: float) -> tuple[Sent, ...]:
    last = sent[-1] if sent else None
    if last is not None and 0 <= at - last.first_at < GRAIN_S:
        grown = Sent(
            first_at=last.first_at,
            last_at=max(at, last.last_at),
            requests=last.requests + 1,
            tokens=last.tokens + tokens,
            doubt=last.doubt + doubt,
        )
        return (*sent[:-1], grown)
    new = Sent(first_at=at, last_at=at, requests=1, tokens=tokens, doubt=doubt)
    return tuple(sorted((*sent, new), key=lambda each: each.last_at))


def _changed(
    sent: tuple[Sent, ...], taken: Place, requests: int, tokens: float
) -> tuple[Sent, ...]:
    doubt = (taken.surprise * taken.tokens) ** 2
    return tuple(
        replace(
            each,
            requests=max(0, each.requests + requests),
            tokens=max(0.0, each.tokens + tokens),
            doubt=max(0.0, each.doubt - doubt),
        )
        if each.first_at <= taken.at <= each.last_at
        else each
        for each in sent
    )


def _after(at: float, sent_at: float, amount: float, per_minute: float | None) -> float:
    return max(at, sent_at) + _spacing_s(amount, per_minute)


def _spacing_s(amount: float, per_minute: float | None) -> float:
    return 0.0 if per_minute is None else amount * WINDOW_S / per_minute


def encoded(allowed: Allowed) -> bytes:
    """Return what is kept as JSON."""
    return orjson.dumps(allowed)


def decoded(data: bytes) -> Allowed:
    """Read what was kept; nonsense is begun anew."""
    try:
        return parsed(orjson.loads(data))
    except (ValueError, TypeError, KeyError, AttributeError):
        return Allowed()


def parsed(kept: Mapping[str, Any]) -> Allowed:
    """Return what JSON tells.

    Raises:
        ValueError, TypeError, KeyError, AttributeError: It tells something else.
    """
    sent = tuple(
        Sent(
            first_at=float(each["first_at"]),
            last_at=float(each["last_at"]),
            requests=int(each["requests"]),
            tokens=float(each["tokens"]),
            doubt=float(each.get("doubt", 0.0)),
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
