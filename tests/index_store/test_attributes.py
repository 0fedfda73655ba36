import pytest

from index_store.attributes import (
    NO_ATTRIBUTES,
    DocumentAttributes,
    decode_attributes,
    encode_attributes,
)
from index_store.errors import CorruptArtifactError

FULL = DocumentAttributes(
    title="Guide",
    url="https://example.org/guide",
    date="2019-05-24",
    language="fr",
    media_type="pdf",
    document_type="guideline",
    theme="quality",
    keywords=("audit", "formation"),
    groups=("staff",),
    extra={"owner": "QA"},
)


@pytest.mark.parametrize("attributes", [NO_ATTRIBUTES, FULL, DocumentAttributes(groups=())])
def test_attributes_come_back_as_they_were(attributes: DocumentAttributes):
    assert decode_attributes(encode_attributes(attributes), "it") == attributes


def test_nothing_known_is_nothing_written():
    assert encode_attributes(NO_ATTRIBUTES) == ""
    assert encode_attributes(DocumentAttributes(title="A")) == '{"title":"A"}'


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "not JSON"),
        ("[]", "not an object"),
        ('{"group":["a"]}', "group is not known"),
        ('{"groups":"staff"}', "groups is of the wrong type"),
        ('{"extra":{"a":1}}', "extra is of the wrong type"),
        ('{"title":1}', "title is of the wrong type"),
    ],
)
def test_what_is_not_understood_is_refused(text: str, problem: str):
    with pytest.raises(CorruptArtifactError, match=problem):
        decode_attributes(text, "catalog line")
