"""The gate that every request passes: who asks, how often, and what every answer bears.

Invariants: every answer bears the request's id and the headers that keep browsers careful, also one
that something unforeseen made; an id that came with a request is kept when it is harmless.
"""

import logging
import re
import time
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import orjson
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from retriever.access import AccessOptions, Caller, identify
from retriever.answers import error_json
from retriever.figures import OTHER, Figures
from retriever.logs import FIELDS, REQUESTS
from retriever.pace import Pace
from retriever.routes.replies import FAILED, REFUSED, REQUEST_ID
from retriever.tracing import NoTracing, Told, Tracing

logger = logging.getLogger(__name__)
requests = logging.getLogger(REQUESTS)

PAGE_PATHS = frozenset({"/", "/page.css", "/page.js"})  # hold nothing of a store
OPEN_PATHS = frozenset({"/livez", "/readyz", "/metrics"}) | PAGE_PATHS
INBOX = "/v1/inbox/"
SAFE_HEADERS = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"cache-control": b"no-store",
}
_GIVEN_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class GateOptions:
    """Who may pass, and how often.

    Attributes:
        access: Keys and secrets.
        pace: How often each key and user may ask.
        draining: Whether the process ends, so that connections should be closed.
        tracing: Where the request's span goes.
    """

    access: AccessOptions
    pace: Pace
    draining: Callable[[], bool] = lambda: False
    tracing: Tracing = field(default_factory=NoTracing)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refusal:
    """Why a request does not pass."""

    status: int
    message: str
    code: str
    headers: Mapping[str, str] = field(default_factory=dict)


class Gate:
    """Wraps the application; plain ASGI, so that streams pass through as they come."""

    def __init__(self, app: ASGIApp, options: GateOptions, figures: Figures) -> None:
        self._app = app
        self._options = options
        self._figures = figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        began = time.monotonic()
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in scope["headers"]
        }
        REQUEST_ID.set(_request_id(headers))
        caller = identify(headers, self._options.access)
        scope.setdefault("state", {})["caller"] = caller or Caller(
            name="anybody", scopes=frozenset()
        )
        refused = self._refusal(scope["path"], caller, began)
        if scope["type"] == "websocket":
            await self._pass_socket(scope, receive, send, headers, refused)
            return
        with self._options.tracing.span("request", headers) as told:
            status = await self._pass_request(scope, receive, send, refused)
            seconds = time.monotonic() - began
            self._figures.request(_route(scope), status, seconds)
            told.update(_told(scope, status))
        fields = {
            "method": scope["method"],
            "route": _route(scope),
            "status": status,
            "ms": round(1000 * seconds, 1),
            "request_id": REQUEST_ID.get(),
            "key": scope["state"]["caller"].name,
        }
        requests.info("answered", extra={FIELDS: fields})

    async def _pass_request(
        self, scope: Scope, receive: Receive, send: Send, refused: _Refusal | None
    ) -> int:
        """Have a request answered; the status of the answer."""
        status = 0

        async def passing(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _add_headers(message, REQUEST_ID.get())
                if self._options.draining():
                    message["headers"].append((b"connection", b"close"))
            await send(message)

        if refused is not None:
            await _refuse(passing, refused)
            return status
        try:
            await self._app(scope, receive, passing)
        except ClientDisconnect:
            pass
        except Exception:  # whatever it is, the sender gets an answer without a trace of it
            logger.exception("request %s failed", REQUEST_ID.get())
            if status:
                raise  # the answer is under way: only ending the connection is left
            unforeseen = "something went wrong here"
            await _refuse(passing, _Refusal(status=500, message=unforeseen, code="internal"))
        return status or 499  # nobody was left to read it

    async def _pass_socket(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        headers: Mapping[str, str],
        refused: _Refusal | None,
    ) -> None:
        origin, host = headers.get("origin", ""), headers.get("host", "")
        if refused is None and origin and urlsplit(origin).netloc.lower() != host.lower():
            message = "a page of another host may not open a socket here"
            refused = _Refusal(status=403, message=message, code="forbidden")
        if refused is None:
            await self._app(scope, receive, send)
            return

        async def passing(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add_headers(message, REQUEST_ID.get())
            await send({**message, "type": f"websocket.{message['type']}"})

        await receive()
        await _refuse(passing, refused)

    def _refusal(self, path: str, caller: Caller | None, now: float) -> _Refusal | None:
        if path in OPEN_PATHS:
            return None
        if caller is None:
            message = "a key is needed: Authorization: Bearer KEY"
            told = {"WWW-Authenticate": "Bearer"}
            return _Refusal(status=401, message=message, code="unauthorized", headers=told)
        uploads = path.startswith(INBOX) and "upload" in caller.scopes
        if not uploads and not caller.scopes & {"query", "admin"}:
            message = "this key may not ask questions"
            return _Refusal(status=403, message=message, code="forbidden")
        wait_s = self._options.pace.wait_s(caller.name, caller.user, now)
        if wait_s > 0:
            message = "too many requests of this key and user"
            told = {"Retry-After": str(max(1, round(wait_s)))}
            return _Refusal(status=429, message=message, code="rate_limited", headers=told)
        return None


def safe_headers(request_id: str) -> list[tuple[bytes, bytes]]:
    """Return what every answer bears."""
    return [*SAFE_HEADERS.items(), (b"x-request-id", request_id.encode())]


def _add_headers(message: MutableMapping[str, Any], request_id: str) -> None:
    headers = list(message.get("headers", []))
    there = {name.lower() for name, _ in headers}
    headers += [each for each in safe_headers(request_id) if each[0] not in there]
    message["headers"] = headers


async def _refuse(send: Send, refused: _Refusal) -> None:
    kind = FAILED if refused.status >= 500 else REFUSED
    told = error_json(refused.message, kind, request_id=REQUEST_ID.get(), code=refused.code)
    body = orjson.dumps(told)
    headers = [(name.lower().encode(), value.encode()) for name, value in refused.headers.items()]
    headers += [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _request_id(headers: Mapping[str, str]) -> str:
    given = headers.get("x-request-id", "")
    return given if _GIVEN_ID.fullmatch(given) else uuid4().hex


def _told(scope: Scope, status: int) -> Told:
    """Return what log and span say of a request: the route's pattern, never its path."""
    route = _route(scope)
    return {
        "name": f"{scope['method']} {route}",
        "http.request.method": scope["method"],
        "http.route": route,
        "http.response.status_code": status,
        "request.id": REQUEST_ID.get(),
    }


def _route(scope: Scope) -> str:
    """Return the route's pattern, so that made-up paths make no figures."""
    return getattr(scope.get("route"), "path", OTHER)
