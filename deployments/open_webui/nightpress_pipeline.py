"""
title: nightpress
author: the nightpress authors
version: 0.1.0
license: Apache-2.0
description: Every collection of a nightpress retriever as a model, with status lines and numbered sources
"""

# For the Pipelines server: copy this one file into its folder of pipelines. It asks for nothing
# but Python's own library and the pydantic that the server itself stands on.

import json
import os
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from pydantic import BaseModel


class Pipeline:
    """A manifold: one model for each collection that the retriever serves."""

    class Valves(BaseModel):
        """What an administrator sets in Open WebUI."""

        retriever_url: str = os.environ.get("NIGHTPRESS_URL", "http://127.0.0.1:8080")
        api_key: str = os.environ.get("NIGHTPRESS_KEY", "")
        timeout_s: float = 120.0

    def __init__(self) -> None:
        self.type = "manifold"
        self.id = "nightpress"
        self.name = "nightpress: "
        self.valves = self.Valves()
        self._known: list[dict[str, str]] = []

    def pipelines(self) -> list[dict[str, str]]:
        """Return the collections; those of the last look while the retriever does not answer."""
        try:
            with self._open("/v1/models", None, {}, 5.0) as reply:
                served = json.load(reply)["data"]
        except (OSError, ValueError, KeyError):
            return self._known
        self._known = [{"id": each["id"], "name": each["name"]} for each in served]
        return self._known

    def pipe(
        self, user_message: str, model_id: str, messages: list[dict[str, Any]], body: dict[str, Any]
    ) -> Iterator[dict[str, Any]] | dict[str, Any]:
        """Pass a chat on to the retriever; its answer comes back piece by piece if streamed."""
        asked = {name: value for name, value in body.items() if name != "user"}
        asked |= {"model": model_id, "messages": messages, "stream": body.get("stream", True)}
        user = str((body.get("user") or {}).get("id", ""))
        headers = {"X-OpenWebUI-User-Id": user} if user else {}
        if asked["stream"]:
            return self._pieces(asked, headers)
        try:
            with self._open("/v1/chat/completions", asked, headers, None) as reply:
                whole: dict[str, Any] = json.load(reply)
                return whole
        except (OSError, ValueError) as error:
            return _problem(error)

    def _pieces(self, asked: dict[str, Any], headers: dict[str, str]) -> Iterator[dict[str, Any]]:
        try:
            with self._open("/v1/chat/completions", asked, headers, None) as reply:
                for line in reply:
                    piece = _piece(line)
                    if piece is not None:
                        yield piece
        except (OSError, ValueError) as error:
            yield _problem(error)

    def _open(
        self, path: str, body: dict[str, Any] | None, more: dict[str, str], timeout_s: float | None
    ) -> Any:
        headers = {"Content-Type": "application/json", **more}
        if self.valves.api_key:
            headers["Authorization"] = f"Bearer {self.valves.api_key}"
        data = None if body is None else json.dumps(body).encode()
        url = self.valves.retriever_url.rstrip("/") + path
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"retriever_url must begin with http:// or https://, found {url}")
        request = Request(url, data=data, headers=headers)  # noqa: S310 - the scheme was checked
        return urlopen(request, timeout=timeout_s or self.valves.timeout_s)  # noqa: S310 - likewise


def _piece(line: bytes) -> dict[str, Any] | None:
    """Return what one line of the stream holds; the server itself writes how a stream ends."""
    if not line.startswith(b"data:") or b"[DONE]" in line[:20]:
        return None
    piece: dict[str, Any] = json.loads(line.removeprefix(b"data:"))
    choices = piece.get("choices") or [{}]
    return None if choices[0].get("finish_reason") else piece


def _problem(error: Exception) -> dict[str, Any]:
    """Return an error as Open WebUI shows it: the retriever's own words where it spoke."""
    message = f"the retriever does not answer: {error}"
    if isinstance(error, HTTPError):
        try:
            message = json.load(error)["error"]["message"]
        except (ValueError, KeyError, TypeError):
            message = f"the retriever answered with status {error.code}"
    elif isinstance(error, URLError):
        message = f"the retriever does not answer: {error.reason}"
    return {"error": {"message": message, "type": "server_error", "code": "retriever"}}
