"""What a run may spend on embedding, and what it has spent.

Invariant: a request is paid for before it is sent, so the budget is never passed, not even by
requests that are under way at the same time.
"""

import threading

from index_store.errors import StoppedError

MILLION = 1_000_000
NIGHT_RATE = 0.5  # of the price, for requests that are answered hours later


def price_of(tokens: int, night_tokens: int, price_per_million_tokens: float) -> float:
    """Return what tokens cost, in the currency of the price.

    Args:
        tokens: Tokens that were embedded.
        night_tokens: How many of them at the night rate.
        price_per_million_tokens: The usual price.
    """
    full = tokens - night_tokens * (1.0 - NIGHT_RATE)
    return full * price_per_million_tokens / MILLION


class Purse:
    """Pays for tokens; safe for threads.

    Args:
        price_per_million_tokens: In the provider's currency.
        budget: Most that may be spent in this run; None for no bound.
    """

    def __init__(self, price_per_million_tokens: float, budget: float | None) -> None:
        self._price = price_per_million_tokens
        self._budget = budget
        self._spent = 0.0
        self._lock = threading.Lock()

    @property
    def spent(self) -> float:
        """What was paid so far, in the provider's currency."""
        return self._spent

    def pay(self, tokens: int, rate: float = 1.0) -> None:
        """Pay for a request.

        Args:
            tokens: Tokens in it.
            rate: Share of the price that is paid.

        Raises:
            StoppedError: It would pass the budget; nothing is paid then.
        """
        cost = tokens * self._price * rate / MILLION
        with self._lock:
            if self._budget is not None and self._spent + cost > self._budget:
                raise StoppedError(
                    f"the budget of {self._budget:g} would be passed: {self._spent:.4g} is spent, "
                    f"the next request costs {cost:.4g}; what is embedded is kept, run again with "
                    "a larger --budget"
                )
            self._spent += cost

    def refund(self, tokens: int, rate: float = 1.0) -> None:
        """Take back what a refused request would have cost."""
        with self._lock:
            self._spent -= tokens * self._price * rate / MILLION
