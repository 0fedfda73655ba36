"""Whether a machine has the memory for one more version before it is opened.

An opened version is mapped, not read: what it needs for itself is a small share of its files. The
kernel's own estimate counts, or that of the control group, whichever is less.
"""

import ctypes
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from index_store.errors import NoRoomError
from index_store.manifest import Manifest

ANONYMOUS_SHARE = 0.10  # of all files; 5 % of the vectors were seen, so this is cautious
_CGROUP = Path("/sys/fs/cgroup")
_MEMINFO = Path("/proc/meminfo")

AvailableBytes = Callable[[], int | None]


def check_memory(manifest: Manifest, available_bytes: int | None, reserve_bytes: int) -> None:
    """Refuse a version that would leave less memory than the reserve; pure.

    Args:
        manifest: Of the version.
        available_bytes: Memory that can be had, or None when nobody knows.
        reserve_bytes: What must be left.

    Raises:
        NoRoomError: There is not enough.
    """
    files = {artifact.key: artifact.size_bytes for artifact in manifest.artifacts}
    needed_bytes = int(ANONYMOUS_SHARE * sum(files.values())) + reserve_bytes
    if available_bytes is not None and available_bytes < needed_bytes:
        raise NoRoomError(
            f"opening it beside the live one needs {needed_bytes >> 20} MiB of memory with the "
            f"reserve of {reserve_bytes >> 20}, {available_bytes >> 20} MiB are available; give "
            "the process more, or lower memory_reserve_mib"
        )


def give_back_memory() -> None:
    """Return memory that was freed, but kept for later, to the system; glibc's own does not."""
    with suppress(OSError, AttributeError):  # another C library has no such function
        ctypes.CDLL(None).malloc_trim(0)


def available_memory() -> int | None:
    """Return the bytes of memory that can be had without swapping, or None when nobody knows."""
    found = [each for each in (_of_machine(), _of_cgroup()) if each is not None]
    return min(found) if found else None


def _of_machine() -> int | None:
    try:
        lines = _MEMINFO.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    kib = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(kib[0]) << 10 if kib else None


def _of_cgroup() -> int | None:
    """Return what is left of a limit of control groups (version 2), page cache counted as free."""
    try:
        limit = (_CGROUP / "memory.max").read_text(encoding="ascii").strip()
        used = int((_CGROUP / "memory.current").read_text(encoding="ascii"))
        statistics = (_CGROUP / "memory.stat").read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return None
    if not limit.isdigit():
        return None
    file_bytes = sum(
        int(line.split()[1])
        for line in statistics
        if line.startswith(("inactive_file ", "active_file "))
    )
    return max(0, int(limit) - used + file_bytes)
