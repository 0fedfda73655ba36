"""The gate that every request passes: who asks, how often, and what every answer bears."""

import time
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from retriever.access import AccessOptions, Caller, identify
from retriever.answers import error_json
from retriever.figures import OTHER, Figures

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
REMEMBERED_CALLERS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class GateOptions:
    """Who may pass, and how often.

    Attributes:
        access: Keys and secrets.
        requests_per_minute: Of one key and user, None for no limit.
    """

    access: AccessOptions
    requests_per_minute: float | None = None


class Gate:
    """Wraps the application; plain ASGI, so that streams pass through as they come."""

    def __init__(self, app: ASGIApp, options: GateOptions, figures: Figures) -> None:
        self._app = app
        self._options = options
        self._figures = figures
        self._next_at: dict[tuple[str, str], float] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        began, request_id = time.monotonic(), uuid4().hex
        headers = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in scope["headers"]
        }
        caller = identify(headers, self._options.access)
        status = [500]

        async def passing(message: Message) -> None:
            if message["type"] == "http.response.start":
                status[0] = message["status"]
                _add_headers(message, request_id)
            await send(message)

        refused = self._refusal(scope["path"], caller, began)
        if refused is not None and scope["type"] == "http":
            await _refuse(passing, *refused)
        elif refused is not None:
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            scope.setdefault("state", {})["caller"] = caller or Caller(
                name="anybody", scopes=frozenset()
            )
            await self._app(scope, receive, passing)
        if scope["type"] == "http":
            self._figures.request(_route(scope), status[0], time.monotonic() - began)

    def _refusal(
        self, path: str, caller: Caller | None, now: float
    ) -> tuple[int, str, str, dict[str, str]] | None:
        if path in OPEN_PATHS:
            return None
        if caller is None:
            told = {"WWW-Authenticate": "Bearer"}
            return 401, "a key is needed: Authorization: Bearer KEY", "unauthorized", told
        uploads = path.startswith(INBOX) and "upload" in caller.scopes
        if not uploads and not caller.scopes & {"query", "admin"}:
            return 403, "this key may not ask questions", "forbidden", {}
        wait_s = self._wait_s(caller, now)
        if wait_s > 0:
            told = {"Retry-After": str(max(1, round(wait_s)))}
            return 429, "too many requests of this key and user", "rate_limited", told
        return None

    def _wait_s(self, caller: Caller, now: float) -> float:
        """Take a place; a minute's worth of requests may come at once."""
        limit = self._options.requests_per_minute
        if limit is None:
            return 0.0
        who = (caller.name, caller.user)
        if len(self._next_at) > REMEMBERED_CALLERS:
            self._next_at = {each: at for each, at in self._next_at.items() if at > now}
        at = max(self._next_at.get(who, 0.0), now)
        if at - now >= 60.0:
            return at - now - 60.0 + 60.0 / limit
        self._next_at[who] = at + 60.0 / limit
        return 0.0


def _add_headers(message: MutableMapping[str, Any], request_id: str) -> None:
    headers = list(message.get("headers", []))
    there = {name.lower() for name, _ in headers}
    headers += [(name, value) for name, value in SAFE_HEADERS.items() if name not in there]
    headers.append((b"x-request-id", request_id.encode()))
    message["headers"] = headers


async def _refuse(send: Send, status: int, message: str, code: str, more: dict[str, str]) -> None:
    body = orjson.dumps(error_json(message, "invalid_request_error", code=code))
    headers = [(name.lower().encode(), value.encode()) for name, value in more.items()]
    headers += [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _route(scope: Scope) -> str:
    """Return the route's pattern, so that made-up paths make no figures."""
    return getattr(scope.get("route"), "path", OTHER)
