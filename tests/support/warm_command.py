"""Processes of the console script that are forked from one that has imported everything already.

Importing Prefect takes seconds of processor time, and a test that calls five commands would pay it
five times. What is forked here is a process like any other: with a session, folder, environment,
streams, signals and an exit code of its own. Only its modules are loaded already, so what a command
imports, and when, is a matter for tests that start the script.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple, NoReturn

from flows.prefect_environment import prepare_prefect

# What a run imports sooner or later; modules of a library that it imports late are named, too.
MODULES = (
    *("flows.running", "flows.reindex", "flows.looking", "flows.store_tools", "flows.compact"),
    *("flows.expire", "flows.erase", "index_store.embedders.hashing", "index_store.snapshot"),
    *("prefect.flow_engine", "prefect.task_engine", "prefect.engine", "prefect.telemetry"),
    *("prefect.telemetry.run_telemetry", "prefect.utilities.visualization", "prefect.concurrency"),
    *("anyio._backends._asyncio", "pyarrow.dataset", "pyarrow.pandas_compat", "pandas"),
)
_LIMIT_BYTES = 100_000  # of a request: words, folder and environment


class WarmProcess:
    """What `subprocess.Popen` is for a started process, as far as tests need it."""

    def __init__(self, words: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        out, err, news = os.pipe(), os.pipe(), os.pipe()
        ends = [out[1], err[1], news[1]]
        told = json.dumps({"words": words, "folder": str(folder), "environment": environment})
        socket.send_fds(_origin().requests, [told.encode()], ends)
        for end in ends:
            os.close(end)
        self.stdout = os.fdopen(out[0], encoding="utf-8")
        self.stderr = os.fdopen(err[0], encoding="utf-8")
        self._news = os.fdopen(news[0], encoding="ascii")
        self.pid = int(self._news.readline())
        self.returncode: int | None = None

    def communicate(self, timeout: float) -> tuple[str, str]:
        """Wait for the end and return what the two streams still held."""
        deadline = time.monotonic() + timeout
        read: dict[str, str] = {}

        def drain(name: str) -> None:
            with getattr(self, name) as stream:
                read[name] = stream.read()

        threads = [
            threading.Thread(target=drain, args=(name,), daemon=True)
            for name in ("stdout", "stderr")
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                raise subprocess.TimeoutExpired("nightpress", timeout)
        with self._news as news:
            self.returncode = int(news.readline())
        return read["stdout"], read["stderr"]


class _Origin(NamedTuple):
    process: "subprocess.Popen[bytes]"
    requests: socket.socket


@cache
def _origin() -> _Origin:
    """Start the process that all others are forked from; it ends when this process does."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    process = subprocess.Popen(
        [sys.executable, __file__, str(its.fileno())],
        pass_fds=[its.fileno()],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    its.close()
    atexit.register(_end, process, ours)
    return _Origin(process=process, requests=ours)


def _end(process: "subprocess.Popen[bytes]", requests: socket.socket) -> None:
    requests.close()
    process.wait()


def _serve(requests: socket.socket) -> list[str]:
    """Fork a process for every request; return in such a process, with the words of its command."""
    while True:
        told, ends, _, _ = socket.recv_fds(requests, _LIMIT_BYTES, 3)
        if not told:
            os._exit(0)
        if os.fork() == 0:
            out, err, news = ends
            requests.close()
            if _is_the_command(news):
                return _become(json.loads(told), out, err)
        for end in ends:
            os.close(end)
        os.waitpid(-1, os.WNOHANG)  # whoever watched a process that has ended


def _is_the_command(news: int) -> bool:
    """Fork once more: this process tells the other's id and how it ends, and ends with it."""
    process = os.fork()
    if process == 0:
        os.close(news)
        return True
    os.write(news, f"{process}\n".encode())
    os.closerange(0, news)
    _, status = os.waitpid(process, 0)
    os.write(news, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _become(told: Mapping[str, object], out: int, err: int) -> list[str]:
    os.setsid()
    for end, standard in ((out, 1), (err, 2)):
        os.dup2(end, standard)
        os.close(end)
    os.chdir(str(told["folder"]))
    environment, words = told["environment"], told["words"]
    assert isinstance(environment, dict)
    assert isinstance(words, list)
    os.environ.clear()
    os.environ.update(environment)
    return words


def _run(words: list[str]) -> None:
    cli = importlib.import_module("flows.cli")
    context = importlib.import_module("prefect.context")
    session = importlib.import_module("flows.prefect_session")
    prepare_prefect(os.environ)
    context.refresh_global_settings_context()
    sys.argv = ["nightpress", *words]
    with session.surroundings((), is_temporary=True):  # no heartbeats, whose end takes a second
        cli.main()


def _end_at_once(code: object) -> NoReturn:
    """End as a process does, but for the threads of libraries, which a fork does not have."""
    threading._shutdown()  # type: ignore[attr-defined]  # what Python does first of all
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


if __name__ == "__main__":
    prepare_prefect(os.environ)
    for module in MODULES:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()  # what ends does not look at all of this once more
    words = _serve(socket.socket(fileno=int(sys.argv[1])))
    try:
        _run(words)
    except SystemExit as ended:
        _end_at_once(ended.code)
