"""What the command line prints, and the exit code that an error becomes.

Invariants: with `--json` standard output holds one JSON object and nothing else; everything that is
not a result goes to standard error; a person's mistake never shows a stack trace.
"""

import logging
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from enum import IntEnum
from typing import NoReturn

import click
import orjson

from flows.interruption import noted_interruption
from index_store.errors import (
    ConflictError,
    CorruptArtifactError,
    IndexStoreError,
    NotFoundError,
    StoppedError,
    UnfitStoreError,
    UnknownOutcomeError,
    UsageError,
)

# Whether the one JSON object of this command is out already, when an error follows it.
_has_answered: ContextVar[bool] = ContextVar("has_answered", default=False)

PROGRESS = "nightpress.progress"  # logger of the lines that show a run at work


class ExitCode(IntEnum):
    """What the process says to its caller."""

    DONE = 0
    FAILED = 1
    MISTAKE = 2
    STOPPED = 3
    RACE = 4
    DAMAGED = 5


_CODES: tuple[tuple[type[IndexStoreError], ExitCode], ...] = (
    (UsageError, ExitCode.MISTAKE),
    (NotFoundError, ExitCode.MISTAKE),
    (StoppedError, ExitCode.STOPPED),
    (ConflictError, ExitCode.RACE),
    (UnknownOutcomeError, ExitCode.RACE),
    (CorruptArtifactError, ExitCode.DAMAGED),
    (UnfitStoreError, ExitCode.DAMAGED),
)


_REMEDIES: dict[type[IndexStoreError], str] = {
    ConflictError: "; run the same command again",
    UnknownOutcomeError: "; run the same command again to find out, nothing was deleted",
    CorruptArtifactError: "; nightpress verify lists all damage, nightpress repair mends it",
}


def exit_code(error: IndexStoreError) -> ExitCode:
    """Return the exit code of an error of ours."""
    for kind, code in _CODES:
        if isinstance(error, kind):
            return code
    return ExitCode.FAILED


@contextmanager
def errors_become_exit_codes(*, as_json: bool = False) -> Iterator[None]:
    """Turn errors of ours into one line on standard error and an exit code.

    Args:
        as_json: Whether to print one JSON object with the error on standard output, too.
    """
    _has_answered.set(False)
    with noted_interruption() as interruption:
        try:
            yield
        except (click.ClickException, SystemExit, BrokenPipeError):
            raise  # click ends quietly when whoever reads the output has seen enough
        except BaseException as error:  # noqa: BLE001 - the outermost edge of the program
            if interruption.happened or isinstance(error, KeyboardInterrupt):
                _end_interrupted()
            _end(error, as_json=as_json)


def _end_interrupted() -> NoReturn:
    click.echo("nightpress: interrupted; the same command goes on from here", err=True)
    sys.exit(ExitCode.FAILED)


def _end(error: BaseException, *, as_json: bool) -> NoReturn:
    if isinstance(error, IndexStoreError):
        message, code = f"{error}{_REMEDIES.get(type(error), '')}", exit_code(error)
        click.echo(f"nightpress: {message}", err=True)
        if as_json and not _has_answered.get():
            print_json({"error": {"message": message, "exit_code": code.value}})
        sys.exit(code)
    if logging.getLogger("nightpress").getEffectiveLevel() <= logging.DEBUG:
        traceback.print_exception(error)
    told = f"{type(error).__name__}: {error}".splitlines()[0]
    click.echo(f"nightpress: unexpected {told}; more with --set log_level=debug", err=True)
    sys.exit(ExitCode.FAILED)


def set_up_logging(level: str, *, quiet: bool) -> None:
    """Send log lines to standard error: progress always unless quiet, the rest from a level on.

    The loggers themselves let everything from "info" on through, so that a run shows its lines in
    the Prefect UI whatever the terminal shows.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    handler.setLevel(level.upper())
    handler.addFilter(lambda record: record.name != PROGRESS)
    root = logging.getLogger("nightpress")
    root.handlers = [handler]
    root.setLevel(min(logging.INFO, handler.level))
    plain = logging.StreamHandler(sys.stderr)
    plain.setFormatter(logging.Formatter("%(message)s"))
    plain.setLevel(logging.WARNING if quiet else logging.INFO)
    logging.getLogger(PROGRESS).handlers = [plain]


def print_json(value: Mapping[str, object]) -> None:
    """Print one JSON object on standard output."""
    _has_answered.set(True)
    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def print_table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Print columns that line up; control characters in cells are shown, not sent."""
    shown = [head, *[tuple(visible(cell) for cell in row) for row in rows]]
    widths = [max(len(row[column]) for row in shown) for column in range(len(head))]
    for row in shown:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def visible(text: str) -> str:
    """Return text without characters that would move the cursor or change the terminal."""
    return "".join(mark if mark.isprintable() else repr(mark)[1:-1] for mark in text)
