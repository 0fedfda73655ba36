"""The pace in simulated time: the limit is used, and never passed in any minute."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index_store.embedders.remote.keepers import SharedPace
from index_store.embedders.remote.options import PaceOptions
from index_store.embedders.remote.pace import (
    WINDOW_S,
    Allowed,
    calmed,
    corrected,
    held_back,
    place,
    room,
)
from index_store.errors import UsageError
from tests.support.simulated_pace import Night, simulate

TAKE = """
import json, sys
from pathlib import Path
from index_store.embedders.remote.options import PaceOptions
from index_store.embedders.remote.keepers import SharedPace
from index_store.embedders.remote.pace import place
pace, options = SharedPace(Path(sys.argv[1])), PaceOptions(requests_per_minute=60)
def step(allowed):
    after, taken = place(allowed, options, 1, 1000.0)
    return after, taken.at
print(json.dumps([pace.take(step) for _ in range(50)]))
"""


@given(
    st.lists(st.integers(1, 16_000), min_size=50, max_size=120),
    st.integers(20, 600),
    st.integers(20_000, 400_000),
)
@settings(max_examples=20, deadline=None)
def test_no_minute_passes_a_limit(sizes: list[int], requests: int, tokens: int):
    options = PaceOptions(requests_per_minute=requests, tokens_per_minute=tokens)
    allowed, sent = Allowed(), []
    for size in sizes:
        allowed, taken = place(allowed, options, size, 1000.0)
        sent.append((taken.at, size))
    for start, _ in sent:
        window = [size for at, size in sent if start <= at < start + 60]
        assert len(window) <= requests
        assert sum(window) <= tokens


@pytest.mark.parametrize(
    ("night", "binding"),
    [
        (Night(requests_per_minute=60, tokens_per_minute=200_000, texts_tokens=18), "requests"),
        (Night(requests_per_minute=60, tokens_per_minute=200_000, texts_tokens=512), "tokens"),
        (Night(requests_per_minute=60, tokens_per_minute=200_000, texts_tokens=60), "tokens"),
        (Night(requests_per_minute=600, tokens_per_minute=1_000_000, texts_tokens=512), "tokens"),
    ],
)
def test_steady_use_reaches_the_binding_limit_though_the_provider_counts_otherwise(
    night: Night, binding: str
):
    seen = simulate(night, random.Random(3))  # noqa: S311 - not a secret
    assert seen.use(night, binding) >= 0.97
    assert seen.refused_share <= 0.01


def test_the_last_request_of_a_minute_is_what_is_left_of_it():
    options = PaceOptions(requests_per_minute=60, tokens_per_minute=200_000)
    allowed, sizes = Allowed(), []
    for _ in range(14):
        sizes.append(room(allowed, options, 16_000, 1000.0, surprise=0.0))
        allowed, taken = place(allowed, options, sizes[-1], 1000.0, surprise=0.0)
    assert sizes == [*[16_000] * 12, pytest.approx(8_000), 16_000]
    assert taken.at == pytest.approx(1000.0 + WINDOW_S)


def test_doubt_about_what_the_provider_counts_keeps_its_distance_to_the_limit():
    options = PaceOptions(tokens_per_minute=60_000)
    allowed, taken = place(Allowed(), options, 50_000, 1000.0, surprise=0.04)
    left = room(allowed, options, 20_000, 1000.0, surprise=0.04)
    assert left == pytest.approx(9_600 - (2_000**2 + 400**2) ** 0.5)
    counted = corrected(allowed, options, taken, 50_000)
    assert room(counted, options, 20_000, 1000.0, surprise=0.04) == pytest.approx(9_200)


def test_a_request_is_full_where_tokens_do_not_bind_or_little_is_left():
    assert room(Allowed(), PaceOptions(), 16_000, 1000.0) == 16_000
    few = PaceOptions(requests_per_minute=10, tokens_per_minute=200_000)
    assert room(Allowed(), few, 16_000, 1000.0) == 16_000
    little = PaceOptions(tokens_per_minute=18_000)
    allowed, _ = place(Allowed(), little, 16_000, 1000.0)
    assert room(allowed, little, 16_000, 1000.0) == 16_000  # of the next minute


def test_what_the_provider_counted_takes_the_place_of_what_was_expected():
    options = PaceOptions(tokens_per_minute=60_500)
    allowed, taken = place(Allowed(), options, 10_000, 1000.0)
    more = corrected(allowed, options, taken, 30_000)
    assert more.tokens_at == pytest.approx(1030.0)
    assert [each.tokens for each in more.sent] == [30_000]
    never_went = corrected(allowed, options, taken, None)
    assert never_went.tokens_at == pytest.approx(1000.0)
    assert [(each.requests, each.tokens) for each in never_went.sent] == [(0, 0.0)]


def test_a_wish_to_wait_holds_everybody_back():
    allowed = held_back(Allowed(), 1030.0)
    assert place(allowed, PaceOptions(), 100, 1000.0)[1].at == pytest.approx(1030.0)
    limited = PaceOptions(requests_per_minute=60)
    assert place(allowed, limited, 100, 1000.0)[1].at == pytest.approx(1030.0)


def test_two_processes_share_one_limit(tmp_path: Path):
    path = tmp_path / "pace.json"
    processes = [
        subprocess.Popen([sys.executable, "-c", TAKE, path], stdout=subprocess.PIPE) for _ in "ab"
    ]
    times = sorted(at for each in processes for at in json.loads(each.communicate()[0]))
    assert times == pytest.approx([1000.0] * 60 + [1000.0 + WINDOW_S] * 40)


def test_a_provider_that_refuses_a_burst_is_sent_half_as_much_at_once():
    options = PaceOptions(requests_per_minute=60)
    allowed = Allowed()
    for _ in range(5):
        allowed = calmed(allowed)
    times = []
    for _ in range(10):
        allowed, taken = place(allowed, options, 1, 1000.0)
        times.append(round(taken.at - 1000.0, 2))
    assert times == [0.0, 0.0, 0.13, 1.13, 2.14, 3.15, 4.16, 5.17, 6.18, 7.18]
    for _ in range(5):
        allowed = calmed(allowed)
    assert allowed.burst_s == 1.0


def test_a_damaged_file_is_begun_anew_and_a_missing_folder_is_told(tmp_path: Path):
    path = tmp_path / "pace.json"
    for nonsense in ("nonsense", "[]", '{"sent": 3}', '{"sent": [{"first_at": "x"}]}'):
        path.write_text(nonsense)
        assert SharedPace(path).take(lambda kept: (kept, kept.requests_at)) == 0.0
    with pytest.raises(UsageError, match="embed_pace_file .* cannot be used"):
        SharedPace(tmp_path / "no" / "pace.json").take(lambda kept: (kept, 0.0))
