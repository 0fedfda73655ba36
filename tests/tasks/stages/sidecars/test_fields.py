"""Fields of sidecars, under the names and in the forms that source systems use."""

import pytest

from tasks.stages.sidecars.fields import day_of, names_rights, read_fields


def test_fields_go_by_french_and_english_names():
    stated = read_fields(
        {
            "Titre": "Guide des  bonnes pratiques",
            "URL": "https://example.org/guide",
            "last_modified": "2024-03-05T10:00:00Z",
            "Langue": "FR-fr",
            "Type de document": "guideline",
            "Thème": "qualité",
            "mots-clés": ["lot", "libération", "lot"],
            "Groupes": ["staff", "audit"],
            "space": "QA",
            "version": 3,
            "validé": True,
        }
    )
    found = stated.attributes
    assert found.title == "Guide des bonnes pratiques"
    assert (found.url, found.date) == ("https://example.org/guide", "2024-03-05")
    assert (found.language, found.document_type, found.theme) == ("fr", "guideline", "qualité")
    assert found.keywords == ("lot", "libération")
    assert found.groups == ("staff", "audit")
    assert found.extra == {"space": "QA", "validé": "true", "version": "3"}
    assert stated.warnings == ()


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2024-02-29", "2024-02-29"),
        ("2024-2-9 10:00", "2024-02-09"),
        ("20240229", "2024-02-29"),
        ("29/02/2024", "2024-02-29"),
        ("1.3.2024", "2024-03-01"),
        ("1er août 2023", "2023-08-01"),
        ("5 March 2023", "2023-03-05"),
        ("2023-02-29", ""),
        ("2023", ""),
        ("yesterday", ""),
        ("", ""),
    ],
)
def test_days_are_understood(text: str, day: str):
    assert day_of(text) == day


def test_a_date_that_is_none_is_told_and_kept_as_text():
    stated = read_fields({"date": "spring"})
    assert stated.attributes.date == ""
    assert stated.attributes.extra == {"date": "spring"}
    assert stated.warnings == ("field 'date' is no date",)


@pytest.mark.parametrize("value", [None, 7, {"any": ["staff"]}, [1], [["staff"]], [""]])
def test_rights_that_are_not_understood_let_nobody_in(value: object):
    stated = read_fields({"groups": value})
    assert stated.attributes.groups == ()
    assert stated.warnings == ("field 'groups' is not understood, so nobody may read it",)


@pytest.mark.parametrize(
    "value", ["staff; audit", ["staff", "audit"], {"groups": ["staff", "audit"]}]
)
def test_rights_are_read_as_lists_texts_and_objects(value: object):
    assert read_fields({"rights": value}).attributes.groups == ("staff", "audit")


def test_two_statements_about_rights_leave_what_both_allow():
    stated = read_fields({"groups": ["a", "b"], "acl": ["b", "c"]})
    assert stated.attributes.groups == ("b",)


def test_an_empty_list_of_groups_is_nobody_and_no_list_is_everybody():
    assert read_fields({"groups": []}).attributes.groups == ()
    assert read_fields({"title": "x"}).attributes.groups is None


def test_long_and_nested_values_are_told_and_left_out():
    stated = read_fields({"html": "x" * 2000, "nested": {"a": 1}, "labels": ["a", "b"]})
    assert stated.attributes.extra == {"labels": "a, b"}
    assert stated.warnings == (
        "field 'html' is longer than 1000 characters",
        "field 'nested' is not understood",
    )


def test_rights_are_noticed_in_what_is_no_json():
    assert names_rights("{'Groupes': [")
    assert not names_rights('{"title": "groups"')
