"""The limiter in simulated time: it corrects, holds everybody back, and follows the provider."""

import pytest

from index_store.embedders.remote.limiter import Clocks, Limiter
from index_store.embedders.remote.options import PaceOptions
from index_store.errors import StoppedError, TransientError


class SimulatedClock:
    """Time that passes only by waiting; something may happen during the next wait."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.meanwhile = lambda: None

    def wait(self, seconds: float) -> bool:
        happens, self.meanwhile = self.meanwhile, lambda: None
        happens()
        self.now += seconds
        return False

    def clocks(self) -> Clocks:
        return Clocks(wall=lambda: self.now, wait=self.wait)


def limiter(clock: SimulatedClock, **limits: float) -> Limiter:
    return Limiter("test", PaceOptions(**limits), 4, clock.clocks())  # type: ignore[arg-type]


def went_at(it: Limiter, tokens: float, counted: int | None = None, **headers: str) -> float:
    with it.turn(tokens) as taken:
        pass
    it.succeeded(taken, {name.replace("_", "-"): value for name, value in headers.items()}, counted)
    return taken.at


def test_the_next_request_waits_for_what_the_provider_counted():
    clock = SimulatedClock()
    it = limiter(clock, tokens_per_minute=60_500)
    assert went_at(it, 50_000, counted=60_000) == 1000.0
    assert went_at(it, 9_000) == pytest.approx(1060.5)


def test_a_header_that_tells_the_cost_is_believed_before_the_body():
    clock = SimulatedClock()
    it = limiter(clock, tokens_per_minute=60_500)
    went_at(it, 50_000, counted=60_000, x_ratelimit_tokens_query_cost="50000")
    assert went_at(it, 9_000) == 1000.0


def test_limits_are_learned_from_headers_and_what_was_set_stands():
    told = {"x_ratelimit_limit_req_minute": "60", "x_ratelimit_limit_tokens_minute": "5000"}
    learned, was_set = limiter(SimulatedClock()), limiter(SimulatedClock(), requests_per_minute=7)
    went_at(learned, 1, **told)
    went_at(was_set, 1, **told)
    assert learned.options.requests_per_minute == 60
    assert learned.options.tokens_per_minute == 5000
    assert was_set.options.requests_per_minute == 7


@pytest.mark.parametrize("nonsense", ["-1", "0", "inf", "nan", "many"])
def test_a_limit_that_makes_no_sense_is_not_learned(nonsense: str):
    it = limiter(SimulatedClock())
    went_at(it, 1, x_ratelimit_limit_req_minute=nonsense)
    assert it.options.requests_per_minute is None


def test_when_nothing_is_left_the_next_request_waits_for_its_share_of_the_minute():
    clock = SimulatedClock()
    it = limiter(clock, requests_per_minute=6)
    went_at(it, 1, x_ratelimit_remaining_req_minute="0")
    assert went_at(it, 1) == pytest.approx(1010.0)


def test_a_place_that_was_taken_before_everybody_was_held_back_is_taken_anew():
    clock = SimulatedClock()
    it = limiter(clock, requests_per_minute=1)
    went_at(it, 1)
    clock.meanwhile = lambda: it.pushed_back(100.0, "busy")
    assert went_at(it, 1) == pytest.approx(1100.0)


def test_a_refusal_of_the_rate_makes_bursts_smaller_and_another_one_does_not():
    for over_rate, second in ((True, 1000.0 + 60.5 - 30.25), (False, 1000.0)):
        it = limiter(SimulatedClock(), requests_per_minute=1.9)
        it.pushed_back(None, "busy", over_rate=over_rate)
        went_at(it, 1)
        assert went_at(it, 1) >= second


def test_a_provider_that_stays_away_is_given_up_after_the_patience_of_a_run():
    clock = SimulatedClock()
    it = limiter(clock, give_up_s=60)
    for _ in range(5):
        it.pushed_back(None, "status 503")
    clock.now += 61
    with pytest.raises(TransientError, match=r"out of reach for 61 s .* what is embedded is kept"):
        it.pushed_back(None, "status 503")


def test_closing_wakes_who_waits():
    clock = SimulatedClock()
    it = limiter(clock, requests_per_minute=1)
    went_at(it, 1)
    clock.meanwhile = it.close
    with pytest.raises(StoppedError, match="interrupted"):
        went_at(it, 1)
