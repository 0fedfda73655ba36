"""A publish that is killed at any file operation leaves the old or the new version, and heals."""

import subprocess
import sys
from pathlib import Path

from tests.support.sweeps import sampled

PROGRAM = Path(__file__).with_name("kill_sweep.py")


@sampled(3)
def test_a_killed_publish_leaves_old_or_new_and_a_rerun_heals(every: int):
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(every)], capture_output=True, text=True, check=False
    )
    *points, last = done.stdout.splitlines()
    assert last == "done", done.stderr
    assert len(points) >= 25 // every
    outcomes = [point.split()[1:] for point in points]
    assert all(outcome in (["old", "healed"], ["new", "healed"]) for outcome in outcomes), points
    assert ["old", "healed"] in outcomes
    assert ["new", "healed"] in outcomes
