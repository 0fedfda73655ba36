"""Bad nights stay out of production, each for its reason; ordinary nights go through."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from index_store.log import CommitLog
from index_store.log_records import PRODUCTION
from index_store.storage.memory import MemoryStorage
from tasks.stages.gating.expectation import Severity
from tests.support.plain_run import run_plainly
from tests.support.planted_nights import (
    REGRESSIONS,
    Place,
    Regression,
    collection,
    english,
    french,
    golden_file,
    run_options,
)
from tests.support.small_sources import BROKEN_PDF, COLLECTION, touch, trusted, write

QUICK = ("a parser garbles", "vectors are shuffled", "one department is missing")


@pytest.fixture(scope="module")
def good_night(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The collection in production, made once."""
    folder = tmp_path_factory.mktemp("good")
    place = Place(source=folder / "source", storage=trusted("good"), folder=folder)
    collection(place.source)
    report = run_plainly(run_options(place.source, golden_file(folder)), place.storage)
    assert report.promoted, [each for each in report.findings if not each.passed]
    return place


def copy_of(place: Place, folder: Path) -> Place:
    shutil.copytree(place.source, folder / "source")
    storage = MemoryStorage("copy")
    for entry in place.storage.list(""):
        storage.put(entry.key, place.storage.read(entry.key))
    return Place(source=folder / "source", storage=storage, folder=folder)


def production(place: Place) -> str:
    return CommitLog(place.storage, COLLECTION).read().channels[PRODUCTION]


@pytest.mark.parametrize(
    "regression",
    [
        pytest.param(each, id=each.name, marks=[] if each.name in QUICK else [pytest.mark.soak])
        for each in REGRESSIONS
    ],
)
def test_a_planted_regression_stays_a_candidate(
    regression: Regression, good_night: Place, tmp_path: Path
):
    place = copy_of(good_night, tmp_path)
    live = production(place)
    options = run_options(place.source, golden_file(place.folder))
    report = run_plainly(regression.plant(place, options) or options, place.storage)
    stopped = {each.check for each in report.findings if each.blocks}
    assert regression.stopped_by in stopped, stopped
    assert not report.promoted
    assert production(place) == live != report.version


@pytest.mark.soak
def test_twenty_ordinary_nights_are_never_blocked(good_night: Place, tmp_path: Path):
    place = copy_of(good_night, tmp_path)
    golden = golden_file(place.folder)
    for night in range(20):
        ordinary_night(place, night)
        report = run_plainly(run_options(place.source, golden), place.storage)
        blocking = [each for each in report.findings if each.blocks]
        assert not blocking, f"night {night}: {blocking}"
        assert report.promoted, f"night {night}"


def ordinary_night(place: Place, night: int) -> None:
    """Do what people do in a day; nothing that golden questions are about."""
    DAYS[night % len(DAYS)](place.source, night)


def an_import(source: Path, night: int) -> None:
    for number in range(25):
        write(source / f"project-{night}" / f"{number}.txt", english(f"bridge{night}", number))


def corrections(source: Path, night: int) -> None:
    for number in (2, 3, 4):
        path = source / "finance" / f"{number:02}.txt"
        write(path, path.read_text() + f"\n\nCorrected in night {night}, see the annex.")


def drafts(source: Path, night: int) -> None:
    for number in range(4):
        write(source / "drafts" / f"{night}-{number}.txt", english("drafts", number))


def drafts_cleared(source: Path, night: int) -> None:
    assert night
    shutil.rmtree(source / "drafts")


def a_folder_renamed(source: Path, night: int) -> None:
    (source / f"project-{night - 4}").rename(source / f"bridges-{night}")


def broken_among_good(source: Path, night: int) -> None:
    for number in range(3):
        write(source / "inbox" / f"{night}-{number}.pdf", BROKEN_PDF + bytes([night, number]))
    for number in range(9):
        write(source / "inbox" / f"{night}-{number}.txt", english("inbox", night + number))


def copies_of_a_form(source: Path, night: int) -> None:
    for number in range(5):
        write(source / "forms" / f"{night}-{number}.txt", english("forms", 1))


def a_few_translated(source: Path, night: int) -> None:
    for number in (7, 8):
        write(source / "legal" / f"{number:02}.txt", french("legal", night + number))


def everything_touched(source: Path, night: int) -> None:
    for path in sorted(source.rglob("*.txt")):
        touch(path)
    write(source / "inbox" / f"touched-{night}.txt", english("touched", night))


def a_few_retired(source: Path, night: int) -> None:
    for path in sorted((source / f"bridges-{night - 5}").glob("*.txt"))[:5]:
        path.unlink()


DAYS = (
    an_import,
    corrections,
    drafts,
    drafts_cleared,
    a_folder_renamed,
    broken_among_good,
    copies_of_a_form,
    a_few_translated,
    everything_touched,
    a_few_retired,
)


def test_a_severity_lets_a_version_through_with_a_warning(good_night: Place, tmp_path: Path):
    place = copy_of(good_night, tmp_path)
    options = run_options(place.source)
    shutil.rmtree(place.source / "legal")
    softened = {"folders": Severity.WARN, "inventory/kept": Severity.OFF}
    report = run_plainly(
        replace(options, gates=replace(options.gates, severities=softened)), place.storage
    )
    told = {each.check: each for each in report.findings}
    assert report.promoted
    assert not told["folders/kept"].passed
    assert "legal/" in told["folders/kept"].message
    assert "inventory/kept" not in told
