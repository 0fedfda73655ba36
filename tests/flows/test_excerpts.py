from flows.excerpts import excerpt

FILLER = "Ceci est une phrase de remplissage sans intérêt. " * 20


def test_short_text_is_shown_whole_on_one_line():
    assert excerpt("Une\n  phrase.", "question", max_chars=300) == "Une phrase."


def test_the_stretch_with_the_questions_words_is_shown():
    text = FILLER + "La démission peut être orale ou écrite. " + FILLER
    shown = excerpt(text, "Comment démissionner par écrit ?", max_chars=120)
    assert "La démission peut être orale" in shown
    assert shown.startswith("… ")
    assert shown.endswith(" …")
    assert len(shown) <= 120 + 4


def test_without_a_common_word_the_beginning_is_shown():
    shown = excerpt(FILLER, "xyzzy", max_chars=60)
    assert shown.startswith("Ceci est une phrase")
    assert shown.endswith(" …")


def test_one_endless_word_is_cut():
    assert excerpt("x" * 500, "xxxx", max_chars=100).startswith("x")
