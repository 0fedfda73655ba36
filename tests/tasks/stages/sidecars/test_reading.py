"""Sidecars as they are found: with slips, in odd encodings, unreadable, one over the other."""

from pathlib import Path

import pytest

from index_store.attributes import NO_ATTRIBUTES
from tasks.stages.parsing.refusal import ParseRefused
from tasks.stages.sidecars.reading import Described, read_sidecars


def read(folder: Path, content: str | bytes) -> Described:
    path = folder / "a.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_sidecars([str(path)], "a.pdf")


@pytest.mark.parametrize(
    ("content", "slip"),
    [
        ('{"titre": "T", "mots_cles": ["a", "b"],}', "line 1"),
        ('{"titre": "T", "mots_cles": ["a", "b"]]}', "line 1"),
        ('{"titre": "T",\n "mots_cles": ["a" "b"]}', "line 2"),
        ("{'titre': 'T', 'mots_cles': ['a', 'b']}", "line 1"),
        ('{"titre": "T" // the title\n, "mots_cles": ["a", "b"]}', "line 1"),
        ('{"titre": "T", "mots_cles": ["a", "b"]', "line 1"),
    ],
)
def test_the_usual_slips_are_mended_and_told(tmp_path: Path, content: str, slip: str):
    found = read(tmp_path, content)
    assert (found.attributes.title, found.attributes.keywords) == ("T", ("a", "b"))
    (warning,) = found.warnings
    assert warning.startswith(f"sidecar a.json: is not valid JSON ({slip}, column ")
    assert warning.endswith("and was mended")


@pytest.mark.parametrize(
    "words", ['"lot", "b"]', '"lot"]', '["lot"]]', '["lot", "b" ] ]', '["lot",]']
)
def test_a_bracket_too_few_or_too_many_loses_no_chapter(tmp_path: Path, words: str):
    found = read(
        tmp_path,
        '{"Partie IV": {"Titre": "Textes", "Page": 300, "Chapitres": [\n'
        f'{{"Titre": "Un", "Page": 301, "mots_cles": {words}}},\n'
        '{"Titre": "Deux", "Page": 310, "mots_cles": ["stérile"]}]}}',
    )
    assert [chapter.path[-1] for chapter in found.chapters][-2:] == ["Un", "Deux"]
    assert {"lot", "stérile"} <= set(found.attributes.keywords)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_encodings_are_found_as_for_documents(tmp_path: Path, encoding: str):
    text = '{"titre": "L’été à la préfecture", "thème": "congés payés des salariés"}'
    assert read(tmp_path, text.encode(encoding)).attributes.title == "L’été à la préfecture"


@pytest.mark.parametrize(
    "content", ["", "no json at all", "[1, 2]", '"text"', "[" * 5000, b"\x00\x01\x02"]
)
def test_what_is_no_sidecar_is_left_out_and_told(tmp_path: Path, content: str | bytes):
    found = read(tmp_path, content)
    assert found.attributes == NO_ATTRIBUTES
    assert found.warnings[0].startswith("sidecar a.json is left out: ")


def test_rights_that_are_lost_in_a_slip_let_nobody_in(tmp_path: Path):
    found = read(tmp_path, '[{"groups": ["staff"]')
    assert found.attributes.groups == ()
    assert found.warnings[0].endswith("it names groups, so nobody may read it")


def test_a_sidecar_that_is_gone_refuses_the_document(tmp_path: Path):
    with pytest.raises(ParseRefused, match=r"sidecar gone\.json cannot be read: No such file"):
        read_sidecars([str(tmp_path / "gone.json")], "a.pdf")


def test_what_is_nearer_wins_field_by_field(tmp_path: Path):
    outer, inner = tmp_path / "outer.json", tmp_path / "inner.json"
    outer.write_text('{"theme": "all", "groups": ["staff"], "keywords": ["a"], "site": "x"}')
    inner.write_text('{"theme": "mine", "keywords": ["b"], "page_count": 3}')
    found = read_sidecars([str(outer), str(inner)], "a.pdf").attributes
    assert (found.theme, found.groups) == ("mine", ("staff",))
    assert found.keywords == ("b", "a")
    assert found.extra == {"page_count": "3", "site": "x"}


def test_the_sidecar_of_a_folder_may_single_out_documents(tmp_path: Path):
    path = tmp_path / "_metadata.json"
    path.write_text('{"theme": "all", "documents": {"a.pdf": {"title": "A", "theme": "mine"}}}')
    one, other = (read_sidecars([str(path)], name).attributes for name in ("a.pdf", "b.pdf"))
    assert (one.title, one.theme) == ("A", "mine")
    assert (other.title, other.theme) == ("", "all")
