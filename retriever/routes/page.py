"""The page at `/`, the list of versions that it shows, and the page of each version.

Invariant: the page itself holds nothing of a store, so it comes without a key; all that it shows it
asks for like any other client.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from importlib.resources import files

from anyio import to_thread
from fastapi import FastAPI, Request, Response

from index_store.clock import system_clock_ms
from index_store.errors import IndexStoreError, NotFoundError
from retriever.answers import versions_json
from retriever.routes.house import House, caller_of
from retriever.routes.replies import refuse, refuse_collection, refuse_search, reply

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# What a run wrote has its style in itself, and runs nothing.
REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; sandbox"
)
LISTED_VERSIONS = 20


def add_page(app: FastAPI, house: House) -> None:
    """Add `/` with its two files, and the versions of a collection."""
    for path, name, kind in (
        ("/", "index.html", "text/html"),
        ("/page.css", "page.css", "text/css"),
        ("/page.js", "page.js", "text/javascript"),
    ):
        app.add_api_route(path, _file(name, kind), methods=["GET"], include_in_schema=False)

    @app.get("/v1/collections/{collection}/versions")
    async def versions(collection: str) -> Response:
        """Show the versions published last, their channels, and how much each changed."""
        try:
            found = house.live.find(collection)
        except IndexStoreError as error:
            return refuse_collection(error)
        try:
            listed = await to_thread.run_sync(
                found.versions, LISTED_VERSIONS, limiter=house.threads
            )
        except IndexStoreError as error:
            return refuse_search(collection, error)
        return reply(200, versions_json(found.state(), listed, system_clock_ms()))

    @app.get("/v1/collections/{collection}/versions/{version}/report")
    async def report(request: Request, collection: str, version: str) -> Response:
        """Show the page that the night left beside a version; names need the scope `admin`."""
        try:
            found = house.live.find(collection)
        except IndexStoreError as error:
            return refuse_collection(error)
        names = "admin" in caller_of(request).scopes
        read = partial(found.report_page, version, names=names)
        try:
            page = await to_thread.run_sync(read, limiter=house.threads)
        except NotFoundError:
            return refuse(404, "this version has no page", "report_not_found", "version")
        except IndexStoreError as error:
            return refuse_search(collection, error)
        headers = {"Content-Security-Policy": REPORT_POLICY}
        return Response(page, media_type="text/html", headers=headers)


def _file(name: str, kind: str) -> Callable[[], Awaitable[Response]]:
    body = files("retriever").joinpath("page", name).read_bytes()

    async def page() -> Response:
        return Response(body, media_type=kind, headers={"Content-Security-Policy": PAGE_POLICY})

    return page
