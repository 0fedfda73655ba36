"""What a run may spend on embedding, and what it has spent.

Invariant: a request is paid for before it is sent, so the budget is never passed, not even by
requests that are under way at the same time. What the provider will count is not known then: more
is set aside than we count, as much more as the provider was seen to count, and the rest comes back.
"""

import threading

from index_store.errors import StoppedError

MILLION = 1_000_000
NIGHT_RATE = 0.5  # of the price, for requests that are answered hours later
CAUTION = 1.5  # tokens set aside for one of ours, until the provider has told its counts
SEEN_CAUTION = 1.05  # of the most that it was seen to count
SAMPLE_TOKENS = 50  # of a request that tells how the provider counts


class Purse:
    """Pays for tokens; safe for threads.

    Args:
        price_per_million_tokens: In the provider's currency; None when it is not known, which
            cannot be held to a budget.
        budget: Most that may be spent in this run; None for no bound.
    """

    def __init__(self, price_per_million_tokens: float | None, budget: float | None) -> None:
        self._price = price_per_million_tokens or 0.0
        self._budget = budget
        self._spent = 0.0
        self._most_seen: float | None = None
        self._lock = threading.Lock()

    @property
    def spent(self) -> float:
        """What was paid and set aside so far, in the provider's currency."""
        return self._spent

    def pay(self, tokens: int, rate: float = 1.0) -> float:
        """Set money aside for a request.

        Args:
            tokens: Tokens in it, as we count them.
            rate: Share of the price that is paid.

        Returns:
            What was set aside, to be settled later.

        Raises:
            StoppedError: It would pass the budget; nothing is paid then.
        """
        with self._lock:
            seen = self._most_seen
            caution = CAUTION if seen is None else seen * SEEN_CAUTION
            cost = tokens * caution * self._price * rate / MILLION
            if self._budget is not None and self._spent + cost > self._budget:
                raise StoppedError(
                    f"the budget of {self._budget:g} would be passed: {self._spent:.4g} is spent, "
                    f"the next request may cost {cost:.4g}; what is embedded is kept, run again "
                    "with a larger --budget"
                )
            self._spent += cost
        return cost

    def settle(self, aside: float, tokens: int, counted: int | None, rate: float = 1.0) -> None:
        """Pay what a request cost, from what was set aside for it.

        Args:
            aside: What `pay` returned.
            tokens: Tokens that were embedded, as we count them.
            counted: What the provider counted; None when it did not say.
            rate: Share of the price that is paid.
        """
        billed = tokens if counted is None else counted
        with self._lock:
            self._spent += billed * self._price * rate / MILLION - aside
            if counted is not None and tokens >= SAMPLE_TOKENS:
                self._most_seen = max(self._most_seen or 0.0, counted / tokens)

    def refund(self, aside: float) -> None:
        """Take back what was set aside for a request that was refused."""
        with self._lock:
            self._spent -= aside
