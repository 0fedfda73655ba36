import json

import pytest

from retriever.options import RetrieverOptions
from retriever.query import Problem, Query, parse_query

OPTIONS = RetrieverOptions(store="memory://query", max_k=20, max_query_chars=30)


def parse(**fields: object) -> Query | Problem:
    return parse_query(json.dumps(fields).encode(), OPTIONS)


def test_a_question_alone_gets_the_defaults():
    assert parse(query="  trial period? ") == Query(text="trial period?", k=5)


def test_every_field_arrives():
    asked = parse(query="durée", k=20, collection="hr", filter={"path_prefix": "fr/"}, mode="dense")
    assert asked == Query(text="durée", k=20, collection="hr", path_prefix="fr/")


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
        ({"query": "x", "mode": "hybrid"}, "mode", "unsupported_mode"),
        ({"query": "x", "mode": "magic"}, "mode", "unsupported_mode"),
        ({"query": "x", "filter": {"paht_prefix": "a"}}, "filter.paht_prefix", "unknown_field"),
        ({"query": "x", "filter": {"path_prefix": ""}}, "filter.path_prefix", "invalid_value"),
        ({"query": "x", "filter": "a"}, "filter", "invalid_value"),
        ({"query": "x", "top_k": 3}, "top_k", "unknown_field"),
    ],
)
def test_a_mistake_is_refused_and_named(fields: dict[str, object], param: str, code: str):
    problem = parse(**fields)
    assert isinstance(problem, Problem)
    assert (problem.param, problem.code) == (param, code)
    assert problem.message


def test_a_planned_mode_is_told_from_an_unknown_one():
    planned, unknown = parse(query="x", mode="lexical"), parse(query="x", mode="magic")
    assert isinstance(planned, Problem)
    assert isinstance(unknown, Problem)
    assert "not served yet" in planned.message
    assert "unknown" in unknown.message


@pytest.mark.parametrize("body", [b"", b"{", b'"query"', b"[]", b'{"query": "\xff"}', b"null"])
def test_a_body_that_is_no_json_object_is_refused(body: bytes):
    assert isinstance(parse_query(body, OPTIONS), Problem)
