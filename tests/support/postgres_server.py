"""A PostgreSQL server of its own, from the programs of a package."""

import contextlib
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.s3_servers import free_ports

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
"""Where Debian's packages put them, the newest release last; empty without a package."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Postgres:
    """A running server.

    Attributes:
        programs: Folder of its programs.
        port: On loopback, where everybody is trusted.
    """

    programs: Path
    port: int

    @property
    def address(self) -> str:
        """Prefect's address of it."""
        return f"postgresql+asyncpg://prefect@127.0.0.1:{self.port}/postgres"

    def ask(self, statement: str) -> str:
        """Run a statement; returns its rows, one a line."""
        where = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "prefect", "-d", "postgres"]
        done = subprocess.run(
            [self.programs / "psql", *where, "-qAt", "-v", "ON_ERROR_STOP=1", "-c", statement],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
        return done.stdout


@contextlib.contextmanager
def postgres_server(folder: Path, programs: Path, user: str) -> Iterator[Postgres]:
    """Run a server on a fresh folder.

    Args:
        folder: Made here, and given to the user, who must reach it.
        programs: Folder of `initdb` and `postgres`.
        user: Who runs it, as root may not.
    """
    (port,) = free_ports(1)
    folder.mkdir()
    shutil.chown(folder, user)
    entry = pwd.getpwnam(user)
    data = folder / "data"
    subprocess.run(
        [programs / "initdb", "-D", data, "-U", "prefect", "-A", "trust"],
        check=True, capture_output=True, cwd=folder, user=entry.pw_uid, group=entry.pw_gid,
    )  # fmt: skip
    words = ["-D", data, "-p", str(port), "-c", "listen_addresses=127.0.0.1", "-k", folder]
    server = subprocess.Popen(
        [programs / "postgres", *words], cwd=folder, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, user=entry.pw_uid, group=entry.pw_gid,
    )  # fmt: skip
    try:
        ready = [programs / "pg_isready", "-h", "127.0.0.1", "-p", str(port)]
        while subprocess.run(ready, capture_output=True, check=False).returncode:
            time.sleep(0.2)
        yield Postgres(programs=programs, port=port)
    finally:
        server.terminate()
        server.wait()
