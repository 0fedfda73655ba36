"""What a provider means by an answer that is not vectors; pure.

Decided by status, code and type, and by whole phrases of the providers' own messages; never by a
number that happens to stand in a text. Both generations of Mistral's messages are understood, and
those of OpenAI-compatible servers and Ollama.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum

import orjson

RETRY_AFTER_CAP_S = 600.0  # an absurd wish is not obeyed to the letter
SHOWN_CHARS = 200

_BUSY_STATUS = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_QUOTA_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached", "quota_exceeded"})
_SPLIT = re.compile(
    r"split into more batches|too many (tokens|inputs) (in|overall)|max_num_tokens|"
    r"maximum (batch|number of inputs)|array (is )?too (long|large)|batch size",
    re.IGNORECASE,
)
_TOO_MANY_TOKENS = re.compile(r"too many tokens|max_num_tokens", re.IGNORECASE)
_MOST_TOKENS = re.compile(r"too many tokens in batch\. max is (\d+)", re.IGNORECASE)
_TOO_MANY_TEXTS = re.compile(r"too many inputs|number of inputs|array", re.IGNORECASE)
_POSITION = re.compile(r"input id (\d+) has (\d+) tokens", re.IGNORECASE)
_TOO_LONG = re.compile(
    r"input length exceeds|exceed\w* (the )?(maximum )?context|maximum context length|"
    r"exceeding max \d+ tokens|input is too long",
    re.IGNORECASE,
)
_POISON = re.compile(r"unsupported value: (NaN|[+-]?Inf)", re.IGNORECASE)


class RefusalKind(Enum):
    """What the caller should do about a refusal."""

    BUSY = "busy"  # wait and ask again
    SPLIT = "split"  # ask for fewer texts at a time
    TOO_LONG = "too-long"  # one text is longer than the model takes
    INPUT = "input"  # some text is not liked: halve until it stands alone
    KEY = "key"  # the key is missing, wrong or may not do this
    QUOTA = "quota"  # there is no money or allowance left
    REQUEST = "request"  # the model or the address is wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An answer that is not vectors.

    Attributes:
        kind: What to do about it.
        message: One line for a person, shortened; never a key.
        position: Place of the offending text in the request, None when it is not told.
        retry_after_s: Seconds to wait as the provider asks, at most RETRY_AFTER_CAP_S, or None.
        over_rate: Whether the rate was too high, and not something else.
        too_many: What a request had too many of: `tokens`, `texts`, or empty when it is not told.
        most_tokens: Tokens that one request may have, None when it is not told.
    """

    kind: RefusalKind
    message: str
    position: int | None = None
    retry_after_s: float | None = None
    over_rate: bool = False
    too_many: str = ""
    most_tokens: int | None = None


def refusal(status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> Refusal:
    """Tell what an answer with an error means.

    Args:
        status: HTTP status.
        headers: With lower-case names.
        body: As it came, possibly shortened.
        now: In UTC, for a Retry-After that is a date.
    """
    message, code = _message(body)
    told = f"status {status}: {message}" if message else f"status {status}"
    wait_s = retry_after_s(headers, now)
    kind, position = _kind(status, message, code)
    return Refusal(
        kind=kind,
        message=told,
        position=position,
        retry_after_s=wait_s,
        over_rate=kind is RefusalKind.BUSY and status == 429,
        too_many=_too_many(message) if kind is RefusalKind.SPLIT else "",
        most_tokens=int(found[1]) if (found := _MOST_TOKENS.search(message)) else None,
    )


def retry_after_s(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return how long the provider asks to wait: seconds, milliseconds or a date; capped."""
    wished: float | None = None
    if (millis := headers.get("retry-after-ms", "")).strip().isdigit():
        wished = int(millis) / 1000
    elif text := headers.get("retry-after", "").strip():
        try:
            wished = float(text)
        except ValueError:
            wished = _seconds_until(text, now)
    if wished is None or not wished >= 0:  # also not a number
        return None
    return min(wished, RETRY_AFTER_CAP_S)


def _seconds_until(text: str, now: datetime) -> float | None:
    try:
        then = parsedate_to_datetime(text)
    except ValueError:
        return None
    if then.tzinfo is None:
        then = then.replace(tzinfo=UTC)
    return max(0.0, (then - now).total_seconds())


def _kind(status: int, message: str, code: str) -> tuple[RefusalKind, int | None]:
    if status in (401, 403):
        return RefusalKind.KEY, None
    if status == 402 or code in _QUOTA_CODES:
        return RefusalKind.QUOTA, None
    if found := _POSITION.search(message):
        return RefusalKind.TOO_LONG, int(found[1])
    return _kind_of_input(status, message, code), None


def _kind_of_input(status: int, message: str, code: str) -> RefusalKind:
    if _TOO_LONG.search(message):  # Ollama says so with 400 and with 500
        return RefusalKind.TOO_LONG
    if _POISON.search(message):
        return RefusalKind.INPUT
    if status in _BUSY_STATUS:
        return RefusalKind.BUSY
    if status == 413 or code == "3210" or _SPLIT.search(message):
        return RefusalKind.SPLIT
    return RefusalKind.INPUT if status in (400, 422) else RefusalKind.REQUEST


def _too_many(message: str) -> str:
    if _TOO_MANY_TOKENS.search(message):
        return "tokens"
    return "texts" if _TOO_MANY_TEXTS.search(message) else ""


def _message(body: bytes) -> tuple[str, str]:
    """Return the provider's message and its code or type, from any of the known shapes."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return _short(body.decode("utf-8", "replace")), ""
    if isinstance(value, dict) and isinstance(value.get("error"), dict):
        value = value["error"]
    if not isinstance(value, dict):
        return _short(str(value)), ""
    text = value.get("message") or value.get("error") or value.get("detail") or ""
    code = value.get("code") or value.get("type") or ""
    return _short(str(text)), str(code)


def _short(text: str) -> str:
    return " ".join(text.split())[:SHOWN_CHARS]
