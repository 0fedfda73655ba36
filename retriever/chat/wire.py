"""Chat answers as OpenAI's clients read them, whole or as server-sent events; pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import orjson

from retriever.answers import Json, error_json

DONE = b"data: [DONE]\n\n"
CHARS_PER_TOKEN = 4  # for the usage that some clients insist on


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """What every piece of one answer bears."""

    id: str
    created: int
    model: str

    def delta(self, delta: Json, finish: str | None = None) -> bytes:
        """Return one piece of a stream."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return sse({**self._chunk(), "choices": [choice]})

    def event(self, event: Json) -> bytes:
        """Return a piece that holds one of Open WebUI's events and no choice."""
        return sse({**self._chunk(), "choices": [], "event": event})

    def usage(self, prompt: str, answer: str) -> bytes:
        """Return the last piece of a stream that shall hold usage."""
        return sse({**self._chunk(), "choices": [], "usage": usage_json(prompt, answer)})

    def error(self, message: str, code: str, request_id: str) -> bytes:
        """Return an error in the middle of a stream; it has no choices, or it would not be seen."""
        return sse(error_json(message, "server_error", request_id=request_id, code=code))

    def whole(self, prompt: str, answer: str, reasoning: str, sources: Sequence[Json]) -> Json:
        """Return an answer that is not streamed."""
        message: Json = {"role": "assistant", "content": answer}
        if reasoning:
            message["reasoning_content"] = reasoning
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        return {
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "choices": [choice],
            "usage": usage_json(prompt, answer),
            "sources": list(sources),
        }

    def _chunk(self) -> Json:
        return {
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
        }


def sse(value: Json) -> bytes:
    """Return one server-sent event."""
    return b"data: " + orjson.dumps(value) + b"\n\n"


def usage_json(prompt: str, answer: str) -> Json:
    """Return about how many tokens went in and out."""
    went_in, came_out = len(prompt) // CHARS_PER_TOKEN, len(answer) // CHARS_PER_TOKEN
    return {
        "prompt_tokens": went_in,
        "completion_tokens": came_out,
        "total_tokens": went_in + came_out,
    }
