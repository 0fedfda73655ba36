"""One model behind several addresses over real HTTP: who is asked when, and who never is."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import pytest
from pydantic import SecretStr

from index_store.embedders.probes import PROBES, fingerprint
from index_store.embedders.registry import open_embedder
from index_store.embedders.remote.fallback import COOL_S, FallbackClocks, FallbackEmbedder
from index_store.embedders.remote.options import PaceOptions, RemoteOptions
from index_store.embedders.remote.routes import Route, parse_routes
from index_store.errors import StoppedError, TransientError, UsageError
from tests.contracts.embedder_contract import EmbedderContract
from tests.support.embedding_server import KEY, Behaviour, EmbeddingServer

OTHER_KEY = "key-of-the-second"
QUICK = PaceOptions(backoff_s=0.001, backoff_cap_s=0.002, retries=1, give_up_s=100.0)
TEXTS = ["one text", "un autre texte"]
DOWN = ["503"] * 1_000


class Pair:
    """Two providers, and an embedder that knows both, in simulated time."""

    def __init__(self, stack: ExitStack, first: Behaviour, second: Behaviour, form: str) -> None:
        self.first = stack.enter_context(EmbeddingServer(first).running())
        self.second = stack.enter_context(EmbeddingServer(second).running())
        self.now = 0.0
        url = self.second.ollama_url if form.startswith("ollama") else self.second.url
        options = RemoteOptions(
            base_url=self.first.url,
            key=SecretStr(KEY),
            timeout_s=2.0,
            pace=QUICK,
            fallbacks=(form.format(url),),
            fallback_key=SecretStr(OTHER_KEY),
        )
        clocks = FallbackClocks(now=lambda: self.now, wait=self._wait)
        self.embedder = FallbackEmbedder("mistral", "test@16", options, clocks)

    def _wait(self, seconds: float) -> None:
        self.now += seconds

    def embeds(self) -> None:
        found = self.embedder.embed(TEXTS)
        truth = np.vstack([self.first.true_vector(text) for text in TEXTS])
        assert np.allclose(found, truth, atol=1e-6)

    @property
    def asked(self) -> tuple[int, int]:
        """Requests with texts that each has answered, those of the comparison left out."""
        return tuple(
            sum(texts == TEXTS for texts in server.seen.requests)
            for server in (self.first, self.second)
        )  # type: ignore[return-value]


@contextmanager
def pair(
    first: Behaviour | None = None, second: Behaviour | None = None, form: str = "{}"
) -> Iterator[Pair]:
    with ExitStack() as stack:
        opened = Pair(stack, first or Behaviour(), second or Behaviour(key=OTHER_KEY), form)
        try:
            yield opened
        finally:
            opened.embedder.close()


class TestItKeepsTheContract(EmbedderContract):
    @pytest.fixture
    def embedder(self):
        with pair() as opened:
            yield opened.embedder


@pytest.mark.parametrize("form", ["{}", "openai={}", "ollama:library/TEST:latest={}"])
def test_the_next_address_answers_while_the_first_is_down_and_the_first_again_when_it_is_back(
    form: str, caplog: pytest.LogCaptureFixture
):
    with pair(form=form) as it:
        it.embedder.check_routes(None)
        it.embeds()
        assert it.asked == (1, 0)
        it.first.behaviour.plan = list(DOWN)
        it.embeds()
        it.embeds()
        assert it.asked == (1, 2)
        it.first.behaviour.plan = []
        it.now += COOL_S
        it.embeds()
        assert it.asked == (2, 2)
    assert "mistral test is out of reach, others are asked" in caplog.text
    assert f"embed_fallback {it.second.url[:21]}" in caplog.text
    assert it.second.seen.keys == {f"Bearer {OTHER_KEY}"}
    assert it.first.seen.keys == {f"Bearer {KEY}"}


def test_an_address_with_another_model_is_refused_by_name():
    with pair(second=Behaviour(key=OTHER_KEY, model_salt="another")) as it:
        with pytest.raises(UsageError) as refused:
            it.embedder.check_routes(None)
        told = str(refused.value)
        assert f"embed_fallback {it.second.url} answers with other vectors" in told
        assert "expected at least 0.999" in told


def test_nothing_is_asked_of_an_address_that_was_not_compared():
    with pair(first=Behaviour(plan=list(DOWN))) as it:
        with pytest.raises(TransientError):
            it.embedder.embed(TEXTS)
        assert it.asked == (0, 0)
        assert it.now > QUICK.give_up_s
        with pytest.raises(TransientError):
            it.embedder.embed_question("what?")


def test_the_stored_fingerprint_stands_in_for_a_first_address_that_is_down_at_the_start():
    with pair(first=Behaviour(plan=list(DOWN))) as it:
        truth = np.vstack([it.first.true_vector(text) for text in PROBES])
        it.embedder.check_routes(fingerprint(truth.astype(np.float64)))
        it.embeds()
        assert it.asked == (0, 1)
    with (
        pair(first=Behaviour(plan=list(DOWN))) as it,
        pytest.raises(UsageError, match="fingerprint .*, expected 0123"),
    ):
        it.embedder.check_routes("0123")


def test_an_address_that_was_down_at_the_start_is_compared_before_it_is_used(
    caplog: pytest.LogCaptureFixture,
):
    with pair(second=Behaviour(key=OTHER_KEY, plan=["503"] * 2)) as it:
        it.embedder.check_routes(None)
        assert "is not accepted yet" in caplog.text
        it.first.behaviour.plan = list(DOWN)
        it.embeds()
        assert it.asked == (0, 1)
    with pair(second=Behaviour(key=OTHER_KEY, plan=["503"] * 2, model_salt="another")) as it:
        it.embedder.check_routes(None)
        it.first.behaviour.plan = list(DOWN)
        with pytest.raises(TransientError):
            it.embedder.embed(TEXTS)
        assert it.asked == (0, 0)
        assert "it is not the same model, remove it" in caplog.text


def test_a_first_address_that_was_silent_at_the_start_is_compared_with_when_it_answers():
    with pair(first=Behaviour(plan=["503"] * 2)) as it:
        it.embedder.check_routes(None)
        it.now += COOL_S
        it.embeds()
        it.first.behaviour.plan = list(DOWN)
        it.embeds()
        assert it.asked == (1, 1)


def test_a_refused_key_is_no_reason_to_go_elsewhere():
    with pair() as it:
        it.embedder.check_routes(None)
        it.first.behaviour.key = "another"
        with pytest.raises(StoppedError, match="refuses the key"):
            it.embedder.embed(TEXTS)
        assert it.asked == (0, 0)


def test_routes_are_read_and_what_is_none_is_refused():
    words = ("http://a/v1", "openai=https://b/v1", "ollama:m:latest=http://c?x=1")
    assert parse_routes(words, "mistral", "m") == (
        Route(provider="mistral", model="m", base_url="http://a/v1"),
        Route(provider="openai", model="m", base_url="https://b/v1"),
        Route(provider="ollama", model="m:latest", base_url="http://c?x=1"),
    )
    for word, told in {
        "ftp://a": "expected URL, PROVIDER=URL",
        "cohere=http://a": "expected URL, PROVIDER=URL",
        "openai:other=http://a": "http://a is said to have model other, which is not m",
        "http://me:sesame@a/v1": "holds a name or password",
    }.items():
        with pytest.raises(UsageError, match=told) as refused:
            parse_routes((word,), "mistral", "m")
        assert "sesame" not in str(refused.value)


def test_the_registry_opens_it_only_where_there_is_somewhere_to_go():
    options = RemoteOptions(fallbacks=("http://127.0.0.1:9/v1",))
    opened = open_embedder("mistral", remote=options)
    assert isinstance(opened, FallbackEmbedder)
    assert opened.spec == open_embedder("mistral").spec
    opened.close()
