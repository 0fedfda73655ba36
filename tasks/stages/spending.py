"""What embedding came to in tokens and money, by source.

Invariants: pure; the provider's own count takes the place of ours wherever it told one, and the two
are told apart; what a request of several sources cost is shared out by what each has in it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from index_store.embedders.prices import FREE_OF_CHARGE, Price
from tasks.stages.purse import MILLION, NIGHT_RATE


@dataclass(frozen=True, slots=True, kw_only=True)
class Spend:
    """Tokens that were paid for.

    Attributes:
        tokens: As they are billed: counted by the provider where it told, by us elsewhere.
        told: How many of them the provider counted.
        night: How many of them at the night rate.
    """

    tokens: int = 0
    told: int = 0
    night: int = 0

    def __add__(self, other: "Spend") -> "Spend":
        return Spend(
            tokens=self.tokens + other.tokens,
            told=self.told + other.told,
            night=self.night + other.night,
        )

    def cost(self, price: Price) -> float | None:
        """Return what they cost, None when the price is not known."""
        if price.per_million_tokens is None:
            return None
        full = self.tokens - self.night * (1.0 - NIGHT_RATE)
        return full * price.per_million_tokens / MILLION


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCost:
    """What a run spent on embedding.

    Attributes:
        price: What a million tokens cost.
        sources: What was paid for, by source.
        refused: Texts that the embedder refused.
        pooled: Texts that were embedded in parts.
    """

    price: Price = FREE_OF_CHARGE
    sources: Mapping[str, Spend] = field(default_factory=dict)
    refused: int = 0
    pooled: int = 0

    @property
    def total(self) -> Spend:
        """All sources together."""
        return sum(self.sources.values(), Spend())

    @property
    def spent(self) -> float | None:
        """In the provider's currency; None when the price is not known."""
        return self.total.cost(self.price)

    def as_json(self) -> dict[str, object]:
        """Return plain values for `--json` and for the store."""
        total = self.total
        return {
            "price_per_million_tokens": self.price.per_million_tokens,
            "price_from": self.price.origin,
            "spent": self.spent,
            "billed_tokens": total.tokens,
            "told_tokens": total.told,
            "night_tokens": total.night,
            "refused": self.refused,
            "pooled": self.pooled,
            "sources": {
                name: {
                    "billed_tokens": each.tokens,
                    "told_tokens": each.told,
                    "night_tokens": each.night,
                    "spent": each.cost(self.price),
                }
                for name, each in sorted(self.sources.items())
            },
        }


def source_of(uri: str) -> str:
    """Return the first part of a uri, which is its source when there are several; else a dot."""
    first, found, _ = uri.partition("/")
    return first if found else "."


def shared_out(
    expected: Mapping[str, int], counted: int | None, *, at_night: bool = False
) -> dict[str, Spend]:
    """Share out what one request cost among the sources of its texts.

    Args:
        expected: Tokens of the request as we count them, by source.
        counted: What the provider counted; None when it did not say.
        at_night: Whether the request went at the night rate.

    Returns:
        Whole tokens by source, which add up to what was counted.
    """
    ours = sum(expected.values())
    billed = ours if counted is None else counted
    shares: dict[str, Spend] = {}
    passed, given = 0, 0
    for source, tokens in expected.items():
        passed += tokens
        share = (round(billed * passed / ours) if ours else billed) - given
        given += share
        shares[source] = Spend(
            tokens=share,
            told=0 if counted is None else share,
            night=share if at_night else 0,
        )
    return shares


def merged(parts: Iterable[Mapping[str, Spend]]) -> dict[str, Spend]:
    """Add up what was spent, source by source."""
    sums: dict[str, Spend] = {}
    for part in parts:
        for source, spend in part.items():
            sums[source] = sums.get(source, Spend()) + spend
    return sums
