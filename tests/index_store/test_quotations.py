import pytest

from index_store.quotations import Quotation


@pytest.mark.parametrize(
    "text",
    [
        "Before. La période d'essai est de deux mois. After.",
        "LA PÉRIODE D'ESSAI\n  est de   deux MOIS.",
        "La période d'essai est de deux mois.",  # accents as marks of their own
    ],
)
def test_a_quotation_is_found_whatever_its_case_forms_and_spaces(text: str):
    assert Quotation("La période d'essai est de deux mois.").is_in(text)


def test_a_ligature_does_not_hide_a_quotation():
    assert Quotation("the official office of affairs").is_in("the oﬃcial oﬃce of aﬀairs")


def test_a_text_that_differs_in_one_word_is_no_quotation():
    assert not Quotation("La période d'essai est de deux mois.").is_in(
        "La période d'essai est de trois mois."
    )


def test_a_quotation_without_latin_letters_is_found():
    question = "深層学習モデルは多くの計算資源を必要とするため注意が必要です"
    assert Quotation(question).is_in(f"はじめに。{question}。")


def test_a_broken_line_does_not_hide_a_quotation_without_blanks():
    assert Quotation("劳动者享受带薪年休假。").is_in("第四十五条 劳动者享受\n带薪年休假。")


@pytest.mark.parametrize(
    ("question", "enough"),
    [
        ("short question", False),
        ("x" * 20, True),
        ("带薪年休假", False),
        ("享受带薪年休假期", True),
    ],
)
def test_short_questions_are_not_looked_for(question: str, enough: bool):
    assert Quotation(question).is_long_enough is enough
