"""How long a connection may take: uvicorn's protocols with a clock for whoever is slow on purpose.

Invariants: a connection whose request's head is not there in time is closed, and so is one whose
reader takes nothing in for a while, and one beyond the number that is allowed; what this process
itself says about a request that is none bears the same shape and headers as every other answer. A
process that ends answers what has arrived, and a socket's answer is finished before it is closed.
"""

import asyncio
from typing import Any, cast
from uuid import uuid4

import h11
import orjson
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from retriever.answers import error_json
from retriever.patience_options import Patience
from retriever.routes.gate import safe_headers
from retriever.routes.replies import ANSWERING, REFUSED

LINGER_S = 0.5  # for a request that is on its way while the process ends


class _Clock:
    """A timer that ends a connection unless it is stopped first."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._handle: asyncio.TimerHandle | None = None

    def start(self, transport: asyncio.Transport) -> None:
        """Begin to count, unless it counts already."""
        if self._handle is None:
            loop = asyncio.get_running_loop()
            self._handle = loop.call_later(self._seconds, transport.abort)

    def stop(self) -> None:
        """Count no more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None


class PatientHttp(H11Protocol):
    """HTTP/1.1 of one connection."""

    def __init__(self, patience: Patience, **known: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(**known)
        self._patience = patience
        self._head = _Clock(patience.head_s)
        self._reader = _Clock(patience.reader_s)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, unless there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self._patience.connections:
            transport.abort()
            return
        self._head.start(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clocks."""
        self._head.stop()
        self._reader.stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take in what came; the head's clock runs while no request is being answered."""
        if not self._answering:
            self._head.start(self.transport)
        super().data_received(data)
        if self._answering:
            self._head.stop()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hand the connection over; the head is there."""
        self._head.stop()
        super().handle_websocket_upgrade(event)

    def on_response_complete(self) -> None:
        """Wait for the next request, or for the rest of a body that nobody reads."""
        super().on_response_complete()
        unread = self.conn.their_state is h11.SEND_BODY or self.conn.trailing_data[0]
        if unread and not self._answering and not self.transport.is_closing():
            self._head.start(self.transport)

    def pause_writing(self) -> None:
        """Begin to count: the reader takes in nothing."""
        super().pause_writing()
        self._reader.start(self.transport)

    def resume_writing(self) -> None:
        """Count no more: the reader has taken in enough."""
        super().resume_writing()
        self._reader.stop()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, at once when its reader still leaves something lying."""
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            super().timeout_keep_alive_handler()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no request."""
        request_id = uuid4().hex
        body = orjson.dumps(
            error_json(msg.rstrip(".").lower(), REFUSED, request_id=request_id, code="bad_request")
        )
        headers = [
            *safe_headers(request_id),
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        try:
            parts = (h11.Response(status_code=400, headers=headers), h11.Data(data=body))
            for part in (*parts, h11.EndOfMessage()):
                self.transport.write(self.conn.send(part) or b"")
        except h11.LocalProtocolError:  # an answer is under way already
            self.transport.abort()
            return
        self.transport.close()

    def shutdown(self) -> None:
        """End: after the answer that is being sent, or a moment later when none is."""
        if self._answering:
            super().shutdown()
        elif not self.transport.is_closing():
            self.loop.call_later(LINGER_S, super().shutdown)

    @property
    def _answering(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete


class PatientSocket(WebSocketsSansIOProtocol):
    """A WebSocket."""

    def __init__(self, patience: Patience, **known: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(**known)
        self._reader = _Clock(patience.reader_s)

    def pause_writing(self) -> None:
        """Begin to count: the reader takes in nothing."""
        super().pause_writing()
        self._reader.start(self.transport)

    def resume_writing(self) -> None:
        """Count no more."""
        super().resume_writing()
        self._reader.stop()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        self._reader.stop()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """End after the answer that is being sent."""
        if self.handshake_complete and self.scope["state"].get(ANSWERING):
            self.loop.call_later(LINGER_S, self.shutdown)
        elif not self.transport.is_closing():
            super().shutdown()


def protocols(patience: Patience) -> tuple[type[asyncio.Protocol], type[asyncio.Protocol]]:
    """Return what uvicorn makes of a connection: for HTTP, and for WebSockets."""

    def http(
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> asyncio.Protocol:
        known = {"config": config, "server_state": server_state, "app_state": app_state}
        return PatientHttp(patience, **known, _loop=_loop)

    def websocket(
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> asyncio.Protocol:
        known = {"config": config, "server_state": server_state, "app_state": app_state}
        return PatientSocket(patience, **known, _loop=_loop)

    made = cast("type[asyncio.Protocol]", http), cast("type[asyncio.Protocol]", websocket)
    return made  # noqa: RET504 - the cast is what needs a name
