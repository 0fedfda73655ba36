"""Which other addresses answer with the same model; pure."""

import re
from dataclasses import dataclass

from index_store.errors import UsageError

_ROUTE = re.compile(r"(?:(mistral|openai|ollama)(?::([^=\s]+))?=)?(https?://\S+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One address of a model.

    Attributes:
        provider: How it is spoken to.
        model: What the model is called there.
        base_url: Address up to the provider's own paths.
    """

    provider: str
    model: str
    base_url: str


def parse_routes(words: tuple[str, ...], provider: str, model: str) -> tuple[Route, ...]:
    """Read `URL`, `PROVIDER=URL` or `PROVIDER:MODEL=URL` words.

    Args:
        words: As they are set.
        provider: Name of the first provider, which stands where a word names none.
        model: Name of its model, likewise.

    Raises:
        UsageError: One is no such word, holds a password, or names another model.
    """
    return tuple(_parsed(word, provider, model) for word in words)


def same_model(one: str, other: str) -> bool:
    """Tell whether two names may mean one model: what gateways and tags put around is left out."""
    return _bare(one) == _bare(other)


def _parsed(word: str, provider: str, model: str) -> Route:
    found = _ROUTE.fullmatch(word)
    if found is None:
        raise UsageError(
            f"setting 'embed_fallback': expected URL, PROVIDER=URL or PROVIDER:MODEL=URL with "
            f"mistral, openai or ollama, found {word.rpartition('@')[2]!r}"
        )
    named, there, url = found[1] or provider, found[2] or model, found[3]
    if "@" in url.partition("://")[2].partition("/")[0]:
        raise UsageError(
            "setting 'embed_fallback': an address holds a name or password, which would be shown; "
            "give it as embed_fallback_key"
        )
    if not same_model(model, there):
        raise UsageError(
            f"setting 'embed_fallback': {url} is said to have model {there}, which is not {model}: "
            "vectors of two models cannot be searched together"
        )
    return Route(provider=named, model=there, base_url=url)


def _bare(model: str) -> str:
    return model.rpartition("/")[2].removesuffix(":latest").casefold()
