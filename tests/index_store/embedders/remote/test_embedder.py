"""The client against a real server that enforces limits and misbehaves."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import SecretStr

from index_store.embedder import RequestLimits, Vectors
from index_store.embedders.checked import embed_checked
from index_store.embedders.registry import open_embedder, spec_string
from index_store.embedders.remote.embedder import BROKEN_ANSWERS, RemoteEmbedder
from index_store.embedders.remote.options import PaceOptions, RemoteOptions
from index_store.errors import RefusedInputError, StoppedError, TransientError, UsageError
from tests.contracts.embedder_contract import EmbedderContract
from tests.support.certificates import self_signed
from tests.support.embedding_faults import BUSY_ANSWERS, FAULTS, HOSTILE, WRONG_ANSWERS
from tests.support.embedding_server import KEY, Behaviour, EmbeddingServer

TEXTS = ["one text", "un autre texte", "日本語"]
QUICK = PaceOptions(backoff_s=0.001, backoff_cap_s=0.002, retries=4)


@contextmanager
def open_at(
    server: EmbeddingServer, provider: str = "mistral", pace: PaceOptions = QUICK, **more: object
) -> Iterator[RemoteEmbedder]:
    options = RemoteOptions(
        base_url=server.ollama_url if provider == "ollama" else server.url,
        key=SecretStr(KEY),
        timeout_s=1.0,
        response_mib=1,
        pace=pace,
        **more,  # type: ignore[arg-type]
    )
    embedder = RemoteEmbedder(provider, f"test@{server.behaviour.dimension}", options)
    try:
        yield embedder
    finally:
        embedder.close()


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Opens an embedder for one call."""

    server: EmbeddingServer
    provider: str = "mistral"
    pace: PaceOptions = QUICK

    def embed(self, texts: Sequence[str]) -> Vectors:
        with open_at(self.server, self.provider, self.pace) as embedder:
            return embed_checked(embedder, texts)

    def embed_question(self, question: str) -> Vectors:
        with open_at(self.server, self.provider, self.pace) as embedder:
            return embedder.embed_question(question)


@pytest.fixture(params=["mistral", "openai", "ollama"])
def provider(request: pytest.FixtureRequest) -> str:
    return str(request.param)


class TestEveryProviderKeepsTheContract(EmbedderContract):
    @pytest.fixture(params=["mistral", "openai", "ollama"])
    def embedder(self, request: pytest.FixtureRequest):
        with (
            EmbeddingServer(Behaviour()).running() as server,
            open_at(server, request.param) as opened,
        ):
            yield opened


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault not in HOSTILE])
def test_a_fault_that_passes_ends_in_the_right_vectors(fault: str, provider: str):
    with EmbeddingServer(Behaviour(plan=[fault])).running() as server:
        vectors = Asked(server=server, provider=provider).embed(TEXTS)
        truth = np.vstack([server.true_vector(text) for text in TEXTS])
    assert np.allclose(vectors, truth, atol=1e-6)


@pytest.mark.parametrize("fault", WRONG_ANSWERS)
def test_a_provider_that_keeps_answering_wrongly_is_named_and_nothing_accepted(fault: str):
    with EmbeddingServer(Behaviour(plan=[fault] * 9)).running() as server:
        with pytest.raises(TransientError, match="embedder mistral test: "):
            Asked(server=server).embed(TEXTS)
        assert len(server.seen.requests) == BROKEN_ANSWERS


@pytest.mark.parametrize("fault", BUSY_ANSWERS)
def test_a_provider_that_stays_busy_is_given_up(fault: str):
    with (
        EmbeddingServer(Behaviour(plan=[fault] * 20)).running() as server,
        pytest.raises(TransientError, match="5 tries failed, the last with"),
    ):
        Asked(server=server).embed(TEXTS)


@pytest.mark.parametrize(
    ("fault", "error", "told"),
    [
        ("endless", TransientError, "more than 1048576 bytes"),
        ("gzip-bomb", TransientError, "not JSON|no answer|dripped"),
        ("redirect", UsageError, "status 307"),
    ],
)
def test_hostile_answers_are_cut_off(fault: str, error: type[Exception], told: str):
    with (
        EmbeddingServer(Behaviour(plan=[fault] * 20)).running() as server,
        pytest.raises(error, match=told),
    ):
        Asked(server=server).embed(TEXTS)


def test_a_wrong_key_stops_at_once_and_is_never_shown():
    with EmbeddingServer(Behaviour(key="another")).running() as server:
        with pytest.raises(
            StoppedError, match=r"refuses the key .* what is embedded is kept"
        ) as told:
            Asked(server=server).embed(TEXTS)
        assert server.seen.keys == {f"Bearer {KEY}"}
    assert KEY not in str(told.value)
    assert KEY not in repr(RemoteOptions(key=SecretStr(KEY)))


def test_no_allowance_left_stops_at_once():
    with (
        EmbeddingServer(Behaviour(quota=0)).running() as server,
        pytest.raises(StoppedError, match="no allowance left"),
    ):
        Asked(server=server).embed(TEXTS)


@pytest.mark.parametrize("old_messages", [True, False])
def test_too_much_at_once_is_refused_without_a_retry_and_remembered(old_messages: bool):
    behaviour = Behaviour(max_tokens=20, old_messages=old_messages)
    with EmbeddingServer(behaviour).running() as server:
        limits = RequestLimits(texts=100, tokens=64, in_flight=1)
        with open_at(server, limits=limits) as embedder:
            with pytest.raises(RefusedInputError, match="refuses its input"):
                embedder.embed(["one two three"] * 10)
            assert len(server.seen.requests) == 1
            assert embedder.limits.texts == 100
            assert (embedder.limits.tokens or 0) <= 32


def test_too_many_texts_lower_the_count_and_not_the_tokens():
    with EmbeddingServer(Behaviour(max_texts=4)).running() as server, open_at(server) as embedder:
        with pytest.raises(RefusedInputError, match="Too many inputs"):
            embedder.embed(["one two three"] * 10)
        assert embedder.limits == replace(embedder.limits, texts=16, tokens=16_000)


def test_a_text_that_is_too_long_is_named():
    with EmbeddingServer(Behaviour(max_text_tokens=5)).running() as server:
        with pytest.raises(RefusedInputError) as told:
            Asked(server=server).embed(["short", "a b c d e f g", "short too"])
        assert (told.value.too_long, told.value.position) == (True, 1)


def test_a_body_that_holds_a_number_of_a_status_is_not_that_status():
    with EmbeddingServer(Behaviour(poison="bad")).running() as server:
        with pytest.raises(RefusedInputError, match="84291"):
            Asked(server=server).embed(["good", "bad"])
        assert len(server.seen.requests) == 1


def test_ollama_never_cuts_a_text_silently():
    with EmbeddingServer(Behaviour(max_text_tokens=5, names_position=False)).running() as server:
        with pytest.raises(RefusedInputError, match="input length exceeds") as told:
            Asked(server=server, provider="ollama").embed(["a b c d e f g"])
        assert told.value.too_long


def test_a_server_that_is_not_there_is_out_of_reach():
    server = EmbeddingServer(Behaviour())
    server.close()
    with pytest.raises(TransientError, match="ConnectError"):
        Asked(server=server).embed(TEXTS)


def test_patience_with_a_provider_that_is_down_ends():
    pace = PaceOptions(backoff_s=0.001, backoff_cap_s=0.002, retries=1000, give_up_s=0.05)
    with (
        EmbeddingServer(Behaviour(plan=["503"] * 1000)).running() as server,
        pytest.raises(TransientError, match=r"out of reach for .* what is embedded is kept"),
    ):
        Asked(server=server, pace=pace).embed(TEXTS)


def test_a_question_is_asked_with_little_patience():
    with EmbeddingServer(Behaviour(plan=["503"] * 9)).running() as server:
        with pytest.raises(TransientError, match="2 tries failed"):
            Asked(server=server).embed_question("why?")
        assert len(server.behaviour.plan) == 7


@pytest.mark.parametrize(
    ("spec", "model", "dimension"),
    [
        ("mistral", "mistral-embed", 1024),
        ("openai:text-embedding-3-large", "text-embedding-3-large", 3072),
        ("openai:own/model@77", "own/model", 77),
        ("ollama:bge-m3:latest", "bge-m3:latest", 1024),
        ("ollama:nomic-embed-text:v1.5@768", "nomic-embed-text:v1.5", 768),
    ],
)
def test_a_name_says_model_and_dimension(spec: str, model: str, dimension: int):
    with closing(open_embedder(spec)) as embedder:
        assert (embedder.spec.model, embedder.spec.dimension) == (model, dimension)
        with closing(open_embedder(spec_string(embedder.spec))) as again:
            assert again.spec == embedder.spec


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("ollama", "name a model"),
        ("openai:own", "dimension of this model is not known"),
        ("openai:own@0", "not above 0"),
    ],
)
def test_a_name_that_says_too_little_is_refused_with_the_remedy(spec: str, told: str):
    with pytest.raises(UsageError, match=told):
        open_embedder(spec)


def test_bad_certificates_are_the_persons_mistake(tmp_path: Path):
    options = RemoteOptions(ca_bundle=str(tmp_path / "missing.pem"))
    with pytest.raises(UsageError, match="proxy, certificates or key"):
        RemoteEmbedder("mistral", "", options)


def test_requests_go_through_a_proxy_and_trust_an_authority_of_ones_own(tmp_path: Path):
    with EmbeddingServer(Behaviour()).running() as proxy:
        options = RemoteOptions(
            base_url="http://provider.invalid/v1", key=SecretStr(KEY), proxy=proxy.ollama_url
        )
        embedder = RemoteEmbedder("mistral", "test@16", options)
        assert np.allclose(embedder.embed(TEXTS)[1], proxy.true_vector(TEXTS[1]), atol=1e-6)
        embedder.close()
    certificate, key = self_signed(tmp_path)
    with EmbeddingServer(Behaviour(), certificate=(certificate, key)).running() as server:
        trusting = RemoteOptions(
            base_url=server.url, key=SecretStr(KEY), ca_bundle=str(certificate), pace=QUICK
        )
        embedder = RemoteEmbedder("mistral", "test@16", trusting)
        assert np.allclose(embedder.embed(TEXTS)[0], server.true_vector(TEXTS[0]), atol=1e-6)
        embedder.close()
        with pytest.raises(UsageError, match="not trusted; name the file .* embed_ca_bundle"):
            RemoteEmbedder("mistral", "test@16", replace(trusting, ca_bundle="")).embed(TEXTS)
