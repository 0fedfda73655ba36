"""Print what becomes of many appends to one log by writers that race.

`python benchmarks/append_race.py [--appends 1000] [--writers 8] [--stores folder,moto,seaweedfs]`
"""

import argparse
import sys
import tempfile
import time
import types
from pathlib import Path

HERE = Path(__file__).resolve().parents[1]
if "tests" not in sys.modules:  # some library installs a package of this name, too
    package = types.ModuleType("tests")
    package.__path__ = [str(HERE / "tests")]
    sys.modules["tests"] = package

from index_store.storage.folder import FolderStorage  # noqa: E402
from index_store.storage.remote import RemoteStorage  # noqa: E402
from tests.support.append_race import Race, race  # noqa: E402
from tests.support.s3_servers import moto, seaweedfs  # noqa: E402

SERVERS = {"moto": moto, "seaweedfs": seaweedfs}


def in_folder(folder: Path, appends: int, writers: int) -> Race:
    """Race in a folder."""
    return race(lambda: FolderStorage(folder / "store"), appends, writers, time.monotonic)


def in_server(name: str, folder: Path, appends: int, writers: int) -> Race:
    """Race in a server that is started for it; every writer has a connection of its own."""
    with SERVERS[name](folder) as server:
        url, options = server.url("race"), server.options(backoff_s=0.2)
        return race(lambda: RemoteStorage(url, options), appends, writers, time.monotonic)


def main() -> None:
    """Race in every store named and print one line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--appends", type=int, default=1000)
    parser.add_argument("--writers", type=int, default=8)
    parser.add_argument("--stores", default="folder,moto,seaweedfs")
    given = parser.parse_args()
    print("| store | appends | records | lost | doubled | conflicts | unknown | seconds |")
    print("|---|---|---|---|---|---|---|---|")
    for name in given.stores.split(","):
        with tempfile.TemporaryDirectory() as folder:
            place = Path(folder)
            if name == "folder":
                result = in_folder(place, given.appends, given.writers)
            else:
                result = in_server(name, place, given.appends, given.writers)
        print(
            f"| {name} | {result.acknowledged} | {result.records} | {result.lost} | "
            f"{result.doubled} | {result.conflicts} | {result.unknown} | {result.seconds:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
