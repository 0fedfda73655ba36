"""What requests are packed by: an estimate, Mistral's tokenizer, or a SentencePiece file."""

import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from index_store.embedder import RequestLimits
from index_store.embedders.remote import counting
from index_store.embedders.remote.counting import open_counter
from index_store.embedders.remote.embedder import RemoteEmbedder
from index_store.embedders.remote.options import PaceOptions, RemoteOptions
from index_store.embedders.weights import tokenizer_model, weights_path
from index_store.errors import UsageError
from tests.support.embedding_server import KEY, Behaviour, EmbeddingServer


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "tokenizer.model"
    path.write_bytes(tokenizer_model(weights_path()))
    return path


def test_a_model_of_ones_own_counts(model: Path):
    words = ["Le", "préavis", "de", "démission"]
    assert sum(open_counter(str(model)).count(words)) > sum(open_counter("").count(words[:1]))
    assert open_counter(str(model)).identity.startswith("sentencepiece-")
    assert open_counter("").identity == "pieces-6.1"


def test_mistrals_tokenizer_is_read_from_its_package_which_is_not_imported():
    counter = open_counter("mistral")
    assert counter.identity == "sentencepiece-dadfd56d766715c6"
    assert counter.count(["Le", "préavis", "de", "démission", "est", "fixé"]) == [1, 2, 1, 2, 1, 2]
    assert "mistral_common" not in sys.modules


def test_a_package_that_is_missing_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(counting, "MISTRAL_PACKAGE", "no_such_package_here")
    with pytest.raises(UsageError, match=r"pip install 'nightpress\[mistral-tokenizer\]'"):
        open_counter("mistral")


def test_what_is_no_tokenizer_is_named(tmp_path: Path):
    (tmp_path / "nonsense").write_bytes(b"nonsense")
    for name in ("nonsense", "missing"):
        with pytest.raises(UsageError, match=f"{name} is no SentencePiece model"):
            open_counter(str(tmp_path / name))


def test_requests_are_packed_by_it_and_the_identity_stays(model: Path):
    texts = ["constitutionnellement irréprochable"] * 2
    with EmbeddingServer(Behaviour()).running() as server:

        def opened(tokenizer: str) -> RemoteEmbedder:
            options = RemoteOptions(
                base_url=server.url,
                key=SecretStr(KEY),
                limits=RequestLimits(texts=8, tokens=100),
                pace=PaceOptions(),
                tokenizer=tokenizer,
            )
            return RemoteEmbedder("mistral", "test@16", options)

        exact, estimated = opened(str(model)), opened("")
        counter = open_counter(str(model))
        assert exact.count(texts) == [sum(counter.count(text.split())) for text in texts]
        assert estimated.count(texts) is None
        assert exact.spec == estimated.spec
        exact.close()
        estimated.close()
