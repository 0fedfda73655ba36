"""Estimate what a plan will cost before anything is parsed.

Invariants: pure; an estimate is never used for control, only shown.
"""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from index_store.records import DocumentRecord
from tasks.stages.diffing import Action, PlanItem
from tasks.stages.purse import MILLION, NIGHT_RATE
from tasks.stages.run_options import NightOptions
from tasks.stages.spending import source_of

# Tokens per byte of file, medians over a mixed collection of English and French documents; only
# used until the collection has documents of the type to learn from.
TOKENS_PER_BYTE = {
    ".txt": 0.26,
    ".md": 0.26,
    ".csv": 0.33,
    ".html": 0.10,
    ".pdf": 0.03,
    ".docx": 0.08,
    ".pptx": 0.02,
    ".xlsx": 0.20,
    ".xlsm": 0.10,
    ".xls": 0.10,
}
FALLBACK_TOKENS_PER_BYTE = 0.1
MIN_SAMPLE_BYTES = 10_000  # below this a learned ratio says nothing
MIN_SAMPLE_TOKENS = 1_000  # likewise


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceEstimate:
    """What one source will come to.

    Attributes:
        tokens: Tokens in its new chunks.
        cost: Upper bound of their price; None when the price is not known.
    """

    tokens: int
    cost: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What the work of a plan will come to.

    Attributes:
        chunks: Number of new chunks.
        tokens: Tokens in them, before texts that were embedded earlier are left out.
        cost: Upper bound of the price of embedding, in the provider's currency; None when the
            price is not known.
        at_night_rate: Whether that is the price of the night rate.
        sources: The same by first part of the uri, which is the source when there are several.
    """

    chunks: int
    tokens: int
    cost: float | None
    at_night_rate: bool = False
    sources: Mapping[str, SourceEstimate] = field(default_factory=dict)


def estimate(
    work: Iterable[PlanItem],
    known: Iterable[DocumentRecord],
    *,
    max_chunk_tokens: int,
    price_per_million_tokens: float | None,
    night: NightOptions | None = None,
    billed_per_token: float = 1.0,
) -> Estimate:
    """Estimate chunks, tokens and cost.

    Args:
        work: Documents that go through the stages.
        known: Last catalog: ratios are learned from it per file type, and it knows the tokens of
            text that is embedded anew.
        max_chunk_tokens: Length of a full chunk.
        price_per_million_tokens: Price in the provider's currency; None when it is not known.
        night: How the night rate is used; None when it is not.
        billed_per_token: Tokens that the provider counts for one of ours.

    Returns:
        The estimate.
    """
    work = tuple(work)
    stored = {item.previous_uri or item.uri for item in work if item.action is Action.REEMBEDDED}
    ratios, stored_sizes = _learned(known, stored)
    tokens = 0.0
    chunks = 0
    sources: dict[str, float] = {}
    for item in work:
        if item.action is Action.REEMBEDDED:
            expected, rows = stored_sizes[item.previous_uri or item.uri]
        else:
            ending = _ending(item.uri)
            default = TOKENS_PER_BYTE.get(ending, FALLBACK_TOKENS_PER_BYTE)
            expected = item.size_bytes * ratios.get(ending, default)
            rows = max(1, round(expected / (0.75 * max_chunk_tokens)))  # chunks are rarely full
        tokens += expected
        source = source_of(item.uri)
        sources[source] = sources.get(source, 0.0) + expected
        chunks += rows
    is_bulk = night is not None and chunks >= night.least_texts
    price = _price_of_a_token(price_per_million_tokens, billed_per_token, is_bulk=is_bulk)
    return Estimate(
        chunks=chunks,
        tokens=round(tokens),
        cost=None if price is None else tokens * price,
        at_night_rate=is_bulk,
        sources={
            source: SourceEstimate(
                tokens=round(amount), cost=None if price is None else amount * price
            )
            for source, amount in sorted(sources.items())
        },
    )


def billed_per_token(cost: Mapping[str, str | float | int | None]) -> float:
    """Return how many tokens were billed for one of ours in the run that made a version.

    Args:
        cost: Of its manifest.
    """
    billed, ours = cost.get("billed_tokens"), cost.get("tokens")
    if not isinstance(billed, int) or not isinstance(ours, int) or ours < MIN_SAMPLE_TOKENS:
        return 1.0
    return billed / ours


def _price_of_a_token(
    per_million: float | None, billed_per_token: float, *, is_bulk: bool
) -> float | None:
    if per_million is None:
        return None
    return per_million * billed_per_token * (NIGHT_RATE if is_bulk else 1.0) / MILLION


def _learned(
    known: Iterable[DocumentRecord], stored: Set[str]
) -> tuple[dict[str, float], dict[str, tuple[float, int]]]:
    """Return tokens per byte by ending, and tokens and chunks of what is stored by uri."""
    sizes: dict[str, int] = {}
    tokens: dict[str, int] = {}
    found: dict[str, tuple[float, int]] = {}
    for record in known:
        if record.uri in stored:
            found[record.uri] = (record.tokens, record.chunks)
        if record.rejection is None:
            ending = _ending(record.uri)
            sizes[ending] = sizes.get(ending, 0) + record.size_bytes
            tokens[ending] = tokens.get(ending, 0) + record.tokens
    ratios = {
        ending: tokens[ending] / size for ending, size in sizes.items() if size >= MIN_SAMPLE_BYTES
    }
    return ratios, found


def _ending(uri: str) -> str:
    return PurePosixPath(uri).suffix.lower()
