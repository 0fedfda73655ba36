"""Normalisation: what every text promises, whatever came in."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from tasks.stages.parsing.normalisation import count_words, normalise, one_line

_ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=40)
_UNWANTED = {"Cc", "Cs"}


@given(_ANY_TEXT)
def test_result_is_composed_and_holds_no_controls(text: str):
    clean = normalise(text)

    assert unicodedata.is_normalized("NFC", clean)
    assert not [c for c in clean if unicodedata.category(c) in _UNWANTED and c not in "\t\n"]
    assert not set(clean) & set("\u00ad\u200b\u202e\ufeff\ufb01")


@given(_ANY_TEXT)
def test_cleaning_again_changes_nothing(text: str):
    assert normalise(normalise(text)) == normalise(text)


@given(_ANY_TEXT)
def test_one_line_is_stripped_and_has_single_spaces(text: str):
    line = one_line(text)

    assert line == " ".join(line.split())


def test_words_are_counted_up_to_enough():
    assert count_words(["one two", "three four"], enough=3) == 3
    assert count_words(["a b c 1 2 3"], enough=3) == 0
    assert count_words(["品質管理"], enough=3) == 3


def test_every_character_is_cleaned_beside_letters_with_accents():
    for code in (*range(0x10000), *range(0xE0000, 0xE0100)):
        clean = normalise(f"é{chr(code)}x")
        assert unicodedata.is_normalized("NFC", clean), hex(code)
        assert not {unicodedata.category(c) for c in set(clean) - {"\t", "\n"}} & _UNWANTED
