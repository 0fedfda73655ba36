"""An HTTP proxy on loopback that spoils the requests a test names by their number.

It takes a request whole, passes it on, and answers with what came back, unless a rule says
otherwise. One connection upstream per request: it is made to be right, not fast.
"""

import http.client
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

ERROR_BODY = b"<Error><Code>%s</Code><Message>on purpose</Message></Error>"
NOT_FORWARDED = {"connection", "keep-alive", "expect", "transfer-encoding", "content-length"}


class Fault(Enum):
    """What happens to a request."""

    RESET_BEFORE = "reset-before"  # it is not carried out, and the connection is reset
    RESET_AFTER = "reset-after"  # it is carried out, and the connection is reset
    DROP_REPLY = "drop-reply"  # it is carried out, and the connection is closed without an answer
    TRUNCATE = "truncate"  # half of the answer's body comes
    FLIP = "flip"  # one bit of the answer's body is another
    HANG_BEFORE = "hang-before"  # it is not carried out, and no answer comes
    HANG_AFTER = "hang-after"  # it is carried out, and no answer comes


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """An answer that the proxy gives itself, without asking the server."""

    status: int
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutate:
    """A change to the body of an answer."""

    change: Callable[[bytes], bytes]


Rule = Fault | Status | Mutate


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What came through."""

    number: int
    method: str
    path: str


@dataclass(slots=True)
class FaultProxy:
    """A running proxy: set `rules` by the number of a request, from 1; read what came through."""

    endpoint: str
    target: str
    rules: Mapping[int, Rule] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    closing: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, rules: Mapping[int, Rule]) -> None:
        """Count requests from 1 again."""
        with self.lock:
            self.requests = []
            self.rules = rules

    def note(self, method: str, path: str) -> Rule | None:
        with self.lock:
            number = len(self.requests) + 1
            self.requests.append(Request(number=number, method=method, path=path))
            return self.rules.get(number)


@contextmanager
def fault_proxy(target: str) -> Iterator[FaultProxy]:
    """Run a proxy in front of the server at an address."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.proxy = FaultProxy(f"http://127.0.0.1:{server.server_port}", target)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.proxy
    finally:
        server.proxy.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    proxy: FaultProxy

    def handle_error(self, *_: object) -> None:
        """Say nothing: clients that go away are what this is about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # heads and bodies in one packet: separate ones wait 40 ms for each other
    disable_nagle_algorithm = True
    server: _Server

    def handle_expect_100(self) -> bool:
        going_on = super().handle_expect_100()
        self.wfile.flush()
        return going_on

    def handle_request(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        rule = self.server.proxy.note(self.command, self.path)
        if isinstance(rule, Status):
            self._answer(rule.status, {}, ERROR_BODY % rule.code.encode())
        elif rule is Fault.RESET_BEFORE:
            self._reset()
        elif rule is Fault.HANG_BEFORE:
            self._hang()
        else:
            self._forward(rule, body)

    def _forward(self, rule: Rule | None, body: bytes) -> None:
        address = urlsplit(self.server.proxy.target)
        upstream = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
        try:
            kept = {k: v for k, v in self.headers.items() if k.lower() not in NOT_FORWARDED}
            upstream.request(self.command, self.path, body, kept)
            answer = upstream.getresponse()
            received = answer.read()
        finally:
            upstream.close()
        headers = {k: v for k, v in answer.getheaders() if k.lower() not in NOT_FORWARDED}
        length = answer.getheader("Content-Length") if self.command == "HEAD" else None
        match rule:
            case Fault.RESET_AFTER:
                self._reset()
            case Fault.DROP_REPLY:
                self.close_connection = True
            case Fault.HANG_AFTER:
                self._hang()
            case Fault.TRUNCATE:
                self._answer(answer.status, headers, received[: len(received) // 2], received)
                self._reset()
            case Fault.FLIP:
                self._answer(answer.status, headers, _flipped(received))
            case Mutate(change=change):
                self._answer(answer.status, headers, change(received))
            case _:
                self._answer(answer.status, headers, received, length=length)

    def _answer(
        self,
        status: int,
        headers: Mapping[str, str],
        body: bytes,
        told: bytes | None = None,
        *,
        length: str | None = None,
    ) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status >= 200 and status != 204:
            announced = str(len(body if told is None else told))
            self.send_header("Content-Length", announced if length is None else length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def _reset(self) -> None:
        """Close with a reset instead of a farewell."""
        self.wfile.flush()
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.connection.close()
        self.close_connection = True

    def _hang(self) -> None:
        self.server.proxy.closing.wait()
        self.close_connection = True


for _method in ("GET", "PUT", "POST", "DELETE", "HEAD"):
    setattr(_Handler, f"do_{_method}", _Handler.handle_request)


def _flipped(body: bytes) -> bytes:
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :] if body else body
