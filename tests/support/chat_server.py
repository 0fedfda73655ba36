"""A chat model of our own on a real socket: it records prompts, thinks, fails and breaks off."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast


@dataclass(kw_only=True)
class Script:
    """What the model says.

    Attributes:
        deltas: Pieces of its answer, as a server streams them.
        statuses: Statuses of the first requests; later ones are answered.
        breaks_after: Pieces after which it breaks off, None for never.
        held: Set when the second piece may be said; None does not wait.
    """

    deltas: list[dict[str, str]] = field(default_factory=lambda: [{"content": "It is so [1]."}])
    statuses: list[int] = field(default_factory=list)
    breaks_after: int | None = None
    held: threading.Event | None = None


class ChatServer:
    """The model; `seen` holds every request's body, `most_at_once` how many it answered at once."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.seen: list[dict[str, Any]] = []
        self.most_at_once = 0
        self.lock = threading.Lock()
        self.at_once = 0
        self._http = _Http(self)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    @contextmanager
    def running(self) -> Iterator["ChatServer"]:
        thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._http.shutdown()
            thread.join()
            self._http.server_close()


class _Http(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, owner: ChatServer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.owner = owner


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        owner = cast("_Http", self.server).owner
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with owner.lock:
            owner.at_once += 1
            owner.most_at_once = max(owner.most_at_once, owner.at_once)
            owner.seen.append(body)
        try:
            self._answer(owner)
        except OSError:
            pass  # whoever asked has left
        finally:
            with owner.lock:
                owner.at_once -= 1

    def _answer(self, owner: ChatServer) -> None:
        if owner.script.statuses:
            self.send_response(owner.script.statuses.pop(0))
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for number, delta in enumerate(owner.script.deltas):
            if number == owner.script.breaks_after:
                self.wfile.write(b'data: {"error": {"message": "overloaded"}}\n\n')
                return
            if number == 1 and owner.script.held is not None:
                owner.script.held.wait(60)
            piece = {"choices": [{"index": 0, "delta": delta}]}
            self.wfile.write(b"data: " + json.dumps(piece).encode() + b"\n\n")
        self.wfile.write(b"data: [DONE]\n\n")
