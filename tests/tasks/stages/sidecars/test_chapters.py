"""Chapter trees of sidecars become section paths of what stands in the chapters."""

import pytest

from tasks.stages.parsing.elements import Element, ElementKind
from tasks.stages.sidecars.chapters import Chapter, place_chapters, read_chapters

TREE = {
    "Titre": "Guide",
    "Partie I": {
        "Titre": "Médicaments à usage humain",
        "Page": 3,
        "Chapitres": [
            {"Titre": "Système qualité", "Page": 3, "mots_cles": ["qualité", "risque"]},
            {
                "Titre": "Personnel",
                "Page": "5",
                "Sections": [{"Titre": "Formation", "Page": 6, "Sous-sections": ["Hygiène"]}],
            },
        ],
    },
}
PART = "Partie I – Médicaments à usage humain"


def text_on(page: int | None, *texts: str) -> list[Element]:
    return [Element(kind=ElementKind.PARAGRAPH, text=text, page=page) for text in texts]


def paths(elements: list[Element], chapters: tuple[Chapter, ...]) -> list[tuple[str, ...]]:
    return [element.section for element in place_chapters(elements, chapters).elements]


def test_a_tree_is_read_in_order_with_pages_and_keywords():
    chapters = read_chapters(TREE)
    assert [(chapter.path, chapter.page) for chapter in chapters] == [
        ((PART,), 3),
        ((PART, "Système qualité"), 3),
        ((PART, "Personnel"), 5),
        ((PART, "Personnel", "Formation"), 6),
        ((PART, "Personnel", "Formation", "Hygiène"), None),
    ]
    assert chapters[1].keywords == ("qualité", "risque")


def test_chapters_by_name_instead_of_in_a_list_are_read():
    tree = {
        "chapters": {
            "One": {"page": 1},
            "Two": {"pages": "4-9", "sections": {"Two A": {"page": 5}}},
        }
    }
    assert [(chapter.path, chapter.page) for chapter in read_chapters(tree)] == [
        (("One",), 1),
        (("Two",), 4),
        (("Two", "Two A"), 5),
    ]


def test_pages_stand_in_the_chapter_that_began_last():
    elements = [element for page in range(1, 8) for element in text_on(page, f"page {page}")]
    assert paths(elements, read_chapters(TREE)) == [
        (),
        (),
        (PART, "Système qualité"),
        (PART, "Système qualité"),
        (PART, "Personnel"),
        (PART, "Personnel", "Formation"),
        (PART, "Personnel", "Formation"),
    ]


def test_a_chapter_that_begins_within_a_page_begins_at_its_title():
    elements = text_on(5, "The end of the chapter before.", "PERSONNEL", "Everybody is trained.")
    assert paths(elements, read_chapters(TREE)) == [
        (PART, "Système qualité"),
        (PART, "Personnel"),
        (PART, "Personnel"),
    ]


def test_printed_pages_are_shifted_to_those_of_the_file():
    chapters = tuple(
        Chapter(path=(title,), title=title, page=page)
        for page, title in ((1, "Introduction"), (2, "Methods"), (4, "Results"))
    )
    elements = text_on(1, "Contents") + text_on(2, "Preface")
    elements += text_on(3, "Introduction", "Long ago.") + text_on(4, "Methods")
    elements += text_on(5, "More methods.") + text_on(6, "Results", "None.")
    placed = place_chapters(elements, chapters)
    assert [element.section for element in placed.elements] == [
        *[()] * 2,
        *[("Introduction",)] * 2,
        *[("Methods",)] * 2,
        *[("Results",)] * 2,
    ]
    assert placed.warnings == ("chapters of the sidecar found +2 pages from where it says",)


def test_documents_without_pages_are_placed_by_the_last_place_of_each_title():
    chapters = (Chapter(path=("Alpha",), title="Alpha"), Chapter(path=("Beta",), title="Beta"))
    elements = text_on(None, "Alpha 1", "Beta 2", "ALPHA", "text", "Beta", "more")
    assert paths(elements, chapters) == [(), (), *[("Alpha",)] * 2, *[("Beta",)] * 2]


def test_chapters_that_are_nowhere_are_told():
    chapters = (Chapter(path=("Late",), title="Late", page=90),)
    placed = place_chapters(text_on(1, "text"), chapters)
    assert placed.warnings == ("1 chapters of the sidecar begin after the last page",)
    assert place_chapters(text_on(None, "text"), chapters).warnings == (
        "1 chapters of the sidecar not found by their titles",
    )


@pytest.mark.parametrize("page", [0, -3, "none", None, 1.5, True])
def test_a_page_that_is_none_places_nothing(page: object):
    (chapter,) = read_chapters({"chapters": [{"title": "Here", "page": page}]})
    assert chapter.page is None


def test_a_tree_that_never_ends_is_cut():
    deep: dict[str, object] = {"title": "leaf", "page": 1}
    for _ in range(200):
        deep = {"title": "level", "sections": [deep]}
    assert len(read_chapters({"sections": [deep]})) == 12
