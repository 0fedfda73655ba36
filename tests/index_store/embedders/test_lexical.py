import numpy as np
import pytest

from index_store.embedders.lexical import LexicalVectors, fold, plain_weight
from index_store.embedders.memo import MEMO_CHARS, WordMemo

LEXICAL = LexicalVectors(4096, plain_weight)


def cosine(one: str, other: str) -> float:
    return float(LEXICAL.vector(one) @ LEXICAL.vector(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Période d'ESSAI", "periode essai"),
        ("la démission", "les démissions"),
        ("œuvre", "ŒUVRE"),
        ("the contract", "a contract"),
        ("cafe\u0301", "café"),
    ],
)
def test_same_words_in_another_dress_are_the_same(one: str, other: str):
    assert cosine(one, other) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("one", "other"), [("2023", "2024"), ("20231201", "20231202"), ("essai", "travail")]
)
def test_different_words_are_different(one: str, other: str):
    assert abs(cosine(one, other)) < 0.1


def test_scripts_without_spaces_match_by_pairs():
    assert cosine("契約書を作成する", "新しい契約書") > 0.2
    assert cosine("สัญญาจ้างแรงงาน", "สัญญาจ้าง") > 0.5
    assert cosine("契約書を作成する", "天気がいい") < 0.1


def test_longer_mention_weighs_more_but_not_in_proportion():
    once = cosine("zebra", "zebra lion tiger")
    often = cosine("zebra", "zebra zebra zebra zebra lion tiger")
    assert once < often < 0.95


def test_text_without_words_is_zero():
    for text in ("", "?!", "the of and", "l d a"):
        assert not LEXICAL.vector(text).any()


def test_lone_surrogates_do_no_harm():
    assert np.isfinite(LEXICAL.vector("broken\ud800text")).all()


def test_fold_drops_case_and_accents():
    assert fold("ÉTÉ") == "ete"
    assert fold("STRASSE") == fold("straße")


def test_memo_computes_once_and_keeps_no_giant_words():
    seen: list[str] = []

    def compute(word: str) -> int:
        seen.append(word)
        return len(word)

    memo = WordMemo(compute)
    giant = "x" * (MEMO_CHARS + 1)
    assert [memo["one"], memo["one"], memo[giant], memo[giant]] == [3, 3, 41, 41]
    assert seen == ["one", giant, giant]
    assert len(memo) == 1


def test_memo_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("index_store.embedders.memo.MEMO_WORDS", 10)
    memo = WordMemo(len)
    assert [memo["x" * size] for size in range(30)] == list(range(30))
    assert len(memo) <= 10
