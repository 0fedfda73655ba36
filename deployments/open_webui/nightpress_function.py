"""
title: nightpress
author: the nightpress authors
version: 0.1.0
license: Apache-2.0
description: Every collection of a nightpress retriever as a model, with status lines and numbered sources
"""

# A Pipe Function for Open WebUI: Admin Panel > Functions > New, paste this one file, switch it on.
# It asks for nothing but Python's own library and pydantic, which Open WebUI stands on.

import asyncio
import json
import os
from collections.abc import AsyncIterator
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from pydantic import BaseModel


class Pipe:
    """A manifold: one model for each collection that the retriever serves."""

    class Valves(BaseModel):
        """What an administrator sets in Open WebUI."""

        retriever_url: str = os.environ.get("NIGHTPRESS_URL", "http://127.0.0.1:8080")
        api_key: str = os.environ.get("NIGHTPRESS_KEY", "")
        timeout_s: float = 120.0

    def __init__(self) -> None:
        self.name = "nightpress: "
        self.valves = self.Valves()

    async def pipes(self) -> list[dict[str, str]]:
        """Return the collections; none while the retriever does not answer."""
        try:
            listed = await asyncio.to_thread(self._whole, "/v1/models", None, {})
            return [{"id": each["id"], "name": each["name"]} for each in listed["data"]]
        except (OSError, ValueError, KeyError):
            return []

    async def pipe(
        self,
        body: dict[str, Any],
        __user__: dict[str, Any] | None = None,
        __task__: str | None = None,
    ) -> AsyncIterator[dict[str, Any]] | dict[str, Any]:
        """Pass a chat, or one of Open WebUI's own tasks, on to the retriever."""
        asked = {**body, "model": str(body["model"]).split(".", 1)[-1]}
        headers = {"X-OpenWebUI-User-Id": str((__user__ or {}).get("id", ""))}
        headers["X-RAG-Task"] = str(__task__ or "")
        if asked.get("stream"):
            return self._pieces(asked, headers)
        try:
            return await asyncio.to_thread(self._whole, "/v1/chat/completions", asked, headers)
        except (OSError, ValueError) as error:
            return _problem(error)

    async def _pieces(
        self, asked: dict[str, Any], headers: dict[str, str]
    ) -> AsyncIterator[dict[str, Any]]:
        """Read the stream in a thread, line by line, so that nobody else waits for it."""
        reply = None
        try:
            reply = await asyncio.to_thread(self._open, "/v1/chat/completions", asked, headers)
            while line := await asyncio.to_thread(reply.readline):
                piece = _piece(line)
                if piece is not None:
                    yield piece
        except (OSError, ValueError) as error:
            yield _problem(error)
        finally:
            if reply is not None:
                reply.close()

    def _whole(
        self, path: str, body: dict[str, Any] | None, headers: dict[str, str]
    ) -> dict[str, Any]:
        with self._open(path, body, headers) as reply:
            whole: dict[str, Any] = json.load(reply)
            return whole

    def _open(self, path: str, body: dict[str, Any] | None, more: dict[str, str]) -> Any:
        headers = {"Content-Type": "application/json", **more}
        if self.valves.api_key:
            headers["Authorization"] = f"Bearer {self.valves.api_key}"
        data = None if body is None else json.dumps(body).encode()
        url = self.valves.retriever_url.rstrip("/") + path
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"retriever_url must begin with http:// or https://, found {url}")
        request = Request(url, data=data, headers=headers)  # noqa: S310 - the scheme was checked
        return urlopen(request, timeout=self.valves.timeout_s)  # noqa: S310 - likewise


def _piece(line: bytes) -> dict[str, Any] | None:
    """Return what one line of the stream holds; Open WebUI itself writes how a stream ends."""
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
