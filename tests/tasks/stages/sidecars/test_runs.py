"""Sidecars in runs: they describe documents, are none, and a change of one costs no embedding."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from index_store.catalog import Catalog
from index_store.catalog_files import load_catalog
from index_store.records import DocumentRecord
from index_store.search_options import Question, Retrieval, SearchOptions
from index_store.snapshot import Snapshot
from index_store.storage.memory import MemoryStorage
from tasks.stages.planning import choose_base
from tests.support.plain_run import Trace, run_plainly
from tests.support.small_sources import (
    BROKEN_PDF,
    COLLECTION,
    again,
    options_for,
    pdf,
    prose,
    searchable,
    trusted,
    vector,
    write,
)

TEXT = (
    "# Congés\n\nLe salarié a droit à deux jours et demi ouvrables de congé par mois de travail.\n"
)


def catalog(storage: MemoryStorage) -> Catalog:
    return load_catalog(storage, choose_base(storage, COLLECTION).manifest)


def record(storage: MemoryStorage, uri: str) -> DocumentRecord:
    found = catalog(storage).get(uri)
    assert found is not None
    return found


def hits_of(group: str, storage: MemoryStorage) -> int:
    """Return how many documents anybody of a group can find."""
    options = SearchOptions(k=10, retrieval=Retrieval.DENSE, groups=frozenset({group}))
    with Snapshot.open(storage, COLLECTION, channel="production") as snapshot:
        hits = snapshot.search(Question(vector=vector("leave")), options)
        return len({hit.uri for hit in hits})


def test_a_sidecar_describes_its_document_and_is_none(tmp_path: Path):
    write(tmp_path / "a.md", TEXT)
    write(tmp_path / "a.json", '{"titre": "Les congés", "groupes": ["staff"], "thème": "temps"}')
    write(tmp_path / "sub/_metadata.json", '{"theme": "autre"}')
    write(tmp_path / "sub/deep/b.md", TEXT)
    storage = trusted("sidecars")
    options = options_for(tmp_path)
    run_plainly(options, storage)
    assert catalog(storage).uris() == ["a.md", "sub/deep/b.md"]
    found = record(storage, "a.md").attributes
    assert (found.title, found.groups, found.theme) == ("Les congés", ("staff",), "temps")
    assert (found.language, found.media_type) == ("fr", "markdown")
    assert record(storage, "sub/deep/b.md").attributes.theme == "autre"


def test_a_changed_sidecar_makes_its_document_due_without_embedding_its_texts_again(tmp_path: Path):
    write(tmp_path / "a.md", TEXT)
    write(tmp_path / "b.md", TEXT + "\nUn autre texte, assez long pour un passage.\n")
    write(tmp_path / "a.json", '{"title": "Before", "groups": ["staff"]}')
    storage = trusted("changed")
    options = options_for(tmp_path)
    run_plainly(options, storage)
    write(tmp_path / "a.json", '{"title": "After", "groups": []}')
    trace = Trace()
    report = run_plainly(again(options), storage, trace)
    assert (report.documents["changed"], report.documents["kept"]) == (1, 1)
    assert trace.texts == 0
    assert record(storage, "a.md").attributes.title == "After"
    assert record(storage, "a.md").attributes.groups == ()
    (tmp_path / "a.json").unlink()
    assert run_plainly(again(options), storage).documents["changed"] == 1
    assert record(storage, "a.md").attributes.groups is None
    assert run_plainly(again(options), storage).unchanged


def test_a_touched_sidecar_changes_nothing(tmp_path: Path):
    write(tmp_path / "a.md", TEXT)
    write(tmp_path / "a.json", '{"title": "Same"}')
    storage = trusted("touched")
    options = options_for(tmp_path)
    run_plainly(options, storage)
    write(tmp_path / "a.json", '{"title": "Same"}')
    assert run_plainly(again(options), storage).unchanged


def test_a_document_moves_along_with_its_sidecar(tmp_path: Path):
    write(tmp_path / "a.md", TEXT)
    write(tmp_path / "a.json", '{"title": "Moved"}')
    storage = trusted("moved")
    options = options_for(tmp_path)
    run_plainly(options, storage)
    (tmp_path / "new").mkdir()
    for name in ("a.md", "a.json"):
        (tmp_path / name).rename(tmp_path / "new" / name)
    assert run_plainly(again(options), storage).documents["moved"] == 1
    assert record(storage, "new/a.md").attributes.title == "Moved"


def test_a_mended_sidecar_is_told_in_the_report(tmp_path: Path):
    write(tmp_path / "a.md", TEXT)
    write(tmp_path / "a.json", '{"title": "Mended",}')
    storage = trusted("mended")
    report = run_plainly(options_for(tmp_path), storage)
    assert record(storage, "a.md").attributes.title == "Mended"
    assert any("a.md: sidecar a.json: is not valid JSON" in each for each in report.warnings)


@pytest.mark.parametrize(("groups", "found"), [('["board"]', 0), ('["staff", "board"]', 1)])
def test_rights_hold_although_the_document_fails(tmp_path: Path, groups: str, found: int):
    write(tmp_path / "a.pdf", pdf("The employee is entitled to leave for every month of work."))
    write(tmp_path / "a.json", '{"title": "T", "groups": ["staff"]}')
    write(tmp_path / "b.md", TEXT)
    write(tmp_path / "b.json", '{"groups": []}')
    storage = trusted("rights")
    options = options_for(tmp_path)
    run_plainly(options, storage)
    write(tmp_path / "a.pdf", BROKEN_PDF)
    write(tmp_path / "a.json", f'{{"title": "T", "groups": {groups}}}')
    run_plainly(again(options), storage)
    line = record(storage, "a.pdf")
    assert line.rejection is not None
    assert line.attributes.groups == tuple(json.loads(groups))
    assert hits_of("staff", storage) == found


def test_a_name_that_a_folder_singles_out_has_its_own_rights_after_a_move(tmp_path: Path):
    write(tmp_path / "open.md", TEXT)
    write(tmp_path / "_metadata.json", '{"documents": {"closed.md": {"groups": ["board"]}}}')
    storage = trusted("singled")
    options = options_for(tmp_path)
    run_plainly(options, storage)
    assert hits_of("staff", storage) == 1
    (tmp_path / "open.md").rename(tmp_path / "closed.md")
    trace = Trace()
    run_plainly(again(options), storage, trace)
    assert record(storage, "closed.md").attributes.groups == ("board",)
    assert (hits_of("staff", storage), hits_of("board", storage)) == (0, 1)
    assert trace.texts == 0


def test_sidecars_can_be_switched_off(tmp_path: Path):
    write(tmp_path / "a.md", TEXT)
    write(tmp_path / "a.json", '{"title": "Unread"}')
    storage = trusted("off")
    options = options_for(tmp_path)
    run_plainly(replace(options, scan=replace(options.scan, sidecars=False)), storage)
    assert record(storage, "a.md").attributes.title == "Congés"


def test_keywords_find_the_chunks_of_their_chapter_and_no_others(tmp_path: Path):
    chapters = ("Congés", "Salaires", "Formation")
    write(tmp_path / "a.md", "\n\n".join(f"# {name}\n\n{prose(name, 8)}" for name in chapters))
    tree = [{"title": name, "keywords": [f"motclef{name}", "droit"]} for name in chapters]
    write(tmp_path / "a.json", json.dumps({"keywords": ["guide"], "chapters": tree}))
    storage = trusted("keywords")
    run_plainly(options_for(tmp_path), storage)

    def sections(word: str) -> set[str]:
        options = SearchOptions(k=50, retrieval=Retrieval.LEXICAL, near_duplicates=True)
        with Snapshot.open(storage, COLLECTION, channel="production") as snapshot:
            hits = snapshot.search(Question(text=word), options)
        assert all(word not in hit.text for hit in hits)
        return {hit.citation.section[0] for hit in hits}

    assert sections("motclefSalaires") == {"Salaires"}
    assert sections("droit") == sections("guide") == set(chapters)


def test_chapters_become_the_section_of_what_stands_in_them(tmp_path: Path):
    write(tmp_path / "a.md", TEXT)
    write(tmp_path / "a.json", '{"Partie I": {"Titre": "Le temps", "Chapitres": ["Congés"]}}')
    storage = trusted("chapters")
    run_plainly(options_for(tmp_path), storage)
    found = {citation.section for _, citation, _ in searchable(storage)}
    assert found == {("Partie I – Le temps", "Congés")}
