"""What a plan is estimated to cost, in all and per source."""

import pytest

from tasks.stages.diffing import Action, PlanItem
from tasks.stages.estimating import Estimate, estimate
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
