"""The process that sees to it that nothing of a parser outlives it.

Invariants: the keeper never reads a document; when it ends, the parser, all its descendants and its
scratch folder are gone, whether the parser ended, the parent asked, or the parent died.
"""

import contextlib
import os
import select
import shutil
import signal
import sys
from pathlib import Path

from tasks.stages.parsing import confinement

EXIT_MEMORY = 99
"""Exit code of a keeper whose parser was stopped for want of memory."""
SIGNAL_BASE = 128
"""Added to the number of the signal that ended the parser."""

_MOST = 0.5  # allocators grow by doubling: what fails is as large as what there is
_LOG_TAIL_BYTES = 8192
_OUT_OF_MEMORY = (
    b"memory allocation of",
    b"bad_alloc",
    b"Cannot allocate memory",
    b"out of memory",
)


def keep(parser: int, *, lifeline: int, scratch: str, memory_bytes: int) -> int:
    """Wait until the parser ends or is not wanted any more; then remove all that is left of it.

    Args:
        parser: Process id of the parser, a child of this process.
        lifeline: Descriptor that the parent holds open as long as it wants the parser.
        scratch: Folder of the parser, removed at the end.
        memory_bytes: Address space that the parser may use.

    Returns:
        The parser's exit code; `SIGNAL_BASE` + n when signal n ended it; `EXIT_MEMORY` when it
        died with most of its memory used, or when its last words tell of memory.
    """
    confinement.die_with_parent(os.getppid(), signal.SIGTERM)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: _end(parser, scratch))
    end = _wait(parser, lifeline)
    _kill_descendants()
    code = _exit_code(end, Path(scratch), memory_bytes)
    shutil.rmtree(scratch, ignore_errors=True)
    return code


def descendants(process: int) -> list[int]:
    """Return the process ids of all living descendants of a process."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (parent := _parent(entry)) is not None:
            children.setdefault(parent, []).append(int(entry.name))
    found: list[int] = []
    waiting = [process]
    while waiting:
        born = children.get(waiting.pop(), [])
        found += born
        waiting += born
    return found


def _wait(parser: int, lifeline: int) -> tuple[int, int] | None:
    """Return exit code and peak memory in bytes of the parser, or None when it has to be killed."""
    ended = os.pidfd_open(parser)
    poller = select.poll()
    poller.register(ended, select.POLLIN)
    poller.register(lifeline, select.POLLIN | select.POLLHUP)
    ready = {descriptor for descriptor, _ in poller.poll()}
    if ended not in ready:
        return None
    _, status, usage = os.wait4(parser, 0)
    return os.waitstatus_to_exitcode(status), usage.ru_maxrss * 1024


def _kill_descendants() -> None:
    while living := descendants(os.getpid()):
        # Stopped first, so that none of them can fork while the others are killed.
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for process in living:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(process, number)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(-1, 0)
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _end(parser: int, scratch: str) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(parser, signal.SIGKILL)
    _kill_descendants()
    shutil.rmtree(scratch, ignore_errors=True)
    sys.exit(SIGNAL_BASE + signal.SIGTERM)


def _exit_code(end: tuple[int, int] | None, scratch: Path, memory_bytes: int) -> int:
    if end is None:
        return SIGNAL_BASE + signal.SIGKILL
    code, peak_bytes = end
    if code == 0:
        return 0
    # PDFium ends itself with a trap when an allocation fails, and says nothing.
    if peak_bytes > _MOST * memory_bytes or _tells_of_memory(scratch / "stderr"):
        return EXIT_MEMORY
    return SIGNAL_BASE - code if code < 0 else code


def _tells_of_memory(log: Path) -> bool:
    with contextlib.suppress(OSError), log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - _LOG_TAIL_BYTES))
        tail = stream.read()
        return any(phrase in tail for phrase in _OUT_OF_MEMORY)
    return False


def _parent(process: Path) -> int | None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        stat = (process / "stat").read_bytes()
        return int(stat[stat.rindex(b")") + 2 :].split()[1])
    return None
