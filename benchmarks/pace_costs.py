"""What it costs to ask whether a request may go: own pace, file, store, and Prefect's limits.

    python benchmarks/pace_costs.py [--calls 100]

Every way is asked in turn, so that all meet the same machine. The Prefect server is a real one on
SQLite, the S3 is the tests' moto; both are processes of this machine.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
import types
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
if "tests" not in sys.modules:  # some library installs a package of this name, too
    package = types.ModuleType("tests")
    package.__path__ = [str(HERE / "tests")]
    sys.modules["tests"] = package

import httpx  # noqa: E402

from index_store.embedders.remote.keepers import OwnPace, PaceKeeper, SharedPace  # noqa: E402
from index_store.embedders.remote.options import PaceOptions  # noqa: E402
from index_store.embedders.remote.pace import Allowed, place  # noqa: E402
from index_store.embedders.remote.store_pace import StorePace  # noqa: E402
from index_store.storage.folder import FolderStorage  # noqa: E402
from index_store.storage.opening import open_storage  # noqa: E402
from tests.support.prefect_server import shared_server  # noqa: E402
from tests.support.s3_servers import moto  # noqa: E402

LIMIT = PaceOptions(requests_per_minute=60_000, tokens_per_minute=1e9)
PREFECT_LIMIT = "embedding-requests"


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description="measure what sharing a limit costs")
    parser.add_argument("--calls", type=int, default=100)
    options = parser.parse_args()
    with ExitStack() as stack:
        ways = _ways(stack)
        for ask in ways.values():
            ask()  # connections are opened
        spent: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(options.calls):
            for name, ask in ways.items():
                began = time.perf_counter()
                ask()
                spent[name].append(1000 * (time.perf_counter() - began))
    least = statistics.median(spent["a file of this machine"])
    print("| one place in the queue through | median ms | p95 ms | times the file |")
    print("|---|---|---|---|")
    for name, times in spent.items():
        middle = statistics.median(times)
        late = statistics.quantiles(times, n=20)[-1]
        print(f"| {name} | {middle:.3f} | {late:.3f} | {middle / least:.1f} |")


def _ways(stack: ExitStack) -> dict[str, Callable[[], object]]:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    (folder / "s3").mkdir()
    server = stack.enter_context(moto(folder / "s3"))
    os.environ.update(server.environment())
    url = stack.enter_context(shared_server(folder / "prefect"))
    os.environ["PREFECT_API_URL"] = url
    limit = {"name": PREFECT_LIMIT, "limit": 60_000, "slot_decay_per_second": 1_000.0}
    httpx.post(f"{url}/v2/concurrency_limits/", json=limit, timeout=60).raise_for_status()
    from prefect.concurrency.sync import rate_limit  # noqa: PLC0415 - reads the environment

    return {
        "this process": _placed(OwnPace()),
        "a file of this machine": _placed(SharedPace(folder / "pace.json")),
        "a folder as store": _placed(StorePace(FolderStorage(folder / "store"), time.time)),
        "S3 (moto) as store": _placed(StorePace(open_storage(server.url("pace")), time.time)),
        "a limit of a Prefect server": lambda: rate_limit(PREFECT_LIMIT, occupy=1, strict=True),
    }


def _placed(keeper: PaceKeeper) -> Callable[[], object]:
    def step(allowed: Allowed) -> tuple[Allowed, float]:
        after, taken = place(allowed, LIMIT, 1_000, time.time())
        return after, taken.at

    return lambda: keeper.take(step)


if __name__ == "__main__":
    main()
