"""How often each key and user may ask.

Invariant: a minute's worth of requests may come at once; what is remembered of callers is bounded.
"""

REMEMBERED_CALLERS = 10_000
WINDOW_S = 60.0


class Pace:
    """Counts what callers take; belongs to one event loop.

    Args:
        per_minute: Requests of one key and user, None for no limit.
    """

    def __init__(self, per_minute: float | None) -> None:
        self._per_minute = per_minute
        self._next_at: dict[tuple[str, str], float] = {}

    def wait_s(self, name: str, user: str, now_s: float) -> float:
        """Take a place and return 0, or return how many seconds there is none.

        Args:
            name: Whose key it is.
            user: The user that it speaks for, or empty.
            now_s: Seconds of a clock that never goes back.
        """
        if self._per_minute is None:
            return 0.0
        if len(self._next_at) > REMEMBERED_CALLERS:
            self._next_at = {each: at for each, at in self._next_at.items() if at > now_s}
        step_s = WINDOW_S / self._per_minute
        at = max(self._next_at.get((name, user), 0.0), now_s)
        wait_s = at - now_s - max(0.0, WINDOW_S - step_s)
        if wait_s > 0:
            return wait_s
        self._next_at[name, user] = at + step_s
        return 0.0
