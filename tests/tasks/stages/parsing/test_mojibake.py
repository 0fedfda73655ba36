"""Text that was read in a wrong encoding before it came to us."""

import pytest

from tasks.stages.parsing.normalisation import normalise, oddities

_TEXTS = ["L’écart « majeur » a été évalué à Noël : 12 €.", "Каждая серия проверяется.", "品質管理"]
_PUT_RIGHT = "text that was read in a wrong encoding was put right"


@pytest.mark.parametrize("text", _TEXTS)
@pytest.mark.parametrize("rounds", [1, 2])
def test_utf8_read_as_latin1_is_put_right(text: str, rounds: int):
    garbled = text
    for _ in range(rounds):
        garbled = garbled.encode().decode("latin-1")

    assert normalise(garbled) == text
    assert oddities(garbled) == (_PUT_RIGHT,)


@pytest.mark.parametrize("text", ["L’été à Noël, — « naïf »", "Straße, Größe, Äpfel für € 3"])
def test_utf8_read_as_cp1252_is_put_right(text: str):
    assert normalise(text.encode().decode("cp1252")) == text


@pytest.mark.parametrize(
    "text",
    [
        "„Spaß“ und „Straße“",
        "CHÂTEAU « À » ÇÀ, Â, “Ä” Å“",
        "IRMÃ DE JOÃO, NÃO – São Paulo",
        "À l’île — œuvre",
        "10 °C ± 2 µm, § 4 « ½ »",
    ],
)
def test_text_that_was_read_rightly_stays(text: str):
    assert normalise(text) == text
    assert oddities(text) == ()


def test_letters_whose_bytes_are_lost_are_told_of_and_left():
    garbled = "voilÃ \u0020ce qui est citÃ©, â€\ufffd"

    assert "lost letters" in " ".join(oddities(garbled))
    assert normalise(garbled) == "voilÃ  ce qui est cité, â€\ufffd"


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("pay \u202eevil\u202c now", "direction"),
        ("a\u2066b\u2069", "direction"),
        ("in\u200bvisible", "invisible"),
        ("hidden\U000e0041\U000e0042 tags", "invisible"),
        ("lost \ufffd letter", "replacement"),
    ],
)
def test_what_hides_in_a_text_is_told_of(text: str, note: str):
    assert len(found := oddities(text)) == 1
    assert note in found[0]


def test_marks_that_right_to_left_text_needs_are_no_oddity():
    assert oddities("שלום\u200f עולם") == ()
