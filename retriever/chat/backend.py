"""A language model behind an OpenAI-compatible address, with others to fall back on.

Invariants: tried again, or with the next model, only before the first piece came; a model that
failed rests for a while; at most so many answers at a time, the others wait in a queue of bounded
length; when the reader leaves, the request upstream is cancelled.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

import httpx
import orjson

from index_store.errors import TransientError
from retriever.chat.options import ModelOptions
from retriever.chat.thinking import ThinkingSplitter

logger = logging.getLogger(__name__)

REASONING_FIELDS = ("reasoning_content", "reasoning", "thinking")
BUSY_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
LINE_BYTES = 1 << 20  # of one event, more is no answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Part of an answer as it comes in."""

    text: str = ""
    reasoning: str = ""


class ChatBackend:
    """Asks the models of one address; belongs to one event loop.

    Args:
        options: Which, and how.
        clock: Seconds that never go back.
    """

    def __init__(self, options: ModelOptions, clock: Callable[[], float]) -> None:
        self._options = options
        self._clock = clock
        self._turns = asyncio.Semaphore(options.at_once)
        self._waiting = 0
        self._rests_until: dict[str, float] = {}
        headers = {"Content-Type": "application/json"}
        if options.key is not None:
            headers["Authorization"] = f"Bearer {options.key.get_secret_value()}"
        timeout = httpx.Timeout(options.timeout_s, connect=min(10.0, options.timeout_s))
        self._http = httpx.AsyncClient(headers=headers, timeout=timeout, follow_redirects=False)

    async def stream(
        self, messages: Sequence[Mapping[str, str]], limits: Mapping[str, float | int | None]
    ) -> AsyncGenerator[Piece]:
        """Yield an answer piece by piece.

        Args:
            messages: As `prompting.prompt` makes them.
            limits: What the person asked for: temperature, top_p, max_tokens.

        Raises:
            TransientError: No model answers, or too many people wait.
        """
        async with self._turn():
            for model in self._order():
                for attempt in range(self._options.retries + 1):
                    begun = False
                    try:
                        async with aclosing(self._ask(model, messages, limits)) as pieces:
                            async for piece in pieces:
                                begun = True
                                yield piece
                    except (httpx.HTTPError, _UpstreamError) as error:
                        if begun:
                            raise TransientError("the language model broke off") from error
                        logger.warning("model %s: %s", model, _told(error))
                        if not _may_pass(error) or attempt == self._options.retries:
                            self._rests_until[model] = self._clock() + self._options.cooldown_s
                            break
                        await asyncio.sleep(self._options.backoff_s * 2**attempt)
                    else:
                        return
            raise TransientError("no language model answers")

    async def close(self) -> None:
        """Close every connection."""
        await self._http.aclose()

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        if self._waiting >= self._options.queue and self._turns.locked():
            raise TransientError("too many answers are being written, try again in a moment")
        self._waiting += 1
        try:
            await self._turns.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._turns.release()

    def _order(self) -> list[str]:
        """Return the models that do not rest, or the one whose rest ends first."""
        now, models = self._clock(), self._options.models
        awake = [model for model in models if self._rests_until.get(model, 0.0) <= now]
        return awake or [min(models, key=lambda model: self._rests_until[model])]

    async def _ask(
        self,
        model: str,
        messages: Sequence[Mapping[str, str]],
        limits: Mapping[str, float | int | None],
    ) -> AsyncGenerator[Piece]:
        options = self._options
        defaults = {
            "temperature": options.temperature,
            "top_p": options.top_p,
            "max_tokens": options.max_tokens,
        }
        wished = {name: value for name, value in limits.items() if value is not None}
        body = {"model": model, "messages": list(messages), "stream": True, **defaults, **wished}
        url = f"{options.base_url.rstrip('/')}/chat/completions"
        async with self._http.stream("POST", url, content=orjson.dumps(body)) as response:
            if response.status_code != 200:
                raise _UpstreamError(f"status {response.status_code}", response.status_code)
            splitter = ThinkingSplitter()
            async for line in response.aiter_lines():
                if len(line) > LINE_BYTES:
                    raise _UpstreamError("an event is too long", 502)
                if not line.startswith("data:"):
                    continue
                data = line.removeprefix("data:").strip()
                if data == "[DONE]":
                    break
                piece = _piece(data, splitter)
                if piece is not None:
                    yield piece
            reasoning, text = splitter.end()
            if reasoning or text:
                yield Piece(text=text, reasoning=reasoning)


class _UpstreamError(Exception):
    """The model's server answered with something else than an answer."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def _piece(data: str, splitter: ThinkingSplitter) -> Piece | None:
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise _UpstreamError("an event is not JSON", 502) from error
    if not isinstance(value, dict) or value.get("error"):
        raise _UpstreamError("an error instead of an answer", 502)
    choices = value.get("choices")
    delta = choices[0].get("delta") if isinstance(choices, list) and choices else None
    if not isinstance(delta, dict):
        return None
    told = next((delta[name] for name in REASONING_FIELDS if isinstance(delta.get(name), str)), "")
    content = delta.get("content")
    reasoning, text = splitter.feed(content if isinstance(content, str) else "")
    if not (told or reasoning or text):
        return None
    return Piece(text=text, reasoning=told + reasoning)


def _may_pass(error: Exception) -> bool:
    return not isinstance(error, _UpstreamError) or error.status in BUSY_STATUS


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, _UpstreamError) else type(error).__name__
