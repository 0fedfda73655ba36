"""A retriever in a process of its own, and clients that ask without a pause: for measurements."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

SCRIPT = Path(sys.executable).with_name("nightpress")
PATIENCE_S = 240  # with a busy machine, not an expectation


@dataclass(frozen=True, slots=True)
class Asked:
    """One request.

    Attributes:
        began_s: When, on a clock that never goes back.
        took_s: Until the whole answer was there.
        status: Of the answer, or None when none came.
        told: Version that the answer came from, or what went wrong.
    """

    began_s: float
    took_s: float
    status: int | None
    told: str


class Service:
    """`nightpress serve` over a store."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int) -> None:
        self.process = process
        self.port = port

    def get(self, path: str) -> tuple[int, bytes]:
        """Return status and body of a page."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def version(self) -> str | None:
        """Return the version that answers now."""
        states = json.loads(self.get("/status")[1])["collections"]
        return states[0]["version"] if states else None

    def wait_for(self, version: str | None = None) -> None:
        """Wait until it is ready, or until a version answers."""
        until = time.monotonic() + PATIENCE_S
        while time.monotonic() < until:
            try:
                ready = self.get("/readyz")[0] == 200
                if ready and version in (None, self.version()):
                    return
            except OSError:
                if self.process.poll() is not None:
                    raise RuntimeError(f"it ended with {self.process.returncode}") from None
            time.sleep(0.01)
        raise RuntimeError("it is not ready")

    def memory_kib(self, name: str = "RssAnon") -> int:
        """Return a figure of the process's memory."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))

    def processor_s(self) -> float:
        """Return the seconds of processor time that it has taken so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").split()
        return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")

    def end(self, sent: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the process's end; its code."""
        self.process.send_signal(sent)
        return self.process.wait(PATIENCE_S)


@contextmanager
def running(store: str, folder: Path, **settings: object) -> Iterator[Service]:
    """Start a service in a folder; it is ended at the latest when the block is left."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    given = {"store": store, "port": port, "cache_dir": str(folder / "cache"), **settings}
    environment = {f"NIGHTPRESS_{name.upper()}": str(value) for name, value in given.items()}
    process = subprocess.Popen(
        [SCRIPT, "serve"],
        cwd=folder,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield Service(process, port)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


@dataclass(slots=True)
class Load:
    """Clients, each with a connection that it keeps, asking one question after another.

    Attributes:
        port: Whom they ask.
        questions: What they ask, in turn.
        clients: How many they are.
        answers: What they got, in no order.
    """

    port: int
    questions: Sequence[str]
    clients: int = 8
    answers: list[Asked] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Begin."""
        self._threads = [
            threading.Thread(target=self._ask, args=(number,)) for number in range(self.clients)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let every client finish its request, then return."""
        self._stop.set()
        self.join()

    def join(self) -> None:
        """Wait until every client has ended, as it does when nobody listens any more."""
        for thread in self._threads:
            thread.join()

    def _ask(self, number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        while not self._stop.is_set():
            number += self.clients
            question = self.questions[number % len(self.questions)]
            body = json.dumps({"query": question, "k": 5})
            began = time.monotonic()
            try:
                connection.request("POST", "/v1/search", body)
                answer = connection.getresponse()
                data = answer.read()
                told = answer.headers.get("X-Index-Version") or data[:300].decode()
                status: int | None = answer.status
            except ConnectionRefusedError:
                break
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                status, told = None, f"{type(error).__name__}: {error}"
            self.answers.append(Asked(began, time.monotonic() - began, status, told))
        connection.close()


def p(share: float, asked: Sequence[Asked]) -> float:
    """Return the milliseconds within which a share of requests was answered."""
    return float(np.quantile([each.took_s for each in asked], share)) * 1000
