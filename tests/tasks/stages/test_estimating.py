"""What a plan is estimated to cost, in all and per source."""

import pytest

from tasks.stages.diffing import Action, PlanItem
from tasks.stages.estimating import Estimate, billed_per_token, estimate
from tasks.stages.run_options import NightOptions


def item(uri: str, size_bytes: int) -> PlanItem:
    return PlanItem(uri=uri, action=Action.ADDED, reason="new", size_bytes=size_bytes)


def estimated(night: NightOptions | None = None) -> Estimate:
    work = [item("law/a.txt", 100_000), item("law/b.txt", 100_000), item("news/c.md", 200_000)]
    return estimate(work, [], max_chunk_tokens=512, price_per_million_tokens=0.1, night=night)


def test_the_parts_of_the_sources_add_up():
    found = estimated()
    assert found.sources.keys() == {"law", "news"}
    assert sum(each.tokens for each in found.sources.values()) == found.tokens == 104_000
    assert sum(each.cost for each in found.sources.values()) == pytest.approx(found.cost)
    assert found.cost == pytest.approx(0.0104)


def test_the_night_rate_is_half_when_there_is_enough_for_it():
    bulk = estimated(NightOptions(least_texts=100))
    assert bulk.at_night_rate
    assert bulk.cost == pytest.approx(estimated().cost / 2)
    assert not estimated(NightOptions(least_texts=100_000)).at_night_rate


def test_documents_at_the_top_have_no_source_of_their_own():
    found = estimate([item("a.txt", 10_000)], [], max_chunk_tokens=512, price_per_million_tokens=0)
    assert found.sources.keys() == {"."}


def test_money_is_planned_by_what_the_provider_billed_for_our_tokens_last_time():
    work = [item("a.txt", 10_000)]
    plain, learned = (
        estimate(
            work,
            [],
            max_chunk_tokens=512,
            price_per_million_tokens=1.0,
            billed_per_token=billed_per_token(cost),
        )
        for cost in ({}, {"tokens": 2_000, "billed_tokens": 2_500})
    )
    assert learned.tokens == plain.tokens
    assert learned.cost == pytest.approx(1.25 * (plain.cost or 0))
    assert billed_per_token({"tokens": 10, "billed_tokens": 20}) == 1.0  # too few to tell
    assert billed_per_token({"tokens": "x", "billed_tokens": None}) == 1.0
