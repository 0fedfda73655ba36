"""The pace of all machines: one order of steps, whatever the store and the machines do."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from index_store.embedders.remote.limiter import Clocks, Limiter
from index_store.embedders.remote.options import PaceOptions
from index_store.embedders.remote.pace import WINDOW_S, Allowed, held_back, place
from index_store.embedders.remote.store_pace import StorePace
from index_store.errors import TransientError, UnfitStoreError, UsageError
from index_store.storage.faulty import FaultMode, FaultyStorage
from index_store.storage.memory import MemoryStorage
from tests.support.s3_servers import moto

LIMIT = PaceOptions(requests_per_minute=60)
TAKE = """
import json, sys
from index_store.embedders.remote.options import PaceOptions
from index_store.embedders.remote.pace import place
from index_store.embedders.remote.keepers import keeper
options = PaceOptions(requests_per_minute=60, shared_store=sys.argv[1])
pace = keeper(options, lambda: 1000.0)
def step(allowed):
    after, taken = place(allowed, options, 1, 1000.0)
    return after, taken.at
print(json.dumps([pace.take(step) for _ in range(35)]))
"""


class Clock:
    """Time that a test sets."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def take(pace: StorePace, now: float = 1000.0) -> float:
    return pace.take(lambda allowed: _placed(allowed, now))


def _placed(allowed: Allowed, now: float) -> tuple[Allowed, float]:
    after, taken = place(allowed, LIMIT, 1, now)
    return after, taken.at


def test_two_processes_in_folders_of_their_own_share_a_limit_over_s3(tmp_path: Path):
    with moto(tmp_path) as server:
        processes = []
        for name in "ab":
            (tmp_path / name).mkdir()
            processes.append(
                subprocess.Popen(
                    [sys.executable, "-c", TAKE, server.url("pace")],
                    cwd=tmp_path / name,
                    env={**os.environ, **server.environment()},
                    stdout=subprocess.PIPE,
                )
            )
        times = sorted(at for each in processes for at in json.loads(each.communicate()[0]))
    assert times == pytest.approx([1000.0] * 60 + [1000.0 + WINDOW_S] * 10)


def test_machines_in_turn_never_take_the_same_place():
    storage = MemoryStorage("pace")
    machines = [StorePace(storage, Clock()) for _ in range(3)]
    times = sorted(take(machines[number % 3]) for number in range(150))
    assert times == pytest.approx(
        [1000.0] * 60 + [1000.0 + WINDOW_S] * 60 + [1000.0 + 2 * WINDOW_S] * 30
    )


def test_what_one_was_asked_to_wait_holds_the_others_back():
    storage, clock = MemoryStorage("pace"), Clock()
    one, two = StorePace(storage, clock), StorePace(storage, clock)
    assert take(two) == 1000.0
    one.take(lambda allowed: (held_back(allowed, 1100.0), 0.0))
    assert two.take(lambda allowed: (allowed, allowed.not_before)) == 1100.0
    assert take(two) == 1100.0


def test_what_was_learned_from_an_answer_is_told_with_the_next_step():
    storage, clock = MemoryStorage("pace"), Clock()
    one, two = StorePace(storage, clock), StorePace(storage, clock)
    take(one)
    before = len(list(storage.list("")))
    one.later(lambda allowed: (held_back(allowed, 1050.0), 0.0))
    assert len(list(storage.list(""))) == before
    assert take(one) == 1050.0
    assert take(two) == 1050.0


@pytest.mark.parametrize("mode", [FaultMode.ERROR, FaultMode.LOST_REPLY])
def test_a_reply_that_is_lost_takes_no_place_twice(mode: FaultMode):
    for fail_at in range(1, 12):
        inner = MemoryStorage("pace")
        pace = StorePace(FaultyStorage(inner, fail_at=fail_at, mode=mode), Clock())
        times = []
        while len(times) < 5:
            try:
                times.append(take(pace))
            except TransientError:
                continue
        taken = StorePace(inner, Clock()).take(lambda kept: (kept, kept.sent[0].requests))
        assert taken in (5, 6)  # a place that nobody heard of is lost, never shared
        assert times == [1000.0] * 5


def test_old_records_go_and_who_slept_meanwhile_finds_the_newest():
    storage, clock = MemoryStorage("pace"), Clock()
    sleeper, other = (StorePace(storage, clock, kept=10) for _ in range(2))
    take(sleeper)
    for _ in range(40):
        take(other)
    assert len(list(storage.list(""))) <= 11
    clock.now += 100.0
    counted = sleeper.take(lambda kept: (kept, float(sum(each.requests for each in kept.sent))))
    assert counted == 41


def test_a_store_that_creates_an_object_twice_is_refused():
    class Careless(MemoryStorage):
        def create(self, key: str, data: bytes) -> None:
            self.put(key, data)

    with pytest.raises(UnfitStoreError, match="give each machine a part of the limit"):
        take(StorePace(Careless("careless"), Clock()))


def test_a_damaged_record_and_an_emptied_store_begin_anew(caplog: pytest.LogCaptureFixture):
    storage, clock = MemoryStorage("pace"), Clock()
    pace = StorePace(storage, clock)
    take(pace)
    storage.create(f"{3:012d}.json", b"nonsense")
    assert take(pace) == 1000.0
    for entry in list(storage.list("")):
        storage.delete(entry.key)
    clock.now += 100.0
    assert take(pace, clock.now) == clock.now
    ahead = StorePace(storage, lambda: 5_000.0)
    take(ahead, 5_000.0)
    take(pace, clock.now)
    assert "the clock of another machine is 3900 s ahead" in caplog.text


def test_an_answer_is_not_lost_because_the_store_is_away():
    away = {"is": False}

    class Away(MemoryStorage):
        def create(self, key: str, data: bytes) -> None:
            if away["is"]:
                raise TransientError("the store is away")
            super().create(key, data)

    wait: Callable[[float], bool] = lambda _: False  # noqa: E731
    limiter = Limiter("test", LIMIT, 4, Clocks(wall=Clock(), wait=wait))
    limiter._keeper = StorePace(Away("away"), Clock())
    with limiter.turn(10.0) as taken:
        pass
    away["is"] = True
    limiter.succeeded(taken, {"x-ratelimit-remaining-req-minute": "0"}, 12)
    limiter.pushed_back(5.0, "busy", over_rate=True)
    with pytest.raises(TransientError), limiter.turn(10.0):
        pass


def test_a_file_and_a_store_together_are_refused():
    with pytest.raises(UsageError, match="embed_pace_file and embed_pace_store are both set"):
        PaceOptions(shared_file="a", shared_store="b")
