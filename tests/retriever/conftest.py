"""A store to publish into, and the service on a port of this machine."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from retriever.options import RetrieverOptions
from retriever.server import build_server, listen
from tests.retriever.publishing import Publisher

DEADLINE_S = 120  # patience with a busy machine, not an expectation

Serve = Callable[[RetrieverOptions], AbstractContextManager[httpx.Client]]
Until = Callable[[Callable[[], bool]], None]


@pytest.fixture
def publisher(tmp_path: Path) -> Publisher:
    return Publisher(tmp_path)


@pytest.fixture(scope="session")
def until() -> Until:
    """Wait for something that happens in another thread."""

    def wait(happened: Callable[[], bool]) -> None:
        pause, deadline = threading.Event(), time.monotonic() + DEADLINE_S
        while not happened():
            if time.monotonic() > deadline:
                pytest.fail("it never happened")
            pause.wait(0.01)

    return wait


@pytest.fixture(scope="session")
def serve() -> Serve:
    """Run the real server in a thread; a client of it."""

    @contextmanager
    def running(options: RetrieverOptions) -> Iterator[httpx.Client]:
        server = build_server(options)
        with listen(replace(options, port=0)) as listening:
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
            thread.start()
            url = f"http://127.0.0.1:{listening.getsockname()[1]}"
            try:
                with httpx.Client(base_url=url, timeout=DEADLINE_S) as client:
                    yield client
            finally:
                server.should_exit = True
                thread.join()

    return running
