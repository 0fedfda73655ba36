"""Embedding a batch from a provider that refuses, fails and misbehaves: every vector is right."""

from contextlib import suppress

import numpy as np
import pytest

from index_store.embedder import RequestLimits
from index_store.errors import StoppedError, TransientError, UsageError
from index_store.ids import text_hash
from index_store.records import Reason
from tasks.stages.checkpoints import open_table
from tasks.stages.probing import check_model
from tasks.stages.purse import Purse
from tasks.stages.refusing import without_refused
from tests.support.embedding_desk import PRICE, desk, words
from tests.support.embedding_faults import BUSY_ANSWERS, HARMLESS, WRONG_ANSWERS
from tests.support.embedding_server import Behaviour

PASSING = tuple(fault for fault in (*WRONG_ANSWERS, *BUSY_ANSWERS, *HARMLESS) if fault != "drip")


def test_every_text_has_its_own_vector_under_random_faults():
    texts = [words(number, 3 + number % 20) for number in range(600)]
    with desk(Behaviour(fault_share=0.3, faults=PASSING, seed=7)) as it:
        batch = it.batch([texts[start : start + 5] for start in range(0, 600, 5)])
        for _ in range(20):  # as the task is tried again when luck is very bad
            with suppress(TransientError):
                embedded = it.embed(batch)
                break
        it.assert_right(texts)
    assert embedded.refused == {}
    assert set(it.server.seen.paid.values()) == {1}


def test_equal_texts_are_sent_once_and_stored_ones_never_again():
    texts = [words(number % 20) for number in range(60)]
    with desk(Behaviour()) as it:
        first = it.embed(it.batch([texts]))
        again = it.embed(it.batch([texts]))
        assert (first.counts.texts, first.counts.reused) == (20, 40)
        assert (again.counts.requests, again.counts.reused) == (0, 60)
        assert set(it.server.seen.paid.values()) == {1}


def test_a_poisoned_text_costs_its_document_and_nothing_else():
    documents = [[words(number), words(1000 + number)] for number in range(20)]
    documents[7][1] = "a poisoned text among good ones"
    with desk(Behaviour(poison="poisoned")) as it:
        batch = it.batch(documents)
        embedded = it.embed(batch)
        assert list(embedded.refused) == [15]
        kept = without_refused(batch, embedded.refused, it.storage, place=("docs", "run", 0))
        it.assert_right(
            [text for number, each in enumerate(documents) for text in each if number != 7]
        )
        with open_table(it.storage, kept) as table:
            assert table is not None
            assert table.rows == 38
            for number, outcome in enumerate(kept.documents):
                rows = table.read(outcome.row_start, outcome.row_end)
                assert [row.chunk.text for row in rows] == (
                    [] if number == 7 else documents[number]
                )
    rejection = kept.documents[7].rejection
    assert rejection is not None
    assert rejection.reason is Reason.EMBEDDING
    assert "1 of its chunks were refused" in rejection.detail


def test_a_text_that_is_too_long_is_embedded_in_parts():
    long = words(1, 100)
    with desk(Behaviour(max_text_tokens=30)) as it:
        embedded = it.embed(it.batch([[long, words(2)], [words(3)]]))
        it.assert_right([words(2), words(3)])
        found, vectors = it.vectors().find([text_hash(long)])
        parts = [" ".join(long.split()[start : start + 25]) for start in range(0, 100, 25)]
        mean = np.sum([it.server.true_vector(part) for part in parts], axis=0)
    assert found[0]
    assert embedded.counts.pooled == 1
    assert float(vectors[0] @ mean / np.linalg.norm(mean)) > 0.999


def test_a_limit_that_a_refusal_tells_is_kept_to():
    texts = [words(number) for number in range(100)]
    with desk(Behaviour(max_tokens=60), RequestLimits(texts=50, tokens=400, in_flight=1)) as it:
        it.embed(it.batch([texts]))
        it.assert_right(texts)
        refused = [
            sent for sent in it.server.seen.requests if sum(len(t.split()) for t in sent) > 60
        ]
    assert len(refused) <= 4


def test_the_budget_is_never_passed_and_what_was_paid_is_kept():
    texts = [words(number) for number in range(100)]
    purse = Purse(PRICE, 0.0005)  # 500 tokens
    with desk(Behaviour()) as it:
        batch = it.batch([texts])
        with pytest.raises(StoppedError, match=r"budget of 0.0005 would be passed: .* --budget"):
            it.embed(batch, purse)
        paid = list(it.server.seen.paid)
        assert 0 < sum(len(text.split()) for text in paid) <= 500
        it.assert_right(paid)
        rest = it.embed(batch)
        assert rest.counts.texts == 100 - len(paid)
        assert set(it.server.seen.paid.values()) == {1}


def test_when_the_money_runs_out_everything_paid_for_is_kept():
    texts = [words(number) for number in range(100)]
    with desk(Behaviour(quota=5)) as it:
        with pytest.raises(StoppedError, match="no allowance left"):
            it.embed(it.batch([texts]))
        it.assert_right(list(it.server.seen.paid))
        assert len(it.server.seen.paid) == 5 * 8


def test_a_provider_that_refuses_every_text_is_not_asked_for_each():
    texts = [words(number) + " poisoned" for number in range(200)]
    with desk(Behaviour(poison="poisoned")) as it:
        with pytest.raises(UsageError, match="every text was refused so far"):
            it.embed(it.batch([texts]))
        assert len(it.server.seen.requests) < 60


def test_requests_in_flight_are_bounded():
    texts = [words(number) for number in range(200)]
    with desk(Behaviour(), RequestLimits(texts=4, tokens=200, in_flight=3)) as it:
        it.embed(it.batch([texts]))
        assert it.server.seen.most_at_once <= 3


def test_a_provider_that_breaks_down_leaves_what_was_paid_for():
    texts = [words(number) for number in range(100)]
    plan: list[str | None] = [None] * 5 + ["503"] * 500
    with desk(Behaviour(plan=plan)) as it:
        with pytest.raises(TransientError, match="13 tries failed"):
            it.embed(it.batch([texts]))
        it.assert_right(list(it.server.seen.paid))
        it.server.behaviour.plan.clear()
        it.embed(it.batch([texts]))
        it.assert_right(texts)
        assert set(it.server.seen.paid.values()) == {1}


def test_a_model_that_changed_behind_its_name_stops_the_run():
    with desk(Behaviour()) as it:
        check_model(it.storage, it.embedder)
        check_model(it.storage, it.embedder)
        it.server.behaviour.model_salt = "another"
        with pytest.raises(StoppedError, match="answers otherwise than when the stored vectors"):
            check_model(it.storage, it.embedder)
