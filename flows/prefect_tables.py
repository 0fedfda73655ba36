"""The tables that Prefect's temporary server finds ready when it starts for the first time.

Prefect makes them by more than a hundred migrations, which takes longer than all the rest of its
start. They are the same for everybody, so they are kept in `prefect_tables.sql`.

Invariants: a database that is there is never touched; with another release of Prefect nothing is
done, and it makes its tables itself; a half-made database is never seen.
"""

import contextlib
import os
import sqlite3
import sys
import tempfile
from pathlib import Path

TABLES = Path(__file__).with_name("prefect_tables.sql")
RELEASE = "3.8.8"  # of Prefect, whose tables these are


def make_tables(database: Path, *, release: str) -> None:
    """Make the database of a server that never started before.

    Args:
        database: Its file; nothing is done when it exists.
        release: Release of Prefect.
    """
    if release != RELEASE or database.exists():
        return
    database.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=database.parent) as folder:
        made = Path(folder) / database.name
        with contextlib.closing(sqlite3.connect(made)) as connection:
            connection.executescript(TABLES.read_text(encoding="utf-8"))
        with contextlib.suppress(FileExistsError):  # another run was faster
            os.link(made, database)


def dump(database: Path) -> str:
    """Return the statements that make the tables of a database that Prefect has made."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        made = connection.execute(
            "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' "
            "ORDER BY rowid"
        ).fetchall()
        ((revision,),) = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    lines = [statement for (statement,) in made]
    lines.append(f"INSERT INTO alembic_version VALUES ('{revision}')")  # noqa: S608 - an export
    return "".join(f"{line};\n" for line in lines)


if __name__ == "__main__":  # python -m flows.prefect_tables FILE > flows/prefect_tables.sql
    sys.stdout.write(dump(Path(sys.argv[1])))
