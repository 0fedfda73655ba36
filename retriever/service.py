"""The HTTP service: one application over one store; the routes are in `routes`.

This package is the one asynchronous edge. Invariants: a search never runs in the event loop; every
answer that is not a success has the same shape; no answer shows a stack trace; the question text is
never logged.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from anyio import CapacityLimiter, to_thread
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from retriever.audit import AuditLog
from retriever.chat.options import ModelOptions
from retriever.figures import Figures
from retriever.options import RetrieverOptions
from retriever.pace import Pace
from retriever.routes.chat import add_chat
from retriever.routes.gate import Gate, GateOptions
from retriever.routes.house import House
from retriever.routes.models import add_models
from retriever.routes.page import add_page
from retriever.routes.probes import add_probes
from retriever.routes.replies import refuse
from retriever.routes.search import add_search
from retriever.routes.stream import add_stream
from retriever.routes.tools import add_tools
from retriever.routes.uploads import add_uploads
from retriever.store import LiveStore
from retriever.tracing import open_tracing

if TYPE_CHECKING:
    from retriever.chat.backend import ChatBackend


def create_app(options: RetrieverOptions) -> FastAPI:
    """Build the service over one store; it begins to load versions when it starts.

    Raises:
        UsageError: The store's address is of no known kind, or the audit log cannot be written.
    """
    house = House(
        live=LiveStore(options),
        options=options,
        threads=CapacityLimiter(options.search_threads),
        figures=Figures(),
        pace=Pace(options.requests_per_minute),
        tracing=open_tracing(options.trace_url),
        audit=AuditLog(options.audit),
        backend=_open_backend(options.chat.model),
    )

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        house.live.start()
        yield
        if house.backend is not None:
            await house.backend.close()
        await to_thread.run_sync(house.live.close)
        await to_thread.run_sync(house.tracing.close)

    # The interactive pages of FastAPI load scripts from foreign hosts; the schema itself stays.
    app = FastAPI(
        title="nightpress retriever",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # or the request's own Host would say where to
        lifespan=lifespan,
    )
    app.state.drain = house.live.drain
    routes = (add_search, add_probes, add_models, add_chat, add_stream, add_tools)
    for add in (*routes, add_uploads, add_page):
        add(app, house)
    app.add_exception_handler(HTTPException, _refuse_http)
    gate = GateOptions(
        access=options.access,
        pace=house.pace,
        tracing=house.tracing,
        draining=lambda: house.live.draining,
    )
    app.add_middleware(Gate, options=gate, figures=house.figures)
    return app


def _open_backend(model: ModelOptions) -> "ChatBackend | None":
    if not model.base_url or not model.models:
        return None
    from retriever.chat.backend import ChatBackend  # noqa: PLC0415 - slow to load

    return ChatBackend(model, time.monotonic)


async def _refuse_http(_request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = error.headers if isinstance(error, HTTPException) else None
    message = {404: "no such address", 405: "method not allowed here"}.get(status, "refused")
    answer = refuse(status, message, f"http_{status}")
    answer.headers.update(headers or {})
    return answer
