import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from index_store.embedders.llama import fingerprint, public_name
from index_store.embedders.registry import open_embedder, spec_string
from index_store.errors import TransientError, UsageError

MODELS = Path(__file__).parent / "llama_models"
LETTERS = "llama-index:letter_model.LetterEmbedding"


@pytest.fixture(autouse=True)
def _models(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(MODELS))


def test_settings_reach_the_model_and_the_identity():
    embedder = open_embedder(LETTERS + '?{"size": 32}')
    assert embedder.spec.dimension == 32
    assert embedder.spec.model == 'letter_model.LetterEmbedding?{"size":32}'
    assert open_embedder(spec_string(embedder.spec)).spec == embedder.spec


@pytest.mark.parametrize("name", ["api_key", "access_token", "password"])
def test_secret_in_a_name_that_is_stored_is_refused(name: str):
    with pytest.raises(UsageError, match=f"'{name}' is a secret") as caught:
        open_embedder(f'{LETTERS}?{{"{name}": "sesame"}}')
    assert "sesame" not in str(caught.value)


def test_settings_that_only_sound_like_secrets_are_kept():
    assert public_name("a.B", {"max_tokens": 3}) == 'a.B?{"max_tokens":3}'


def test_questions_are_embedded_as_the_model_embeds_questions():
    embedder = open_embedder("llama-index:letter_model.AskingEmbedding")
    asked, told = embedder.embed_question("zebra"), embedder.embed(["zebra"])[0]
    assert abs(float(asked @ told)) < 0.99


def test_another_model_behind_the_same_name_is_another_embedder():
    one = open_embedder(LETTERS).spec
    other = open_embedder("llama-index:letter_model.TiltedEmbedding").spec
    assert one.revision.startswith("letters-1.")
    assert one.revision != other.revision


def test_fingerprint_survives_small_noise():
    generator = np.random.default_rng(5)
    for _ in range(50):
        probes = generator.normal(size=(3, 256)) / 16
        noise = generator.normal(scale=1e-5, size=(3, 256))
        assert fingerprint(probes) == fingerprint(probes + noise)
        assert fingerprint(probes) != fingerprint(np.roll(probes, 1, axis=1))


@pytest.mark.parametrize("status", [429, 500, 503, 0])
def test_busy_or_lost_provider_may_be_tried_again(status: int):
    embedder = open_embedder(f'llama-index:letter_model.RefusingEmbedding?{{"status": {status}}}')
    with pytest.raises(TransientError, match="RefusingEmbedding") as caught:
        embedder.embed(["text"])
    assert "must not leak" not in str(caught.value)


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_refusal_is_the_person_s_to_mend(status: int):
    embedder = open_embedder(f'llama-index:letter_model.RefusingEmbedding?{{"status": {status}}}')
    with pytest.raises(UsageError, match=f"status {status}"):
        embedder.embed(["text"])


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("", "expected llama-index:package.module.ClassName"),
        ("Name", "expected llama-index:package.module.ClassName"),
        ("no_such_module.Name", "module no_such_module is not installed"),
        ("letter_model.Missing", "is not a LlamaIndex embedding class"),
        ("letter_model.StatusError", "is not a LlamaIndex embedding class"),
        ("letter_model.LetterEmbedding?{", "are not JSON"),
        ("letter_model.LetterEmbedding?[1]", "are not a JSON object"),
        ('letter_model.LetterEmbedding?{"size": "wide"}', "could not be built"),
    ],
)
def test_bad_name_or_settings_are_refused(argument: str, message: str):
    with pytest.raises(UsageError, match=message):
        open_embedder(f"llama-index:{argument}")


def test_llama_index_loads_only_when_it_is_named():
    program = (
        "import sys; from index_store.embedders.registry import open_embedder;"
        "open_embedder('hashing').embed(['text']); open_embedder('offline');"
        "sys.exit(1 if {'llama_index', 'onnxruntime', 'sentencepiece'} & set(sys.modules) else 0)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
