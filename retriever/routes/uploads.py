"""`PUT /v1/inbox/NAME`: a document into the inbox, and a run of the flow after it."""

from fastapi import FastAPI, Request, Response

from index_store.errors import TransientError
from retriever.inbox import Inbox, Refused
from retriever.routes.house import House, caller_of
from retriever.routes.replies import patiently, refuse, reply

SCOPES = frozenset({"admin", "upload"})


def add_uploads(app: FastAPI, house: House) -> None:
    """Add the inbox, if there is one."""
    if not house.options.inbox.folder:
        return
    inbox = Inbox(house.options.inbox)
    binary = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    extra = {"requestBody": {"content": binary, "required": True}}

    @app.put("/v1/inbox/{name}", status_code=202, openapi_extra=extra)
    async def upload(name: str, request: Request) -> Response:
        """Put a document into the inbox; it is indexed by a run of the flow, never here."""
        if not SCOPES & caller_of(request).scopes:
            return refuse(403, "this key may not upload", "forbidden")
        try:
            patience_s = house.options.patience.body_s
            taken = await inbox.take(name, patiently(request.stream(), patience_s))
        except TimeoutError:
            return refuse(408, "the document came too slowly", "body_too_slow")
        except TransientError as error:
            return refuse(503, str(error), "inbox_unavailable")
        if isinstance(taken, Refused):
            return refuse(taken.status, taken.message, taken.code, "name")
        body: dict[str, object] = {"name": name, "bytes": taken, "run": None, "problem": None}
        try:
            body["run"] = await inbox.start_run()
        except TransientError as error:
            body["problem"] = f"{error}; the next night indexes the document"
        return reply(202, body)
