"""What Prefect costs: the flow against the same stages in a plain loop.

    python benchmarks/orchestration.py SOURCE [--repeats N]

Both index SOURCE into a fresh store with the hashing embedder, in one process, in turns; the start
of the temporary server is measured apart. The flow overlaps stages, so it can be the faster one.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from flows.local_server import start_server
from flows.prefect_environment import prepare_prefect
from flows.run_settings import new_run_id, run_options
from flows.settings import Settings
from tasks.stages.reporting import RunReport

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

GOAL_RATIO = 1.05
GOAL_START_S = 8.0

Run = Callable[[Settings], RunReport]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ.setdefault("PREFECT_HOME", home)
        started_s = _start()
        walls = _measure(given.source, given.repeats)
    flow, plain = (statistics.median(walls[name]) for name in ("flow", "plain"))
    print(f"start of Prefect {started_s:.1f} s (goal {GOAL_START_S:g} s)")
    print(
        f"flow {flow:.2f} s, plain loop {plain:.2f} s, ratio {flow / plain:.3f} (goal {GOAL_RATIO})"
    )


def _start() -> float:
    """Start the server and import the flow; return the seconds that it took."""
    began = time.perf_counter()
    prepare_prefect(os.environ)
    server = start_server(os.environ)
    import flows.reindex  # noqa: F401, PLC0415 - measured

    if server is not None:
        server.wait_until_ready()
    return time.perf_counter() - began


def _measure(source: str, repeats: int) -> dict[str, list[float]]:
    from support.plain_run import run_plainly  # noqa: PLC0415 - loads Prefect

    from flows.prefect_session import surroundings  # noqa: PLC0415 - loads Prefect
    from flows.reindex import reindex  # noqa: PLC0415 - loads Prefect

    def flow(settings: Settings) -> RunReport:
        with surroundings((), is_temporary=True):
            return reindex(settings)

    kinds: dict[str, Run] = {
        "flow": flow,
        "plain": lambda settings: run_plainly(run_options(settings, new_run_id())),
    }
    walls: dict[str, list[float]] = {name: [] for name in kinds}
    for repeat in range(repeats):
        names = list(kinds) if repeat % 2 == 0 else list(reversed(kinds))
        for name in names:
            with tempfile.TemporaryDirectory() as store:
                settings = Settings(source=(source,), store=store, embedder="hashing")
                began = time.perf_counter()
                report = kinds[name](settings)
                walls[name].append(time.perf_counter() - began)
            documents = sum(report.documents.values())
            told = f"{documents} documents, {report.chunks['total']} chunks"
            print(f"{name:5} {walls[name][-1]:7.2f} s, {told}", flush=True)
    return walls


if __name__ == "__main__":
    main()
