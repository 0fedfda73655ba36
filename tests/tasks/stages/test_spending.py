"""What embedding is said to cost: by source, by whose count, and never by a guessed price."""

import pytest

from index_store.embedders.prices import FREE_OF_CHARGE, Price, parse_prices, price_of
from index_store.errors import UsageError
from tasks.stages.reporting import cost_markdown
from tasks.stages.spending import RunCost, Spend, merged, shared_out
from tests.support.embedding_desk import desk, words
from tests.support.embedding_server import Behaviour


def test_the_first_price_that_somebody_told_counts():
    table = dict(parse_prices(("mistral-embed=0.2", "a=b=0.5")))
    assert table == {"mistral-embed": 0.2, "a=b": 0.5}
    assert price_of("mistral", "mistral-embed", told=3.0, table=table).per_million_tokens == 3.0
    assert price_of("mistral", "mistral-embed", table=table).per_million_tokens == 0.2
    listed = price_of("mistral", "mistral-embed")
    assert listed.per_million_tokens == 0.1
    assert "list price in US dollars" in listed.origin
    assert "looked up 20" in listed.origin


def test_a_price_that_nobody_told_is_unknown_and_only_ones_own_machines_are_free():
    assert price_of("ollama", "bge-m3") == FREE_OF_CHARGE
    assert price_of("openai", "bge-m3").per_million_tokens is None
    unknown = price_of("llama-index", "a.B")
    assert unknown.per_million_tokens is None
    assert "set embed_price or embed_prices" in unknown.origin


@pytest.mark.parametrize("word", ["mistral-embed", "=1", "m=", "m=-1", "m=nan", "m=inf", "m=x"])
def test_a_word_that_is_no_price_is_refused(word: str):
    with pytest.raises(UsageError, match="embed_prices.*expected MODEL=PRICE"):
        parse_prices((word,))


def test_what_a_request_cost_is_shared_out_and_adds_up_whatever_the_provider_counts():
    for counted in range(50):
        shares = shared_out({"a": 3, "b": 3, "c": 5}, counted)
        assert sum(each.tokens for each in shares.values()) == counted
        assert all(each.told == each.tokens for each in shares.values())
    assert shared_out({"a": 3, "b": 4}, None) == {"a": Spend(tokens=3), "b": Spend(tokens=4)}
    assert shared_out({"a": 0}, 7)["a"].tokens == 7


def test_half_the_price_is_paid_for_what_went_at_night():
    price = Price(per_million_tokens=2.0, origin="")
    assert Spend(tokens=1_000_000, night=500_000).cost(price) == 1.5
    both = merged([{"a": Spend(tokens=1, told=1)}, {"a": Spend(tokens=2, night=2), "b": Spend()}])
    assert both == {"a": Spend(tokens=3, told=1, night=2), "b": Spend()}


def test_the_provider_counts_and_every_source_gets_its_part():
    documents = [[words(number, 10)] for number in range(30)]
    with desk(Behaviour(tokens_per_word=1.7)) as it:
        counts = it.embed(it.batch(documents, source=lambda number: "ab"[number % 2])).counts
    assert counts.tokens == 300
    assert {name: each.tokens for name, each in counts.spends.items()} == {"a": 255, "b": 255}
    assert {name: each.told for name, each in counts.spends.items()} == {"a": 255, "b": 255}


def test_a_report_says_unknown_where_the_price_is():
    sources = {"law": Spend(tokens=100, told=90), "wages": Spend(tokens=50)}
    page = cost_markdown(RunCost(price=price_of("openai", "x"), sources=sources))
    assert "| | unknown | 150 | 90 | 60 | 0 | 0 | 0 |" in page.replace("|  |", "| |")
    assert "The price is not known for x; set embed\\_price" in page
    assert "| law | 100 | 0 | unknown |" in page
    assert "law" not in cost_markdown(RunCost(sources={"law": Spend(tokens=1)}))
