"""The night rate over real HTTP: nothing lost, nothing swapped, nothing paid twice."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import get_args

import pytest
from mistralai.client import Mistral
from mistralai.client.models import (
    BatchJobStatus,
    BatchRequest,
    CreateBatchJobRequest,
    EmbeddingRequest,
)
from pydantic import SecretStr

from index_store.embedders.remote.batch_jobs import FINAL, BatchJobs
from index_store.embedders.remote.options import RemoteOptions
from index_store.errors import StoppedError, UsageError
from index_store.layout import batch_jobs_prefix
from tasks.stages.embedding import EmbeddingCounts
from tasks.stages.night_rate import NightClocks, NightDesk
from tasks.stages.purse import Purse
from tasks.stages.run_options import NightOptions
from tasks.stages.spending import Spend
from tests.support.embedding_batches import NightBehaviour
from tests.support.embedding_desk import PRICE, ServedDesk, desk, words
from tests.support.embedding_server import KEY, Behaviour

TEXTS = [words(number) for number in range(100)]
TOKENS = 1_000  # in them
OPTIONS = NightOptions(least_texts=10, job_texts=40, wait_s=100.0, poll_s=10.0)


class KilledError(BaseException):
    """The process ends here."""


class Night:
    """The stage beside a provider, in simulated time."""

    def __init__(self, it: ServedDesk) -> None:
        self.it = it
        self.batch = it.batch([TEXTS[start : start + 5] for start in range(0, 100, 5)])
        self.now = 0.0
        self.killed_at: float | None = None
        self.purse = Purse(PRICE, None)

    def wait(self, seconds: float) -> None:
        self.now += seconds
        if self.killed_at is not None and self.now >= self.killed_at:
            raise KilledError

    def pass_by(self, options: NightOptions = OPTIONS, key: str = KEY) -> EmbeddingCounts:
        remote = RemoteOptions(key=SecretStr(key), timeout_s=5.0)
        dimension = self.it.server.behaviour.dimension
        jobs = BatchJobs(self.it.server.url, "test", dimension, remote, wait=lambda _: None)
        clocks = NightClocks(now=lambda: self.now, wait=self.wait)
        stage = NightDesk(
            self.it.storage,
            self.it.embedder,
            jobs,
            self.it.vectors(),
            options,
            self.purse,
            clocks,
        )
        try:
            return stage.embed([self.batch])
        finally:
            jobs.close()

    def records(self) -> int:
        prefix = batch_jobs_prefix(self.it.embedder.spec.id)
        return len(list(self.it.storage.list(prefix)))

    def finish_directly(self) -> EmbeddingCounts:
        return self.it.embed(self.batch).counts


@contextmanager
def night(**behaviour: object) -> Iterator[Night]:
    treated = NightBehaviour(**behaviour)  # type: ignore[arg-type]
    with desk(Behaviour(night=treated)) as it:
        yield Night(it)


def test_all_texts_come_at_half_the_price_and_nothing_is_left_behind():
    with night(shuffled=True) as it:
        counts = it.pass_by()
        it.it.assert_right(TEXTS)
        assert (counts.texts, counts.tokens) == (100, TOKENS)
        assert counts.spends == {".": Spend(tokens=TOKENS, told=TOKENS, night=TOKENS)}
        assert it.purse.spent == pytest.approx(0.5 * TOKENS * PRICE / 1_000_000)
        assert it.finish_directly().requests == 0
        assert len(it.it.server.batches.jobs) == 3
        assert it.records() == 0
        assert it.it.server.batches.files == {}


def test_little_is_embedded_directly():
    with night() as it:
        few = NightOptions(least_texts=101, job_texts=1_000)
        assert it.pass_by(few) == EmbeddingCounts()
        assert it.it.server.batches.jobs == {}


@pytest.mark.parametrize(
    "behaviour",
    [
        {"failing": frozenset({0, 2})},
        {"spoiled": frozenset({1})},
        {"done_share": 0.5, "final": "TIMEOUT_EXCEEDED"},
        {"done_share": 0.4, "final": "CANCELLED"},
        {"done_share": 0.0, "final": "FAILED"},
        {"busy": 3},
    ],
)
def test_what_did_not_come_is_embedded_directly_and_the_purse_paid_for_what_came(
    behaviour: dict[str, object],
):
    with night(**behaviour) as it:
        counts = it.pass_by()
        assert it.purse.spent == pytest.approx(0.5 * counts.tokens * PRICE / 1_000_000)
        direct = it.finish_directly()
        assert counts.texts + direct.texts == 100
        it.it.assert_right(TEXTS)
        assert it.records() == 0


def test_a_job_that_the_provider_has_forgotten_is_forgotten_too_but_counts_as_paid():
    with night(forgetful=True) as it:
        counts = it.pass_by()
        assert counts.texts == 0
        assert counts.spends == {".": Spend(tokens=TOKENS, night=TOKENS)}
        assert it.purse.spent == pytest.approx(0.5 * TOKENS * PRICE / 1_000_000)
        assert it.finish_directly().texts == 100
        assert it.records() == 0


def test_what_is_late_is_cancelled_what_it_had_done_is_kept_and_the_rest_embedded_directly():
    with night(polls=10_000, done_share=0.5) as it:
        counts = it.pass_by()
        assert it.now >= OPTIONS.wait_s
        assert len(it.it.server.batches.cancelled) == 3
        assert 0 < counts.texts < 100
        assert it.finish_directly().texts == 100 - counts.texts
        it.it.assert_right(TEXTS)
        assert set(it.it.server.seen.paid.values()) == {1}


def test_a_killed_run_leaves_its_jobs_to_the_next_one_which_pays_nothing_again():
    with night(polls=3) as it:
        it.killed_at = 10.0
        with pytest.raises(KilledError):
            it.pass_by()
        assert it.records() == 3
        it.killed_at = None
        assert it.pass_by().texts == 100
        assert len(it.it.server.batches.jobs) == 3
        it.it.assert_right(TEXTS)
        assert set(it.it.server.seen.paid.values()) == {1}


@pytest.mark.parametrize("step", ["write", "upload", "create", "created"])
def test_a_kill_at_any_step_of_giving_a_job_away_pays_nothing_twice(
    step: str, monkeypatch: pytest.MonkeyPatch
):
    from tasks.stages.night_jobs import NightJobs  # noqa: PLC0415

    owner = BatchJobs if step in ("upload", "create") else NightJobs
    done = getattr(owner, step)

    def killed(*told: object) -> object:
        result = done(*told)
        monkeypatch.undo()
        raise KilledError(result)

    with night() as it:
        monkeypatch.setattr(owner, step, killed)
        with pytest.raises(KilledError):
            it.pass_by()
        it.pass_by()
        it.finish_directly()
        it.it.assert_right(TEXTS)
        assert set(it.it.server.seen.paid.values()) == {1}
        assert it.records() == 0


def test_a_job_whose_creation_was_answered_to_nobody_is_found_and_not_made_twice():
    with night(lose_replies=1) as it:
        assert it.pass_by().texts == 100
        assert len(it.it.server.batches.jobs) == 3
        assert set(it.it.server.seen.paid.values()) == {1}


def test_a_wrong_key_stops_and_a_provider_without_jobs_is_told():
    with night() as it, pytest.raises(StoppedError, match="refuses the key") as told:
        it.pass_by(key="another-secret")
    assert "another-secret" not in str(told.value)
    with night(has_jobs=False) as it, pytest.raises(UsageError, match="unset embed_night_rate"):
        it.pass_by()


def test_the_budget_is_not_passed_by_a_job():
    with night() as it:
        it.purse = Purse(PRICE, 0.0001)
        with pytest.raises(StoppedError, match="budget of 0.0001 would be passed"):
            it.pass_by()
        assert it.it.server.batches.jobs == {}


def test_what_is_sent_and_expected_agrees_with_the_types_of_mistrals_own_client():
    with night() as it:
        it.pass_by()
        for wanted in it.it.server.batches.wanted:
            assert wanted.keys() <= CreateBatchJobRequest.model_fields.keys()
            parsed = CreateBatchJobRequest.model_validate(wanted)
            assert parsed.endpoint == "/v1/embeddings"
            assert parsed.metadata == wanted["metadata"]
    jobs = BatchJobs("http://127.0.0.1:9/v1", "test", 16, RemoteOptions())
    line = BatchRequest.model_validate_json(jobs.line(7, ["one", "two"]))
    jobs.close()
    assert line.custom_id == "7"
    assert EmbeddingRequest.model_validate(line.body).inputs == ["one", "two"]
    known, _ = get_args(BatchJobStatus)
    going_on = {"QUEUED", "RUNNING", "CANCELLATION_REQUESTED"}
    assert set(get_args(known)) == FINAL | going_on


def test_a_line_that_tells_no_status_is_judged_by_what_it_holds():
    with night(says_status=False, failing=frozenset({1})) as it:
        counts = it.pass_by()
        assert 0 < counts.texts < 100
        it.finish_directly()
        it.it.assert_right(TEXTS)


def test_mistrals_own_client_understands_the_jobs_of_these_tests():
    with night(polls=1) as it:
        client = Mistral(api_key=KEY, server_url=it.it.server.ollama_url)
        line = b'{"custom_id": "0", "body": {"model": "test", "input": ["one"]}}\n'
        sent = client.files.upload(file={"file_name": "r.jsonl", "content": line}, purpose="batch")
        made = client.batch.jobs.create(
            endpoint="/v1/embeddings",
            input_files=[sent.id],
            model="test",
            metadata={"nightpress": "a name"},
        )
        listed = client.batch.jobs.list().data or []
        assert [job.metadata for job in listed] == [{"nightpress": "a name"}]
        done = client.batch.jobs.get(job_id=made.id)
        assert done.status == "SUCCESS"
        answers = client.files.download(file_id=str(done.output_file)).read()
        assert b'"custom_id": "0"' in answers
