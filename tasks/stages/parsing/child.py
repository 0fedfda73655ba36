"""One child process as its owner sees it: started, asked, killed.

Invariant: after `kill` nothing of the child is left, whatever its parser was doing.
"""

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import orjson

from index_store.errors import TransientError, UsageError
from index_store.records import Reason
from tasks.stages.parsing.frames import Silence, read_frame, write_frame
from tasks.stages.parsing.keeper import EXIT_MEMORY, SIGNAL_BASE
from tasks.stages.parsing.limits import Limits
from tasks.stages.parsing.parse_options import DEFAULT_OPTIONS, OcrMode, ParseOptions

_MODULE = "tasks.stages.parsing.worker"
_START_S = 120.0  # a loaded machine imports slowly; documents do not pay for this time
_LAST_WORDS_S = 2.0  # a parser that closed its pipe has ended, or fools us
_SWEEP_S = 10.0  # the keeper kills and sweeps in milliseconds
_ENVIRONMENT = (
    "PATH",
    "PYTHONPATH",
    "PYTHONHASHSEED",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
)


class Child:
    """A keeper process and the parser below it; used by one thread, `release` by any."""

    def __init__(
        self,
        limits: Limits,
        *,
        chunker: str,
        options: Mapping[str, object],
        parsing: ParseOptions = DEFAULT_OPTIONS,
    ) -> None:
        self.documents = 0
        self._patience_s = limits.wall_s
        if parsing.ocr is not OcrMode.OFF:
            self._patience_s += parsing.ocr_timeout_s
        requests_read, self._requests = os.pipe()
        self._replies, replies_write = os.pipe()
        arguments = [str(number) for number in (requests_read, replies_write, limits.memory_bytes)]
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115 - open until `kill`
        self._keeper = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-P", "-m", _MODULE, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._complaints,
            pass_fds=(requests_read, replies_write),
            start_new_session=True,
            env=_environment(),
        )
        os.close(requests_read)
        os.close(replies_write)
        self._ready = False
        self._offline = False
        setup = {
            "limits": asdict(limits),
            "chunker": chunker,
            "options": options,
            "parsing": parsing.as_json(),
        }
        with contextlib.suppress(OSError):  # a child that died at once is noticed when it is asked
            write_frame(self._requests, orjson.dumps(setup))

    @property
    def process(self) -> int:
        """Process id of the keeper."""
        return self._keeper.pid

    @property
    def is_alive(self) -> bool:
        """Whether the keeper runs."""
        return self._keeper.poll() is None

    @property
    def offline(self) -> bool:
        """Whether the parser is cut off from the network; known once the child is ready."""
        return self._offline

    def wait_until_ready(self) -> None:
        """Wait until the child can take documents.

        Raises:
            TransientError: The child died or dawdled.
            UsageError: Its chunker is not what the options say.
        """
        if self._ready:
            return
        deadline = time.monotonic() + _START_S
        frame = read_frame(self._replies, deadline=deadline, limit_bytes=1 << 20)
        if isinstance(frame, Silence):
            raise TransientError(f"parse child did not start: {self._complaint() or frame.value}")
        hello = orjson.loads(frame)
        if hello["error"] is not None:
            raise UsageError(f"parse child did not start: {hello['error']}")
        self._ready = True
        self._offline = bool(hello["offline"])

    def ask(
        self, path: Path, parser: str, sidecars: Sequence[str], limits: Limits
    ) -> bytes | Silence:
        """Have one document parsed.

        Returns:
            The reply's frame, or why none came.
        """
        self.documents += 1
        request = {
            "path": os.fsencode(path).decode("latin-1"),
            "parser": parser,
            "sidecars": [os.fsencode(each).decode("latin-1") for each in sidecars],
        }
        deadline = time.monotonic() + self._patience_s
        try:
            write_frame(self._requests, orjson.dumps(request))
        except OSError:
            return Silence.ENDED
        return read_frame(self._replies, deadline=deadline, limit_bytes=limits.output_bytes)

    def last_words(self) -> tuple[Reason, str]:
        """Return why a child that went silent ended."""
        try:
            code = self._keeper.wait(_LAST_WORDS_S)
        except subprocess.TimeoutExpired:
            return Reason.CRASHED, "its parser closed its pipe"
        if code == EXIT_MEMORY:
            return Reason.MEMORY, "its parser was stopped at the memory limit"
        if code > SIGNAL_BASE:
            return Reason.CRASHED, f"its parser died of signal {code - SIGNAL_BASE}"
        return Reason.CRASHED, f"its parser exited with code {code}"

    def release(self) -> None:
        """Tell the keeper to kill everything, without waiting; may be called twice."""
        if self._keeper.stdin is not None:
            with contextlib.suppress(OSError):
                self._keeper.stdin.close()

    def kill(self) -> None:
        """Kill everything and wait until it is gone."""
        self.release()
        try:
            self._keeper.wait(_SWEEP_S)
        except subprocess.TimeoutExpired:
            self._keeper.kill()  # the parser dies with its keeper
            self._keeper.wait()
        os.close(self._requests)
        os.close(self._replies)
        self._complaints.close()

    def _complaint(self) -> str:
        """Return the last line that a child said before it ended, if it has said one."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._keeper.wait(_LAST_WORDS_S)
        self._complaints.seek(0)
        said = self._complaints.read().decode(errors="replace").strip()
        return said.rpartition("\n")[2]


def _environment() -> dict[str, str]:
    """Return what a parser may know: no keys, no settings."""
    known = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    # One arena and one thread each: address space is limited, and so are the cores.
    return known | {"MALLOC_ARENA_MAX": "2", "OMP_NUM_THREADS": "1"}
