"""The console script as a person uses it: a process of its own, its two streams and its code."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tasks.stages.parsing.keeper import descendants
from tests.support.warm_command import WarmProcess

SCRIPT = Path(sys.executable).with_name("nightpress")
PATIENCE_S = 240  # with a busy machine, not an expectation


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one object on standard output; anything beside it fails."""
        value = json.loads(self.out)
        assert isinstance(value, dict)
        return value


@dataclass(slots=True, kw_only=True)
class CommandLine:
    """Runs commands in one folder with one environment."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)
    is_warm: bool = True  # see `warm_command`

    def as_script(self) -> "CommandLine":
        """Return one that starts the installed script for every command, which takes seconds."""
        return replace(self, is_warm=False)

    def __call__(self, *words: str, code: int | None = 0, **more: str) -> Ended:
        """Run a command to its end and check its exit code, unless `code` is None."""
        ended = self.start(*words, **more).end()
        assert "Traceback" not in ended.err, ended.err
        if code is not None:
            assert ended.code == code, f"{ended.code}: {ended.err}\n{ended.out}"
        return ended

    def start(self, *words: str, **more: str) -> "Started":
        """Start a command and go on while it works."""
        environment = {**os.environ, **self.environment, **more}
        if self.is_warm:
            return Started(WarmProcess(words, self.folder, environment))
        return Started(
            subprocess.Popen(
                [SCRIPT, *words],
                cwd=self.folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                encoding="utf-8",
            )
        )


class Started:
    """A command at work."""

    def __init__(self, process: "subprocess.Popen[str] | WarmProcess") -> None:
        self.process = process
        self.lines: list[str] = []

    def wait_for(self, beginning: str) -> None:
        """Read standard error up to a line of progress."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)
            if line.startswith(beginning):
                return
        raise AssertionError(f"no line {beginning!r} in {self.lines}")

    def kill(self) -> None:
        """Kill it as the kernel does, and wait until its children are gone too."""
        children = descendants(self.process.pid)
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.communicate(timeout=PATIENCE_S)
        assert not still_there(children)

    def interrupt(self) -> Ended:
        """Press Ctrl-C, which reaches every process of the terminal, and wait for the end."""
        children = descendants(self.process.pid)
        os.killpg(self.process.pid, signal.SIGINT)
        ended = self.end()
        assert not still_there(children)
        return ended

    def end(self) -> Ended:
        """Wait for the end."""
        out, err = self.process.communicate(timeout=PATIENCE_S)
        return Ended(code=self.process.returncode, out=out, err="".join(self.lines) + err)


def still_there(processes: list[int]) -> list[int]:
    """Wait until processes are gone; return those that stay."""
    pause, deadline = threading.Event(), time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        left = [process for process in processes if _is_alive(process)]
        if not left:
            return []
        pause.wait(0.05)
    return left


def _is_alive(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_bytes().rpartition(b") ")[2][:1]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != b"Z"  # a zombie that nobody has buried yet does nothing any more
