"""The embedder contract, passed by every provider."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from index_store.embedder import Embedder
from index_store.embedders.registry import open_embedder
from tests.contracts.embedder_contract import EmbedderContract

MODELS = Path(__file__).parent / "llama_models"


class TestHashingEmbedder(EmbedderContract):
    @pytest.fixture
    def embedder(self) -> Embedder:
        return open_embedder("hashing")


class TestWideHashingEmbedder(EmbedderContract):
    @pytest.fixture
    def embedder(self) -> Embedder:
        return open_embedder("hashing:1000")


@pytest.fixture(scope="module")
def offline() -> Iterator[Embedder]:
    embedder = open_embedder("offline")
    yield embedder
    embedder.close()


class TestOfflineEmbedder(EmbedderContract):
    @pytest.fixture
    def embedder(self, offline: Embedder) -> Embedder:
        return offline


class TestLlamaEmbedder(EmbedderContract):
    @pytest.fixture
    def embedder(self, monkeypatch: pytest.MonkeyPatch) -> Embedder:
        monkeypatch.syspath_prepend(str(MODELS))
        return open_embedder('llama-index:letter_model.LetterEmbedding?{"size": 48}')
