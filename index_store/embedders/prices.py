"""What a million tokens cost, and how that is known.

Invariant: a price that nobody told is unknown, never 0; pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

from index_store.errors import UsageError

LOOKED_UP = "2026-11"
OPENAI_SAYS = "developers.openai.com/api/docs/models"
GATEWAYS_SAY = "price lists of vercel.com/ai-gateway and openrouter.ai"
# US dollars per million tokens, and where that stood when it was looked up.
LIST_PRICES: dict[str, tuple[float, str]] = {
    "mistral-embed": (0.10, GATEWAYS_SAY),
    "codestral-embed": (0.15, GATEWAYS_SAY),
    "text-embedding-3-small": (0.02, OPENAI_SAYS),
    "text-embedding-3-large": (0.13, OPENAI_SAYS),
    "text-embedding-ada-002": (0.10, GATEWAYS_SAY),
}
FREE = frozenset({"offline", "hashing", "ollama"})  # computed on machines of one's own


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """A price, and how it is known.

    Attributes:
        per_million_tokens: In the provider's currency; None when it is not known.
        origin: Where it comes from, one line for a person.
    """

    per_million_tokens: float | None
    origin: str


FREE_OF_CHARGE = Price(per_million_tokens=0.0, origin="computed on machines of one's own")


def parse_prices(words: tuple[str, ...]) -> tuple[tuple[str, float], ...]:
    """Read `MODEL=PRICE` words.

    Raises:
        UsageError: One is no such word.
    """
    prices = []
    for word in words:
        model, _, amount = word.rpartition("=")
        try:
            price = float(amount)
        except ValueError:
            price = -1.0
        if not model or not 0 <= price < inf:
            raise UsageError(
                f"setting 'embed_prices': expected MODEL=PRICE, such as mistral-embed=0.1, "
                f"found {word!r}"
            )
        prices.append((model, price))
    return tuple(prices)


def price_of(
    provider: str,
    model: str,
    *,
    told: float | None = None,
    table: Mapping[str, float] | None = None,
) -> Price:
    """Return the price of a model.

    Args:
        provider: Name of the provider.
        model: Name of the model there.
        told: The setting `embed_price`; goes before everything.
        table: The setting `embed_prices`, by model.
    """
    if told is not None:
        return Price(per_million_tokens=told, origin="the setting embed_price")
    if table and model in table:
        return Price(per_million_tokens=table[model], origin="the setting embed_prices")
    if provider in FREE:
        return FREE_OF_CHARGE
    if model in LIST_PRICES:
        amount, source = LIST_PRICES[model]
        origin = f"list price in US dollars, {source}, looked up {LOOKED_UP}"
        return Price(per_million_tokens=amount, origin=origin)
    return Price(
        per_million_tokens=None,
        origin=f"not known for {model}; set embed_price or embed_prices to see money",
    )
