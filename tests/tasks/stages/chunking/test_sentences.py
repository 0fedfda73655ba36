from itertools import pairwise

import pytest

from tasks.stages.chunking.sentences import (
    character_spans,
    clause_spans,
    line_spans,
    sentence_spans,
)


def parts(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three? Four", ["One.", "Two!", "Three?", "Four"]),
        ("Il dit : « Oui. » Puis il part.", ["Il dit : « Oui. »", "Puis il part."]),
        ("M. Dupont et Mme. Durand viennent. Ils partent.", None),
        ("See art. 5 and fig. 3. Then stop.", ["See art. 5 and fig. 3.", "Then stop."]),
        ("J. R. Tolkien wrote. He rests.", ["J. R. Tolkien wrote.", "He rests."]),
        ("version 3.14 is out. e.g. this", ["version 3.14 is out. e.g. this"]),
        ("契約です。次の文！最後", ["契約です。", "次の文！", "最後"]),
        ('Wait... What? «Yes.» "No." End', ["Wait...", "What?", "«Yes.»", '"No."', "End"]),
        ("Привет. Как дела?", ["Привет.", "Как дела?"]),
        ("no end", ["no end"]),
        ("   ", []),
        ("", []),
    ],
)
def test_sentences_end_where_a_reader_would_say(text: str, expected: list[str] | None):
    if expected is None:
        expected = ["M. Dupont et Mme. Durand viennent.", "Ils partent."]
    assert parts(text) == expected


def test_lines_keep_indentation_and_leave_out_blank_ones():
    text = "a\n\n    b  \r\n\tc"
    assert [text[start:end] for start, end in line_spans(text)] == ["a", "    b", "\tc"]


def test_long_sentence_is_cut_after_its_signs_but_not_too_often():
    text = "the first, short; clause of the law; and a longer second one, with more; the rest"
    parts = [text[start:end] for start, end in clause_spans(text, (0, len(text)), 20)]
    assert parts == [
        "the first, short; clause of the law;",
        "and a longer second one,",
        "with more; the rest",
    ]


def test_clauses_stay_inside_their_sentence():
    text = "Before. inside, here; done. After, all; that."
    assert list(clause_spans(text, (8, 27), 1)) == [(8, 15), (16, 21), (22, 27)]


def test_characters_are_cut_without_parting_marks_from_their_letters():
    text = "e\u0301" * 200 + "👩\u200d👧" * 50
    spans = list(character_spans(text, (0, len(text))))
    assert spans[0][0] == 0
    assert spans[-1][1] == len(text)
    for (_, end), (start, _) in pairwise(spans):
        assert end == start
        assert text[start] not in "\u0301\u200d"
        assert text[start - 1] != "\u200d"


def test_pieces_of_a_giant_word_are_neither_tiny_nor_large():
    text = "abcdefghijklmnopqrstuvwxyz0123456789" * 100
    sizes = [end - start for start, end in character_spans(text, (0, len(text)))]
    assert min(sizes[:-1]) >= 16
    assert max(sizes) <= 48
