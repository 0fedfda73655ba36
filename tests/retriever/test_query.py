import json
from dataclasses import replace

import pytest

from index_store.search_options import (
    AdaptiveK,
    DocumentFilter,
    Recency,
    Retrieval,
    SearchOptions,
)
from retriever.options import RetrieverOptions
from retriever.query import Problem, Query, parse_query

TODAY = "2026-03-01"
OPTIONS = RetrieverOptions(store="memory://query", max_k=20, max_query_chars=30)


def parse(**fields: object) -> Query | Problem:
    return parse_query(json.dumps(fields).encode(), OPTIONS, TODAY)


def test_a_question_alone_gets_the_defaults():
    assert parse(query="  trial period? ") == Query(
        text="trial period?", options=SearchOptions(k=5)
    )


def test_every_field_arrives():
    asked = parse(
        query="durée",
        k=10,
        most_k=20,
        good_score=0.4,
        recency=0.2,
        half_life_days=30,
        collection="hr",
        mode="dense",
        min_score=0.25,
        per_document=2,
        near_duplicates=True,
        neighbours=1,
        filter={
            "path_prefix": "fr/",
            "source": ["hr"],
            "document_type": ["guide", "note"],
            "theme": ["leave"],
            "language": ["fr"],
            "media_type": ["pdf"],
            "keyword": ["congés"],
            "date_from": "2024-01-01",
            "date_until": "2024-12-31",
            "fields": {"chapter": ["3"]},
        },
    )
    assert asked == Query(
        text="durée",
        collection="hr",
        options=SearchOptions(
            k=10,
            adaptive=AdaptiveK(good_score=0.4, enough=10, step=10, most=20),
            recency=Recency(today=TODAY, half_life_days=30, weight=0.2),
            retrieval=Retrieval.DENSE,
            min_score=0.25,
            per_document=2,
            near_duplicates=True,
            neighbours=1,
            filter=DocumentFilter(
                path_prefix="fr/",
                sources=("hr",),
                document_types=("guide", "note"),
                themes=("leave",),
                languages=("fr",),
                media_types=("pdf",),
                keywords=("congés",),
                date_from="2024-01-01",
                date_until="2024-12-31",
                extra={"chapter": ("3",)},
            ),
        ),
    )


def test_what_a_request_leaves_out_comes_from_the_settings():
    options = replace(OPTIONS, most_k=15, good_score=0.5, recency=0.3, half_life_days=90)
    for body, adaptive in (
        (b'{"query": "x"}', AdaptiveK(good_score=0.5, enough=5, step=5, most=15)),
        (b'{"query": "x", "k": 5}', None),
    ):
        query = parse_query(body, options, TODAY)
        assert isinstance(query, Query)
        assert query.options.adaptive == adaptive
        assert query.options.recency == Recency(today=TODAY, half_life_days=90, weight=0.3)
    query = parse_query(b'{"query": "x", "recency": 0}', options, TODAY)
    assert isinstance(query, Query)
    assert query.options.recency is None


def test_nobody_can_give_himself_rights():
    for field in ("groups", "all_groups"):
        problem = parse(query="x", **{field: ["hr"]})
        assert isinstance(problem, Problem)
        assert problem.code == "unknown_field"


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({}, "query", "invalid_value"),
        ({"query": " \n"}, "query", "invalid_value"),
        ({"query": "x" * 31}, "query", "too_long"),
        ({"query": 7}, "query", "invalid_value"),
        ({"query": "x", "k": 0}, "k", "invalid_value"),
        ({"query": "x", "k": 21}, "k", "invalid_value"),
        ({"query": "x", "k": "5"}, "k", "invalid_value"),
        ({"query": "x", "k": True}, "k", "invalid_value"),
        ({"query": "x", "most_k": 4}, "most_k", "invalid_value"),
        ({"query": "x", "most_k": 21}, "most_k", "invalid_value"),
        ({"query": "x", "most_k": 9, "good_score": 2.0}, None, "invalid_value"),
        ({"query": "x", "recency": 1.5}, "recency", "invalid_value"),
        ({"query": "x", "half_life_days": 0}, "half_life_days", "invalid_value"),
        ({"query": "x", "min_score": 1.5}, None, "invalid_value"),
        ({"query": "x", "per_document": 0}, None, "invalid_value"),
        ({"query": "x", "neighbours": 11}, "neighbours", "invalid_value"),
        ({"query": "x", "filter": {"date_from": "soon"}}, None, "invalid_value"),
        ({"query": "x", "mode": "magic"}, "mode", "unsupported_mode"),
        ({"query": "x", "filter": {"paht_prefix": "a"}}, "filter.paht_prefix", "unknown_field"),
        ({"query": "x", "filter": {"path_prefix": ""}}, "filter.path_prefix", "invalid_value"),
        ({"query": "x", "filter": "a"}, "filter", "invalid_value"),
        ({"query": "x", "top_k": 3}, "top_k", "unknown_field"),
    ],
)
def test_a_mistake_is_refused_and_named(fields: dict[str, object], param: str | None, code: str):
    problem = parse(**fields)
    assert isinstance(problem, Problem)
    assert (problem.param, problem.code) == (param, code)
    assert problem.message


def test_an_unknown_mode_is_told_what_there_is():
    problem = parse(query="x", mode="magic")
    assert isinstance(problem, Problem)
    assert problem.message == "mode 'magic' is unknown, use one of dense, lexical, hybrid"


@pytest.mark.parametrize("body", [b"", b"{", b'"query"', b"[]", b'{"query": "\xff"}', b"null"])
def test_a_body_that_is_no_json_object_is_refused(body: bytes):
    assert isinstance(parse_query(body, OPTIONS, TODAY), Problem)
