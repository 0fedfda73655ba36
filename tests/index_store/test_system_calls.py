"""A publish that any system call on a file kills or fails leaves old or new, and heals."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("system_call_sweep.py")
LEAST_KILLS = 200


@pytest.mark.soak
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_every_system_call_may_be_the_last_one_or_fail():
    done = subprocess.run(
        [sys.executable, str(PROGRAM)], capture_output=True, text=True, check=False
    )
    *cases, last = done.stdout.splitlines()
    assert last == "done", done.stderr
    outcomes = [case.split()[3:] for case in cases]
    kills = sum(case.split()[2] == "KILL" for case in cases)
    print(f"{kills} kills and {len(cases) - kills} errors at system calls of a publish")
    assert kills >= LEAST_KILLS
    broken = [case for case in cases if not case.endswith((" old healed", " new healed"))]
    assert not broken, f"{broken}\n{done.stderr}"
    assert ["old", "healed"] in outcomes
    assert ["new", "healed"] in outcomes
