"""Sidecars in runs: they describe documents, are none, and a change of one costs no embedding."""

from dataclasses import replace
from pathlib import Path

from index_store.catalog import Catalog
from index_store.catalog_files import load_catalog
from index_store.records import DocumentRecord
from index_store.storage.memory import MemoryStorage
from tasks.stages.planning import choose_base
from tests.support.plain_run import Trace, run_plainly
from tests.support.small_sources import (
    BROKEN_PDF,
    COLLECTION,
    again,
    options_for,
    pdf,
    searchable,
    trusted,
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


def test_rights_hold_although_the_document_fails(tmp_path: Path):
    write(tmp_path / "a.pdf", pdf("The employee is entitled to leave for every month of work."))
    write(tmp_path / "a.json", '{"title": "T", "groups": ["staff"]}')
    storage = trusted("rights")
    options = options_for(tmp_path)
    run_plainly(options, storage)
    write(tmp_path / "a.pdf", BROKEN_PDF)
    write(tmp_path / "a.json", '{"title": "T", "groups": ["board"]}')
    run_plainly(again(options), storage)
    found = record(storage, "a.pdf")
    assert found.rejection is not None
    assert found.chunks > 0
    assert found.attributes.groups == ("board",)


def test_sidecars_can_be_switched_off(tmp_path: Path):
    write(tmp_path / "a.md", TEXT)
    write(tmp_path / "a.json", '{"title": "Unread"}')
    storage = trusted("off")
    options = options_for(tmp_path)
    run_plainly(replace(options, scan=replace(options.scan, sidecars=False)), storage)
    assert record(storage, "a.md").attributes.title == "Congés"


def test_chapters_become_the_section_of_what_stands_in_them(tmp_path: Path):
    write(tmp_path / "a.md", TEXT)
    write(tmp_path / "a.json", '{"Partie I": {"Titre": "Le temps", "Chapitres": ["Congés"]}}')
    storage = trusted("chapters")
    run_plainly(options_for(tmp_path), storage)
    found = {citation.section for _, citation, _ in searchable(storage)}
    assert found == {("Partie I – Le temps", "Congés")}
