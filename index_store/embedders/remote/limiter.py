"""One limiter for all threads of a run, and through a shared file for all processes.

Requests in flight follow the provider: one more for each round of answers, half as many when it
says that it is busy. A wait that it asks for holds back everybody who shares the pace.

Invariant: while a provider is down, at most one request is out to see whether it is back.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from math import inf

from index_store.embedders.remote.keepers import PaceKeeper, Step, keeper
from index_store.embedders.remote.options import PaceOptions
from index_store.embedders.remote.pace import (
    MINUTE_S,
    SURPRISE,
    Allowed,
    Place,
    calmed,
    corrected,
    held_back,
    place,
    room,
)
from index_store.errors import ConflictError, StoppedError, TransientError

logger = logging.getLogger("nightpress.embed")  # shown on the terminal and in the UI

ANNOUNCED_S = 5.0  # after which a request that was announced went elsewhere
DOWN_AFTER = 5  # failures in a row, of all threads together
REQUESTS_HEADERS = ("x-ratelimit-limit-req-minute", "x-ratelimit-limit-requests")
TOKENS_HEADERS = ("x-ratelimit-limit-tokens-minute", "x-ratelimit-limit-tokens")
REQUESTS_LEFT_HEADERS = ("x-ratelimit-remaining-req-minute", "x-ratelimit-remaining-requests")
TOKENS_LEFT_HEADERS = ("x-ratelimit-remaining-tokens-minute", "x-ratelimit-remaining-tokens")
COST_HEADERS = ("x-ratelimit-tokens-query-cost",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clocks:
    """What a limiter reads and how it waits; simulated in tests.

    Attributes:
        wall: Seconds that all processes agree on.
        wait: Waits for some seconds; True when it was interrupted.
    """

    wall: Callable[[], float]
    wait: Callable[[float], bool]


class Limiter:
    """Lets requests go; safe for threads.

    Args:
        name: What the provider is called in messages.
        options: What it allows.
        in_flight: Most requests at a time.
        clocks: None for the real ones.
    """

    def __init__(
        self, name: str, options: PaceOptions, in_flight: int, clocks: Clocks | None = None
    ) -> None:
        self._name = name
        self._options = options
        self._most = in_flight
        self._room = float(in_flight)
        self._announced: list[tuple[float, float]] = []  # when, and tokens, of requests to come
        self._out = 0
        self._failures = 0
        self._down_since: float | None = None
        self._changed = threading.Condition()
        self._ended = threading.Event()
        self._clocks = clocks or Clocks(wall=time.time, wait=self._ended.wait)
        self._keeper: PaceKeeper = keeper(options, self._clocks.wall)

    @property
    def options(self) -> PaceOptions:
        """The limits, with those that the provider told meanwhile."""
        return self._options

    @contextmanager
    def turn(self, tokens: float, surprise: float = SURPRISE) -> Iterator[Place]:
        """Wait until a request may go, and count it as in flight inside the context.

        Args:
            tokens: Tokens that the provider is expected to count.
            surprise: Share of them that it may count besides.

        Raises:
            StoppedError: The limiter was closed.
        """
        with self._changed:
            while self._out >= max(1, int(self._room)):
                self._changed.wait(1.0)
                self._check_open()
            self._out += 1
        try:
            yield self._queued(tokens, surprise)
        finally:
            with self._changed:
                self._out -= 1
                self._changed.notify_all()

    def room(self, most: float, surprise: float) -> float:
        """Return how many tokens the next request should have, as `pace.room` says."""
        now = self._clocks.wall()
        with self._changed:
            allowed = self._keeper.look()
            self._announced = [each for each in self._announced if each[0] > now - ANNOUNCED_S]
            for _, tokens in self._announced:
                allowed, _ = place(allowed, self._options, tokens, now, surprise)
            return room(allowed, self._options, most, now, surprise)

    def announce(self, tokens: float) -> None:
        """Say that a request of so many tokens will ask for a place soon, in another thread."""
        with self._changed:
            self._announced.append((self._clocks.wall(), tokens))

    def succeeded(self, taken: Place, headers: Mapping[str, str], counted: int | None) -> None:
        """Learn from an answer: room for one more, its true tokens, and what its headers tell.

        Args:
            taken: The place of the request.
            headers: With lower-case names.
            counted: Tokens that the provider counted, None when it does not say.
        """
        with self._changed:
            if self._down_since is not None:
                logger.warning("embedder %s answers again", self._name)
            self._failures, self._down_since = 0, None
            self._room = min(float(self._most), self._room + 1.0 / max(1.0, self._room))
            self._learn(taken, headers)
            cost = _told(headers, COST_HEADERS)
            self._correct(taken, cost if cost is not None else counted)
            self._changed.notify_all()

    def pushed_back(
        self, retry_after_s: float | None, why: str, *, over_rate: bool = False
    ) -> None:
        """Learn that the provider is busy or out of reach.

        Args:
            retry_after_s: Seconds to wait as it asks, None when it does not.
            why: One line for a person.
            over_rate: Whether it says that the rate was too high.

        Raises:
            TransientError: It has been out of reach for longer than a run is patient.
        """
        now = self._clocks.wall()
        with self._changed:
            self._failures += 1
            self._room = max(1.0, self._room / 2)
            if over_rate:
                self._tell(lambda allowed: (calmed(allowed), 0.0))
            if retry_after_s:
                self._hold_back(now + retry_after_s)
            if self._failures < DOWN_AFTER:
                return
            if self._down_since is None:
                self._down_since = now
                logger.warning(
                    "embedder %s cannot be used now (%s); the run pauses, what is embedded is kept",
                    self._name,
                    why,
                )
            self._room = 1.0
            down_s = now - self._down_since
        if down_s > self._options.give_up_s:
            raise TransientError(
                f"embedder {self._name} has been out of reach for {down_s:.0f} s ({why}); "
                "what is embedded is kept, run again when it is back"
            )

    def wait(self, seconds: float) -> None:
        """Wait, unless the limiter is closed meanwhile.

        Raises:
            StoppedError: It was.
        """
        if seconds > 0:
            self._clocks.wait(seconds)
        self._check_open()

    def close(self) -> None:
        """Wake and stop everybody who waits; calling it twice is harmless."""
        self._ended.set()
        with self._changed:
            self._changed.notify_all()

    def _check_open(self) -> None:
        if self._ended.is_set():
            raise StoppedError("the run was interrupted")

    def _queued(self, tokens: float, surprise: float) -> Place:
        """Take a place and wait for it; a place that everybody was held back from is taken anew."""
        taken = self._take(None, tokens, surprise)
        while True:
            self.wait(taken.at - self._clocks.wall())
            with self._changed:
                held = self._keeper.take(lambda allowed: (allowed, allowed.not_before))
                if held <= max(taken.at, self._clocks.wall()):
                    return taken
                taken = self._take(taken, tokens, surprise)

    def _take(self, before: Place | None, tokens: float, surprise: float) -> Place:
        taken: list[Place] = []

        def step(allowed: Allowed) -> tuple[Allowed, float]:
            now = self._clocks.wall()  # of this try: in a store others may have been faster
            if before is not None:
                allowed = corrected(allowed, self._options, before, None)
            after, found = place(allowed, self._options, tokens, now, surprise)
            taken.append(found)
            return after, found.at

        with self._changed:
            if before is None and self._announced:
                self._announced.pop(0)
            self._keeper.take(step)
        return taken[0]

    def _correct(self, taken: Place, counted: float | None) -> None:
        if counted is None:
            return
        options = self._options
        self._keeper.later(lambda allowed: (corrected(allowed, options, taken, counted), 0.0))

    def _learn(self, taken: Place, headers: Mapping[str, str]) -> None:
        limits = self._options
        self._options = replace(
            limits,
            requests_per_minute=limits.requests_per_minute or _limit(headers, REQUESTS_HEADERS),
            tokens_per_minute=limits.tokens_per_minute or _limit(headers, TOKENS_HEADERS),
        )
        # What is left is counted from when the request went: an answer that took long is no wait.
        lacking = (
            (1.0, REQUESTS_LEFT_HEADERS, self._options.requests_per_minute),
            (taken.tokens, TOKENS_LEFT_HEADERS, self._options.tokens_per_minute),
        )
        for wanted, names, per_minute in lacking:
            left = _told(headers, names)
            if left is not None and left < wanted and per_minute is not None:
                self._hold_back(taken.at + (wanted - left) * MINUTE_S / per_minute)

    def _hold_back(self, until: float) -> None:
        self._tell(lambda allowed: (held_back(allowed, until), 0.0))

    def _tell(self, step: Step) -> None:
        """Let everybody know at once, or with the next place when they are out of reach."""
        try:
            self._keeper.take(step)
        except (TransientError, ConflictError):
            self._keeper.later(step)


def _limit(headers: Mapping[str, str], names: tuple[str, ...]) -> float | None:
    """Return the first limit that is told and makes sense."""
    told = _told(headers, names)
    return told if told is not None and told >= 1 else None


def _told(headers: Mapping[str, str], names: tuple[str, ...]) -> float | None:
    """Return the first number that is told, at least 0."""
    for name in names:
        with suppress(KeyError, ValueError):
            told = float(headers[name])
            if 0 <= told < inf:
                return told
    return None
