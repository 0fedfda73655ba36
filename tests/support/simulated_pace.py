"""A night of requests in simulated time against a provider that counts a strict sliding minute."""

import heapq
import random
from collections import deque
from dataclasses import dataclass, field

from index_store.embedders.remote.options import PaceOptions
from index_store.embedders.remote.pace import (
    LEAST_SURPRISE,
    SURPRISE,
    WINDOW_S,
    Allowed,
    Place,
    corrected,
    place,
    room,
)

MINUTE_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Night:
    """What is sent, and what is allowed.

    Attributes:
        requests_per_minute: Allowed.
        tokens_per_minute: Allowed, as the provider counts.
        texts_tokens: Tokens of a text in the mean, as we count.
        ratio: Tokens that the provider counts for one of ours, in the mean.
        minutes: Length of the night.
        workers: Requests under way at a time.
        latency_s: Longest time of an answer.
        jitter_s: Longest time that a request travels.
    """

    requests_per_minute: float
    tokens_per_minute: float
    texts_tokens: int
    ratio: float = 1.3
    minutes: int = 12
    workers: int = 4
    latency_s: float = 1.5
    jitter_s: float = 0.15


@dataclass(kw_only=True)
class Seen:
    """What the provider saw after the first minute."""

    seconds: float = 0.0
    requests: int = 0
    tokens: float = 0.0
    refused: int = 0
    window: deque[tuple[float, float]] = field(default_factory=deque)

    @property
    def refused_share(self) -> float:
        return self.refused / max(1, self.requests + self.refused)

    def use(self, night: Night, binding: str) -> float:
        minutes = self.seconds / MINUTE_S
        if binding == "requests":
            return self.requests / minutes / night.requests_per_minute
        return self.tokens / minutes / night.tokens_per_minute


def simulate(night: Night, drawn: random.Random) -> Seen:
    """Send as fast as the pace lets, and let the provider count."""
    options = PaceOptions(
        requests_per_minute=night.requests_per_minute, tokens_per_minute=night.tokens_per_minute
    )
    allowed, seen, learned, highest = Allowed(), Seen(), 1.0, 1.0
    spread, has_sample = (SURPRISE / 2.5) ** 2, False
    places: dict[int, Place] = {}
    # Moments at which something happens: a worker is free, or a request arrives at the provider.
    moments: list[tuple[float, int, float | None]] = [
        (1000.0, worker, None) for worker in range(night.workers)
    ]
    # Whole periods of the pace, so that a burst at the end is not counted for nothing.
    end = 1000.0 + MINUTE_S + (night.minutes - 1) * WINDOW_S
    while moments and moments[0][0] < end:
        now, worker, arriving = heapq.heappop(moments)
        if arriving is not None:
            counted = arriving * night.ratio * drawn.uniform(0.97, 1.03)
            _count(seen, night, counted, now)
            ratio = counted / arriving
            if not has_sample:
                learned = highest = ratio
            has_sample = True
            spread += 0.2 * ((ratio / learned - 1.0) ** 2 - spread)
            learned += 0.3 * (ratio - learned)
            highest = max(ratio, 0.9 * highest)
            answered = now + drawn.uniform(0.1, night.latency_s)
            taken = places.pop(worker)
            allowed = corrected(allowed, options, taken, counted)
            heapq.heappush(moments, (answered, worker, None))
            continue
        surprise = min(SURPRISE, max(LEAST_SURPRISE, 2.5 * spread**0.5))
        pieces = _packed(night, 16_000 / highest, drawn)
        left = room(allowed, options, pieces * learned, now, surprise) / learned
        if left < pieces:
            pieces = _packed(night, left, drawn)
        allowed, taken = place(allowed, options, pieces * learned, now, surprise)
        places[worker] = taken
        arrives = taken.at + drawn.uniform(0.0, night.jitter_s)
        heapq.heappush(moments, (arrives, worker, pieces))
    seen.seconds = end - 1000.0 - MINUTE_S
    return seen


def _packed(night: Night, most: float, drawn: random.Random) -> float:
    """Return our tokens of one full request: 128 texts at most, and none that does not fit."""
    size, texts = 0.0, 0
    while texts < 128:
        text = drawn.uniform(0.5, 1.5) * night.texts_tokens
        if size + text > most:
            break
        size, texts = size + text, texts + 1
    short = most - size if texts < 128 else 0.0  # short texts fill what is left
    return size + 0.95 * short


def _count(seen: Seen, night: Night, tokens: float, now: float) -> None:
    while seen.window and seen.window[0][0] <= now - MINUTE_S:
        seen.window.popleft()
    held = sum(size for _, size in seen.window)
    first_minute = now < 1000.0 + MINUTE_S
    if len(seen.window) + 1 > night.requests_per_minute or held + tokens > night.tokens_per_minute:
        seen.refused += not first_minute
        return
    seen.window.append((now, tokens))
    if not first_minute:
        seen.requests, seen.tokens = seen.requests + 1, seen.tokens + tokens
