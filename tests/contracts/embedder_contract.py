"""What every embedder must pass: subclass `EmbedderContract`, add an `embedder` fixture."""

import numpy as np
import pytest

from index_store.embedder import Embedder
from index_store.embedders.checked import embed_checked
from index_store.errors import UsageError

TEXTS = [
    "La période d'essai peut être renouvelée une fois.",
    "The press prints what the day has written.",
    "zebra",
    "日本語の文章です。",
    "!!! ???",
    "the of and",
    "word " * 2000,
    "emoji 😀 and a\ttab\nand a line",
]


class EmbedderContract:
    def test_answers_one_normalised_float32_row_per_text(self, embedder: Embedder):
        vectors = embed_checked(embedder, TEXTS)
        assert vectors.shape == (len(TEXTS), embedder.spec.dimension)
        assert vectors.dtype == np.float32

    def test_rows_stand_in_the_order_of_the_texts(self, embedder: Embedder):
        forwards = embedder.embed(TEXTS)
        backwards = embedder.embed(TEXTS[::-1])
        assert (forwards == backwards[::-1]).all()

    def test_neighbours_in_a_request_change_no_byte(self, embedder: Embedder):
        together = embedder.embed(TEXTS)
        alone = np.vstack([embedder.embed([text]) for text in TEXTS])
        assert together.tobytes() == alone.tobytes()

    def test_different_texts_have_different_vectors(self, embedder: Embedder):
        one, other = embedder.embed(TEXTS[:2])
        assert float(one @ other) < 0.99

    def test_a_question_gets_one_normalised_vector(self, embedder: Embedder):
        vector = embedder.embed_question("Quelle est la durée de la période d'essai ?")
        assert vector.shape == (embedder.spec.dimension,)
        assert vector.dtype == np.float32
        assert abs(float(np.linalg.norm(vector)) - 1) < 1e-3

    def test_identity_does_not_change_with_use(self, embedder: Embedder):
        before = embedder.spec
        embedder.embed(TEXTS[:1])
        assert embedder.spec == before
        assert embedder.spec.tokenizer == embedder.tokenizer.identity
        assert len(embedder.spec.id) == 64

    def test_tokenizer_counts_each_word(self, embedder: Embedder):
        words = ["période", "a", "日本語", "antidisestablishmentarianism"]
        counts = embedder.tokenizer.count(words)
        assert counts == [embedder.tokenizer.count([word])[0] for word in words]
        assert min(counts) >= 1
        assert counts[3] > counts[1]
        assert embedder.tokenizer.count([]) == []

    def test_takes_a_full_request(self, embedder: Embedder):
        texts = [f"number {number}" for number in range(embedder.limits.texts)]
        assert len(embed_checked(embedder, texts)) == embedder.limits.texts

    def test_more_than_a_full_request_is_refused(self, embedder: Embedder):
        texts = ["text"] * (embedder.limits.texts + 1)
        with pytest.raises(UsageError, match=r"texts expected 1 to \d+, found \d+"):
            embed_checked(embedder, texts)

    def test_closing_twice_is_harmless(self, embedder: Embedder):
        embedder.embed(TEXTS[:1])
        embedder.close()
        embedder.close()
