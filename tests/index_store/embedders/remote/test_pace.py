"""The pace in simulated time: the limit is used, and never passed in any minute."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index_store.embedders.remote.options import PaceOptions
from index_store.embedders.remote.pace import Allowed, SharedPace, held_back, place
from index_store.errors import UsageError

TAKE = """
import json, sys
from pathlib import Path
from index_store.embedders.remote.options import PaceOptions
from index_store.embedders.remote.pace import SharedPace, place
pace, options = SharedPace(Path(sys.argv[1])), PaceOptions(requests_per_minute=60)
print(json.dumps([pace.take(lambda kept: place(kept, options, 1, 1000.0)) for _ in range(50)]))
"""


@given(
    st.lists(st.integers(1, 16_000), min_size=50, max_size=300),
    st.integers(20, 600),
    st.integers(20_000, 400_000),
)
@settings(max_examples=60, deadline=None)
def test_no_minute_passes_a_limit(sizes: list[int], requests: int, tokens: int):
    options = PaceOptions(requests_per_minute=requests, tokens_per_minute=tokens)
    allowed, now, sent = Allowed(), 1000.0, []
    for size in sizes:
        allowed, wait_s = place(allowed, options, size, now)
        now += wait_s
        sent.append((now, size))
    for start, _ in sent:
        window = [size for at, size in sent if start <= at < start + 60]
        assert len(window) <= requests * 61 / 60 + 1
        assert sum(window) <= tokens * 61 / 60 + max(sizes)


@pytest.mark.parametrize(("size", "binding"), [(3_000, 60.0), (5_000, 40.0)])
def test_steady_use_reaches_the_binding_limit(size: int, binding: float):
    options = PaceOptions(requests_per_minute=60, tokens_per_minute=200_000)
    allowed, now, requests = Allowed(), 1000.0, 600
    for _ in range(requests):
        allowed, wait_s = place(allowed, options, size, now)
        now += wait_s
    assert 0.97 * binding <= 60 * requests / (now - 1000.0) <= 1.01 * binding


def test_a_wish_to_wait_holds_everybody_back():
    allowed = held_back(Allowed(), 1030.0)
    _, wait_s = place(allowed, PaceOptions(), 100, 1000.0)
    assert wait_s == pytest.approx(30.0)
    _, wait_s = place(allowed, PaceOptions(requests_per_minute=60), 100, 1000.0)
    assert wait_s == pytest.approx(30.0)


def test_two_processes_share_one_limit(tmp_path: Path):
    path = tmp_path / "pace.json"
    processes = [
        subprocess.Popen([sys.executable, "-c", TAKE, path], stdout=subprocess.PIPE) for _ in "ab"
    ]
    waits = [wait for each in processes for wait in json.loads(each.communicate()[0])]
    assert sorted(waits) == pytest.approx([max(0.0, number - 1.0) for number in range(100)])


def test_a_damaged_file_is_begun_anew_and_a_missing_folder_is_told(tmp_path: Path):
    path = tmp_path / "pace.json"
    path.write_text("nonsense")
    assert SharedPace(path).take(lambda kept: (kept, kept.requests_at)) == 0.0
    with pytest.raises(UsageError, match="embed_pace_file .* cannot be used"):
        SharedPace(tmp_path / "no" / "pace.json").take(lambda kept: (kept, 0.0))
