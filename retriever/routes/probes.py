"""How the service is: for orchestrators, operators and Prometheus."""

from dataclasses import replace

from anyio import to_thread
from fastapi import FastAPI, Response

from index_store.clock import system_clock_ms
from retriever.answers import status_json
from retriever.routes.house import House
from retriever.routes.replies import refuse, reply


def add_probes(app: FastAPI, house: House) -> None:
    """Add `/livez`, `/readyz`, `/status` and `/metrics`."""

    @app.get("/livez")
    async def livez() -> Response:
        """Say that the process answers."""
        return reply(200, {"status": "alive"})

    @app.get("/readyz")
    async def readyz() -> Response:
        """Say whether questions can be answered, and why not."""
        reason = house.live.state().not_ready
        if reason is not None:
            return refuse(503, reason, "not_ready")
        return reply(200, {"status": "ready"})

    @app.get("/status")
    async def status() -> Response:
        """Show what is served, since when, and what went wrong."""
        return reply(200, status_json(house.live.state(), system_clock_ms()))

    @app.get("/metrics")
    async def metrics() -> Response:
        """Show counts and durations in Prometheus' text format."""
        cache_bytes = await to_thread.run_sync(house.live.cache_bytes)
        state = replace(house.live.state(), cache_bytes=cache_bytes)
        page = house.figures.page(state, system_clock_ms())
        return Response(page, media_type="text/plain; version=0.0.4; charset=utf-8")
